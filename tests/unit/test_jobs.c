/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The order in which jobs are done, and the deadline: answers go to a pipe in place of the kernel.
 */
#include "unit/test.h"

#include <fcntl.h>
#include <linux/fanotify.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "backends/source_fanotify/group.h"
#include "programs/assayd/jobs.h"

#define DEADLINE_MS 20
#define PATIENCE_MS 10000

struct fixture {
	struct assay_fanotify group;
	struct jobs *jobs;
	int answers, wake_fd;
};

static void fixture_init(struct fixture *f, uint32_t deadline_ms)
{
	int ends[2];

	*f = (struct fixture){ .wake_fd = eventfd(0, EFD_CLOEXEC) };
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	f->answers = ends[0];
	f->group.fd = ends[1];
	assert_int_equal(jobs_new(&(struct jobs_config){ .group = &f->group,
							 .max = 1000,
							 .deadline_ms = deadline_ms,
							 .wake_fd = f->wake_fd },
				  &f->jobs),
			 0);
}

static void fixture_done(struct fixture *f)
{
	jobs_close(f->jobs);
	jobs_free(f->jobs);
	close(f->group.fd);
	close(f->answers);
	close(f->wake_fd);
}

/* An event; told from others by its tid. */
static void add(struct fixture *f, int32_t tid)
{
	struct assay_fanotify_event e = { .fd = open("/dev/null", O_RDONLY | O_CLOEXEC),
					  .tid = tid };

	jobs_add(f->jobs, &e);
}

static struct job *take(struct fixture *f, int32_t tid)
{
	struct job *job = jobs_take(f->jobs);

	assert_int_equal(job->event.tid, tid);
	return job;
}

static void end(struct fixture *f, struct job *job)
{
	atomic_store(&job->answered, true);
	jobs_end(f->jobs, job);
}

static void one_alone_has_no_company(void **state)
{
	struct fixture f;

	fixture_init(&f, 0);
	for (int i = 1; i < 4; i++) {
		struct job *job;

		add(&f, i);
		job = take(&f, i);
		assert_false(job->in_company);
		end(&f, job);
	}
	fixture_done(&f);
}

static void all_are_begun_before_one_is_done(void **state)
{
	struct job *job;
	struct fixture f;

	fixture_init(&f, 0);
	for (int i = 1; i <= 3; i++)
		add(&f, i);
	for (int i = 1; i <= 3; i++) {
		job = take(&f, i);
		assert_true(job->in_company);
		jobs_fetch(f.jobs, job);
	}
	for (int i = 1; i <= 3; i++) {
		job = take(&f, i);
		end(&f, job);
	}
	fixture_done(&f);
}

/* However many come. */
static void one_that_is_begun_is_done(void **state)
{
	struct fixture f;
	int32_t tid = 1, taken = 0;

	fixture_init(&f, 0);
	add(&f, tid++);
	add(&f, tid++);
	jobs_fetch(f.jobs, take(&f, 1));
	while (taken != 1) {
		struct job *job = jobs_take(f.jobs);

		taken = job->event.tid;
		end(&f, job);
		add(&f, tid++);
		assert_true(tid < 100);
	}
	while (jobs_open(f.jobs))
		end(&f, jobs_take(f.jobs));
	fixture_done(&f);
}

/* Who was anchored is answered before anybody is begun. */
static void who_waited_comes_first(void **state)
{
	struct fixture f;
	struct job *job;

	fixture_init(&f, 0);
	add(&f, 1);
	job = take(&f, 1);
	job->findings.wait_for = 7;
	jobs_wait(f.jobs, job);
	add(&f, 2);
	add(&f, 3);
	end(&f, take(&f, 2));
	jobs_anchored(f.jobs, 8);
	end(&f, take(&f, 1));
	end(&f, take(&f, 3));
	fixture_done(&f);
}

static bool answered(struct fixture *f, int timeout_ms)
{
	struct pollfd p = { .fd = f->answers, .events = POLLIN };
	struct fanotify_response response;

	if (poll(&p, 1, timeout_ms) == 0)
		return false;
	assert_int_equal(read(f->answers, &response, sizeof(response)), sizeof(response));
	return true;
}

/* Also when the deadline's thread has slept for longer than a deadline before anybody came. */
static void deadline_is_kept(void **state)
{
	struct fixture f;

	for (unsigned idle = 0; idle < 4; idle++) {
		fixture_init(&f, DEADLINE_MS);
		assert_false(answered(&f, (int)idle * DEADLINE_MS));
		for (int i = 1; i < 4; i++) {
			struct late_answer *late;
			uint64_t n;

			add(&f, i);
			assert_true(answered(&f, PATIENCE_MS));
			late = jobs_take_late(f.jobs, &n);
			assert_int_equal(n, 1);
			assert_non_null(late);
			assert_in_range(late->waited_ms, DEADLINE_MS, PATIENCE_MS);
			free(late);
			end(&f, take(&f, i));
			assert_false(answered(&f, (int)idle * DEADLINE_MS));
		}
		fixture_done(&f);
	}
}

/* All are counted, and no more named than a flood of them leaves memory for; also who comes when
 * nobody is taken any more. */
static void late_answers_are_counted(void **state)
{
	struct late_answer *late, *next;
	uint64_t n, named = 0;
	struct fixture f;

	fixture_init(&f, 0);
	for (int i = 1; i <= 100; i++)
		add(&f, i);
	for (int i = 1; i <= 100; i++) {
		struct job *job = take(&f, i);

		job->findings.wait_for = 7;
		jobs_wait(f.jobs, job);
	}
	jobs_close(f.jobs);
	add(&f, 101);
	for (int i = 1; i <= 101; i++)
		assert_true(answered(&f, 0));
	assert_false(answered(&f, 0));
	for (late = jobs_take_late(f.jobs, &n); late; late = next, named++) {
		assert_true(late->at_end);
		next = late->next;
		free(late);
	}
	assert_int_equal(n, 101);
	assert_int_equal(named, JOBS_LATE_MAX);
	jobs_take_late(f.jobs, &n);
	assert_int_equal(n, 0);
	for (int i = 1; i <= 100; i++)
		jobs_end(f.jobs, jobs_take(f.jobs));
	jobs_free(f.jobs);
	close(f.group.fd);
	close(f.answers);
	close(f.wake_fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_alone_has_no_company),
		cmocka_unit_test(all_are_begun_before_one_is_done),
		cmocka_unit_test(one_that_is_begun_is_done),
		cmocka_unit_test(who_waited_comes_first),
		cmocka_unit_test(deadline_is_kept),
		cmocka_unit_test(late_answers_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
