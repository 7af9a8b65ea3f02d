/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the anchor process can do no more, in its own sandbox: each thing is tried by a child of its
 * own, first outside (where it must work, or the test shows nothing) and then inside. */
#include "unit/sandbox_attempts.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/fanotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "base/macros.h"
#include "programs/assayd/anchor/anchor_sandbox.h"

static struct assay_conf conf;
static int list_dirfd;
static char dir[] = "/tmp/assay-anchor-XXXXXX";
static char elsewhere[] = "/tmp/assay-elsewhere-XXXXXX"; /* a name that is free */
static char kernel_dir[] = "/tmp/assay-kernel-XXXXXX", kernel_count[64];

static int enter(struct assay_err *err)
{
	return anchor_sandbox_enter(&conf, list_dirfd, NULL, err);
}

static int try_it(int (*attempt)(void), bool inside)
{
	return run_attempt(attempt, inside ? enter : NULL);
}

/* ---- what kills ----------------------------------------------------------------------------- */

static int open_packets(void)
{
	return socket(AF_UNIX, SOCK_DGRAM, 0) >= 0 && socket(AF_NETLINK, SOCK_RAW, 0) >= 0 ? 0 : -1;
}

static int read_parent(void)
{
	char byte;
	struct iovec io = { &byte, 1 }, from = { (void *)dir, 1 };

	return process_vm_readv(attempts_parent, &io, 1, &from, 1, 0) == 1 ? 0 : -1;
}

static int unshare_mounts(void)
{
	return (int)syscall(SYS_unshare, 0x00020000);
}

static int mount_something(void)
{
	return mount("none", dir, "tmpfs", 0, NULL) == 0 && umount2(dir, MNT_DETACH) == 0 ? 0 : -1;
}

static int watch_files(void)
{
	return (int)syscall(SYS_fanotify_init, FAN_CLASS_CONTENT, O_RDONLY) >= 0 ? 0 : -1;
}

static int change_root(void)
{
	return chroot("/");
}

static int change_owner(void)
{
	return fchownat(list_dirfd, ".", 0, 0, 0);
}

static int set_mode_of_path(void)
{
	return fchmodat(list_dirfd, ".", 0700, 0);
}

static int bring_file_in(void)
{
	return (int)syscall(SYS_pidfd_open, attempts_parent, 0) >= 0 ? 0 : -1;
}

static int open_by_handle(void)
{
	return syscall(SYS_name_to_handle_at, AT_FDCWD, "/", NULL, NULL, 0) < 0 && errno == EFAULT
		       ? 0
		       : -1;
}

static void what_it_has_no_use_for_kills(void **state)
{
	static int (*const attempts[])(void) = {
		fork_process,	 execute,	   open_network,   open_packets,
		signal_parent,	 be_traced,	   read_parent,	   unshare_mounts,
		mount_something, watch_files,	   map_executable, change_root,
		change_owner,	 set_mode_of_path, bring_file_in,  open_by_handle,
	};

	for (size_t i = 0; i < ARRAY_LEN(attempts); i++) {
		int outside = try_it(attempts[i], false), inside = try_it(attempts[i], true);

		if (outside != (attempts[i] == execute ? 0 : DID))
			fail_msg("attempt %zu shows nothing: %d", i, outside);
		if (inside != -SIGSYS)
			fail_msg("attempt %zu ends with %d", i, inside);
	}
}

/* ---- what does not work --------------------------------------------------------------------- */

static int open_at(const char *path, int flags)
{
	return openat(AT_FDCWD, path, flags | O_CLOEXEC, 0600) >= 0 ? 0 : -1;
}

static int read_shadow(void)
{
	return open_at("/etc/shadow", O_RDONLY);
}

static int read_passwd(void)
{
	return open_at("/etc/passwd", O_RDONLY);
}

static int read_own_memory(void)
{
	return open_at("/proc/self/mem", O_RDWR);
}

static int write_elsewhere(void)
{
	return open_at(elsewhere, O_WRONLY | O_CREAT);
}

static int list_root(void)
{
	return open_at("/", O_RDONLY | O_DIRECTORY);
}

static int out_of_the_folder(void)
{
	return openat(list_dirfd, "../", O_RDONLY | O_CLOEXEC) >= 0 ? 0 : -1;
}

static int remove_elsewhere(void)
{
	return unlinkat(AT_FDCWD, elsewhere, 0);
}

static void no_path_but_its_own(void **state)
{
	static int (*const attempts[])(void) = {
		read_shadow, read_passwd,	read_own_memory,  write_elsewhere,
		list_root,   out_of_the_folder, remove_elsewhere,
	};

	if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1) < 1) {
		print_message("no Landlock here\n");
		skip();
	}
	for (size_t i = 0; i < ARRAY_LEN(attempts); i++) {
		/* The last one removes what stands outside. */
		int inside = try_it(attempts[i], true), outside = try_it(attempts[i], false);

		if (outside != DID)
			fail_msg("attempt %zu shows nothing: %d", i, outside);
		if (inside != DID_NOT)
			fail_msg("attempt %zu ends with %d", i, inside);
	}
}

static int use_rights(void)
{
	char text[4096] = "";
	int fd = openat(AT_FDCWD, "/proc/self/status", O_RDONLY);

	if (anchor_sandbox_enter(&conf, list_dirfd, NULL, NULL) < 0 ||
	    pread(fd, text, sizeof(text) - 1, 0) <= 0)
		return -1;
	return strstr(text, "\nCapPrm:\t0000000000000000\n") &&
			       strstr(text, "\nCapEff:\t0000000000000000\n") &&
			       strstr(text, "\nCapBnd:\t0000000000000000\n") &&
			       strstr(text, "\nCapInh:\t0000000000000000\n") &&
			       strstr(text, "\nCapAmb:\t0000000000000000\n") &&
			       strstr(text, "\nNoNewPrivs:\t1\n") && strstr(text, "\nSeccomp:\t2\n")
		       ? 0
		       : -1;
}

static void no_right_is_left(void **state)
{
	assert_int_equal(try_it(use_rights, false), DID);
}

/* ---- what it needs -------------------------------------------------------------------------- */

static int write_list(void)
{
	int fd = openat(list_dirfd, "segment.new", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	return fd >= 0 && fallocate(fd, 0, 0, 8192) == 0 && pwrite(fd, "x", 1, 0) == 1 &&
			       ftruncate(fd, 4096) == 0 && fsync(fd) == 0 &&
			       mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) !=
				       MAP_FAILED &&
			       renameat(list_dirfd, "segment.new", list_dirfd, "segment-1") == 0 &&
			       openat(list_dirfd, ".", O_RDONLY | O_DIRECTORY) >= 0 &&
			       unlinkat(list_dirfd, "segment-1", 0) == 0
		       ? 0
		       : -1;
}

static int read_boot_id(void)
{
	return open_at("/proc/sys/kernel/random/boot_id", O_RDONLY);
}

static int read_kernel_list(void)
{
	return open_at(conf.kernel_list, O_RDONLY) | open_at(kernel_count, O_RDONLY);
}

/* Larger memory than malloc() keeps in one piece grows by mremap(). */
static int grow_memory(void)
{
	char *p = malloc(1u << 20), *more = p ? realloc(p, 64u << 20) : NULL;
	int r = more ? 0 : -1;

	free(more ? more : p);
	return r;
}

static int reach_tpm(void)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s/tpm", dir);
	return connect(fd, (struct sockaddr *)&at, sizeof(at));
}

static void *no_work(void *arg)
{
	return arg;
}

static int start_thread(void)
{
	pthread_t thread;

	return pthread_create(&thread, NULL, no_work, NULL) != 0 || pthread_join(thread, NULL) != 0;
}

static void what_it_needs_works(void **state)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	AUTO(fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s/tpm", dir);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(try_it(write_list, true), DID);
	assert_int_equal(try_it(read_boot_id, true), DID);
	assert_int_equal(try_it(reach_tpm, true), DID);
	assert_int_equal(try_it(read_kernel_list, true), DID);
	assert_int_equal(try_it(grow_memory, true), DID);
	assert_int_equal(try_it(start_thread, true), DID);
	unlinkat(list_dirfd, "tpm", 0);
}

/* A device is left as it is named, for reading and writing; what stands beside it is not. */
static int open_device(void)
{
	return open_at(strchr(conf.tcti, ':') + 1, O_RDWR);
}

static int open_other_device(void)
{
	return open_at("/dev/zero", O_RDWR);
}

static void one_device_is_left(void **state)
{
	struct assay_conf before = conf;

	strcpy(conf.tcti, "device:/dev/null");
	assert_int_equal(try_it(open_device, true), DID);
	if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1) >= 1)
		assert_int_equal(try_it(open_other_device, true), DID_NOT);
	/* No sockets for it. */
	assert_int_equal(try_it(reach_tpm, true), -SIGSYS);
	conf = before;
}

/* Of all that drivers of root's devices can be asked, how much has come. */
static int ask_how_much(void)
{
	int pair[2], n;

	return pipe(pair) == 0 ? ioctl(pair[0], FIONREAD, &n) : -1;
}

static int ask_driver(void)
{
	return ioctl(list_dirfd, FIOCLEX);
}

/* A TPM simulator across the network: that and no raw sockets. */
static void the_network_if_it_must(void **state)
{
	struct assay_conf before = conf;

	strcpy(conf.tcti, "swtpm:host=localhost,port=2321");
	assert_int_equal(try_it(open_network, true), DID);
	assert_int_equal(try_it(ask_how_much, true), DID);
	assert_int_equal(try_it(ask_driver, false), DID);
	assert_int_equal(try_it(ask_driver, true), -SIGSYS);
	assert_int_equal(try_it(fork_process, true), -SIGSYS);
	conf = before;
}

static void other_ways_are_refused(void **state)
{
	static const char *const tctis[] = { "cmd:swtpm", "pcap:device", "libtpms:x", "swtpms",
					     "" };
	struct assay_conf before = conf;
	struct assay_err err;

	for (size_t i = 0; i < ARRAY_LEN(tctis); i++) {
		strcpy(conf.tcti, tctis[i]);
		assert_int_equal(anchor_sandbox_enter(&conf, list_dirfd, NULL, &err), -EOPNOTSUPP);
		assert_non_null(strstr(err.text, "device, tabrmd, swtpm or mssim"));
	}
	conf = before;
}

static int begin(void **state)
{
	assay_conf_init(&conf);
	strcpy(conf.tcti, "swtpm:path=/nowhere");
	assert_non_null(mkdtemp(dir));
	assert_non_null(mkdtemp(kernel_dir));
	snprintf(conf.kernel_list, sizeof(conf.kernel_list), "%s/list", kernel_dir);
	snprintf(kernel_count, sizeof(kernel_count), "%s/runtime_measurements_count", kernel_dir);
	close(open(conf.kernel_list, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	close(open(kernel_count, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	close(mkstemp(elsewhere));
	unlink(elsewhere);
	list_dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return list_dirfd < 0;
}

static int end(void **state)
{
	close(list_dirfd);
	unlink(conf.kernel_list);
	unlink(kernel_count);
	return rmdir(kernel_dir) + rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_it_has_no_use_for_kills),
		cmocka_unit_test(no_path_but_its_own),
		cmocka_unit_test(no_right_is_left),
		cmocka_unit_test(what_it_needs_works),
		cmocka_unit_test(one_device_is_left),
		cmocka_unit_test(the_network_if_it_must),
		cmocka_unit_test(other_ways_are_refused),
	};

	if (getuid() != 0) {
		puts("skipped: the anchor process begins as root");
		return 77;
	}
	return cmocka_run_group_tests(tests, begin, end);
}
