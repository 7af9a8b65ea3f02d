/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "unit/test.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "backends/audit_linux/journal.h"
#include "backends/audit_linux/kernel_log.h"
#include "backends/audit_linux/subject.h"

static bool number_is(const struct assay_audit *r, enum assay_audit_field field, uint64_t number)
{
	return assay_audit_has(r, field) && r->value[field].number == number;
}

static bool text_is(const struct assay_audit *r, enum assay_audit_field field, const char *text)
{
	return assay_audit_has(r, field) && assay_bytes_is(r->value[field].text, text);
}

static void set_text(struct assay_audit *r, enum assay_audit_field field, const char *text)
{
	assay_audit_set_text(r, field, assay_bytes_str(text));
}

/* ---- who ------------------------------------------------------------------------------------ */

static void status_of_a_task(void **state)
{
	struct assay_audit r = { 0 };

	assay_audit_parse_status(assay_bytes_str(
					 "Name:\tUid:\t9\t9\nTgid:\t12\nNgid:\t0\nPid:\t13\n"
					 "PPid:\t7\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\n"),
				 &r);
	assert_true(number_is(&r, ASSAY_AUDIT_PID, 12));
	assert_true(number_is(&r, ASSAY_AUDIT_PPID, 7));
	assert_true(number_is(&r, ASSAY_AUDIT_UID, 1));
	assert_true(number_is(&r, ASSAY_AUDIT_EUID, 2));
	assert_true(number_is(&r, ASSAY_AUDIT_SUID, 3));
	assert_true(number_is(&r, ASSAY_AUDIT_FSUID, 4));
	assert_true(number_is(&r, ASSAY_AUDIT_GID, 5));
	assert_true(number_is(&r, ASSAY_AUDIT_FSGID, 8));
	r.have = 0;
	assay_audit_parse_status(assay_bytes_str("Uid:\t4294967296\t-1\t\t0x1\nTgid:\nPPid:"), &r);
	assert_int_equal(r.have, 0);
	assay_audit_parse_status(assay_bytes_str(""), &r);
	assert_int_equal(r.have, 0);
}

static void terminal_of_a_task(void **state)
{
	static const struct {
		const char *stat, *tty;
	} cases[] = {
		{ "1 (a) S 2 3 4 0 5 6", "(none)" },
		{ "1 (a) S 2 3 4 34816 5", "pts0" },
		{ "1 (a) S 2 3 4 34819 5", "pts3" },
		{ "1 (a) S 2 3 4 1025 5", "tty1" },
		{ "1 (a) S 2 3 4 1088 5", "ttyS0" },
		{ "1 (a) S 2 3 4 1281 5", "5:1" },
		{ "1 (x) S 1 1 1 9 9) S 2 3 4 34816 5", "pts0" },
	};
	char tty[32];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct assay_audit r = { 0 };

		assay_audit_parse_stat(assay_bytes_str(cases[i].stat), tty, &r);
		assert_true(text_is(&r, ASSAY_AUDIT_TTY, cases[i].tty));
	}
}

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void container_of_a_cgroup(void **state)
{
	static const struct {
		const char *cgroup, *container;
	} cases[] = {
		{ "/", "" },
		{ "/system.slice/cron.service", "" },
		{ "/docker/" ID, ID },
		{ "/kubepods-pod0.slice:cri-containerd:" ID, ID },
		{ "/system.slice/docker-" ID ".scope", ID },
		{ "/machine.slice/libpod-" ID ".scope/container", ID },
		{ "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0.slice/"
		  "cri-containerd-" ID ".scope",
		  ID },
		{ "/kubepods/besteffort/pod0/crio-" ID, ID },
		{ "/lxc.payload.web/system.slice/ssh.service", "web" },
		{ "/machine.slice/machine-deb.scope/payload", "deb" },
		{ "/machine.slice/machine-deb.scope/payload/docker/" ID, ID },
		{ "/docker/0" ID, "" },
		{ "/docker/0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef", "" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct assay_bytes got = assay_audit_container(assay_bytes_str(cases[i].cgroup));

		assert_true(assay_bytes_is(got, cases[i].container));
	}
}

static void cgroup_of_a_task(void **state)
{
	struct assay_audit r = { 0 };

	assay_audit_parse_cgroup(assay_bytes_str("0::/a.slice/b:c.scope\n"), &r);
	assert_true(text_is(&r, ASSAY_AUDIT_CGROUP, "/a.slice/b:c.scope"));
	assert_false(assay_audit_has(&r, ASSAY_AUDIT_CONTAINER));
	assay_audit_parse_cgroup(assay_bytes_str("9:name=systemd:/\n8:pids:/\n4:memory:/docker/" ID
						 "\n0::/\n"),
				 &r);
	assert_true(text_is(&r, ASSAY_AUDIT_CGROUP, "/docker/" ID));
	assert_true(text_is(&r, ASSAY_AUDIT_CONTAINER, ID));
}

static void this_task(void **state)
{
	char space[ASSAY_AUDIT_SUBJECT_SPACE], slow[ASSAY_AUDIT_SLOW_SPACE];
	struct assay_audit r = { 0 };
	struct stat st;

	assay_audit_subject(gettid(), space, &r);
	assert_true(number_is(&r, ASSAY_AUDIT_TID, (uint64_t)gettid()));
	assert_true(number_is(&r, ASSAY_AUDIT_EUID, geteuid()));
	assert_true(number_is(&r, ASSAY_AUDIT_EGID, getegid()));
	assert_false(assay_audit_has(&r, ASSAY_AUDIT_UID));
	assert_true(text_is(&r, ASSAY_AUDIT_COMM, "test_audit_linu"));
	assert_false(assay_audit_has(&r, ASSAY_AUDIT_EXE));
	assay_audit_subject_slow(gettid(), slow, &r);
	assert_true(number_is(&r, ASSAY_AUDIT_PID, (uint64_t)getpid()));
	assert_true(number_is(&r, ASSAY_AUDIT_PPID, (uint64_t)getppid()));
	assert_true(number_is(&r, ASSAY_AUDIT_UID, getuid()));
	assert_int_equal(stat("/proc/self/ns/mnt", &st), 0);
	assert_true(number_is(&r, ASSAY_AUDIT_MNTNS, st.st_ino));
	assert_true(assay_audit_has(&r, ASSAY_AUDIT_EXE));
	r.have = 0;
	assay_audit_subject_slow(INT32_MAX, slow, &r);
	assay_audit_subject(0, space, &r);
	assay_audit_subject(INT32_MAX, space, &r);
	assert_int_equal(r.have, 0);
}

/* ---- the journal ---------------------------------------------------------------------------- */

static void entry_of_the_journal(void **state)
{
	struct assay_audit r = { .type = ASSAY_AUDIT_TYPE_RULE };
	static const char want[] =
		"MESSAGE_ID=8c2b7bd0a1f94f0e9be1f6a3c0d55a01\nPRIORITY=6\n"
		"SYSLOG_IDENTIFIER=assayd\nMESSAGE=INTEGRITY_RULE file=2F610A62 uid=7 exe=(null)\n"
		"ASSAY_TYPE=INTEGRITY_RULE\nASSAY_TIME=1970-01-01T00:00:00.000000Z\n"
		"ASSAY_FILE\n\4\0\0\0\0\0\0\0/a\nb\nASSAY_UID=7\n";
	uint8_t text[1024];
	struct assay_wr w = assay_wr(text, sizeof(text));

	set_text(&r, ASSAY_AUDIT_FILE, "/a\nb");
	assay_audit_set_number(&r, ASSAY_AUDIT_UID, 7);
	assay_journal_encode(&r, &w);
	assert_int_equal(w.len, sizeof(want) - 1);
	assert_memory_equal(text, want, sizeof(want) - 1);
}

static void the_biggest(struct assay_audit *r, uint8_t byte)
{
	static uint8_t bytes[ASSAY_AUDIT_PATH_MAX];

	memset(bytes, byte, sizeof(bytes));
	*r = (struct assay_audit){ .type = ASSAY_AUDIT_TYPE_RULE };
	for (unsigned i = 0; i < ASSAY_AUDIT_FIELD_COUNT; i++) {
		if (i == ASSAY_AUDIT_NAME)
			continue;
		if (assay_audit_field_kind(i) == ASSAY_AUDIT_KIND_NUMBER)
			assay_audit_set_number(r, i, INT64_MAX);
		else
			assay_audit_set_text(r, i, assay_bytes(bytes, sizeof(bytes)));
	}
}

static int listen_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, path);
	unlink(path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* Gone, there, full, with room again, gone again: no call waits. */
static void socket_of_the_journal(void **state)
{
	char dir[] = "/tmp/assay-journal.XXXXXX", path[64];
	static char datagram[65536];
	struct assay_journal *j;
	struct assay_audit r;
	unsigned sent = 0, got = 0;
	int fd;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/socket", dir);
	assert_int_equal(assay_journal_new(path, &j), 0);
	the_biggest(&r, '\n');
	assert_int_equal(assay_journal_send(j, &r), -ENOENT);
	assert_int_equal(assay_journal_fd(j), -1);
	fd = listen_at(path);
	while (assay_journal_send(j, &r) == 0)
		sent++;
	assert_true(sent > 0);
	assert_int_equal(assay_journal_send(j, &r), -EAGAIN);
	while (recv(fd, datagram, sizeof(datagram), MSG_DONTWAIT) > 0)
		got++;
	assert_int_equal(got, sent);
	assert_int_equal(assay_journal_send(j, &r), 0);
	close(fd);
	assert_int_equal(assay_journal_send(j, &r), -ECONNREFUSED);
	fd = listen_at(path);
	assert_int_equal(assay_journal_send(j, &r), 0);
	close(fd);
	unlink(path);
	rmdir(dir);
	assay_journal_free(j);
	memset(datagram, 'x', 200);
	datagram[200] = '\0';
	assert_int_equal(assay_journal_new(datagram, &j), -ENAMETOOLONG);
}

/* ---- the kernel's log ----------------------------------------------------------------------- */

static void message_to_the_kernel(void **state)
{
	struct assay_audit r = { .type = ASSAY_AUDIT_TYPE_RULE };
	static char text[ASSAY_AUDIT_MESSAGE_MAX + 1];
	struct assay_wr w = assay_wr(text, ASSAY_AUDIT_MESSAGE_MAX);

	set_text(&r, ASSAY_AUDIT_FILE, "/it's");
	set_text(&r, ASSAY_AUDIT_EXE, "/bin/sh");
	assay_kernel_log_encode(&r, &w);
	text[w.len] = '\0';
	assert_string_equal(text, "op=INTEGRITY_RULE file=2F69742773 exe=\"/bin/sh\"");
	/* Whatever is in it, it fits, and nothing in it ends the message. */
	for (unsigned byte = 1; byte < 256; byte++) {
		the_biggest(&r, (uint8_t)byte);
		w.len = 0;
		w.full = false;
		assay_kernel_log_encode(&r, &w);
		assert_null(memchr(text, '\'', w.len));
		assert_null(memchr(text, '\n', w.len));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(status_of_a_task),
		cmocka_unit_test(terminal_of_a_task),
		cmocka_unit_test(container_of_a_cgroup),
		cmocka_unit_test(cgroup_of_a_task),
		cmocka_unit_test(this_task),
		cmocka_unit_test(entry_of_the_journal),
		cmocka_unit_test(socket_of_the_journal),
		cmocka_unit_test(message_to_the_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
