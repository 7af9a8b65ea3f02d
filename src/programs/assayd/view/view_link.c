/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/view/view_link.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "backends/list_file/reader.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/fmt.h"
#include "base/rd.h"
#include "base/wr.h"
#include "formats/policy.h"
#include "programs/assayd/process/ipc.h"
#include "programs/assayd/process/log.h"
#include "programs/assayd/process/rate.h"
#include "programs/assayd/view/view.h"

#define PAUSE_FIRST_NS 1000000000ull
#define PAUSE_MAX_NS   60000000000ull
#define STOP_MS	       3000
#define REST_NS	       30000000000ull /* after a path that did not answer */
/* Each load is a record in the list. */
#define LOADS_MAX    16u
#define LOAD_EACH_NS 1000000000ull

struct view_link {
	struct view_link_config config;
	char point[PATH_MAX]; /* where it is mounted */
	int folder_fd, list_dirfd, self_pidfd;
	struct assay_bytes policy;
	struct child child; /* socket -1: it ended */
	uint64_t began_ns, next_ns, pause_ns, no_path_before_ns;
	struct rate loads; /* not the process's: another one is under it, too */
};

/* ---- what it is told ------------------------------------------------------------------------ */

static int tell(struct view_link *v, enum view_message type, struct assay_bytes body)
{
	const struct ipc_message m = { .type = type, .body = body };

	return ipc_send(v->child.socket, &m);
}

/* @fd is closed. */
static int hand_over(struct view_link *v, enum view_message type, int fd)
{
	const struct ipc_message m = { .type = type, .fd = { fd }, .n_fds = 1 };
	int r = fd < 0 ? fd : ipc_send(v->child.socket, &m);

	if (fd >= 0)
		close(fd);
	return r;
}

static int hand_segment(struct view_link *v)
{
	int fd, r = assay_list_reader_newest(v->list_dirfd, &fd, NULL);

	if (r == -ENOENT)
		return 0; /* none yet */
	return r < 0 ? r : hand_over(v, VIEW_SEGMENT, fd);
}

static int hand_policy(struct view_link *v)
{
	return v->policy.data ? hand_over(v, VIEW_POLICY, ipc_sealed(v->policy)) : 0;
}

static int start(struct view_link *v, struct assay_err *err)
{
	const int fds[] = { v->folder_fd, v->self_pidfd };
	int r = spawner_start(v->config.spawner, CHILD_VIEW, fds, ARRAY_LEN(fds), v->config.admit,
			      v->config.ctx, &v->child, err);

	if (r < 0)
		return r;
	v->began_ns = assay_clock_ns();
	if (fcntl(v->child.socket, F_SETFL, O_NONBLOCK) < 0)
		r = -errno;
	if (r == 0)
		r = tell(v, VIEW_TEMPLATE, assay_bytes_str(v->config.template));
	if (r == 0)
		r = hand_segment(v);
	if (r == 0)
		r = hand_policy(v);
	if (r == 0)
		return 0;
	child_close(&v->child);
	return assay_err_set(err, r, "cannot tell the view's process: %s", strerror(-r));
}

/* Another one, later. It has unmounted, or those have who watch it. */
static void replace(struct view_link *v, const char *why)
{
	uint64_t now = assay_clock_ns();

	child_close(&v->child);
	if (now - v->began_ns > PAUSE_MAX_NS)
		v->pause_ns = PAUSE_FIRST_NS;
	log_line(LOG_WARNING, "the view at '%s' %s; another try in %llu s", v->point, why,
		 (unsigned long long)(v->pause_ns / 1000000000u));
	v->next_ns = now + v->pause_ns;
	v->pause_ns = 2 * v->pause_ns < PAUSE_MAX_NS ? 2 * v->pause_ns : PAUSE_MAX_NS;
}

void view_link_segment(struct view_link *v)
{
	if (v && v->child.socket >= 0 && hand_segment(v) < 0)
		replace(v, "does not take a segment");
}

void view_link_policy(struct view_link *v, struct assay_bytes text)
{
	if (!v)
		return;
	v->policy = text;
	if (v->child.socket >= 0 && hand_policy(v) < 0)
		replace(v, "does not take a policy");
}

void view_link_tick(struct view_link *v, uint64_t now_ns)
{
	struct assay_err err;

	if (!v || v->child.socket >= 0 || now_ns < v->next_ns)
		return;
	if (start(v, &err) < 0)
		replace(v, err.text);
}

/* ---- what it says --------------------------------------------------------------------------- */

static int take_ready(struct view_link *v, const struct ipc_message *m)
{
	struct assay_rd in = assay_rd(m->body);
	uint32_t major, minor;

	if (!assay_rd_u32(&in, &major) || !assay_rd_u32(&in, &minor) || !assay_rd_end(&in))
		return -EBADMSG;
	log_line(LOG_INFO, "the view is at '%s' (%u:%u)", v->point, major, minor);
	return 0;
}

/* Refused, or else loaded: *ret_result is for who wrote it. */
static int load_text(struct view_link *v, const struct ipc_message *m, int *ret_result)
{
	AUTO(file) struct assay_file text = { 0 };
	int r = -EBADMSG;

	if (m->n_fds == 1)
		r = ipc_read_sealed(m->fd[0], ASSAY_POLICY_SIZE_MAX, &text);
	if (r < 0 || text.bytes.len == 0)
		return r < 0 ? r : -EBADMSG;
	*ret_result = v->config.load(v->config.ctx, NULL, text.bytes);
	return 0;
}

static bool is_in_view(const struct view_link *v, const char *path)
{
	size_t n = strlen(v->point);

	return strncmp(path, v->point, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

/* Who reads it may be waited for, but not again and again. In the view it would be what is in force
 * already. */
static int load_path(struct view_link *v, const struct ipc_message *m, int *ret_result)
{
	char path[PATH_MAX];
	int r = -EINVAL;

	if (m->body.len == 0 || m->body.len >= sizeof(path) || m->body.data[0] != '/' ||
	    memchr(m->body.data, '\0', m->body.len))
		return -EBADMSG;
	memcpy(path, m->body.data, m->body.len);
	path[m->body.len] = '\0';
	if (assay_clock_ns() < v->no_path_before_ns)
		r = -EBUSY;
	else if (!is_in_view(v, path))
		r = v->config.load(v->config.ctx, path, (struct assay_bytes){ 0 });
	if (r == -ETIMEDOUT)
		v->no_path_before_ns = assay_clock_ns() + REST_NS;
	*ret_result = r;
	return 0;
}

static int take_load(struct view_link *v, const struct ipc_message *m)
{
	uint8_t body[4];
	struct assay_wr w = assay_wr(body, sizeof(body));
	struct ipc_message answer = { .type = VIEW_LOADED, .id = m->id };
	int result = 0, r = 0;

	if (!rate_take(&v->loads, assay_clock_ns()))
		result = -EBUSY;
	else if (m->type == VIEW_LOAD_TEXT)
		r = load_text(v, m, &result);
	else
		r = load_path(v, m, &result);
	if (r < 0)
		return r;
	assay_wr_u32(&w, (uint32_t)-result);
	answer.body = assay_wr_done(&w);
	return ipc_send(v->child.socket, &answer);
}

static int take(struct view_link *v, const struct ipc_message *m)
{
	switch (m->type) {
	case VIEW_READY:
		return take_ready(v, m);
	case VIEW_LOAD_TEXT:
	case VIEW_LOAD_PATH:
		return take_load(v, m);
	default:
		return -EBADMSG;
	}
}

/* One message: each may take a policy's time. */
void view_link_receive(struct view_link *v)
{
	static struct ipc_buffer buffer;
	struct ipc_message m;
	int r;

	if (!v || v->child.socket < 0)
		return;
	r = ipc_receive(v->child.socket, &buffer, &m);
	if (r == 0) {
		r = take(v, &m);
		ipc_close_fds(&m);
	}
	if (r == -EPIPE)
		replace(v, "ended");
	else if (r < 0 && r != -EAGAIN)
		replace(v, "said what it may not");
}

/* ---- from beginning to end ------------------------------------------------------------------ */

int view_link_fd(const struct view_link *v)
{
	return v ? v->child.socket : -1;
}

bool view_link_owns(const struct view_link *v, const char *type, const char *subtype,
		    const char *point)
{
	return v && strcmp(type, "fuse") == 0 && strcmp(subtype, "assay") == 0 &&
	       strcmp(point, v->point) == 0;
}

static int open_folders(struct view_link *v, struct assay_err *err)
{
	const char *folder = v->config.folder;
	char path[PATH_MAX];

	if (mkdir(folder, 0755) < 0 && errno != EEXIST)
		return assay_err_set(err, -errno, "cannot make '%s': %s", folder, strerror(errno));
	v->folder_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (v->folder_fd < 0 || !realpath(folder, path))
		return assay_err_set(err, -errno, "cannot open '%s': %s", folder, strerror(errno));
	if (assay_fmt(v->point, sizeof(v->point), "%s/" VIEW_NAME, path[1] ? path : "") >=
	    sizeof(v->point))
		return assay_err_set(err, -ENAMETOOLONG, "'%s' is too long", folder);
	v->list_dirfd = open(v->config.list_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (v->list_dirfd < 0)
		return assay_err_set(err, -errno, "cannot open '%s': %s", v->config.list_dir,
				     strerror(errno));
	v->self_pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	if (v->self_pidfd < 0)
		return assay_err_set(err, -errno, "cannot open a pidfd: %s", strerror(errno));
	return 0;
}

int view_link_new(const struct view_link_config *config, struct view_link **ret,
		  struct assay_err *err)
{
	struct view_link *v = calloc(1, sizeof(*v));
	int r;

	if (!v)
		return assay_err_set(err, -ENOMEM, "out of memory");
	v->config = *config;
	v->folder_fd = v->list_dirfd = v->self_pidfd = -1;
	v->child = (struct child){ .pidfd = -1, .socket = -1 };
	v->pause_ns = PAUSE_FIRST_NS;
	v->loads = (struct rate){ .each_ns = LOAD_EACH_NS, .burst = LOADS_MAX };
	r = open_folders(v, err);
	if (r == 0)
		r = start(v, err);
	if (r < 0)
		view_link_free(v);
	else
		*ret = v;
	return r;
}

void view_link_free(struct view_link *v)
{
	struct pollfd p = { .fd = -1, .events = POLLIN };

	if (!v)
		return;
	if (v->child.socket >= 0) {
		close(v->child.socket);
		v->child.socket = -1;
		p.fd = v->child.pidfd;
		if (poll(&p, 1, STOP_MS) != 1)
			log_line(LOG_WARNING, "the view at '%s' does not end", v->point);
	}
	child_close(&v->child);
	assay_auto_fd(&v->folder_fd);
	assay_auto_fd(&v->list_dirfd);
	assay_auto_fd(&v->self_pidfd);
	free(v);
}
