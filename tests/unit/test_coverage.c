/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Parts of the daemon that need no fanotify: who is covered by a mark, and what a process maps. */
#include "unit/test.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "programs/assayd/main/coverage.h"
#include "programs/assayd/main/maps.h"

static uint8_t memory[4 << 20] __attribute__((aligned(16)));

static const struct assay_policy *compile(const char *text)
{
	static struct assay_policy_text parsed;
	const struct assay_policy *p;
	struct assay_arena arena;

	assay_arena_init(&arena, memory, sizeof(memory));
	assert_int_equal(assay_policy_parse(assay_bytes_str(text), NULL, &arena, &parsed, NULL), 0);
	assert_int_equal(assay_policy_compile(&parsed, &arena, &p), 0);
	return p;
}

/* Judges an open by @uid, and says whether that covers everybody. */
static bool covers(const char *text, uint32_t uid, uint32_t mask)
{
	const struct assay_policy *p = compile(text);
	struct assay_match_facts facts = {
		.hook = ASSAY_HOOK_FILE_CHECK,
		.mask = mask,
		.subject = { .uid = uid, .euid = uid, .suid = uid },
		.fs = { .magic = 0xef53, .name = assay_bytes_str("ext4") },
	};
	struct coverage c = { 0 };
	struct assay_match m;

	assay_policy_match(p, &facts, &m);
	coverage_add(&c, &m);
	c.audited = m.actions & ASSAY_ACTION_AUDIT;
	return coverage_holds(&c, p, &facts, ASSAY_HOOK_FILE_CHECK);
}

static void a_mark_needs_that_nobody_adds_a_record(void **state)
{
	static const char tcb[] = "measure func=FILE_CHECK mask=^MAY_READ uid=0\n";

	assert_true(covers(tcb, 0, ASSAY_MAY_READ));
	assert_false(covers(tcb, 1000, ASSAY_MAY_READ));
	assert_false(covers(tcb, 0, ASSAY_MAY_WRITE));
	assert_true(covers("dont_measure fsmagic=0xef53\nmeasure func=FILE_CHECK uid=0\n", 1000,
			   ASSAY_MAY_READ));
	assert_true(covers("measure func=BPRM_CHECK\n", 1000, ASSAY_MAY_READ));
	assert_true(covers("measure func=FILE_CHECK\n", 1000, ASSAY_MAY_WRITE));
}

/* Another PCR or template is another record. */
static void a_mark_needs_the_same_record_for_all(void **state)
{
	assert_false(covers("measure func=FILE_CHECK mask=MAY_READ pcr=11\n"
			    "measure func=FILE_CHECK mask=MAY_WRITE pcr=12\n",
			    0, ASSAY_MAY_READ));
	assert_false(covers("measure func=FILE_CHECK uid=0 pcr=11\nmeasure func=FILE_CHECK\n", 0,
			    ASSAY_MAY_READ));
	assert_false(covers("measure func=FILE_CHECK uid=0\n"
			    "measure func=FILE_CHECK template=ima-ngv2\n",
			    0, ASSAY_MAY_READ));
	assert_true(covers("measure func=FILE_CHECK mask=MAY_READ pcr=11\n"
			   "measure func=FILE_CHECK mask=MAY_WRITE pcr=11\n",
			   0, ASSAY_MAY_READ));
}

/* Of an audit record it does not matter whose it is, but that it is there. */
static void a_mark_needs_the_audit_record(void **state)
{
	static const char audit[] = "audit func=FILE_CHECK uid=1000\n";

	assert_true(covers(audit, 1000, ASSAY_MAY_READ));
	assert_false(covers(audit, 0, ASSAY_MAY_READ));
	assert_false(covers("measure func=FILE_CHECK\naudit func=FILE_CHECK uid=1000\n", 0,
			    ASSAY_MAY_READ));
	assert_false(covers("measure func=FILE_CHECK uid=0\naudit func=FILE_CHECK\n", 1000,
			    ASSAY_MAY_READ));
	assert_true(covers("measure func=FILE_CHECK uid=0\naudit func=FILE_CHECK\n", 0,
			   ASSAY_MAY_READ));
	assert_false(covers("dont_audit uid=1000\naudit func=FILE_CHECK uid=1000\n", 1000,
			    ASSAY_MAY_READ)); /* as nothing is known of subjects */
}

struct seen {
	unsigned n, n_exe, n_unreadable;
	bool libc;
};

static int see(void *ctx, const struct maps_file *file)
{
	struct seen *s = ctx;

	s->n++;
	s->n_exe += file->is_exe;
	s->libc |= strstr(file->path, "libc") != NULL;
	return s->n == 1000 ? -1 : 0;
}

static void miss(void *ctx, const struct maps_file *file, int error)
{
	struct seen *s = ctx;

	s->n_unreadable++;
	assert_true(file->fd == -1 && file->path[0] == '/');
	assert_true(error > 0);
}

static bool skip_all(void *ctx, const struct maps_file *file)
{
	assert_true(file->fd == -1 && file->ino != 0 && file->path[0] == '/');
	return true;
}

static struct seen walk(pid_t pid, bool all, bool (*skip)(void *, const struct maps_file *))
{
	struct seen seen = { 0 };
	struct maps_walk w = {
		.pid = pid, .all = all, .skip = skip, .each = see, .unreadable = miss, .ctx = &seen
	};

	assert_int_equal(maps_walk(&w), 0);
	return seen;
}

static void our_own_maps(void **state)
{
	struct seen code, all, none;

	if (access("/proc/self/map_files", R_OK) < 0 || geteuid() != 0)
		skip(); /* needs CAP_CHECKPOINT_RESTORE */
	code = walk(getpid(), false, NULL);
	assert_int_equal(code.n_exe, 1);
	assert_true(code.libc);
	all = walk(getpid(), true, NULL);
	assert_true(all.n >= code.n);
	none = walk(getpid(), true, skip_all);
	assert_int_equal(none.n, 0);
	assert_int_equal(code.n_unreadable + all.n_unreadable + none.n_unreadable, 0);
}

/* Without the capability each file is refused, and told. */
static void what_cannot_be_opened_is_told(void **state)
{
	struct seen code, none;
	pid_t child;
	int status;

	if (access("/proc/self/map_files", R_OK) < 0 || geteuid() != 0)
		skip(); /* nothing to compare with */
	code = walk(getpid(), false, NULL);
	child = fork();
	if (child == 0) {
		cap_t no_caps = cap_init();

		if (cap_set_proc(no_caps) < 0)
			_exit(2);
		cap_free(no_caps);
		none = walk(getpid(), false, NULL);
		_exit(none.n == 0 && none.n_unreadable == code.n ? 0 : 1);
	}
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void a_process_that_is_gone_has_no_files(void **state)
{
	struct seen none = walk(INT32_MAX, true, NULL), zombie;
	pid_t child = fork();

	if (child == 0)
		_exit(0);
	assert_true(child > 0);
	assert_int_equal(waitid(P_PID, (id_t)child, &(siginfo_t){ 0 }, WEXITED | WNOWAIT), 0);
	zombie = walk(child, true, NULL);
	assert_int_equal(none.n + none.n_unreadable + zombie.n + zombie.n_unreadable, 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

static void *go_on(void *unused)
{
	pause();
	return NULL;
}

/* Its number shows nothing of what runs still. */
static void the_others_tell_where_the_first_thread_has_ended(void **state)
{
	struct seen seen;
	pthread_t thread;
	char path[64], text[4096] = "", *at = NULL;
	pid_t child;
	FILE *f;

	if (access("/proc/self/map_files", R_OK) < 0 || geteuid() != 0)
		skip(); /* needs CAP_CHECKPOINT_RESTORE */
	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (pthread_create(&thread, NULL, go_on, NULL) == 0)
			syscall(SYS_exit, 0); /* alone */
		_exit(1);
	}
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)child);
	while (!at || strncmp(at, ") Z", 3) != 0) {
		f = fopen(path, "re");
		assert_non_null(f);
		assert_non_null(fgets(text, sizeof(text), f));
		fclose(f);
		at = strrchr(text, ')');
		sched_yield();
	}
	seen = walk(child, false, NULL);
	assert_int_equal(seen.n_exe, 1);
	assert_true(seen.libc);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_mark_needs_that_nobody_adds_a_record),
		cmocka_unit_test(a_mark_needs_the_same_record_for_all),
		cmocka_unit_test(a_mark_needs_the_audit_record),
		cmocka_unit_test(our_own_maps),
		cmocka_unit_test(what_cannot_be_opened_is_told),
		cmocka_unit_test(a_process_that_is_gone_has_no_files),
		cmocka_unit_test(the_others_tell_where_the_first_thread_has_ended),
	};

	return cmocka_run_group_tests_name("coverage", tests, NULL, NULL);
}
