/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* main's side: what is concluded from what the process says, or does not. */
#include "programs/assayd/scout/overlay_probe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>

#include "base/file.h"
#include "programs/assayd/process/ipc.h"
#include "programs/assayd/process/log.h"

#define TYPES_MAX 65536u /* bytes of /proc/filesystems */
#define START_MS  10000	 /* until it is about to open: a busy machine */
#define OPEN_MS	  3000 /* for one open by somebody who has nothing else to do, on a busy machine */

bool overlay_is_known(void)
{
	struct assay_file text = { 0 };
	bool has;

	if (assay_file_read(AT_FDCWD, "/proc/filesystems", TYPES_MAX, &text, NULL) < 0)
		return true;
	has = memmem(text.bytes.data, text.bytes.len, "\toverlay\n", 9) != NULL;
	assay_file_free(&text);
	return has;
}

/* A parameter that is hardly ever set. */
bool overlay_root_enters(void)
{
	AUTO(fd)
	int fd = open("/sys/module/fuse/parameters/allow_sys_admin_access", O_RDONLY | O_CLOEXEC);
	char word = 'N';

	return fd >= 0 && read(fd, &word, 1) == 1 && word != 'N';
}

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
