/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What main takes from the process that listens, which may be in an enemy's hands. */
#include "unit/test.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/macros.h"
#include "programs/assayd/control/control_ipc.h"

static const struct control_ask good[] = {
	{ .type = CONTROL_IPC_STATUS, .id = 7 },
	{ .type = CONTROL_IPC_STATUS, .public = true },
	{ .type = CONTROL_IPC_AUDIT, .id = UINT64_MAX, .after = INT64_MAX - 1 },
	{ .type = CONTROL_IPC_RELOAD, .id = 1 },
	{ .type = CONTROL_IPC_UPGRADE, .id = 2 },
};

static int pair[2];

/* The message of a question; its body is copied to @body. */
static struct ipc_message sent(const struct control_ask *ask, uint8_t body[static 8])
{
	static struct ipc_buffer buffer;
	struct ipc_message m;

	assert_int_equal(control_ask_send(pair[0], ask), 0);
	assert_int_equal(ipc_receive(pair[1], &buffer, &m), 0);
	assert_true(m.body.len <= 8);
	memcpy(body, m.body.data, m.body.len);
	m.body.data = body;
	return m;
}

static void each_comes_back(void **state)
{
	struct control_ask back;
	uint8_t body[8];

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct ipc_message m = sent(&good[i], body);

		assert_int_equal(control_ask_parse(&m, &back), 0);
		assert_int_equal(back.type, good[i].type);
		assert_int_equal(back.id, good[i].id);
		assert_int_equal(back.public, good[i].public);
		assert_int_equal(back.after, good[i].after);
	}
}

static void other_lengths_are_refused(void **state)
{
	struct control_ask back;
	uint8_t body[9] = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct ipc_message m = sent(&good[i], body);
		size_t right = m.body.len;

		for (m.body.len = 0; m.body.len <= sizeof(body); m.body.len++)
			assert_int_equal(control_ask_parse(&m, &back),
					 m.body.len == right ? 0 : -EBADMSG);
	}
}

static void wrong_fields_are_refused(void **state)
{
	struct control_ask back;
	uint8_t body[8];
	struct ipc_message m = sent(&good[0], body);

	for (unsigned bit = 1; bit < 32; bit++) {
		body[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(control_ask_parse(&m, &back), -EBADMSG);
		body[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	m.n_fds = 1;
	assert_int_equal(control_ask_parse(&m, &back), -EBADMSG);
	m = sent(&(struct control_ask){ .type = CONTROL_IPC_AUDIT, .after = INT64_MAX }, body);
	assert_int_equal(control_ask_parse(&m, &back), -EBADMSG);
	m = sent(&good[3], body);
	for (m.type = 0; m.type < 64; m.type++)
		assert_int_equal(control_ask_parse(&m, &back),
				 m.type == CONTROL_IPC_RELOAD || m.type == CONTROL_IPC_UPGRADE
					 ? 0
					 : -EBADMSG);
}

static int open_pair(void **state)
{
	return ipc_pair(pair);
}

static int close_pair(void **state)
{
	return close(pair[0]) | close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_comes_back),
		cmocka_unit_test(other_lengths_are_refused),
		cmocka_unit_test(wrong_fields_are_refused),
	};

	return cmocka_run_group_tests(tests, open_pair, close_pair);
}
