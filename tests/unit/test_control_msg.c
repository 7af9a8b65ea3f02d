/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the two ends of the control socket say to each other. (tests/daemon has them talk.) */
#include "unit/test.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "programs/common/control_msg.h"

static json_t *json_of(const char *text)
{
	json_t *j = json_loads(text, 0, NULL);

	assert_non_null(j);
	return j;
}

#define VALUE "000102030405060708090a0b0c0d0e0f10111213"

static int parse_value(const char *value)
{
	struct assay_quote_pcrs pcrs = { 0 };
	json_t *reply = json_object();
	int r;

	json_object_set_new(reply, "pcrs", json_of(value));
	r = control_pcrs_parse(reply, &pcrs, NULL);
	json_decref(reply);
	return r;
}

/* No number is no PCR, and not the first one. */
static void a_value_has_a_pcr(void **state)
{
	static const char *const bad[] = {
		"[{\"bank\":\"sha1\",\"value\":\"" VALUE "\"}]",
		"[{\"bank\":\"sha1\",\"pcr\":\"10\",\"value\":\"" VALUE "\"}]",
		"[{\"bank\":\"sha1\",\"pcr\":1.5,\"value\":\"" VALUE "\"}]",
		"[{\"bank\":\"sha1\",\"pcr\":-1,\"value\":\"" VALUE "\"}]",
		"[{\"bank\":\"sha1\",\"pcr\":24,\"value\":\"" VALUE "\"}]",
		"[{\"bank\":\"sha256\",\"pcr\":10,\"value\":\"" VALUE "\"}]",
	};

	assert_int_equal(parse_value("[{\"bank\":\"sha1\",\"pcr\":10,\"value\":\"" VALUE "\"}]"),
			 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (parse_value(bad[i]) != -EBADMSG)
			fail_msg("taken: %s", bad[i]);
}

/* An answer can be made of every question, also of one whose text is cut within a character. */
static void an_unknown_op_is_answered(void **state)
{
	static const char text[] = "{\"op\":\"x\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
				   "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
				   "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\"}";
	struct control_request request;
	struct assay_err err = { 0 };
	json_t *reply;

	assert_int_equal(control_request_read(assay_bytes_str(text), &request, &err), -EOPNOTSUPP);
	reply = control_error_pack(-EOPNOTSUPP, err.text);
	assert_non_null(reply);
	assert_int_equal(control_reply_check(reply, &err), -EOPNOTSUPP);
	json_decref(reply);
}

/* Who stops behind our connect() is away as one who has stopped before it. */
static void who_is_gone_is_no_other_error(void **state)
{
	const struct control_request request = { .op = CONTROL_STATUS };
	const struct timeval limit = { .tv_usec = 1000 };
	json_t *message = control_request_pack(&request);
	int pair[2], r = 0;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)), 0);
	while (r == 0)
		r = control_send(pair[0], message, NULL);
	assert_int_equal(r, -ETIMEDOUT);
	close(pair[1]); /* who did not read all */
	assert_int_equal(control_send(pair[0], message, NULL), -ECONNRESET);
	assert_int_equal(control_send(pair[0], message, NULL), -EPIPE);
	close(pair[0]);
	json_decref(message);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_value_has_a_pcr),
		cmocka_unit_test(an_unknown_op_is_answered),
		cmocka_unit_test(who_is_gone_is_no_other_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
