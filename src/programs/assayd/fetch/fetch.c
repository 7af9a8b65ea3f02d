/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/fetch/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>

#include "base/rd.h"
#include "programs/assayd/process/ipc.h"

/* ---- what it says --------------------------------------------------------------------------- */

static int take_content(const struct ipc_message *m, size_t max, struct assay_file *ret)
{
	if (m->n_fds != 1 || m->body.len)
		return -EBADMSG;
	return ipc_read_sealed(m->fd[0], max, ret);
}

static int take_failure(const struct ipc_message *m)
{
	struct assay_rd in = assay_rd(m->body);
	uint32_t error;

	if (m->n_fds || !assay_rd_u32(&in, &error) || !assay_rd_end(&in) || error == 0 ||
	    error > 4095)
		return -EBADMSG;
	return -(int)error;
}

static int hear(int socket, size_t max, struct assay_file *ret)
{
	struct pollfd p = { .fd = socket, .events = POLLIN };
	struct ipc_buffer buffer;
	struct ipc_message m;
	int r = poll(&p, 1, FETCH_MS) == 1 ? ipc_receive(socket, &buffer, &m) : -ETIMEDOUT;

	if (r < 0)
		return r;
	if (m.type == FETCH_DONE)
		r = take_content(&m, max, ret);
	else
		r = m.type == FETCH_FAILED ? take_failure(&m) : -EBADMSG;
	ipc_close_fds(&m);
	return r;
}

/* ---- asking --------------------------------------------------------------------------------- */

static int ask(struct fetch *f, const char *path, size_t max, struct assay_file *ret,
	       struct assay_err *err)
{
	const struct ipc_message m = {
		.type = FETCH_FILE,
		.id = max,
		.body = assay_bytes_str(path),
	};
	struct child child;
	int r = spawner_start(f->spawner, CHILD_FETCH, NULL, 0, f->admit, f->ctx, &child, err);

	if (r < 0)
		return r;
	r = ipc_send(child.socket, &m);
	if (r == 0)
		r = hear(child.socket, max, ret);
	if (r == -ETIMEDOUT || r == -EBADMSG)
		child_kill(&child); /* else it ends */
	if (f->dismiss)
		f->dismiss(f->ctx, child.pid);
	child_close(&child);
	return r < 0 ? assay_err_set(err, r, "cannot read '%s': %s", path, strerror(-r)) : 0;
}

int fetch_file(struct fetch *f, const char *path, size_t max, struct assay_file *ret,
	       struct assay_err *err)
{
	return f ? ask(f, path, max, ret, err) : assay_file_read(AT_FDCWD, path, max, ret, err);
}
