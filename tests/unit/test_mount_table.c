/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whose mount namespace a table is of, while who is looked at moves from one to the other. */
#include "unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "programs/assayd/scout/mount_table.h"

#define RUNS_NS 200000000

/* A user: in a user namespace of his own, in our mount namespace. */
struct user {
	pid_t pid;
	int orders, replies;	      /* a byte each; behind an exec the end of replies */
	uint64_t user_ns;	      /* ours */
	struct mount_table_task task; /* that is looked at */
};

static int orders[2], replies[2];

static void reply(int32_t value)
{
	if (write(replies[1], &value, sizeof(value)) != sizeof(value))
		_exit(1);
}

static void use_processor(clockid_t clock, long ns)
{
	struct timespec now;

	do
		clock_gettime(clock, &now);
	while (now.tv_sec == 0 && now.tv_nsec < ns);
}

static void *run_thread(void *execs)
{
	if (*(volatile char *)execs == 'T')
		use_processor(CLOCK_THREAD_CPUTIME_ID, 2 * RUNS_NS);
	reply(gettid());
	while (*(volatile char *)execs != 'x')
		sched_yield();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execl("/bin/sleep", "sleep", "1000", NULL);
	_exit(1);
}

/* Orders: t makes a thread; T as well, which runs longer than who leads; m moves to mounts of his
 * own; x has the thread exec. */
static void live(void)
{
	static volatile char order;
	pthread_t thread;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (unshare(CLONE_NEWUSER) < 0)
		_exit(77);
	use_processor(CLOCK_PROCESS_CPUTIME_ID, RUNS_NS);
	reply(0);
	while (read(orders[0], (char *)&order, 1) == 1) {
		if ((order == 't' || order == 'T') &&
		    pthread_create(&thread, NULL, run_thread, (void *)&order) != 0)
			_exit(1);
		if (order == 'm' && unshare(CLONE_NEWNS) < 0)
			_exit(1);
		if (order == 'm')
			reply(0);
	}
	_exit(1);
}

static int32_t hear(const struct user *u)
{
	int32_t value;

	if (read(u->replies, &value, sizeof(value)) != sizeof(value))
		return -1;
	return value;
}

static int32_t order(struct user *u, char what)
{
	assert_int_equal(write(u->orders, &what, 1), 1);
	return hear(u);
}

static void end_user(struct user *u)
{
	kill(u->pid, SIGKILL);
	assert_int_equal(waitpid(u->pid, NULL, 0), u->pid);
	close(u->orders);
	close(u->replies);
	if (u->task.dir >= 0)
		close(u->task.dir);
}

static struct user begin_user(void)
{
	struct user u = { .task.dir = -1 };
	struct stat st;

	assert_int_equal(stat("/proc/self/ns/user", &st), 0);
	assert_true(pipe2(orders, O_CLOEXEC) == 0 && pipe2(replies, O_CLOEXEC) == 0);
	u.pid = fork();
	assert_true(u.pid >= 0);
	if (u.pid == 0)
		live();
	close(orders[0]);
	close(replies[1]);
	u.orders = orders[1];
	u.replies = replies[0];
	u.user_ns = st.st_ino;
	if (hear(&u) != 0) { /* users have no namespaces here */
		end_user(&u);
		skip();
	}
	return u;
}

/* @thread: 0: the one that leads. */
static void open_task(struct user *u, pid_t thread)
{
	char path[64];

	snprintf(path, sizeof(path), thread ? "/proc/%d/task/%d" : "/proc/%d", (int)u->pid,
		 (int)thread);
	u->task.leads = thread == 0;
	u->task.dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(u->task.dir >= 0);
}

static void our_own_is_ours(void **state)
{
	AUTO(mount_table) struct mount_table t = { .fd = -1 };
	AUTO(file) struct assay_file text = { 0 };
	AUTO(fd) int dir = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
	const struct mount_table_task task = { dir, true };
	struct stat st, ns;

	assert_true(stat("/proc/self/ns/user", &st) == 0 && stat("/proc/self/ns/mnt", &ns) == 0);
	assert_int_equal(mount_table_open(&t, &task, st.st_ino), 0);
	assert_true(t.is_sure && t.ns == ns.st_ino);
	assert_int_equal(mount_table_read(&t, 1 << 20, &text), 0);
	assert_true(text.bytes.len > 0);
	assert_false(mount_table_has_overlay(&t, text.bytes, UINT32_MAX));
	assert_int_equal(mount_table_read(&t, 1, &text), -E2BIG);
}

/* Root's container whose tasks are in a user namespace below ours. */
static void who_left_our_users_alone_is_where_root_mounts(void **state)
{
	AUTO(mount_table) struct mount_table t = { .fd = -1 };
	struct user u = begin_user();

	open_task(&u, 0);
	assert_int_equal(mount_table_open(&t, &u.task, u.user_ns), 0);
	assert_true(t.is_sure);
	end_user(&u);
}

static void a_users_own_is_not_ours(void **state)
{
	AUTO(mount_table) struct mount_table t = { .fd = -1 };
	struct user u = begin_user();

	assert_int_equal(order(&u, 'm'), 0);
	open_task(&u, 0);
	assert_int_equal(mount_table_open(&t, &u.task, u.user_ns), 0);
	assert_true(t.is_sure && !t.is_ours);
	end_user(&u);
}

static void who_has_moved_says_nothing(void **state)
{
	AUTO(mount_table) struct mount_table t = { .fd = -1 };
	struct user u = begin_user();

	open_task(&u, 0);
	assert_int_equal(mount_table_begin(&t, &u.task), 0);
	assert_int_equal(order(&u, 'm'), 0);
	assert_int_equal(mount_table_pin(&t, &u.task), 0);
	assert_int_equal(mount_table_end(&t, &u.task, u.user_ns), -ESRCH);
	end_user(&u);
}

/* There and back: the namespace is ours before and behind, and the table the user's. */
static void back_by_exec(bool has_thread_before)
{
	AUTO(mount_table) struct mount_table t = { .fd = -1 };
	struct user u = begin_user();

	if (has_thread_before)
		assert_true(order(&u, 'T') > 0);
	open_task(&u, 0);
	assert_int_equal(mount_table_begin(&t, &u.task), 0);
	if (!has_thread_before)
		assert_true(order(&u, 't') > 0);
	assert_int_equal(order(&u, 'm'), 0);
	assert_int_equal(mount_table_pin(&t, &u.task), 0);
	assert_int_equal(order(&u, 'x'), -1);
	assert_int_equal(mount_table_end(&t, &u.task, u.user_ns), 0);
	assert_false(t.is_ours && t.is_sure);
	end_user(&u);
}

static void a_thread_that_was_there_brings_it_back(void **state)
{
	back_by_exec(true);
}

static void a_thread_that_is_new_brings_it_back(void **state)
{
	back_by_exec(false);
}

static void a_thread_that_does_not_lead_stays_itself(void **state)
{
	AUTO(mount_table) struct mount_table t = { .fd = -1 };
	struct user u = begin_user();

	open_task(&u, order(&u, 't'));
	assert_int_equal(mount_table_open(&t, &u.task, u.user_ns), 0);
	assert_true(t.is_sure);
	assay_auto_mount_table(&t);
	assert_int_equal(mount_table_begin(&t, &u.task), 0);
	assert_int_equal(order(&u, 'x'), -1);
	assert_true(mount_table_pin(&t, &u.task) < 0);
	end_user(&u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(our_own_is_ours),
		cmocka_unit_test(who_left_our_users_alone_is_where_root_mounts),
		cmocka_unit_test(a_users_own_is_not_ours),
		cmocka_unit_test(who_has_moved_says_nothing),
		cmocka_unit_test(a_thread_that_was_there_brings_it_back),
		cmocka_unit_test(a_thread_that_is_new_brings_it_back),
		cmocka_unit_test(a_thread_that_does_not_lead_stays_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
