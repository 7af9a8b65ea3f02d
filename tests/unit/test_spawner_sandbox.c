/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the spawner can do no more, nor whom it starts, whatever that executes; that all else works
 * which one of them needs; and that it keeps what the unit leaves it. */
#include "unit/sandbox_attempts.h"

#include <sched.h>
#include <sys/capability.h>
#include <sys/fanotify.h>
#include <sys/mount.h>
#include <sys/prctl.h>

#include "base/file.h"
#include "base/sandbox.h"
#include "programs/assayd/process/spawner_process.h"

#define ASK "--ask" /* this program, executed inside */

static int enter(struct assay_err *err)
{
	(void)err;
	return spawner_sandbox();
}

/* ---- what is refused ------------------------------------------------------------------------ */

/* Of those that are tried on others, these stay: some child, or main after an upgrade, makes them,
 * or who has CAP_SYS_ADMIN and mount() gains nothing by them. */
static const char *const may[] = { "execveat",
				   "personality",
				   "pidfd_open",
				   "pidfd_send_signal",
				   "rt_sigqueueinfo",
				   "tkill",
				   "setpriority",
				   "sched_setscheduler",
				   "timer_create",
				   "mount",
				   "fsopen",
				   "fsmount",
				   "fspick",
				   "open_tree",
				   "move_mount",
				   "unshare",
				   "fanotify_init",
				   "fanotify_mark",
				   "name_to_handle_at",
				   "open_by_handle_at",
				   "openat2",
				   "memfd_create",
				   "mknodat",
				   "mkdirat",
				   "unlinkat",
				   "renameat2",
				   "linkat",
				   "symlinkat",
				   "fchmodat",
				   "fchmod",
				   "fchownat",
				   "fchown",
				   "utimensat",
				   "truncate",
				   "fallocate",
				   "setxattr",
				   "fsetxattr",
				   "removexattr",
				   "copy_file_range",
				   "splice",
				   "setresuid",
				   "setresgid",
				   "setgroups",
				   "setfsuid",
				   "capset",
				   "seccomp",
				   "bind",
				   "connect",
				   "listen",
				   "accept4",
				   "socketpair",
				   "setsockopt",
				   NULL };

static void what_nobody_needs_is_refused(void **state)
{
	assert_no_call(enter, DID_NOT, may);
}

static int be_traced_by_parent(void)
{
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0 && errno == EPERM ? -1 : 0;
}

static int trace_nobody(void)
{
	return ptrace(PTRACE_SEIZE, -1, NULL, NULL) < 0 && errno == EPERM ? -1 : 0;
}

static void nobody_is_traced(void **state)
{
	assert_int_equal(run_attempt(be_traced_by_parent, NULL), DID);
	assert_int_equal(run_attempt(be_traced_by_parent, enter), DID_NOT);
	assert_int_equal(run_attempt(trace_nobody, NULL), DID);
	assert_int_equal(run_attempt(trace_nobody, enter), DID_NOT);
}

static void only_known_families(void **state)
{
	for (sandbox_family_now = 0; sandbox_family_now < AF_MAX; sandbox_family_now++) {
		bool is_kept = sandbox_family_now == AF_UNIX || sandbox_family_now == AF_INET ||
			       sandbox_family_now == AF_INET6 || sandbox_family_now == AF_NETLINK;
		int inside = run_attempt(open_family, enter);

		/* Raw ones are what is tried, and CAP_NET_RAW is gone: AF_UNIX has none. */
		if (is_kept && sandbox_family_now != AF_UNIX && sandbox_family_now != AF_NETLINK)
			continue;
		if (inside != (is_kept ? DID : DID_NOT))
			fail_msg("socket() of family %d: %d inside", sandbox_family_now, inside);
	}
	assert_int_equal(run_attempt(open_network, enter), DID);
}

/* ---- whom it starts ------------------------------------------------------------------------- */

static int ask(void)
{
	struct sandbox_call bpf = SANDBOX_CALL(bpf, -1, NOWHERE);

	sandbox_call_now = &bpf;
	return make_call();
}

/* This one ends as DID or DID_NOT. */
static int execute_self(void)
{
	execl("/proc/self/exe", "test_spawner_sandbox", ASK, NULL);
	return 0;
}

static void what_it_executes_has_no_more(void **state)
{
	assert_int_equal(run_attempt(execute_self, NULL), DID);
	assert_int_equal(run_attempt(execute_self, enter), DID_NOT);
}

static int use_rights_of_others(void)
{
	AUTO(fd) int group = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC, O_RDONLY);

	return group >= 0 && unshare(CLONE_NEWNS) == 0 &&
			       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
			       mount("none", "/proc", "tmpfs", 0, NULL) == 0 &&
			       umount2("/proc", MNT_DETACH) == 0 && fork_process() == 0 &&
			       kill(attempts_parent, 0) == 0
		       ? 0
		       : -1;
}

/* A worker's: the filters are both in force. */
static int become_child(void)
{
	const struct assay_sandbox sandbox = { .uid = CHILD_ID_WORKER, .gid = CHILD_ID_WORKER };

	return assay_sandbox_enter(&sandbox, NULL, NULL);
}

static int become_child_and_execute(void)
{
	return become_child() < 0 ? 0 : execute();
}

static void what_they_need_works(void **state)
{
	assert_int_equal(run_attempt(use_rights_of_others, enter), DID);
	assert_int_equal(run_attempt(open_socket, enter), DID);
	assert_int_equal(run_attempt(open_to_write, enter), DID);
	assert_int_equal(run_attempt(become_child, enter), DID);
	assert_int_equal(run_attempt(become_child_and_execute, enter), -SIGSYS);
}

/* ---- rights --------------------------------------------------------------------------------- */

/* Of the unit, which other systems than this one start it by. */
static uint64_t caps_of_unit(void)
{
	static const char key[] = "CapabilityBoundingSet=";
	FILE *unit = fopen(VECTORS "/../../packaging/assayd.service.in", "re");
	char line[1024], *name = NULL, *rest;
	uint64_t caps = 0;
	cap_value_t cap;

	assert_non_null(unit);
	while (!name && fgets(line, sizeof(line), unit))
		if (strncmp(line, key, strlen(key)) == 0)
			name = line + strlen(key);
	fclose(unit);
	assert_non_null(name);
	for (name = strtok_r(name, " \n", &rest); name; name = strtok_r(NULL, " \n", &rest)) {
		if (strcmp(name, "CAP_CHECKPOINT_RESTORE") == 0) /* not in every libcap */
			cap = 40;
		else
			assert_int_equal(cap_from_name(name, &cap), 0);
		caps |= 1ull << cap;
	}
	return caps;
}

static uint64_t caps_of_ours(void)
{
	uint64_t caps = 0;

	for (int cap = 0; cap < 64; cap++)
		if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1)
			caps |= 1ull << cap;
	return caps;
}

static void it_keeps_what_the_unit_leaves(void **state)
{
	const uint64_t kept = caps_of_unit() & caps_of_ours();

	assert_rights_left(enter, kept, kept);
}

static int filters(void)
{
	char status[4096], *at;

	read_status(getpid(), status);
	at = strstr(status, "\nSeccomp_filters:\t");
	return at ? atoi(at + strlen("\nSeccomp_filters:\t")) : -1;
}

/* As in who is started by an upgrade. */
static int enter_again(void)
{
	int before = filters();

	return before > 0 && spawner_sandbox() == 0 && filters() == before ? 0 : -1;
}

static void upgrades_do_not_stack_filters(void **state)
{
	if (filters() < 0) {
		print_message("this kernel does not count filters\n");
		skip();
	}
	assert_int_equal(run_attempt(enter_again, enter), DID);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_nobody_needs_is_refused),
		cmocka_unit_test(nobody_is_traced),
		cmocka_unit_test(only_known_families),
		cmocka_unit_test(what_it_executes_has_no_more),
		cmocka_unit_test(what_they_need_works),
		cmocka_unit_test(it_keeps_what_the_unit_leaves),
		cmocka_unit_test(upgrades_do_not_stack_filters),
	};

	if (argc == 2 && strcmp(argv[1], ASK) == 0)
		_exit(ask() == 0 ? DID : DID_NOT);
	if (geteuid() != 0) {
		puts("only root can give up what is tried here");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
