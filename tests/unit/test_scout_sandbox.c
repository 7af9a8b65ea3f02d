/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the scout and the walker can do no more, each in its own sandbox, what they still can, and
 * that it is enough: this program plays both. */
#include "unit/sandbox_attempts.h"

#include <linux/nsfs.h>
#include <poll.h>
#include <sched.h>
#include <sys/capability.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "programs/assayd/process/ipc.h"
#include "programs/assayd/process/spawner.h"
#include "programs/assayd/scout/scout_msg.h"
#include "programs/assayd/scout/scout_process.h"
#include "programs/assayd/scout/walk_msg.h"
#include "programs/assayd/scout/walk_process.h"

#define PATIENCE_MS 60000

/* Libc's headers of some systems are older than the kernel. */
#ifndef CAP_CHECKPOINT_RESTORE
#define CAP_CHECKPOINT_RESTORE 40
#endif

static char dir[] = "/tmp/assay-scout-XXXXXX";

static int enter_scout(struct assay_err *err)
{
	(void)err;
	return scout_sandbox();
}

static int enter_walker(struct assay_err *err)
{
	(void)err;
	return walk_sandbox();
}

static int (*const enter[])(struct assay_err *err) = { enter_scout, enter_walker };

static int open_as(const char *path, int flags)
{
	return open(path, flags | O_CLOEXEC, 0600) >= 0 ? 0 : -1;
}

/* ---- what ends them ------------------------------------------------------------------------- */

static int open_to_change(void)
{
	return open_as("file", O_RDWR);
}

static int make_file(void)
{
	return open_as("new", O_RDONLY | O_CREAT);
}

static int empty_file(void)
{
	return open_as("file", O_RDONLY | O_TRUNC);
}

static int make_nameless_file(void)
{
	return open_as(".", O_WRONLY | O_TMPFILE);
}

/* With both bits a driver is asked for what needs the right to write. */
static int open_to_ask_driver(void)
{
	return open_as("/dev/null", O_ACCMODE);
}

static int set_kernel_value(void)
{
	return open_as("/proc/sys/kernel/printk", O_WRONLY);
}

static int write_parents_memory(void)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)attempts_parent);
	return open_as(path, O_RDWR);
}

static int make_device(void)
{
	return mknod("device", S_IFCHR | 0600, makedev(1, 3)) == 0 && unlink("device") == 0 ? 0
											    : -1;
}

static int mount_something(void)
{
	return mount("none", dir, "tmpfs", 0, NULL) == 0 && umount2(dir, MNT_DETACH) == 0 ? 0 : -1;
}

static int remove_link(void)
{
	return symlink("file", "link") == 0 && unlink("link") == 0 ? 0 : -1;
}

static int set_mode(void)
{
	return chmod("file", 0640);
}

static int ask_driver(void)
{
	return ioctl(open("file", O_RDONLY | O_CLOEXEC), FIOCLEX);
}

/* Whoever has that gets signals of root's then. */
static int have_signals_sent(void)
{
	return fcntl(open("file", O_RDONLY | O_CLOEXEC), F_SETOWN, attempts_parent);
}

static int take_lease(void)
{
	return fcntl(open("file", O_RDONLY | O_CLOEXEC), F_SETLEASE, F_RDLCK);
}

static int become_another(void)
{
	return setresuid(65534, 65534, 65534);
}

static int run_program(void)
{
	pid_t pid = vfork();
	int status;

	if (pid == 0) {
		execl("/bin/true", "true", NULL);
		_exit(1);
	}
	return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : -1;
}

static void what_they_have_no_use_for_ends_them(void **state)
{
	static int (*const attempts[])(void) = {
		open_to_change,	    make_file,	       empty_file,    make_nameless_file,
		open_to_ask_driver, set_kernel_value,  open_to_write, write_parents_memory,
		make_device,	    mount_something,   remove_link,   set_mode,
		ask_driver,	    have_signals_sent, take_lease,    become_another,
		run_program,	    fork_process,      open_network,  open_socket,
		signal_parent,	    be_traced,	       trace_parent,  map_executable,
	};

	for (size_t i = 0; i < ARRAY_LEN(enter); i++)
		assert_each_is_stopped(attempts, ARRAY_LEN(attempts), enter[i]);
}

static void no_call_but_theirs(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(enter); i++) {
		assert_no_call(enter[i], -SIGSYS, NULL);
		assert_no_family(enter[i], -SIGSYS);
	}
}

static void few_rights_are_left(void **state)
{
	const uint64_t look = 1ull << CAP_SYS_PTRACE | 1ull << CAP_DAC_READ_SEARCH;
	const bool is_new = prctl(PR_CAPBSET_READ, CAP_CHECKPOINT_RESTORE, 0, 0, 0) == 1;
	const uint64_t open_maps = 1ull << (is_new ? CAP_CHECKPOINT_RESTORE : CAP_SYS_ADMIN);

	assert_rights_left(enter_scout, look, look);
	assert_rights_left(enter_walker, look | open_maps, look | open_maps);
}

/* ---- what stays possible: SECURITY.md says so ----------------------------------------------- */

/* Whoever may read all of /proc may read all memory. */
static int read_parents_memory(void)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)attempts_parent);
	return open_as(path, O_RDONLY);
}

static int read_secret(void)
{
	return open_as("/etc/shadow", O_RDONLY);
}

static int read_device(void)
{
	return open_as("/dev/zero", O_RDONLY);
}

static int look_at_mounts(void)
{
	const int path = O_PATH | O_CLOEXEC;
	char name[64];
	struct stat st;
	int fd, ns;

	snprintf(name, sizeof(name), "/proc/%d", (int)attempts_parent);
	fd = open(name, path | O_DIRECTORY);
	ns = openat(fd, "ns/mnt", O_RDONLY | O_CLOEXEC);
	return openat(fd, "mountinfo", O_RDONLY | O_CLOEXEC) >= 0 &&
			       openat(fd, "root", path | O_DIRECTORY) >= 0 && ns >= 0 &&
			       fstat(ns, &st) == 0 && ioctl(ns, NS_GET_USERNS) >= 0
		       ? 0
		       : -1;
}

static void all_can_be_read(void **state)
{
	int (*const attempts[])(void) = { read_parents_memory, read_secret, read_device,
					  look_at_mounts };

	for (size_t i = 0; i < ARRAY_LEN(enter); i++)
		for (size_t j = 0; j < ARRAY_LEN(attempts); j++)
			assert_int_equal(run_attempt(attempts[j], enter[i]), DID);
}

/* ---- it is enough --------------------------------------------------------------------------- */

static struct spawner *spawner;
static struct ipc_buffer buffer;

static void begin(enum child_role role, struct child *ret, uint32_t type, struct assay_bytes body)
{
	const struct ipc_message m = { .type = type, .body = body };

	assert_int_equal(spawner_start(spawner, role, NULL, 0, NULL, NULL, ret, NULL), 0);
	assert_int_equal(ipc_send(ret->socket, &m), 0);
}

static void hear(const struct child *c, struct ipc_message *ret)
{
	struct pollfd p = { .fd = c->socket, .events = POLLIN };

	assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
	assert_int_equal(ipc_receive(c->socket, &buffer, ret), 0);
}

static pid_t start_apart(void)
{
	int ready[2];
	pid_t pid;
	char byte;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		if (unshare(CLONE_NEWNS) == 0 &&
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
		    mount("none", dir, "tmpfs", 0, NULL) == 0 && write(ready[1], "", 1) == 1 &&
		    close_range(3, ~0u, 0) == 0) { /* others wait for the end of some */
			alarm(PATIENCE_MS / 1000);
			pause();
		}
		_exit(1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

/* A mount that only another mount namespace has. */
static void the_scout_finds_a_mount(void **state)
{
	uint8_t body[64];
	struct assay_wr w = assay_wr(body, sizeof(body));
	struct scout_mount found;
	struct ipc_message m;
	bool is_found = false;
	struct child scout;
	pid_t apart = start_apart();

	scout_skips_encode(NULL, 0, &w);
	begin(CHILD_SCOUT, &scout, SCOUT_SCAN, assay_wr_done(&w));
	for (m.type = 0; m.type != SCOUT_DONE;) {
		hear(&scout, &m);
		if (m.type == SCOUT_FOUND && scout_mount_parse(m.body, &found) == 0)
			is_found |= strcmp(found.point, dir) == 0 && m.n_fds == 1;
		ipc_close_fds(&m);
	}
	kill(apart, SIGKILL);
	waitpid(apart, NULL, 0);
	child_kill(&scout);
	child_close(&scout);
	assert_true(is_found);
}

static void say_go(const struct child *walker)
{
	const struct walk_request r = { .first = (uint32_t)getpid(), .last = (uint32_t)getpid() };
	uint8_t body[64];
	struct assay_wr w = assay_wr(body, sizeof(body));
	struct ipc_message go = { .type = WALK_GO };

	walk_request_encode(&r, &w);
	go.body = assay_wr_done(&w);
	assert_int_equal(ipc_send(walker->socket, &go), 0);
}

/* This program, of this process. */
static void the_walker_finds_what_runs(void **state)
{
	const struct ipc_message more = { .type = WALK_MORE };
	struct walk_file file[IPC_FDS_MAX];
	uint8_t body[64];
	struct assay_wr w = assay_wr(body, sizeof(body));
	struct walk_device device = { .flags = WALK_OPEN };
	struct ipc_message m;
	struct child walker;
	bool is_found = false;
	struct stat st;
	uint32_t n;

	assert_int_equal(stat("/proc/self/exe", &st), 0);
	device.dev = st.st_dev;
	walk_device_write(&w, &device);
	begin(CHILD_WALKER, &walker, WALK_DEVICES, assay_wr_done(&w));
	say_go(&walker);
	for (m.type = 0; m.type != WALK_DONE;) {
		hear(&walker, &m);
		if (m.type != WALK_FILES) {
			ipc_close_fds(&m);
			continue;
		}
		assert_int_equal(walk_files_parse(m.body, file, &n), 0);
		assert_int_equal(n, m.n_fds);
		for (uint32_t i = 0; i < n; i++)
			is_found |= file[i].ino == st.st_ino && file[i].is_exe;
		ipc_close_fds(&m);
		assert_int_equal(ipc_send(walker.socket, &more), 0);
	}
	child_close(&walker);
	assert_true(is_found);
}

/* ---- */

static int set_up(void **state)
{
	return mkdtemp(dir) && chdir(dir) == 0 && system("echo content >file") == 0
		       ? spawner_new(NULL, &spawner, NULL)
		       : -1;
}

static int tear_down(void **state)
{
	spawner_free(spawner);
	unlink("file");
	unlink("new");
	return chdir("/") < 0 || rmdir(dir) < 0 ? -1 : 0;
}

int main(int argc, char **argv)
{
	static const child_fn roles[CHILD_ROLE_COUNT] = {
		[CHILD_SCOUT] = scout_process, [CHILD_WALKER] = walk_process
	};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_they_have_no_use_for_ends_them),
		cmocka_unit_test(no_call_but_theirs),
		cmocka_unit_test(few_rights_are_left),
		cmocka_unit_test(all_can_be_read),
		cmocka_unit_test(the_scout_finds_a_mount),
		cmocka_unit_test(the_walker_finds_what_runs),
	};

	child_main(argc, argv, roles);
	if (geteuid() != 0) {
		puts("only root can give up what is tried here");
		return 77;
	}
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
