/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the process that serves the view can do no more, and those that unmount it: each thing is
 * tried by a child of its own, first outside and then inside. */
#include "unit/sandbox_attempts.h"

#include <sched.h>
#include <sys/capability.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "backends/view_fuse/mount.h"
#include "programs/assayd/view/view.h"

#define PATIENCE_MS 60000

static char dir[] = "/tmp/assay-view-XXXXXX";
static struct assay_view_mount mounted = { .fuse_fd = -1, .name = "ima" };
static char some_name[4096] = "ima";
static const char *guards_name = some_name; /* the one that its filter knows, inside */
static int file;			    /* that it has */

static int enter_guard(struct assay_err *err)
{
	(void)err;
	return assay_view_guard_confine(&mounted, &guards_name);
}

static int enter_view(struct assay_err *err)
{
	return view_sandbox(err);
}

/* ---- both ----------------------------------------------------------------------------------- */

static int open_file(void)
{
	return open("file", O_RDONLY | O_CLOEXEC) >= 0 ? 0 : -1;
}

static int make_file(void)
{
	return open("file", O_RDWR | O_CREAT | O_CLOEXEC, 0600) >= 0 ? 0 : -1;
}

static int open_device(void)
{
	return open("/dev/fuse", O_RDWR | O_CLOEXEC) >= 0 ? 0 : -1;
}

static int set_kernel_value(void)
{
	return open("/proc/sys/kernel/printk", O_WRONLY | O_CLOEXEC) >= 0 ? 0 : -1;
}

static int make_link(void)
{
	int r = symlink("file", "link");

	unlink("link");
	return r;
}

static int ask_driver(void)
{
	return ioctl(file, FIOCLEX);
}

static int have_signals_sent(void)
{
	return fcntl(file, F_SETOWN, attempts_parent);
}

static int mount_something(void)
{
	int r = mount("none", dir, "tmpfs", 0, NULL);

	if (r == 0)
		umount2(dir, MNT_DETACH);
	return r;
}

static int become_root(void)
{
	return setresuid(0, 0, 0);
}

/* fork() leaves it to another process than the one that tries to say that it did. */
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

/* ---- who serves ----------------------------------------------------------------------------- */

static void who_serves_is_ended(void **state)
{
	static int (*const attempts[])(void) = {
		make_link,   ask_driver,   have_signals_sent, mount_something, become_root,
		run_program, fork_process, open_network,      open_socket,     signal_parent,
		be_traced,   trace_parent, map_executable,
	};
	static const char *const but[] = { "memfd_create", NULL }; /* what is written, for main */

	assert_each_is_stopped(attempts, ARRAY_LEN(attempts), enter_view);
	assert_no_call(enter_view, -SIGSYS, but);
	assert_no_family(enter_view, -SIGSYS);
}

/* Killed, but in a build whose sanitizer needs the call: there Landlock or the modes refuse. */
static void who_serves_opens_nothing(void **state)
{
	static int (*const attempts[])(void) = { open_file, make_file, open_device,
						 set_kernel_value, open_to_write };
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	const bool is_refused = true;
#else
	const bool is_refused = false;
#endif

	if (is_refused && syscall(SYS_landlock_create_ruleset, NULL, 0, 1) < 1) {
		print_message("no Landlock here\n");
		skip();
	}
	for (size_t i = 0; i < ARRAY_LEN(attempts); i++) {
		assert_int_equal(run_attempt(attempts[i], NULL), DID);
		assert_int_equal(run_attempt(attempts[i], enter_view),
				 is_refused ? DID_NOT : -SIGSYS);
	}
}

static int hand_text_on(void)
{
	int fd = (int)syscall(SYS_memfd_create, "x", 3 /* MFD_CLOEXEC, MFD_ALLOW_SEALING */);
	char text[8];

	return fd >= 0 && write(fd, "rule", 4) == 4 &&
			       fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK) == 0 &&
			       pread(fd, text, 4, 0) == 4 && pread(file, text, 4, 0) == 4
		       ? 0
		       : -1;
}

static void who_serves_reads_what_it_has(void **state)
{
	assert_int_equal(run_attempt(hand_text_on, enter_view), DID);
	assert_rights_left(enter_view, 0, 0);
}

/* ---- who unmounts --------------------------------------------------------------------------- */

static int unmount_with(const char *name, int flags)
{
	int r = umount2(name, flags);

	if (r == 0)
		mount("none", name, "tmpfs", 0, NULL); /* for the next one */
	return r;
}

static int unmount_other(void)
{
	return unmount_with("other", MNT_DETACH | UMOUNT_NOFOLLOW);
}

/* The same, at another address. */
static int unmount_own_text(void)
{
	char text[] = "ima";

	return unmount_with(text, MNT_DETACH | UMOUNT_NOFOLLOW);
}

/* By the kernel, that is not stopped by a signal. */
static int write_into_name(void)
{
	return (int)syscall(SYS_statx, AT_FDCWD, guards_name, 0, 0, guards_name);
}

static int unlock_name(void)
{
	uintptr_t size = (uintptr_t)sysconf(_SC_PAGESIZE);

	return mprotect((void *)((uintptr_t)guards_name & ~(size - 1)), size,
			PROT_READ | PROT_WRITE);
}

/* Aborts what waits for the server: not needed. */
static int unmount_by_force(void)
{
	return unmount_with(guards_name, MNT_FORCE | MNT_DETACH);
}

static int look_at_other(void)
{
	struct statx st;

	return statx(AT_FDCWD, "other", 0, 0, &st);
}

static int leave_folder(void)
{
	return chdir("/");
}

static int write_out(void)
{
	return write(file, "x", 1) == 1 ? 0 : -1;
}

static int read_in(void)
{
	char byte;

	return pread(file, &byte, 1, 0) == 1 ? 0 : -1;
}

static int copy_descriptor(void)
{
	return dup(file) >= 0 ? 0 : -1;
}

static void who_unmounts_is_refused(void **state)
{
	static int (*const attempts[])(void) = {
		unmount_other,	  unmount_own_text, write_into_name,   unlock_name,
		unmount_by_force, look_at_other,    leave_folder,      write_out,
		read_in,	  copy_descriptor,  open_file,	       make_file,
		open_device,	  open_to_write,    set_kernel_value,  make_link,
		ask_driver,	  mount_something,  have_signals_sent, become_root,
		fork_process,	  open_network,	    open_socket,       signal_parent,
		be_traced,	  map_executable,
	};

	for (size_t i = 0; i < ARRAY_LEN(attempts); i++) {
		int outside = run_attempt(attempts[i], NULL);
		int inside = run_attempt(attempts[i], enter_guard);

		if (outside != DID || inside != DID_NOT)
			fail_msg("attempt %zu: %d outside, %d inside", i, outside, inside);
	}
	assert_no_call(enter_guard, DID_NOT, NULL);
	assert_no_family(enter_guard, DID_NOT);
}

static bool is_there(const char *name)
{
	struct stat at, above;

	assert_int_equal(stat(name, &at), 0);
	assert_int_equal(stat(".", &above), 0);
	return at.st_dev != above.st_dev;
}

static pid_t pid_of(int pidfd)
{
	char path[64], text[1024] = "", *at;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	at = strstr(text, "Pid:");
	assert_non_null(at);
	return atoi(at + strlen("Pid:"));
}

/* It runs, and has gone in. */
static void look_at_rights(const struct assay_view_guard *guard)
{
	char status[4096] = "";

	for (int ms = 0; ms < PATIENCE_MS && !strstr(status, "\nSeccomp:\t2\n"); ms++) {
		usleep(1000);
		read_status(pid_of(guard->pidfd), status);
	}
	assert_caps(status, "CapPrm", 1ull << CAP_SYS_ADMIN);
	assert_caps(status, "CapEff", 1ull << CAP_SYS_ADMIN);
	assert_caps(status, "CapInh", 0);
	assert_non_null(strstr(status, "\nNoNewPrivs:\t1\n"));
}

static void who_unmounts_does(void **state)
{
	struct assay_view_guard guard;
	struct statx st;

	assert_int_equal(statx(AT_FDCWD, "ima", 0, 0, &st), 0);
	mounted.dev_major = st.stx_dev_major;
	mounted.dev_minor = st.stx_dev_minor;
	assert_int_equal(assay_view_guard_start(&mounted, -1, &guard, NULL), 0);
	assert_true(is_there("ima"));
	look_at_rights(&guard);
	assert_int_equal(assay_view_guard_stop(&guard, PATIENCE_MS), 0);
	assert_false(is_there("ima"));
	assert_true(is_there("other"));
}

/* ---- */

/* In mounts of its own. */
static int set_up(void **state)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    !mkdtemp(dir) || mount("none", dir, "tmpfs", 0, NULL) < 0 || chdir(dir) < 0 ||
	    mkdir("ima", 0700) < 0 || mkdir("other", 0700) < 0 ||
	    mount("none", "ima", "tmpfs", 0, NULL) < 0 ||
	    mount("none", "other", "tmpfs", 0, NULL) < 0)
		return -1;
	mounted.parent_fd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	file = open("file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	return write(file, "content", 7) == 7 ? 0 : -1;
}

static int tear_down(void **state)
{
	return chdir("/") < 0 || umount2(dir, MNT_DETACH) < 0 || rmdir(dir) < 0 ? -1 : 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_serves_is_ended),
		cmocka_unit_test(who_serves_opens_nothing),
		cmocka_unit_test(who_serves_reads_what_it_has),
		cmocka_unit_test(who_unmounts_is_refused),
		cmocka_unit_test(who_unmounts_does),
	};

	if (geteuid() != 0) {
		puts("only root can give up what is tried here");
		return 77;
	}
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
