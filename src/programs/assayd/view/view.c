/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/view/view.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "backends/crypto_openssl/crypto_openssl.h"
#include "backends/view_fuse/mount.h"
#include "backends/view_fuse/view_fuse.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/rd.h"
#include "formats/policy.h"
#include "programs/assayd/process/ipc.h"
#include "programs/assayd/process/log.h"
#include "programs/assayd/process/spawner.h"
#include "programs/assayd/view/view_files.h"

#define STOP_MS 2000

struct view_process {
	struct view_files files; /* first: the ops' ctx */
	struct assay_crypto_openssl *openssl;
	struct assay_view *view;
	struct assay_view_mount mount;
	struct assay_view_guard guard;
	/* The load that main has not answered; id 0: none. */
	uint64_t asked, next_id;
	uint64_t asked_at_ms;
};

/* ---- policies ------------------------------------------------------------------------------- */

/* The writer is answered with VIEW_LOADED, or when it takes too long. */
static int ask_to_load(void *ctx, bool is_path, struct assay_bytes text)
{
	struct view_process *p = ctx;
	struct ipc_message m = { .type = is_path ? VIEW_LOAD_PATH : VIEW_LOAD_TEXT };
	int r;

	if (p->asked)
		return -EBUSY;
	m.id = ++p->next_id;
	if (is_path) {
		m.body = text;
		r = text.len > IPC_BODY_MAX ? -ENAMETOOLONG : ipc_send(CHILD_SOCKET, &m);
	} else {
		m.fd[0] = ipc_sealed(text);
		m.n_fds = 1;
		r = m.fd[0] < 0 ? m.fd[0] : ipc_send(CHILD_SOCKET, &m);
		if (m.fd[0] >= 0)
			close(m.fd[0]);
	}
	if (r < 0)
		return r;
	p->asked = m.id;
	p->asked_at_ms = assay_clock_ms();
	return 0;
}

/* Milliseconds until the writer is answered anyway; -1: nobody waits. */
static int time_left(const struct view_process *p)
{
	uint64_t gone_ms = assay_clock_ms() - p->asked_at_ms;

	if (!p->asked)
		return -1;
	return gone_ms < VIEW_LOAD_MS ? (int)(VIEW_LOAD_MS - gone_ms) : 0;
}

static void answer_writer(struct view_process *p, int result)
{
	p->asked = 0;
	assay_view_loaded(p->view, result);
}

/* ---- what main says ------------------------------------------------------------------------- */

static int take_policy(struct view_process *p, const struct ipc_message *m)
{
	AUTO(file) struct assay_file text = { 0 };
	int r = -EBADMSG;

	if (m->n_fds == 1)
		r = ipc_read_sealed(m->fd[0], ASSAY_POLICY_SIZE_MAX, &text);
	return r < 0 ? r : view_files_set_policy(&p->files, text.bytes);
}

static int take_segment(struct view_process *p, struct ipc_message *m)
{
	struct assay_err err;
	int r = -EBADMSG;

	if (m->n_fds != 1)
		return r;
	r = view_files_set_segment(&p->files, m->fd[0], &err);
	if (r == 0)
		m->n_fds = 0; /* it is the list's now */
	else
		log_line(LOG_ERR, "the view cannot read the list's segment: %s", err.text);
	return r;
}

static int take_loaded(struct view_process *p, const struct ipc_message *m)
{
	struct assay_rd in = assay_rd(m->body);
	uint32_t error;

	if (!assay_rd_u32(&in, &error) || !assay_rd_end(&in) || error > 4095)
		return -EBADMSG;
	if (p->asked && m->id == p->asked)
		answer_writer(p, -(int)error);
	return 0; /* else it came too late */
}

static int take_message(struct view_process *p, struct ipc_message *m)
{
	switch (m->type) {
	case VIEW_TEMPLATE:
		return view_files_set_template(&p->files, m->body);
	case VIEW_SEGMENT:
		return take_segment(p, m);
	case VIEW_POLICY:
		return take_policy(p, m);
	case VIEW_LOADED:
		return take_loaded(p, m);
	default:
		return -EBADMSG;
	}
}

/* 0, or it is the end. */
static int hear_main(struct view_process *p)
{
	static struct ipc_buffer buffer;
	struct ipc_message m;
	int r = ipc_receive(CHILD_SOCKET, &buffer, &m);

	if (r < 0)
		return r == -EAGAIN ? 0 : r;
	r = take_message(p, &m);
	if (r < 0)
		log_line(LOG_ERR, "view: message 0x%x of main: %s", m.type, strerror(-r));
	ipc_close_fds(&m);
	return 0;
}

/* ---- the process ---------------------------------------------------------------------------- */

static const struct assay_view_ops ops = {
	.banks = view_files_banks,
	.open = view_files_open,
	.read = view_files_read,
	.close = view_files_close,
	.check_rule = view_files_check_rule,
	.load = ask_to_load,
};

/* From here on the mount goes when we do. */
static int set_up(struct view_process *p, struct assay_err *err)
{
	int r = assay_crypto_openssl_new(&p->openssl, err);

	if (r == 0)
		r = assay_view_mount(CHILD_FDS, VIEW_NAME, &p->mount, err);
	if (r == 0)
		r = assay_view_guard_start(&p->mount, CHILD_FDS + 1, &p->guard, err);
	if (r == 0)
		r = assay_view_new(p->mount.fuse_fd, &ops, p, &p->view, err);
	if (r == 0)
		p->files.crypto = assay_crypto_openssl_port(p->openssl);
	if (r == 0)
		r = view_sandbox(err);
	return r;
}

static int say_ready(const struct view_process *p)
{
	uint8_t body[8];
	struct assay_wr w = assay_wr(body, sizeof(body));
	struct ipc_message m = { .type = VIEW_READY };

	assay_wr_u32(&w, p->mount.dev_major);
	assay_wr_u32(&w, p->mount.dev_minor);
	m.body = assay_wr_done(&w);
	return ipc_send(CHILD_SOCKET, &m);
}

/* Until main's socket ends, or the mount or who guards it is gone. */
static int serve(struct view_process *p)
{
	enum { MAIN, FUSE, GUARD };
	struct pollfd fd[] = {
		[MAIN] = { .fd = CHILD_SOCKET, .events = POLLIN },
		[FUSE] = { .fd = assay_view_fd(p->view), .events = POLLIN },
		[GUARD] = { .fd = p->guard.pidfd, .events = POLLIN },
	};
	int r = 0;

	while (r == 0) {
		if (poll(fd, ARRAY_LEN(fd), time_left(p)) < 0 && errno != EINTR)
			return -errno;
		if (time_left(p) == 0)
			answer_writer(p, -ETIMEDOUT);
		if (fd[GUARD].revents)
			return -EPIPE;
		if (fd[MAIN].revents)
			r = hear_main(p);
		if (r == 0 && fd[FUSE].revents)
			r = assay_view_dispatch(p->view);
	}
	return r;
}

int view_process(void)
{
	static struct view_process p = { .mount.fuse_fd = -1 };
	struct assay_err err;
	int r = set_up(&p, &err);

	if (r < 0) {
		log_line(LOG_ERR, "there is no view: %s", err.text);
		return EXIT_FAILURE;
	}
	r = say_ready(&p);
	if (r == 0)
		r = serve(&p);
	/* Unmounted first: who comes then finds no folder, not one that nobody serves. */
	if (assay_view_guard_stop(&p.guard, STOP_MS) < 0)
		log_line(LOG_ERR, "the view is not unmounted after %d ms", STOP_MS);
	assay_view_free(p.view);
	view_files_done(&p.files);
	assay_crypto_openssl_free(p.openssl);
	/* Not exit(): what others registered for it was not written for a sandbox. */
	_exit(r == -EPIPE || r == -ENODEV ? EXIT_SUCCESS : EXIT_FAILURE);
}
