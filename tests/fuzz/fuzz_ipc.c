/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A packet between two of assayd's processes, and a question of the process control in it: what is
 * taken is sent again the same. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "programs/assayd/control/control_ipc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One packet in, out, and in again. */
static bool pass(int pair[2], struct ipc_buffer *buffer, struct ipc_message *ret)
{
	return ipc_receive(pair[1], buffer, ret) == 0;
}

static void must_equal(const struct ipc_message *a, const struct ipc_message *b)
{
	if (a->type != b->type || a->id != b->id || a->n_fds || b->n_fds ||
	    !assay_bytes_equal(a->body, b->body))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ipc_buffer first, second;
	static int pair[2] = { -1, -1 };
	struct ipc_message m, again;
	struct control_ask ask;

	if (pair[0] < 0 && ipc_pair(pair) < 0)
		abort();
	if (size == 0 || size > 2 * IPC_MESSAGE_MAX || send(pair[0], data, size, 0) < 0 ||
	    !pass(pair, &first, &m))
		return 0;
	if (IPC_HEAD_SIZE + m.body.len != size || ipc_send(pair[0], &m) < 0 ||
	    !pass(pair, &second, &again))
		abort();
	must_equal(&m, &again);
	if (control_ask_parse(&m, &ask) < 0)
		return 0;
	if (control_ask_send(pair[0], &ask) < 0 || !pass(pair, &second, &again))
		abort();
	if (ask.type == CONTROL_IPC_STATUS || ask.type == CONTROL_IPC_AUDIT)
		must_equal(&m, &again);
	return 0;
}
