/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Questions about openers: what is asked and answered, who hangs, and what the process can do. This
 * program plays all of them. */
#include "unit/sandbox_attempts.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/core/policy.h"
#include "programs/assayd/peek/peek.h"
#include "programs/assayd/peek/peek_process.h"

/* There are no such tasks; each ten are one user's. */
#define HANGS	    (INT32_MAX / 10 * 10 - 1000) /* and all above */
#define ANSWERS	    (INT32_MAX / 10 * 10 - 2000)
#define UNKNOWN	    (INT32_MAX / 10 * 10 - 3000) /* and those up to nine above */

#define SECOND	    1000000000ull
#define PATIENCE_MS 3000
#define SHORT_MS    10 /* peek.c's */

static struct spawner *spawner;
static struct peek *peek;
static uint64_t now_ns = 1000 * SECOND;
static int32_t nobody;
static enum child_role first, then; /* who is started, and who after that */

/* ---- messages ------------------------------------------------------------------------------- */

static struct assay_bytes encode(uint8_t *space, size_t size)
{
	struct assay_audit r = { 0 };
	struct assay_wr w = assay_wr(space, size);

	assay_audit_set_text(&r, ASSAY_AUDIT_TTY, assay_bytes_str("pts3"));
	assay_audit_set_text(&r, ASSAY_AUDIT_EXE, assay_bytes_str("/usr/bin/a b"));
	assay_audit_set_number(&r, ASSAY_AUDIT_PIDNS, 4026531836);
	peek_audit_encode(&r, &w);
	assert_true(assay_wr_ok(&w));
	return assay_wr_done(&w);
}

static void messages_come_back(void **state)
{
	uint8_t space[256];
	struct assay_bytes body = encode(space, sizeof(space));
	struct assay_audit r = { 0 };

	assert_int_equal(peek_audit_parse(body, &r), 0);
	assert_true(assay_bytes_is(r.value[ASSAY_AUDIT_TTY].text, "pts3"));
	assert_true(assay_bytes_is(r.value[ASSAY_AUDIT_EXE].text, "/usr/bin/a b"));
	assert_int_equal(r.value[ASSAY_AUDIT_PIDNS].number, 4026531836);
	assert_int_equal(r.have, 1ull << ASSAY_AUDIT_TTY | 1ull << ASSAY_AUDIT_EXE |
					 1ull << ASSAY_AUDIT_PIDNS);
}

static void others_do_not(void **state)
{
	uint8_t space[256] = { 0 }, told[33] = { 16 };
	struct assay_bytes body = encode(space, sizeof(space));
	struct assay_audit r = { 0 };
	struct peek_opener o = { .access = 77 };

	for (size_t len = 0; len < body.len; len++)
		assert_int_equal(peek_audit_parse(assay_bytes(body.data, len), &r), -EBADMSG);
	assert_int_equal(peek_audit_parse(assay_bytes(body.data, body.len + 1), &r), -EBADMSG);
	space[3] = 1; /* longer than any */
	assert_int_equal(peek_audit_parse(body, &r), -EBADMSG);
	assert_int_equal(r.have, 0);
	assert_int_equal(peek_opener_parse(assay_bytes(told, 32), &o), -EBADMSG);
	told[0] = ASSAY_MAY_READ;
	told[4] = 8;
	assert_int_equal(peek_opener_parse(assay_bytes(told, 32), &o), -EBADMSG);
	told[4] = 7;
	for (size_t len = 0; len < 32; len++)
		assert_int_equal(peek_opener_parse(assay_bytes(told, len), &o), -EBADMSG);
	assert_int_equal(peek_opener_parse(assay_bytes(told, 33), &o), -EBADMSG);
	assert_int_equal(o.access, 77);
	assert_int_equal(peek_opener_parse(assay_bytes(told, 32), &o), 0);
	assert_int_equal(o.access, ASSAY_MAY_READ);
	assert_true(o.seen && o.subject.cap_setuid && o.subject.cap_setgid);
}

/* ---- questions ------------------------------------------------------------------------------ */

/* One that hangs, or says that everybody writes. */
static int play(void)
{
	struct ipc_buffer buffer;
	struct ipc_message m;
	uint8_t body[64];

	if (ipc_send(CHILD_SOCKET, &(struct ipc_message){ .type = PEEK_READY }) < 0)
		return 1;
	while (ipc_receive(CHILD_SOCKET, &buffer, &m) == 0) {
		struct assay_wr w = assay_wr(body, sizeof(body));

		while (m.id >= HANGS)
			pause();
		peek_opener_encode(&(struct peek_opener){ .access = ASSAY_MAY_WRITE }, &w);
		m = (struct ipc_message){ .type = PEEK_TOLD,
					  .id = m.id,
					  .body = assay_wr_done(&w) };
		if (ipc_send(CHILD_SOCKET, &m) < 0)
			return 1;
	}
	return 0;
}

static int say_ready(struct ipc_buffer *buffer, struct ipc_message *ret)
{
	int r = ipc_send(CHILD_SOCKET, &(struct ipc_message){ .type = PEEK_READY });

	return r < 0 ? r : ipc_receive(CHILD_SOCKET, buffer, ret);
}

/* One that ends when it is asked. */
static int play_ending(void)
{
	struct ipc_buffer buffer;
	struct ipc_message m;

	return say_ready(&buffer, &m) < 0;
}

/* One whose answer is longer than it may be. */
static int play_wrong(void)
{
	struct ipc_buffer buffer;
	struct ipc_message m;

	if (say_ready(&buffer, &m) < 0)
		return 1;
	m.type = PEEK_TOLD;
	m.body = assay_bytes_str("12345");
	return ipc_send(CHILD_SOCKET, &m) < 0 || ipc_receive(CHILD_SOCKET, &buffer, &m) != -EPIPE;
}

static int start(void *ctx, enum child_role asked, uint32_t ready, struct child *ret,
		 struct assay_err *err)
{
	struct ipc_buffer buffer;
	struct ipc_message m;
	int r = spawner_start(spawner, first, NULL, 0, NULL, NULL, ret, err);

	assert_int_equal(asked, CHILD_PEEK);
	first = then;
	if (r < 0)
		return r;
	assert_int_equal(ipc_receive(ret->socket, &buffer, &m), 0);
	assert_int_equal(m.type, ready);
	return fcntl(ret->socket, F_SETFL, O_NONBLOCK);
}

static uint64_t clock_ns(void)
{
	return now_ns;
}

static uint32_t user_of(int32_t tid)
{
	return tid == nobody || tid / 10 == UNKNOWN / 10 ? UINT32_MAX : (uint32_t)tid / 10;
}

static void begin(enum child_role by_first, enum child_role by_others)
{
	static struct peek_ops ops = {
		.start = start,
		.patience_ms = PATIENCE_MS,
		.clock = clock_ns,
		.user_of = user_of,
	};
	struct assay_err err = { 0 };

	first = by_first;
	then = by_others;
	ops.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_int_equal(peek_new(&ops, &peek, &err), 0);
}

/* In place of the C library's: who hangs is waited for in no time, who answers as long as it takes
 * on a busy machine. */
static bool asking, hangs;
static int waited_ms; /* as it was meant, for the last answer */

int poll(struct pollfd *fds, nfds_t n, int ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

	if (asking && ms > 0) {
		waited_ms = ms;
		t = (struct timespec){ .tv_sec = hangs ? 0 : 60 };
	}
	return ppoll(fds, n, ms < 0 ? NULL : &t, NULL);
}

static void ask(int32_t tid, uint32_t want)
{
	struct peek_opener o = { 0 };

	waited_ms = 0;
	asking = true;
	hangs = tid >= HANGS;
	assert_int_equal(peek_opener(peek, tid, &o), want ? 0 : -ETIMEDOUT);
	asking = false;
	assert_int_equal(o.access, want);
}

static void hangs_for(int32_t tid, int ms)
{
	ask(tid, 0);
	assert_int_equal(waited_ms, ms);
}

static void who_hangs_is_not_known(void **state)
{
	begin(CHILD_PEEK, CHILD_PEEK);
	ask(ANSWERS, ASSAY_MAY_WRITE);
	assert_int_equal(peek_unanswered(peek), 0);
	hangs_for(HANGS, PATIENCE_MS);
	for (unsigned i = 0; i < 100; i++)
		ask(HANGS, 0); /* costs nobody another process */
	ask(ANSWERS, ASSAY_MAY_WRITE);
	assert_int_equal(peek_unanswered(peek), 101);
	peek_free(peek);
}

static void another_takes_its_place(void **state)
{
	begin(CHILD_PEEK, CHILD_PEEK);
	ask(HANGS, 0);
	ask(HANGS + 1, 0); /* its user's: not asked */
	ask(HANGS + 10, 0);
	ask(ANSWERS, 0); /* nobody is left */
	assert_int_equal(peek_tend(peek, now_ns, 1000), 100);
	ask(ANSWERS, ASSAY_MAY_WRITE);
	now_ns += SECOND / 5;
	assert_int_equal(peek_tend(peek, now_ns, 1000), 1000);
	ask(ANSWERS, ASSAY_MAY_WRITE);
	peek_free(peek);
}

/* Whose user is not known shares one: the hang of any of them spares the others. */
static void nobodys_users_are_one(void **state)
{
	begin(CHILD_PEEK, CHILD_PEEK);
	nobody = HANGS;
	ask(HANGS, 0);
	ask(UNKNOWN, 0); /* not asked: else it would be answered */
	ask(ANSWERS, ASSAY_MAY_WRITE);
	now_ns += 2 * SECOND;
	ask(UNKNOWN, ASSAY_MAY_WRITE);
	nobody = 0;
	peek_free(peek);
}

/* One that hangs with all patience costs others none; two within a second do. */
static void one_slow_moment_is_no_reason(void **state)
{
	begin(CHILD_PEEK, CHILD_PEEK);
	hangs_for(HANGS, PATIENCE_MS);
	peek_tend(peek, now_ns, 1000);
	now_ns += SECOND / 2;
	hangs_for(HANGS + 10, PATIENCE_MS);
	now_ns += SECOND / 4;
	peek_tend(peek, now_ns, 1000);
	hangs_for(HANGS + 20, SHORT_MS);
	now_ns += SECOND / 2; /* what was cut short does not count */
	peek_tend(peek, now_ns, 1000);
	hangs_for(HANGS + 30, PATIENCE_MS);
	now_ns += 2 * SECOND;
	peek_tend(peek, now_ns, 1000);
	hangs_for(HANGS + 31, SHORT_MS); /* its user's */
	peek_free(peek);
}

static void who_sees_nobody_says_so(void **state)
{
	begin(CHILD_PEEK, CHILD_PEEK);
	ask(HANGS, 0);
	now_ns += 2 * SECOND;
	ask(HANGS + 10, 0);
	assert_false(peek_is_blind(peek));
	now_ns += 20 * SECOND;
	assert_true(peek_is_blind(peek));
	peek_tend(peek, now_ns, 1000);
	assert_false(peek_is_blind(peek));
	peek_free(peek);
}

/* Who ends, or says what it may not, costs no answer. */
static void the_other_answers(void **state)
{
	for (enum child_role role = CHILD_WORKER; role <= CHILD_ANCHOR; role++) {
		begin(role, CHILD_PEEK);
		ask(ANSWERS, ASSAY_MAY_WRITE);
		ask(ANSWERS, ASSAY_MAY_WRITE);
		assert_int_equal(peek_unanswered(peek), 0);
		assert_int_equal(peek_tend(peek, now_ns, 1000), 1000);
		ask(ANSWERS, ASSAY_MAY_WRITE);
		peek_free(peek);
	}
}

/* The process itself, of this one. */
static void says_who_we_are(void **state)
{
	struct ipc_buffer buffer;
	struct assay_audit r = { 0 };
	struct peek_opener o;
	struct stat st;

	begin(CHILD_SCOUT, CHILD_SCOUT);
	assert_int_equal(peek_opener(peek, getpid(), &o), 0);
	assert_int_equal(o.access, 0); /* it runs, or reads */
	assert_true(o.seen);
	assert_int_equal(o.subject.uid, getuid());
	assert_int_equal(peek_audit(peek, getpid(), &buffer, &r), 0);
	assert_int_equal(stat("/proc/self/ns/mnt", &st), 0);
	assert_true(assay_audit_has(&r, ASSAY_AUDIT_MNTNS));
	assert_int_equal(r.value[ASSAY_AUDIT_MNTNS].number, st.st_ino);
	assert_true(assay_audit_has(&r, ASSAY_AUDIT_EXE));
	assert_int_equal(peek_audit(peek, 0, &buffer, &r), -ETIMEDOUT);
	assert_int_equal(peek_unanswered(peek), 0);
	peek_free(peek);
}

/* ---- what it can do no more ----------------------------------------------------------------- */

static int enter(struct assay_err *err)
{
	(void)err;
	return peek_sandbox();
}

static void looks_and_nothing_else(void **state)
{
	static int (*const attempts[])(void) = { open_to_write, open_socket,  fork_process,
						 signal_parent, trace_parent, map_executable };

	assert_each_is_stopped(attempts, ARRAY_LEN(attempts), enter);
}

static int set_up(void **state)
{
	return spawner_new(NULL, &spawner, NULL);
}

static int tear_down(void **state)
{
	spawner_free(spawner);
	return 0;
}

int main(int argc, char **argv)
{
	static const child_fn roles[CHILD_ROLE_COUNT] = {
		[CHILD_PEEK] = play,
		[CHILD_WORKER] = play_ending,
		[CHILD_ANCHOR] = play_wrong,
		[CHILD_SCOUT] = peek_process,
	};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_come_back),
		cmocka_unit_test(others_do_not),
		cmocka_unit_test(who_hangs_is_not_known),
		cmocka_unit_test(another_takes_its_place),
		cmocka_unit_test(the_other_answers),
		cmocka_unit_test(says_who_we_are),
		cmocka_unit_test(one_slow_moment_is_no_reason),
		cmocka_unit_test(who_sees_nobody_says_so),
		cmocka_unit_test(nobodys_users_are_one),
		cmocka_unit_test(looks_and_nothing_else),
	};

	child_main(argc, argv, roles);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
