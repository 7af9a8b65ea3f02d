/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* main's side: what is concluded from what the process says, or does not. */
#include "programs/assayd/scout/overlay_probe.h"

#include <errno.h>
#include <poll.h>

#include "programs/assayd/process/ipc.h"
#include "programs/assayd/process/log.h"

#define START_MS 10000 /* until it is about to open: a busy machine */
#define OPEN_MS	 3000  /* for one open by somebody who has nothing else to do, on a busy machine */

/* @type comes within @ms: 0; -ETIMEDOUT; -EPIPE it has ended. */
static int wait_for(int socket, uint32_t type, int ms)
{
	struct pollfd p = { .fd = socket, .events = POLLIN };
	struct ipc_buffer buffer;
	struct ipc_message m;
	int r = poll(&p, 1, ms) == 1 ? ipc_receive(socket, &buffer, &m) : -ETIMEDOUT;

	if (r < 0)
		return r;
	ipc_close_fds(&m);
	return m.type == type ? 0 : -EBADMSG;
}

enum overlay_kind overlay_probe(struct spawner *spawner)
{
	enum overlay_kind kind = OVERLAY_UNKNOWN;
	struct assay_err err = { .text = "it has ended" };
	struct child child;
	int r = spawner_start(spawner, CHILD_OVERLAY_PROBE, NULL, 0, NULL, NULL, &child, &err);

	if (r == 0) {
		r = wait_for(child.socket, OVERLAY_PROBE_OPENS, START_MS);
		if (r == 0) {
			r = wait_for(child.socket, OVERLAY_PROBE_DONE, OPEN_MS);
			kind = r == 0		 ? OVERLAY_QUIET
			       : r == -ETIMEDOUT ? OVERLAY_ASKS
						 : OVERLAY_UNKNOWN;
		}
		child_kill(&child);
		child_close(&child);
	}
	if (kind == OVERLAY_UNKNOWN)
		log_line(LOG_WARNING, "cannot find out whether overlays can be watched: %s",
			 err.text);
	return kind;
}
