/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/control/control_ipc.h"

#include <errno.h>

#include "base/rd.h"
#include "base/wr.h"

int control_ask_send(int socket, const struct control_ask *ask)
{
	uint8_t body[8];
	struct assay_wr w = assay_wr(body, sizeof(body));
	struct ipc_message m = { .type = ask->type, .id = ask->id };

	if (ask->type == CONTROL_IPC_STATUS)
		assay_wr_u32(&w, ask->public);
	else if (ask->type == CONTROL_IPC_AUDIT)
		assay_wr_u64(&w, ask->after);
	m.body = assay_wr_done(&w);
	return ipc_send(socket, &m);
}

int control_ask_parse(const struct ipc_message *m, struct control_ask *ret)
{
	struct control_ask ask = { .type = (enum control_ipc)m->type, .id = m->id };
	struct assay_rd in = assay_rd(m->body);
	uint32_t flag = 0;
	bool good = false;

	if (m->type == CONTROL_IPC_STATUS)
		good = assay_rd_u32(&in, &flag) && flag <= 1;
	else if (m->type == CONTROL_IPC_AUDIT)
		good = assay_rd_u64(&in, &ask.after) && ask.after < INT64_MAX;
	else if (m->type == CONTROL_IPC_RELOAD || m->type == CONTROL_IPC_UPGRADE)
		good = true;
	if (!good || !assay_rd_end(&in) || m->n_fds)
		return -EBADMSG;
	ask.public = flag;
	*ret = ask;
	return 0;
}
