/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* main's side of the walker, with walkers that the test plays and a clock that it sets: what is
 * believed, whom it does not wait for, and when no other walker is started. */
#include "unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "programs/assayd/main/mounts.h"
#include "programs/assayd/main/running.h"
#include "programs/assayd/main/walker.h"
#include "programs/assayd/process/ipc.h"
#include "programs/assayd/scout/walk_msg.h"

static uint64_t now_ms, my_dev;
static int walker_end = -1;
static unsigned n_started, n_lists, n_dying;
static uint32_t first; /* of the last request */

/* What each walker says, once it is started. */
static void (*play)(unsigned nth);

/* ---- what walker.c calls -----------------------------------------------------------------------
 */

uint64_t assay_clock_ms(void)
{
	return now_ms += 400;
}

int spawner_start(struct spawner *s, enum child_role role, const int *fds, size_t n_fds,
		  int (*admit)(void *ctx, pid_t pid, int pidfd), void *ctx, struct child *ret,
		  struct assay_err *err)
{
	int pair[2];

	assert_int_equal(role, CHILD_WALKER);
	assert_int_equal(ipc_pair(pair), 0);
	walker_end = pair[1];
	*ret = (struct child){ .pidfd = -1, .socket = pair[0] };
	play(n_started++);
	return 0;
}

size_t spawner_list(struct spawner *s, struct spawner_child *ret, size_t max,
		    uint32_t ret_ended[CHILD_ROLE_COUNT])
{
	for (unsigned i = 0; i < n_dying; i++)
		ret[i] = (struct spawner_child){ .role = CHILD_WALKER };
	ret[n_dying] = (struct spawner_child){ .role = CHILD_SCOUT };
	return n_dying + 1;
}

void child_kill(const struct child *c)
{
}

/* What main said to it is read when it is over. */
void child_close(struct child *c)
{
	static struct ipc_buffer buffer;
	struct walk_request request;
	struct ipc_message m;

	close(c->socket);
	fcntl(walker_end, F_SETFL, O_NONBLOCK);
	while (ipc_receive(walker_end, &buffer, &m) == 0)
		if (m.type == WALK_GO && walk_request_parse(m.body, &request) == 0)
			first = request.first;
	close(walker_end);
}

int daemon_admit(void *ctx, pid_t pid, int pidfd)
{
	return 0;
}

void daemon_dismiss(void *ctx, pid_t pid)
{
}

bool late_is_wanted(const struct late_wanted *w, uint64_t dev)
{
	return w->all;
}

int mounts_list(struct mounts *m, struct filesystems_list *ret)
{
	ret->v = calloc(3, sizeof(*ret->v));
	assert_non_null(ret->v);
	ret->v[0] = (struct filesystems_entry){ .dev = my_dev, .measured = true };
	ret->v[1] = (struct filesystems_entry){ .dev = my_dev + 1, .remote = true };
	ret->n = 2;
	n_lists++;
	return 0;
}

/* ---- walkers
 * -------------------------------------------------------------------------------------- */

static void say(enum walk_message type, uint64_t id)
{
	const struct ipc_message m = { .type = type, .id = id };

	assert_int_equal(ipc_send(walker_end, &m), 0);
}

static void give(uint64_t dev, int flags)
{
	const struct walk_file file = { .dev = dev, .ino = 5 };
	uint8_t body[32];
	struct assay_wr w = assay_wr(body, sizeof(body));
	struct ipc_message m = { .type = WALK_FILES, .n_fds = 1 };
	char path[] = "walker-XXXXXX";
	int fd = mkstemp(path);

	close(fd);
	m.fd[0] = open(path, flags);
	unlink(path);
	assert_true(m.fd[0] >= 0);
	walk_files_encode(&file, 1, &w);
	m.body = assay_wr_done(&w);
	assert_int_equal(ipc_send(walker_end, &m), 0);
	close(m.fd[0]);
}

static struct {
	unsigned n_each, n_unreadable;
	pid_t pid[16]; /* of those that cannot be read */
	int error;     /* of the last */
} seen;

static int each(void *ctx, const struct maps_file *file)
{
	seen.n_each++;
	return 0;
}

static void unreadable(void *ctx, const struct maps_file *file, int error)
{
	seen.pid[seen.n_unreadable++ % 16] = file->pid;
	seen.error = error;
}

static int run(void (*as)(unsigned nth), struct walker_job *job)
{
	static const struct late_wanted all = { .all = true };
	static struct daemon d;
	struct assay_err err;
	struct stat st;

	assert_int_equal(stat(".", &st), 0);
	my_dev = st.st_dev;
	play = as;
	memset(&seen, 0, sizeof(seen));
	n_started = n_lists = 0;
	job->daemon = &d;
	job->wanted = &all;
	job->first = 1;
	job->last = 1000;
	job->each = each;
	job->unreadable = unreadable;
	return walker_run(job, &err);
}

static void gives_two(unsigned nth)
{
	say(WALK_LOOKING, 7);
	give(my_dev, O_RDONLY);
	say(WALK_LOOKING, 9);
	give(my_dev, O_RDONLY);
	say(WALK_DONE, 3);
}

static void what_it_finds_is_taken(void **state)
{
	struct walker_job job = { 0 };

	assert_int_equal(run(gives_two, &job), 0);
	assert_true(seen.n_each == 2 && seen.n_unreadable == 0);
	assert_true(job.n_processes == 2 && job.n_remote == 3 && job.n_hung == 0);
}

static void lies(unsigned nth)
{
	say(WALK_LOOKING, 7);
	give(my_dev, O_RDWR);
	give(my_dev, O_PATH);
	give(my_dev + 1, O_RDONLY);
	give(my_dev + 2, O_RDONLY);
	say(WALK_DONE, 0);
}

static void what_it_may_not_give_is_not(void **state)
{
	struct walker_job job = { 0 };

	assert_int_equal(run(lies, &job), 0);
	assert_true(seen.n_each == 0 && seen.n_unreadable == 4);
	assert_int_equal(seen.error, ESTALE);
}

static void hangs_twice(unsigned nth)
{
	say(WALK_LOOKING, nth == 0 ? 7 : 9 + nth);
	if (nth == 2)
		say(WALK_DONE, 0);
}

static void another_goes_on_behind_one_that_hangs(void **state)
{
	struct walker_job job = { 0 };

	assert_int_equal(run(hangs_twice, &job), 0);
	assert_true(n_started == 3 && job.n_hung == 2 && seen.n_unreadable == 2);
	assert_true(seen.pid[0] == 7 && seen.pid[1] == 10 && seen.error == ETIMEDOUT);
	assert_true(first == 11);
	assert_int_equal(n_lists, 3); /* what is known is told anew */
}

static void hangs(unsigned nth)
{
	say(WALK_LOOKING, 10 + nth);
}

static void somebody_who_makes_many_hang_ends_it(void **state)
{
	struct walker_job job = { .max_hung = 5 };

	assert_int_equal(run(hangs, &job), -ETIMEDOUT);
	assert_true(n_started == 5 && job.n_hung == 5);
}

static void goes_back(unsigned nth)
{
	say(WALK_LOOKING, nth == 0 ? 9 : 20);
	say(WALK_LOOKING, nth == 0 ? 9 : 21);
	say(WALK_DONE, 0);
}

static void says_nothing_that_is_asked_for(unsigned nth)
{
	if (nth == 0)
		say(WALK_LOOKING, 1001);
	else
		give(my_dev, O_RDONLY); /* of no process */
}

static void numbers_rise_and_are_among_those_asked_for(void **state)
{
	struct walker_job job = { 0 };

	assert_int_equal(run(goes_back, &job), 0);
	assert_true(n_started == 2 && first == 10 && seen.n_unreadable == 1);
	assert_int_equal(seen.error, EBADMSG);
	job = (struct walker_job){ 0 };
	assert_int_equal(run(says_nothing_that_is_asked_for, &job), -EPIPE);
	assert_true(n_started == 1 && seen.n_each == 0);
}

static void there_is_a_bound_on_those_that_do_not_end(void **state)
{
	struct walker_job job = { 0 };

	n_dying = 8;
	assert_int_equal(run(gives_two, &job), -EBUSY);
	assert_int_equal(n_started, 0);
	n_dying = 7;
	assert_int_equal(run(gives_two, &job), 0);
	n_dying = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_it_finds_is_taken),
		cmocka_unit_test(what_it_may_not_give_is_not),
		cmocka_unit_test(another_goes_on_behind_one_that_hangs),
		cmocka_unit_test(somebody_who_makes_many_hang_ends_it),
		cmocka_unit_test(numbers_rise_and_are_among_those_asked_for),
		cmocka_unit_test(there_is_a_bound_on_those_that_do_not_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
