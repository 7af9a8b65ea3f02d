/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Messages between main and the anchor process: what goes in comes out, and nothing else does. */
#include "unit/test.h"

#include <errno.h>

#include "base/macros.h"
#include "unit/anchor_msgs.h"

static struct assay_bytes encode(const struct anchor_msg *m, uint8_t buf[static IPC_BODY_MAX])
{
	struct assay_wr w = assay_wr(buf, IPC_BODY_MAX);

	anchor_msg_encode(m, &w);
	assert_true(assay_wr_ok(&w));
	return assay_wr_done(&w);
}

static int decode(uint32_t type, struct assay_bytes body, struct anchor_msg *ret)
{
	return anchor_msg_decode(sender_of(type), type, body, ret, NULL);
}

static void each_comes_back(void **state)
{
	static struct anchor_msg msgs[GOOD_MSGS_MAX], back;
	static uint8_t first[IPC_BODY_MAX], second[IPC_BODY_MAX];
	size_t n = good_msgs(msgs);

	assert_int_equal(n, 21);
	for (size_t i = 0; i < n; i++) {
		struct assay_bytes body = encode(&msgs[i], first);

		assert_int_equal(decode(msgs[i].type, body, &back), 0);
		assert_int_equal(back.type, msgs[i].type);
		assert_true(assay_bytes_equal(encode(&back, second), body));
	}
}

static void fields_arrive(void **state)
{
	static struct anchor_msg m, back;
	static uint8_t buf[IPC_BODY_MAX];

	m = good_counted();
	assert_int_equal(decode(m.type, encode(&m, buf), &back), 0);
	assert_memory_equal(&back.counts, &m.counts, sizeof(m.counts));
	m = good_values();
	assert_int_equal(decode(m.type, encode(&m, buf), &back), 0);
	assert_memory_equal(&back.values, &m.values, sizeof(m.values));
	m = good_state();
	assert_int_equal(decode(m.type, encode(&m, buf), &back), 0);
	assert_true(back.state.gap && assay_bytes_equal(back.state.what, m.state.what) &&
		    assay_bytes_equal(back.state.rest, m.state.rest));
	m = good_policy();
	assert_int_equal(decode(m.type, encode(&m, buf), &back), 0);
	assert_true(back.policy.builtin && assay_bytes_is(back.policy.name, "tcb"));
	assert_memory_equal(back.policy.digest.data, m.policy.digest.data, 32);
}

/* What is cut is refused at every length, what is longer too, and nobody says the other's words. */
static void nothing_but_the_whole(void **state)
{
	static struct anchor_msg msgs[GOOD_MSGS_MAX], back;
	static uint8_t buf[IPC_BODY_MAX];
	size_t n = good_msgs(msgs);

	for (size_t i = 0; i < n; i++) {
		struct assay_bytes body = encode(&msgs[i], buf);
		enum anchor_msg_sender other = !sender_of(msgs[i].type);

		for (size_t len = 0; len < body.len; len++)
			assert_int_equal(decode(msgs[i].type, assay_bytes(buf, len), &back),
					 -EBADMSG);
		buf[body.len] = 0;
		assert_int_equal(decode(msgs[i].type, assay_bytes(buf, body.len + 1), &back),
				 -EBADMSG);
		assert_int_equal(anchor_msg_decode(other, msgs[i].type, body, &back, NULL),
				 -EBADMSG);
	}
	for (uint32_t type = 0; type < 70; type++)
		if (strcmp(anchor_msg_name(type), "?") == 0)
			assert_int_equal(decode(type, assay_bytes(buf, 0), &back), -EBADMSG);
}

/* A bit that is flipped is refused, or arrives: nothing is ignored. */
static void every_bit_counts(void **state)
{
	static struct anchor_msg msgs[GOOD_MSGS_MAX], back;
	static uint8_t buf[IPC_BODY_MAX], again[IPC_BODY_MAX];
	size_t n = good_msgs(msgs);

	for (size_t i = 0; i < n; i++) {
		struct assay_bytes body = encode(&msgs[i], buf);

		for (size_t bit = 0; bit < body.len * 8; bit++) {
			buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
			if (decode(msgs[i].type, body, &back) == 0)
				assert_true(assay_bytes_equal(encode(&back, again), body));
			buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
	}
}

static int state_of(const char *what, const char *rest)
{
	static uint8_t buf[IPC_BODY_MAX];
	static struct anchor_msg m, back;

	m = (struct anchor_msg){ .type = ANCHOR_MSG_STATE };
	m.state.what = assay_bytes_str(what);
	m.state.rest = assay_bytes_str(rest);
	return decode(m.type, encode(&m, buf), &back);
}

/* Whatever main sends, what stands in the list has the grammar of its page. */
static void states_have_a_grammar(void **state)
{
	assert_int_equal(state_of("stop", ""), 0);
	assert_int_equal(state_of("list-full", "lost=5;"), 0);
	assert_int_equal(state_of("", ""), -EBADMSG);
	assert_int_equal(state_of("a=b;", ""), -EBADMSG);
	assert_int_equal(state_of("stop", "why"), -EBADMSG);
	assert_int_equal(state_of("stop", "why=a;why=b;"), -EBADMSG);
	assert_int_equal(state_of("stop", "event=start;"), -EBADMSG);
	assert_int_equal(state_of("stop", "why=\n;"), -EBADMSG);
}

static void texts_are_one_line(void **state)
{
	static struct anchor_msg m, back;
	static uint8_t buf[IPC_BODY_MAX];
	struct assay_bytes body;

	m = good_text(ANCHOR_MSG_LOG, 3);
	strcpy(m.text.text, "a\nb\033[1m\177");
	body = encode(&m, buf);
	assert_int_equal(decode(m.type, body, &back), 0);
	assert_string_equal(back.text.text, "a?b?[1m?");
	buf[8] = '\n'; /* what a liar sends */
	assert_int_equal(decode(m.type, body, &back), -EBADMSG);
	memset(m.text.text, 'x', sizeof(m.text.text)); /* no end: cut */
	assert_int_equal(decode(m.type, encode(&m, buf), &back), 0);
	assert_int_equal(strlen(back.text.text), ANCHOR_TEXT_MAX - 1);
	m = good_text(ANCHOR_MSG_FAILED, 0); /* a failure without a reason */
	assert_int_equal(decode(m.type, encode(&m, buf), &back), -EBADMSG);
}

/* ---- events --------------------------------------------------------------------------------- */

static int decode_event(struct assay_bytes body, struct anchor_event *ret)
{
	struct assay_rd in = assay_rd(body);
	int r = anchor_event_decode(&in, ret);

	return r == 0 && !assay_rd_end(&in) ? -EBADMSG : r;
}

static struct assay_bytes encode_event(const struct anchor_event *e,
				       uint8_t buf[static IPC_BODY_MAX])
{
	struct assay_wr w = assay_wr(buf, IPC_BODY_MAX);

	anchor_event_encode(e, &w);
	assert_true(assay_wr_ok(&w));
	return assay_wr_done(&w);
}

static void events_come_back(void **state)
{
	static uint8_t buf[IPC_BODY_MAX], again[IPC_BODY_MAX];
	struct anchor_event e = good_event(7), back;
	struct assay_bytes body = encode_event(&e, buf);
	const struct assay_facts *f = &back.facts;

	assert_int_equal(decode_event(body, &back), 0);
	assert_int_equal(back.id, 7);
	assert_true(assay_bytes_is(f->path, "/usr/bin/true") &&
		    assay_bytes_is(f->match.fs.name, "ext4") &&
		    assay_bytes_is(f->buffer, "buffer"));
	assert_true(f->open_writers && !f->unreadable && !f->match.any_subject &&
		    f->match.subject.cap_setuid && !f->match.subject.cap_setgid);
	assert_int_equal(f->match.subject.sgid, 6);
	assert_int_equal(f->match.fgroup, 8);
	assert_int_equal(f->mode, 0100755);
	assert_int_equal(f->verity.alg, ASSAY_HASH_COUNT);
	assert_memory_equal(f->digest.data, e.facts.digest.data, 32);
	assert_true(assay_bytes_equal(encode_event(&back, again), body));
}

static void bent_events(void **state)
{
	static uint8_t buf[IPC_BODY_MAX], again[IPC_BODY_MAX];
	struct anchor_event e = good_event(7), back;
	struct assay_bytes body = encode_event(&e, buf);

	for (size_t len = 0; len < body.len; len++)
		assert_int_equal(decode_event(assay_bytes(buf, len), &back), -EBADMSG);
	for (size_t bit = 0; bit < body.len * 8; bit++) {
		buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (decode_event(body, &back) == 0)
			assert_true(assay_bytes_equal(encode_event(&back, again), body));
		buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

/* As many facts as there can be for a path of any length fit into one message. */
static void the_longest_path_fits(void **state)
{
	static uint8_t buf[IPC_BODY_MAX];
	static char path[4095];
	struct anchor_event e = good_event(1), back;

	memset(path, 'p', sizeof(path));
	e.facts.path = assay_bytes(path, sizeof(path));
	assert_int_equal(decode_event(encode_event(&e, buf), &back), 0);
	assert_int_equal(back.facts.path.len, sizeof(path));
}

static void results_are_checked(void **state)
{
	static const struct anchor_result good[] = { { 1, 0, 0, 5 },
						     { 2, 0, 0, ASSAY_NO_RECORD },
						     { 3, -ENOSPC, 0, ASSAY_NO_RECORD },
						     { 4, 0, ASSAY_FACT_DIGEST, ASSAY_NO_RECORD } };
	static const struct anchor_result bad[] = {
		{ 1, -ENOSPC, 0, 5 },		     /* not recorded, and waits */
		{ 1, 0, ASSAY_FACT_DIGEST, 5 },	     /* the same */
		{ 1, -ENOSPC, 1, ASSAY_NO_RECORD },  /* both */
		{ 1, -5000, 0, ASSAY_NO_RECORD },    /* no errno */
		{ 1, 0, 1u << 20, ASSAY_NO_RECORD }, /* no fact */
	};
	uint8_t buf[ANCHOR_RESULT_LEN];

	for (size_t i = 0; i < ARRAY_LEN(good) + ARRAY_LEN(bad); i++) {
		bool is_good = i < ARRAY_LEN(good);
		const struct anchor_result *r = is_good ? &good[i] : &bad[i - ARRAY_LEN(good)];
		struct assay_wr w = assay_wr(buf, sizeof(buf));
		struct anchor_result back;
		struct assay_rd in;

		anchor_result_encode(r, &w);
		assert_int_equal(w.len, ANCHOR_RESULT_LEN);
		in = assay_rd(assay_wr_done(&w));
		assert_int_equal(anchor_result_decode(&in, &back), is_good ? 0 : -EBADMSG);
		if (is_good)
			assert_true(back.id == r->id && back.error == r->error &&
				    back.need == r->need && back.wait_for == r->wait_for);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_comes_back),	 cmocka_unit_test(fields_arrive),
		cmocka_unit_test(nothing_but_the_whole), cmocka_unit_test(every_bit_counts),
		cmocka_unit_test(states_have_a_grammar), cmocka_unit_test(texts_are_one_line),
		cmocka_unit_test(events_come_back),	 cmocka_unit_test(bent_events),
		cmocka_unit_test(the_longest_path_fits), cmocka_unit_test(results_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
