/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who is exempt, and for how long, with a looker that the test plays: one that does not answer,
 * that sees another program, and that lies. */
#include "unit/test.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "programs/assayd/main/needed.h"
#include "programs/assayd/main/needed_find.h"
#include "programs/assayd/main/needed_record.h"
#include "programs/assayd/main/running.h"
#include "programs/assayd/vouch/vouch.h"

#define SECOND 1000000000ull

static struct daemon d;
static struct needed *needed;
static uint64_t now_ns;
static pid_t process; /* that is looked at; the test's */

/* ---- the world ------------------------------------------------------------------------------ */

static pid_t journald, root_owned; /* what main sees itself */
static pid_t exempt;		   /* as the kernel's events are answered */
static unsigned n_exempt, n_records[3];
static bool list_is_full;

static struct vouch_question asked; /* type 0: nothing */
static unsigned n_asked;
static int ask_result, hear_result; /* of all questions */
static struct vouch_told told;
static pid_t listener[2]; /* as the looker says it, at first and then */
static unsigned n_listener;

pid_t needed_find_service(const char *unit, bool root)
{
	return strcmp(unit, "systemd-journald.service") == 0 ? journald : 0;
}

bool needed_is_service(pid_t pid, const char *unit, bool root)
{
	return pid == journald;
}

bool needed_is_roots(pid_t pid)
{
	return pid == root_owned;
}

int assay_fanotify_exempt_other(struct assay_fanotify *f, pid_t pid, struct assay_err *err)
{
	exempt = pid;
	n_exempt++;
	return 0;
}

void assay_fanotify_unexempt(struct assay_fanotify *f, pid_t pid)
{
	assert_int_equal(exempt, pid);
	exempt = 0;
}

void assay_fanotify_on_exempted(struct assay_fanotify *f,
				void (*opened)(void *ctx, int fd, int32_t tid, bool exec),
				void *ctx)
{
}

int needed_record(struct needed *n, struct daemon *of, enum needed_event event,
		  const struct needed_about *a)
{
	assert_int_equal(a->pid, process);
	if (event == NEEDED_EXEMPT && list_is_full)
		return -ENOSPC;
	n_records[event]++;
	return 0;
}

int daemon_admit(void *ctx, pid_t pid, int pidfd)
{
	return 0;
}

void daemon_dismiss(void *ctx, pid_t pid)
{
}

int vouch_new(const struct vouch_ops *ops, struct vouch **ret)
{
	*ret = NULL;
	return 0;
}

void vouch_free(struct vouch *v)
{
}

int vouch_fd(const struct vouch *v)
{
	return -1;
}

int vouch_wait_ms(const struct vouch *v, int most_ms)
{
	return 0;
}

int vouch_ask(struct vouch *v, const struct vouch_question *q, uint64_t now)
{
	assert_int_equal(asked.type, 0);
	if (ask_result == 0) {
		asked = *q;
		n_asked++;
	}
	return ask_result;
}

int vouch_hear(struct vouch *v, uint64_t now, struct vouch_told *ret)
{
	assert_int_not_equal(asked.type, 0);
	if (hear_result == -EAGAIN)
		return -EAGAIN;
	if (asked.type == VOUCH_LISTENER)
		told.listener = listener[n_listener++ % 2];
	/* Who is not exempt yet is not to wait for a digest. */
	assert_true(asked.type != VOUCH_RECORD || exempt == asked.pid);
	asked.type = 0;
	*ret = told;
	return hear_result;
}

/* ---- what is done --------------------------------------------------------------------------- */

static void tend(uint64_t after_ns)
{
	now_ns += after_ns;
	needed_tend(needed, now_ns, 1000);
}

/* Nobody is there who is to be exempt; the TPM's way is @tcti. */
static void begin(const char *tcti)
{
	struct assay_err err;

	process = fork();
	if (process == 0)
		for (;;)
			pause();
	d = (struct daemon){ .hash = ASSAY_HASH_SHA256, .conf.anchor = ASSAY_CONF_ANCHOR_TPM2 };
	snprintf(d.conf.tcti, sizeof(d.conf.tcti), "%s", tcti);
	journald = root_owned = exempt = 0;
	n_exempt = n_asked = n_listener = 0;
	memset(n_records, 0, sizeof(n_records));
	memset(listener, 0, sizeof(listener));
	list_is_full = false;
	asked.type = 0;
	ask_result = hear_result = 0;
	told = (struct vouch_told){ .program = { .ino = 1 }, .path = "/lib/journald" };
	assert_int_equal(needed_new(&d, &needed, &err), 0);
	now_ns = UINT64_MAX / 2; /* later than the clock that it was made by */
}

static void begin_with_journald(void)
{
	begin("device");
	journald = process;
	tend(0);
	assert_int_equal(exempt, process);
	assert_int_equal(n_records[NEEDED_EXEMPT], 1);
	assert_int_equal(needed_count(needed), 1);
}

static int tear_down(void **state)
{
	needed_free(needed);
	kill(process, SIGKILL);
	waitpid(process, NULL, 0);
	return 0;
}

/* ---- whoever hangs -------------------------------------------------------------------------- */

static void who_cannot_be_looked_at_stays(void **state)
{
	begin_with_journald();
	hear_result = -EAGAIN;
	for (unsigned i = 0; i < 100; i++) {
		tend(SECOND); /* nobody waits for the answer */
		assert_int_equal(exempt, process);
	}
	hear_result = -ETIMEDOUT;
	for (unsigned i = 0; i < 100; i++) {
		tend(SECOND);
		assert_int_equal(exempt, process);
	}
	assert_int_equal(n_records[NEEDED_UNSEEN], 1);
	assert_int_equal(needed_unseen(needed), 1);
	assert_in_range(n_asked, 10, 13); /* each ten seconds */
	hear_result = 0;
	tend(10 * SECOND);
	assert_int_equal(needed_unseen(needed), 0);
	assert_int_equal(n_records[NEEDED_ENDED], 0);
	assert_int_equal(n_exempt, 1);
}

static void a_moment_is_not_worth_a_word(void **state)
{
	begin_with_journald();
	hear_result = -ETIMEDOUT;
	tend(SECOND);
	hear_result = 0;
	tend(10 * SECOND);
	hear_result = -ETIMEDOUT;
	tend(SECOND);
	assert_int_equal(needed_unseen(needed), 0);
	assert_int_equal(n_records[NEEDED_UNSEEN], 0);
}

static void nobody_who_looks_is_said(void **state)
{
	begin_with_journald();
	ask_result = -EAGAIN;
	for (unsigned i = 0; i < 20; i++)
		tend(SECOND);
	assert_int_equal(exempt, process);
	assert_int_equal(needed_unseen(needed), 1);
	ask_result = 0;
	tend(SECOND);
	assert_int_equal(needed_unseen(needed), 0);
}

static void who_hangs_does_not_become_exempt(void **state)
{
	begin("device");
	journald = process;
	hear_result = -ETIMEDOUT;
	tend(0);
	assert_int_equal(n_exempt, 0);
	assert_int_equal(needed_unseen(needed), 1);
	tend(5 * SECOND);
	assert_int_equal(n_asked, 1);
	hear_result = 0;
	tend(6 * SECOND);
	assert_int_equal(exempt, process);
	assert_int_equal(needed_unseen(needed), 0);
}

static void no_record_no_exemption(void **state)
{
	begin("device");
	journald = process;
	list_is_full = true;
	tend(0);
	assert_int_equal(n_exempt, 1);
	assert_int_equal(exempt, 0);
	list_is_full = false;
	tend(11 * SECOND);
	assert_int_equal(exempt, process);
}

/* That the list does not take it is known later. */
static void an_exemption_ends_with_its_record(void **state)
{
	begin_with_journald();
	needed_unrecorded(needed, process, -ENOSPC);
	assert_int_equal(exempt, 0);
	assert_int_equal(needed_count(needed), 0);
	needed_unrecorded(needed, process, -ENOSPC); /* and is not there any more */
}

/* ---- what is seen --------------------------------------------------------------------------- */

static void another_program_ends_it(void **state)
{
	begin_with_journald();
	tend(SECOND);
	assert_int_equal(n_records[NEEDED_ENDED], 0);
	journald = 0; /* or it were again, as what it runs now */
	told.program.born_ns = 1;
	tend(SECOND);
	assert_int_equal(exempt, 0);
	assert_int_equal(n_records[NEEDED_ENDED], 1);
}

static void what_cannot_be_seen_is_another(void **state)
{
	begin_with_journald();
	told.error = -ENOENT; /* it ends */
	tend(SECOND);
	assert_int_equal(exempt, process);
	told.error = -EACCES;
	tend(SECOND);
	assert_int_equal(exempt, 0);
	assert_int_equal(n_records[NEEDED_ENDED], 1);
	tend(SECOND);
	tend(100 * SECOND);
	assert_int_equal(n_exempt, 1); /* and what is wrong stays so */
}

static void who_has_ended_is_not_asked_about(void **state)
{
	begin_with_journald();
	n_asked = 0;
	journald = 0;
	kill(process, SIGKILL);
	while (waitpid(process, NULL, WNOHANG) == 0)
		;
	tend(SECOND);
	assert_int_equal(exempt, 0);
	assert_int_equal(n_asked, 0);
}

/* ---- who lies ------------------------------------------------------------------------------- */

/* A service is what main sees itself; the looker is asked what it runs, not who it is. */
static void a_looker_names_no_service(void **state)
{
	begin("device");
	told.listener = process;
	for (unsigned i = 0; i < 100; i++)
		tend(SECOND);
	assert_int_equal(n_asked, 0);
	assert_int_equal(n_exempt, 0);
}

static void who_listens_is_roots_and_is_named_twice(void **state)
{
	begin("swtpm:path=/x");
	listener[0] = listener[1] = process;
	tend(11 * SECOND);
	assert_int_equal(n_exempt, 0); /* a user's */
	root_owned = process;
	listener[1] = process + 1;
	n_listener = 0;
	tend(11 * SECOND);
	assert_int_equal(n_exempt, 0);
	listener[1] = process;
	n_listener = 0;
	tend(11 * SECOND);
	assert_int_equal(exempt, process);
	n_asked = 0;
	tend(0);
	assert_int_equal(n_asked, 0);
}

static void who_is_named_must_be_seen(void **state)
{
	struct assay_err err = { 0 };

	begin("device");
	needed_free(needed);
	d.conf.exempt_pid.n = 1;
	d.conf.exempt_pid.value[0] = (uint32_t)process;
	hear_result = -ETIMEDOUT;
	assert_int_equal(needed_new(&d, &needed, &err), -ETIMEDOUT);
	assert_int_equal(n_exempt, 0);
	needed_free(needed);
	hear_result = 0;
	assert_int_equal(needed_new(&d, &needed, &err), 0);
	assert_int_equal(exempt, process);
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(who_cannot_be_looked_at_stays),
		TEST(a_moment_is_not_worth_a_word),
		TEST(nobody_who_looks_is_said),
		TEST(who_hangs_does_not_become_exempt),
		TEST(no_record_no_exemption),
		TEST(an_exemption_ends_with_its_record),
		TEST(another_program_ends_it),
		TEST(what_cannot_be_seen_is_another),
		TEST(who_has_ended_is_not_asked_about),
		TEST(a_looker_names_no_service),
		TEST(who_listens_is_roots_and_is_named_twice),
		TEST(who_is_named_must_be_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
