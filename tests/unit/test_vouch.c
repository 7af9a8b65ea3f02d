/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is asked about exempt processes and told of them, with lookers that the test plays and a
 * clock that it sets: who hangs, who says what he may not, and when nobody is asked. */
#include "unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "programs/assayd/vouch/vouch.h"

#define SECOND 1000000000ull

static struct vouch *vouch;
static struct vouch_told told;
static uint64_t now_ns = 1000 * SECOND;
static int looker = -1; /* the end of the one who was started last */
static unsigned n_started, n_killed, n_dismissed;
static bool start_fails, dies; /* who is killed */
static bool digests;	       /* who was started last */

/* ---- what vouch.c calls --------------------------------------------------------------------- */

void child_kill(const struct child *c)
{
	n_killed++;
	if (dies)
		eventfd_write(c->pidfd, 1);
}

void child_close(struct child *c)
{
	if (c->socket >= 0)
		close(c->socket);
	if (c->pidfd >= 0)
		close(c->pidfd);
	c->socket = c->pidfd = -1;
}

static int start(void *ctx, bool with_digests, struct child *ret, struct assay_err *err)
{
	int pair[2];

	if (start_fails)
		return assay_err_set(err, -EAGAIN, "it is the test's will");
	if (looker >= 0)
		close(looker);
	assert_int_equal(ipc_pair(pair), 0);
	looker = pair[1];
	fcntl(pair[0], F_SETFL, O_NONBLOCK);
	fcntl(looker, F_SETFL, O_NONBLOCK);
	n_started++;
	digests = with_digests;
	*ret = (struct child){ .pid = 4000 + (pid_t)n_started,
			       .pidfd = eventfd(0, EFD_CLOEXEC),
			       .socket = pair[0] };
	return 0;
}

static void dismiss(void *ctx, pid_t pid)
{
	n_dismissed++;
}

static int set_up(void **state)
{
	const struct vouch_ops ops = { .start = start, .dismiss = dismiss };

	n_started = n_killed = n_dismissed = 0;
	start_fails = false;
	dies = true;
	now_ns += 1000 * SECOND;
	return vouch_new(&ops, &vouch);
}

static int tear_down(void **state)
{
	vouch_free(vouch);
	return 0;
}

/* ---- lookers -------------------------------------------------------------------------------- */

static int ask(enum vouch_message type, pid_t pid)
{
	const struct vouch_question q = { .type = type,
					  .pid = pid,
					  .alg = ASSAY_HASH_SHA256,
					  .tcti = "swtpm:path=/x",
					  .digests = type == VOUCH_RECORD,
					  .patience_ms = 1000 };

	return vouch_ask(vouch, &q, now_ns);
}

static int hear(void)
{
	return vouch_hear(vouch, now_ns, &told);
}

/* In two steps, as none counts whole. */
static int hear_after(uint64_t ns)
{
	int r;

	now_ns += ns / 2;
	r = hear();
	if (r != -EAGAIN)
		return r;
	now_ns += ns / 2;
	return hear();
}

/* What it was asked. */
static void need_asked(enum vouch_message type, uint64_t id, const char *body)
{
	static struct ipc_buffer buffer;
	struct ipc_message m;

	assert_int_equal(ipc_receive(looker, &buffer, &m), 0);
	assert_int_equal(m.type, type);
	assert_int_equal(m.id, id);
	if (body)
		assert_true(assay_bytes_is(m.body, body));
}

static void answer(enum vouch_message question, uint64_t id, const struct vouch_told *t)
{
	static uint8_t body[8192];
	struct assay_wr w = assay_wr(body, sizeof(body));

	vouch_told_encode(question, t, &w);
	assert_int_equal(ipc_send(looker, &(struct ipc_message){ .type = VOUCH_TOLD,
								 .id = id,
								 .body = assay_wr_done(&w) }),
			 0);
}

static void say(enum vouch_message question, pid_t pid, const struct vouch_told *t)
{
	assert_int_equal(ask(question, pid), 0);
	answer(question, (uint64_t)pid, t);
	assert_int_equal(hear(), 0);
}

/* ---- messages ------------------------------------------------------------------------------- */

static struct vouch_told a_record(void)
{
	struct vouch_told t = { .program = { 8, 1, 4711, 1700000000, 999999999 },
				.path = "/usr/lib/a b",
				.digest = { .alg = ASSAY_HASH_SHA256, .data = { 1, 2, 3 } } };

	return t;
}

static void messages_come_back(void **state)
{
	static uint8_t space[8192];
	const struct vouch_told t = a_record();
	struct assay_wr w = assay_wr(space, sizeof(space));
	struct assay_bytes body;

	vouch_told_encode(VOUCH_RECORD, &t, &w);
	body = assay_wr_done(&w);
	assert_int_equal(vouch_told_parse(body, VOUCH_RECORD, ASSAY_HASH_SHA256, &told), 0);
	assert_true(vouch_program_is(&told.program, &t.program));
	assert_string_equal(told.path, t.path);
	assert_memory_equal(told.digest.data, t.digest.data, 32);
	for (size_t len = 0; len < body.len; len++)
		assert_int_equal(vouch_told_parse(assay_bytes(space, len), VOUCH_RECORD,
						  ASSAY_HASH_SHA256, &told),
				 -EBADMSG);
	assert_int_equal(vouch_told_parse(assay_bytes(space, body.len + 1), VOUCH_RECORD,
					  ASSAY_HASH_SHA256, &told),
			 -EBADMSG);
	assert_int_equal(vouch_told_parse(body, VOUCH_PROGRAM, ASSAY_HASH_SHA256, &told), -EBADMSG);
	space[40] = '\0'; /* in the path */
	assert_int_equal(vouch_told_parse(body, VOUCH_RECORD, ASSAY_HASH_SHA256, &told), -EBADMSG);
}

/* Whatever bit is another, it is refused or says something else: nothing reads past the end. */
static void each_bit_counts(void **state)
{
	static uint8_t space[8192];
	static struct vouch_told good, other;
	const struct vouch_told t = a_record();
	struct assay_wr w = assay_wr(space, sizeof(space));
	struct assay_bytes body;

	vouch_told_encode(VOUCH_RECORD, &t, &w);
	body = assay_wr_done(&w);
	assert_int_equal(vouch_told_parse(body, VOUCH_RECORD, ASSAY_HASH_SHA256, &good), 0);
	for (size_t bit = 0; bit < 8 * body.len; bit++) {
		space[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (vouch_told_parse(body, VOUCH_RECORD, ASSAY_HASH_SHA256, &other) == 0)
			assert_memory_not_equal(&good, &other, sizeof(good));
		space[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

static void numbers_have_bounds(void **state)
{
	const uint8_t error[] = { 3, 0, 0, 0 }, beyond[] = { 0, 16, 0, 0 };
	uint8_t listener[8] = { 0, 0, 0, 0, 77 };

	assert_int_equal(vouch_told_parse(assay_bytes(error, 4), VOUCH_LISTENER, ASSAY_HASH_SHA256,
					  &told),
			 0);
	assert_int_equal(told.error, -ESRCH);
	assert_int_equal(vouch_told_parse(assay_bytes(beyond, 4), VOUCH_PROGRAM, ASSAY_HASH_SHA256,
					  &told),
			 -EBADMSG);
	assert_int_equal(vouch_told_parse(assay_bytes(listener, 8), VOUCH_LISTENER,
					  ASSAY_HASH_SHA256, &told),
			 0);
	assert_int_equal(told.listener, 77);
	listener[7] = 0x80; /* no process has it */
	assert_int_equal(vouch_told_parse(assay_bytes(listener, 8), VOUCH_LISTENER,
					  ASSAY_HASH_SHA256, &told),
			 -EBADMSG);
}

static void a_path_has_an_end(void **state)
{
	static uint8_t body[36 + PATH_MAX];

	memset(body + 36, 'x', PATH_MAX);
	for (unsigned more = 0; more < 2; more++) {
		body[32] = more ? 0 : 0xff;
		body[33] = more ? 0x10 : 0x0f;
		assert_int_equal(vouch_told_parse(assay_bytes(body, sizeof(body) - 1 + more),
						  VOUCH_PROGRAM, ASSAY_HASH_SHA256, &told),
				 more ? -EBADMSG : 0);
	}
	assert_int_equal(strlen(told.path), PATH_MAX - 1);
}

/* ---- questions ------------------------------------------------------------------------------ */

static void one_at_a_time(void **state)
{
	struct vouch_told t = a_record();

	assert_int_equal(hear(), -ENOENT);
	assert_int_equal(vouch_fd(vouch), -1);
	assert_int_equal(ask(VOUCH_PROGRAM, 7), 0);
	assert_int_equal(ask(VOUCH_PROGRAM, 8), -EBUSY);
	need_asked(VOUCH_PROGRAM, 7, "");
	assert_int_equal(hear(), -EAGAIN);
	answer(VOUCH_PROGRAM, 7, &t);
	assert_int_equal(hear(), 0);
	assert_string_equal(told.path, t.path);
	assert_int_equal(hear(), -ENOENT);
	assert_int_equal(ask(VOUCH_PROGRAM, 8), 0);
	answer(VOUCH_PROGRAM, 8, &t);
	assert_int_equal(hear(), 0);
	assert_int_equal(n_started, 1);
	assert_int_equal(n_killed, 0);
}

/* Who digests stays as long as there is something to digest. */
static void a_digest_is_of_another(void **state)
{
	struct vouch_told t = a_record();

	say(VOUCH_PROGRAM, 6, &t);
	assert_false(digests);
	for (unsigned i = 0; i < 2; i++) {
		const struct vouch_question q = {
			.type = VOUCH_PROGRAM, .pid = 7, .digests = true, .patience_ms = 1000
		};

		assert_int_equal(vouch_ask(vouch, &q, now_ns), 0);
		assert_true(digests);
		answer(VOUCH_PROGRAM, 7, &t);
		assert_int_equal(hear(), 0);
		say(VOUCH_RECORD, 7, &t);
		assert_memory_equal(told.digest.data, t.digest.data, 32);
	}
	assert_int_equal(n_started, 2);
	say(VOUCH_PROGRAM, 6, &t);
	assert_false(digests);
	assert_int_equal(n_started, 3);
	assert_int_equal(n_killed, 2);
}

static void who_hangs_is_killed(void **state)
{
	assert_int_equal(ask(VOUCH_PROGRAM, 7), 0);
	assert_int_equal(vouch_wait_ms(vouch, 5000), 1001);
	assert_int_equal(hear_after(SECOND / 2), -EAGAIN);
	assert_int_equal(hear_after(SECOND), -ETIMEDOUT);
	assert_int_equal(n_killed, 1);
	assert_int_equal(n_dismissed, 1);
	assert_int_equal(vouch_wait_ms(vouch, 5000), 5000);
	assert_int_equal(ask(VOUCH_PROGRAM, 8), 0); /* at once, of another */
	assert_int_equal(n_started, 2);
}

/* A machine that stood still for a minute: nobody ran in that time. */
static void a_pause_is_no_hang(void **state)
{
	struct vouch_told t = a_record();

	assert_int_equal(ask(VOUCH_PROGRAM, 7), 0);
	now_ns += 60 * SECOND;
	assert_int_equal(hear(), -EAGAIN);
	answer(VOUCH_PROGRAM, 7, &t);
	assert_int_equal(hear(), 0);
}

/* While who looked at one does not end, nobody else looks at that one; eight are all. */
static void who_keeps_lookers_gets_no_more(void **state)
{
	dies = false;
	for (pid_t pid = 1; pid <= 8; pid++) {
		assert_int_equal(ask(VOUCH_PROGRAM, pid), 0);
		assert_int_equal(hear_after(2 * SECOND), -ETIMEDOUT);
		assert_int_equal(ask(VOUCH_PROGRAM, pid), -ETIMEDOUT);
		now_ns += 20 * SECOND;
	}
	assert_int_equal(n_started, 8);
	assert_int_equal(ask(VOUCH_PROGRAM, 9), -EAGAIN);
	assert_int_equal(n_started, 8);
}

static void others_are_not_believed(void **state)
{
	struct vouch_told t = a_record();

	assert_int_equal(ask(VOUCH_PROGRAM, 7), 0);
	answer(VOUCH_PROGRAM, 8, &t); /* of somebody else */
	assert_int_equal(hear(), -EBADMSG);
	now_ns += SECOND;
	assert_int_equal(ask(VOUCH_PROGRAM, 7), 0);
	answer(VOUCH_RECORD, 7, &t); /* more than was asked */
	assert_int_equal(hear(), -EBADMSG);
	assert_int_equal(ask(VOUCH_PROGRAM, 7), -EAGAIN); /* not as fast as it can */
	now_ns += SECOND;
	assert_int_equal(ask(VOUCH_PROGRAM, 7), 0);
	close(looker);
	looker = -1;
	assert_int_equal(hear(), -EPIPE);
	assert_int_equal(n_killed, 3);
}

/* Who is asked for the listener has heard nothing that could have made him another's. */
static void the_listener_is_asked_of_a_new_one(void **state)
{
	struct vouch_told t = a_record();

	t.listener = 77;
	for (unsigned i = 0; i < 2; i++) {
		say(VOUCH_LISTENER, 1, &t);
		need_asked(VOUCH_LISTENER, 1, "swtpm:path=/x");
		assert_int_equal(told.listener, 77);
	}
	say(VOUCH_PROGRAM, 77, &t);
	assert_int_equal(n_started, 1);
	assert_int_equal(ask(VOUCH_LISTENER, 1), 0);
	assert_int_equal(n_started, 2);
}

static void nobody_can_be_started(void **state)
{
	start_fails = true;
	assert_int_equal(ask(VOUCH_PROGRAM, 7), -EAGAIN);
	start_fails = false;
	assert_int_equal(ask(VOUCH_PROGRAM, 7), -EAGAIN); /* a moment later */
	assert_int_equal(n_started, 0);
	now_ns += SECOND;
	assert_int_equal(ask(VOUCH_PROGRAM, 7), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_come_back),
		cmocka_unit_test(each_bit_counts),
		cmocka_unit_test(numbers_have_bounds),
		cmocka_unit_test(a_path_has_an_end),
		cmocka_unit_test_setup_teardown(one_at_a_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_digest_is_of_another, set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_hangs_is_killed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_pause_is_no_hang, set_up, tear_down),
		cmocka_unit_test_setup_teardown(who_keeps_lookers_gets_no_more, set_up, tear_down),
		cmocka_unit_test_setup_teardown(others_are_not_believed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_listener_is_asked_of_a_new_one, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(nobody_can_be_started, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
