/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* main's side of the anchor process, with a test at the other end of the socket, which tells the
 * truth first and then lies. */
#include "unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/macros.h"
#include "programs/assayd/main/recording.h"
#include "unit/anchor_msgs.h"

#define EVENTS_MANY 20000u

struct fixture {
	int pair[2];
	struct recording *recording;
	uint64_t n_done, last_id, upto, n_segments;
	struct recording_result last;
	bool released;
	struct ipc_buffer buffer;
};

static void on_done(void *ctx, uint64_t id, const struct recording_result *result)
{
	struct fixture *f = ctx;

	f->n_done++;
	f->last_id = id;
	f->last = *result;
}

static void on_anchored(void *ctx, uint64_t upto, bool released)
{
	struct fixture *f = ctx;

	f->upto = upto;
	f->released = released;
}

static void on_segment(void *ctx, enum assay_segment_start why)
{
	struct fixture *f = ctx;

	f->n_segments += why == ASSAY_SEGMENT_RESET;
}

static struct fixture fixture;

static struct fixture *begin(void)
{
	static const struct recording_ops ops = { on_done, on_anchored, on_segment };
	struct fixture *f = &fixture;

	*f = (struct fixture){ .upto = 0 };
	assert_int_equal(ipc_pair(f->pair), 0);
	fcntl(f->pair[0], F_SETFL, O_NONBLOCK);
	fcntl(f->pair[1], F_SETFL, O_NONBLOCK);
	assert_int_equal(recording_new(f->pair[0], &ops, f, &f->recording), 0);
	return f;
}

static void end(struct fixture *f)
{
	recording_free(f->recording);
	close(f->pair[0]);
	if (f->pair[1] >= 0)
		close(f->pair[1]);
}

static void submit(struct fixture *f, uint64_t id)
{
	struct anchor_event e = good_event(id);

	assert_int_equal(recording_submit(f->recording, id, &e.facts), 0);
}

/* The next message of main's; its type, 0 if there is none. */
static uint32_t next(struct fixture *f, struct ipc_message *m)
{
	int r = ipc_receive(f->pair[1], &f->buffer, m);

	if (r == -EAGAIN)
		return 0;
	assert_int_equal(r, 0);
	return m->type;
}

/* An EVENTS message: how many, and whether more are to come. */
static uint32_t next_events(struct fixture *f, bool *ret_more)
{
	struct anchor_event e;
	struct ipc_message m;
	struct assay_rd in;
	uint32_t n;

	if (next(f, &m) != ANCHOR_MSG_EVENTS)
		return 0;
	in = assay_rd(m.body);
	assert_int_equal(anchor_many_begin(&in, ret_more, &n), 0);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(anchor_event_decode(&in, &e), 0);
	assert_true(assay_rd_end(&in));
	return n;
}

static void send_body(struct fixture *f, uint32_t type, struct assay_bytes body)
{
	assert_int_equal(ipc_send(f->pair[1], &(struct ipc_message){ .type = type, .body = body }),
			 0);
}

static void send_results(struct fixture *f, const struct anchor_result *r, uint32_t n)
{
	uint8_t buf[1024];
	struct assay_wr w = assay_wr(buf, sizeof(buf));

	assay_wr_zero(&w, ANCHOR_MANY_HEAD);
	anchor_many_head(false, n, buf);
	for (uint32_t i = 0; i < n; i++)
		anchor_result_encode(&r[i], &w);
	send_body(f, ANCHOR_MSG_RESULTS, assay_wr_done(&w));
}

static void send_anchored(struct fixture *f, uint64_t upto, bool released)
{
	const struct anchor_msg m = { .type = ANCHOR_MSG_ANCHORED, .anchored = { upto, released } };
	uint8_t buf[64];
	struct assay_wr w = assay_wr(buf, sizeof(buf));

	anchor_msg_encode(&m, &w);
	send_body(f, m.type, assay_wr_done(&w));
}

static int receive(struct fixture *f)
{
	return recording_receive(f->recording);
}

static void those_of_one_turn_go_together(void **state)
{
	struct fixture *f = begin();
	struct ipc_message m;
	bool more = false;

	assert_false(recording_wants_to_write(f->recording));
	for (uint64_t i = 0; i < 10; i++)
		submit(f, i);
	assert_true(recording_wants_to_write(f->recording));
	assert_int_equal(next(f, &m), 0);
	assert_int_equal(receive(f), 0);
	assert_false(recording_wants_to_write(f->recording));
	assert_int_equal(next_events(f, &more), 10);
	assert_true(more);
	assert_int_equal(recording_outstanding(f->recording), 10);
	/* Said late, it is a message; said in time, it is none. */
	recording_gathered(f->recording);
	assert_true(recording_wants_to_write(f->recording));
	assert_int_equal(receive(f), 0);
	assert_int_equal(next(f, &m), ANCHOR_MSG_GATHERED);
	submit(f, 10);
	recording_gathered(f->recording);
	assert_int_equal(receive(f), 0);
	assert_int_equal(next_events(f, &more), 1);
	assert_false(more);
	assert_int_equal(next(f, &m), 0);
	end(f);
}

/* A socket that is full loses nothing, and nothing comes twice. */
static void a_full_socket_waits(void **state)
{
	struct fixture *f = begin();
	uint32_t got = 0, n;
	bool more;

	for (uint64_t i = 0; i < EVENTS_MANY; i++)
		submit(f, i * 1000003);
	recording_gathered(f->recording);
	while (got < EVENTS_MANY) {
		assert_int_equal(receive(f), 0);
		while ((n = next_events(f, &more)) > 0) {
			got += n;
			assert_int_equal(more, got < EVENTS_MANY);
		}
	}
	assert_int_equal(got, EVENTS_MANY);
	assert_false(recording_wants_to_write(f->recording));
	for (uint64_t i = 0; i < EVENTS_MANY; i++) {
		const struct anchor_result r = { i * 1000003, 0, 0, ASSAY_NO_RECORD };

		send_results(f, &r, 1);
		assert_int_equal(receive(f), 0);
	}
	assert_int_equal(f->n_done, EVENTS_MANY);
	assert_int_equal(recording_outstanding(f->recording), 0);
	end(f);
}

static void results_come_back(void **state)
{
	const struct anchor_result r[] = { { 1, 0, 0, 5 },
					   { 2, -ENOSPC, 0, ASSAY_NO_RECORD },
					   { 3, 0, ASSAY_FACT_DIGEST, ASSAY_NO_RECORD } };
	struct fixture *f = begin();

	for (uint64_t i = 1; i <= 3; i++)
		submit(f, i);
	assert_int_equal(receive(f), 0);
	send_results(f, r, 1);
	assert_int_equal(receive(f), 0);
	assert_true(f->last_id == 1 && f->last.error == 0 && f->last.wait_for == 5);
	send_results(f, r + 1, 2);
	assert_int_equal(receive(f), 0);
	assert_true(f->n_done == 3 && f->last_id == 3 && f->last.need == ASSAY_FACT_DIGEST);
	submit(f, 1); /* free again */
	end(f);
}

/* The anchor's word of what is anchored may come before the result that waits for it. */
static void what_is_anchored_is_not_waited_for(void **state)
{
	const struct anchor_result r[] = { { 1, 0, 0, 5 }, { 2, 0, 0, 6 }, { 3, 0, 0, 8 } };
	struct fixture *f = begin();

	for (uint64_t i = 1; i <= 3; i++)
		submit(f, i);
	send_anchored(f, 6, false);
	send_results(f, r, 1);
	assert_int_equal(receive(f), 0);
	assert_true(f->upto == 6 && f->last.wait_for == ASSAY_NO_RECORD);
	send_results(f, r + 1, 1);
	assert_int_equal(receive(f), 0);
	assert_int_equal(f->last.wait_for, 6);
	send_anchored(f, 9, true); /* let go, as far as nine; anchored is less */
	send_anchored(f, 7, false);
	send_results(f, r + 2, 1);
	assert_int_equal(receive(f), 0);
	assert_true(f->upto == 7 && !f->released && f->last.wait_for == ASSAY_NO_RECORD);
	end(f);
}

static void send_lie(struct fixture *f, int which)
{
	static const uint8_t zeros[64];
	static const struct anchor_result unknown = { 9, 0, 0, 5 }, waits = { 1, -EIO, 0, 5 },
					  twice[] = { { 1, 0, 0, 5 }, { 1, 0, 0, 5 } };

	switch (which) {
	case 0:
		send_results(f, &unknown, 1);
		break;
	case 1:
		send_results(f, twice, 2);
		break;
	case 2:
		send_results(f, &waits, 1);
		break;
	case 3:
		send_body(f, ANCHOR_MSG_RESULTS, assay_bytes(zeros, 8)); /* none */
		break;
	case 4:
		send_body(f, ANCHOR_MSG_RESULTS, assay_bytes("\0\0\0\0\1\0\0\0", 8)); /* cut */
		break;
	case 5:
		send_anchored(f, 9, false);
		send_anchored(f, 8, false); /* back */
		break;
	case 6:
		send_body(f, ANCHOR_MSG_SEGMENT, assay_bytes("\3\0\0\0", 4)); /* no such reason */
		break;
	case 7:
		send_body(f, ANCHOR_MSG_DONE, assay_bytes(NULL, 0)); /* of another socket */
		break;
	case 8:
		send_body(f, ANCHOR_MSG_EVENTS, assay_bytes(zeros, 8)); /* main's own */
		break;
	case 9:
		send_body(f, 12345, assay_bytes(NULL, 0));
		break;
	default:
		assert_int_equal(send(f->pair[1], "x", 1, 0), 1); /* no message at all */
		break;
	}
}

static void lies_are_final(void **state)
{
	for (int which = 0; which <= 10; which++) {
		struct fixture *f = begin();

		submit(f, 1);
		assert_int_equal(receive(f), 0);
		send_lie(f, which);
		if (receive(f) != -EBADMSG)
			fail_msg("lie %d is believed", which);
		end(f);
	}
}

/* Descriptors that come with a word are not kept. */
static void descriptors_are_refused(void **state)
{
	struct fixture *f = begin();
	struct ipc_message m = { .type = ANCHOR_MSG_SEGMENT, .n_fds = 1 };
	int before = dup(0);

	m.body = assay_bytes("\1\0\0\0", 4);
	m.fd[0] = 0;
	close(before);
	assert_int_equal(ipc_send(f->pair[1], &m), 0);
	assert_int_equal(receive(f), -EBADMSG);
	assert_int_equal(dup(0), before);
	close(before);
	end(f);
}

static void its_end_is_seen(void **state)
{
	struct fixture *f = begin();

	submit(f, 1);
	close(f->pair[1]);
	f->pair[1] = -1;
	assert_int_equal(receive(f), -EPIPE);
	end(f);
}

static void segments_are_told(void **state)
{
	struct fixture *f = begin();

	send_body(f, ANCHOR_MSG_SEGMENT, assay_bytes("\1\0\0\0", 4));
	assert_int_equal(receive(f), 0);
	assert_int_equal(f->n_segments, 1);
	end(f);
}

static void ids_are_outstanding_once(void **state)
{
	struct fixture *f = begin();
	struct anchor_event e = good_event(5);
	static char buffer[20000];

	submit(f, 5);
	assert_int_equal(recording_submit(f->recording, 5, &e.facts), -EINVAL);
	e.facts.buffer = assay_bytes(buffer, sizeof(buffer));
	assert_int_equal(recording_submit(f->recording, 6, &e.facts), -E2BIG);
	assert_int_equal(recording_outstanding(f->recording), 1);
	submit(f, 6);
	end(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(those_of_one_turn_go_together),
		cmocka_unit_test(a_full_socket_waits),
		cmocka_unit_test(results_come_back),
		cmocka_unit_test(what_is_anchored_is_not_waited_for),
		cmocka_unit_test(lies_are_final),
		cmocka_unit_test(descriptors_are_refused),
		cmocka_unit_test(its_end_is_seen),
		cmocka_unit_test(segments_are_told),
		cmocka_unit_test(ids_are_outstanding_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
