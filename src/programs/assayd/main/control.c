/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A thread answers what is known at once, so that who asks does not wait for the main thread, which
 * has seconds to do at times. What it cannot answer (a reload) is left for that one.
 */
#include "programs/assayd/main/control.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "programs/assayd/audit/audit_reply.h"
#include "programs/assayd/control/control_ipc.h"
#include "programs/assayd/process/log.h"
#include "programs/assayd/main/handover.h"
#include "programs/assayd/process/rate.h"
#include "programs/assayd/main/status.h"
#include "programs/common/control_msg.h"

#define CHECK_TIMEOUT_MS 5000
#define SEND_TIMEOUT_S	 2 /* to a process that does not read */
#define BACKLOG		 64
#define RELOADS_MAX	 64u
#define RELOAD_EACH_NS	 1000000000ull
#define UPGRADES_MAX	 8u /* who mends what the new one does not like tries again */
#define UPGRADE_EACH_NS	 10000000000ull
#define ASKS_MAX	 256u
#define ASK_EACH_NS	 10000000ull
#define PAUSE_FIRST_MS	 100u
#define PAUSE_MAX_MS	 60000u
#define LIVED_NS	 60000000000ull /* after which the pause begins anew */

struct control {
	struct daemon *daemon;
	int listener[2];       /* root's, and the public one or -1 */
	int wake_fd, inner_fd; /* of the main thread, of ours */
	struct child child;    /* pid 0: there is none */
	pthread_t thread;
	atomic_bool gone; /* the thread has ended, or will soon */
	atomic_bool stopping;
	uint64_t started_ns, again_ns;
	uint32_t pause_ms;
	/* Who waits for a reload: those that main has not begun with, then those that it has. */
	pthread_mutex_t lock;
	uint64_t reload[RELOADS_MAX];
	uint32_t n_reload, n_begun;
	char *reloaded; /* the answer for those that it has begun with */
	/* The process may be in an enemy's hands: it is not served oftener than anybody asks. */
	struct rate asks, reloads, upgrades;
};

/* ---- answers -------------------------------------------------------------------------------- */

static int send_text(struct control *c, uint64_t id, const char *text)
{
	AUTO(fd) int fd = ipc_sealed(assay_bytes_str(text));
	struct ipc_message m = { .type = CONTROL_IPC_TEXT, .id = id, .n_fds = 1 };

	m.fd[0] = fd;
	return fd < 0 ? fd : ipc_send(c->child.socket, &m);
}

/* Takes @reply. */
static int send_reply(struct control *c, uint64_t id, json_t *reply)
{
	char *text = reply ? json_dumps(reply, JSON_COMPACT) : NULL;
	int r;

	if (text && strlen(text) <= CONTROL_MESSAGE_MAX)
		r = send_text(c, id, text);
	else
		r = send_text(c, id, "{\"error\":\"the answer is too long\",\"code\":7}");
	json_decref(reply);
	free(text);
	return r;
}

static int take_reload(struct control *c, uint64_t id)
{
	bool fits;

	if (!rate_take(&c->reloads, assay_clock_ns()))
		return send_reply(c, id,
				  control_error_pack(-EBUSY, "too many have asked for that"));

	pthread_mutex_lock(&c->lock);
	fits = c->n_reload < RELOADS_MAX;
	if (fits)
		c->reload[c->n_reload++] = id;
	pthread_mutex_unlock(&c->lock);
	if (!fits)
		return send_reply(c, id, control_error_pack(-EBUSY, "too many wait for that"));
	eventfd_write(c->wake_fd, 1);
	return 0;
}

/* Each holds openers back for a moment. A second one may be for another program: it is not taken
 * for the first. The answer is how things were before. */
static int take_upgrade(struct control *c, uint64_t id)
{
	struct handover *handover = c->daemon->handover;
	json_t *before;

	if (handover_is_under_way(handover))
		return send_reply(c, id, control_error_pack(-EBUSY, "an upgrade is under way"));
	if (!rate_take(&c->upgrades, assay_clock_ns()))
		return send_reply(c, id,
				  control_error_pack(-EBUSY, "too many have asked for that"));
	before = handover_json(handover);
	handover_want(handover);
	eventfd_write(c->wake_fd, 1);
	return send_reply(c, id, before);
}

static int answer(struct control *c, const struct control_ask *ask)
{
	switch (ask->type) {
	case CONTROL_IPC_STATUS:
		return send_reply(c, ask->id, status_json(c->daemon, ask->public));
	case CONTROL_IPC_AUDIT:
		return send_reply(c, ask->id, audit_reply(c->daemon->audit, ask->after));
	case CONTROL_IPC_UPGRADE:
		return take_upgrade(c, ask->id);
	default:
		return take_reload(c, ask->id);
	}
}

/* The main thread is done: whoever it has begun with gets the result. */
static int send_reloaded(struct control *c)
{
	uint64_t ids[RELOADS_MAX];
	char *text = NULL;
	uint32_t n = 0;
	int r = 0;

	pthread_mutex_lock(&c->lock);
	if (c->reloaded) {
		text = TAKE(c->reloaded);
		n = c->n_begun;
		memcpy(ids, c->reload, n * sizeof(ids[0]));
		memmove(c->reload, c->reload + n, (c->n_reload - n) * sizeof(ids[0]));
		c->n_reload -= n;
		c->n_begun = 0;
	}
	pthread_mutex_unlock(&c->lock);
	for (uint32_t i = 0; r == 0 && i < n; i++)
		r = send_text(c, ids[i], text);
	free(text);
	return r;
}

/* False: it is too early, and time to look around. */
static bool may_ask(struct control *c)
{
	uint64_t now = assay_clock_ns(), next = rate_next_ns(&c->asks);

	if (rate_take(&c->asks, now))
		return true;
	poll(&(struct pollfd){ .fd = c->inner_fd, .events = POLLIN }, 1,
	     (int)((next - now) / 1000000u) + 1);
	return false;
}

static int serve(struct control *c)
{
	static struct ipc_buffer buffer; /* there is one of these threads */
	struct control_ask ask;
	struct ipc_message m;
	int r;

	if (!may_ask(c))
		return 0;
	r = ipc_receive(c->child.socket, &buffer, &m);

	if (r < 0)
		return r;
	r = control_ask_parse(&m, &ask);
	ipc_close_fds(&m);
	return r < 0 ? r : answer(c, &ask);
}

static void *run_control(void *arg)
{
	struct control *c = arg;
	struct pollfd p[] = {
		{ .fd = c->child.socket, .events = POLLIN },
		{ .fd = c->inner_fd, .events = POLLIN },
	};
	eventfd_t unused;
	int r = 0;

	while (r == 0 && !c->stopping) {
		if (poll(p, ARRAY_LEN(p), -1) < 0)
			continue;
		if (p[1].revents)
			(void)eventfd_read(c->inner_fd, &unused);
		r = send_reloaded(c);
		if (r == 0 && p[0].revents)
			r = serve(c);
	}
	if (r < 0 && r != -EPIPE)
		log_line(LOG_WARNING, "the process control %s: it is replaced",
			 r == -EBADMSG ? "says what it may not" : "does not listen");
	c->gone = true;
	eventfd_write(c->wake_fd, 1);
	return NULL;
}

/* ---- the sockets ---------------------------------------------------------------------------- */

static void make_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	char folder[sizeof(((struct sockaddr_un *)0)->sun_path)];

	if (!slash || slash == path)
		return;
	memcpy(folder, path, (size_t)(slash - path));
	folder[slash - path] = '\0';
	if (mkdir(folder, 0755) == 0)
		log_line(LOG_NOTICE, "folder '%s' is made, for a socket", folder);
}

static int listen_at(const char *path, mode_t mode, struct assay_err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	AUTO(fd) int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t mask;
	int r;

	if (strlen(path) >= sizeof(address.sun_path))
		return assay_err_set(err, -ENAMETOOLONG, "the path of a socket is too long: '%s'",
				     path);
	memcpy(address.sun_path, path, strlen(path) + 1);
	make_folder(path);
	unlink(path);
	mask = umask(0777 & ~mode);
	r = fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
			    listen(fd, BACKLOG) < 0
		    ? -errno
		    : 0;
	umask(mask);
	if (r < 0)
		return assay_err_set(err, r, "cannot listen at '%s': %s", path, strerror(-r));
	return TAKE_FD(fd);
}

int control_check(const char *path, struct assay_err *err)
{
	AUTO(fd) int fd = -1;

	/* One that is busy is there as well. */
	int r = control_connect(path, CHECK_TIMEOUT_MS, &fd, NULL);

	if (r < 0 && r != -ETIMEDOUT)
		return 0;
	return assay_err_set(err, -EADDRINUSE, "another assayd answers at '%s'", path);
}

static bool wants_public(const struct control *c)
{
	return strcmp(c->daemon->conf.public_socket, "none") != 0;
}

static int listen_public(struct control *c)
{
	const char *path = c->daemon->conf.public_socket;
	struct assay_err err;
	int r = wants_public(c) ? control_check(path, &err) : -ENOENT;

	if (r == 0)
		r = listen_at(path, 0666, &err);
	if (r < 0 && wants_public(c))
		log_line(LOG_WARNING, "there is no public socket: %s", err.text);
	return r < 0 ? -1 : r;
}

bool control_lacks_public(const struct control *c)
{
	return c->listener[1] < 0 && wants_public(c);
}

/* ---- the process ---------------------------------------------------------------------------- */

static int send_start(struct control *c, int line)
{
	const struct timeval patience = { .tv_sec = SEND_TIMEOUT_S };
	struct ipc_message m = { .type = CONTROL_IPC_START, .n_fds = CONTROL_START_PUBLIC };

	m.fd[CONTROL_START_ROOT] = c->listener[0];
	m.fd[CONTROL_START_LINE] = line;
	if (c->listener[1] >= 0)
		m.fd[m.n_fds++] = c->listener[1];
	if (setsockopt(c->child.socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0)
		return -errno;
	return ipc_send(c->child.socket, &m);
}

static void bury(struct control *c)
{
	child_kill(&c->child);
	child_close(&c->child);
	c->child.pid = 0;
}

static int start_process(struct control *c, struct assay_err *err)
{
	AUTO(fd) int line = -1;
	int r = anchor_line(c->daemon->anchor, &line, err);

	if (r == 0)
		r = spawner_start(c->daemon->spawner, CHILD_CONTROL, NULL, 0, NULL, NULL, &c->child,
				  err);
	if (r < 0)
		return r;
	c->started_ns = assay_clock_ns();
	c->gone = false;
	c->n_reload = c->n_begun = 0;
	free(TAKE(c->reloaded));
	r = send_start(c, line);
	if (r == 0)
		r = -pthread_create(&c->thread, NULL, run_control, c);
	if (r == 0)
		return 0;
	bury(c);
	return assay_err_set(err, r, "cannot start the process control: %s", strerror(-r));
}

/* It may be somebody's doing that it ends: each time it stays away longer, but for the first. */
static void plan_next(struct control *c)
{
	uint64_t now = assay_clock_ns();

	if (now - c->started_ns >= LIVED_NS)
		c->pause_ms = 0;
	c->again_ns = now + (uint64_t)c->pause_ms * 1000000u;
	c->pause_ms = c->pause_ms ? 2 * c->pause_ms : PAUSE_FIRST_MS;
	if (c->pause_ms > PAUSE_MAX_MS)
		c->pause_ms = PAUSE_MAX_MS;
}

static void replace(struct control *c)
{
	struct assay_err err;

	if (c->child.pid) {
		pthread_join(c->thread, NULL);
		bury(c);
		plan_next(c);
	}
	if (assay_clock_ns() < c->again_ns)
		return;
	if (start_process(c, &err) < 0) {
		log_line(LOG_ERR, "nobody can ask: %s", err.text);
		plan_next(c);
	} else {
		log_line(LOG_NOTICE, "the process control has ended: there is another one");
	}
}

bool control_tend(struct control *c)
{
	bool wanted;

	if (!c)
		return false;
	status_note(c->daemon);
	if (c->gone)
		replace(c);
	pthread_mutex_lock(&c->lock);
	wanted = c->n_reload > 0 && !c->n_begun;
	if (wanted)
		c->n_begun = c->n_reload;
	pthread_mutex_unlock(&c->lock);
	return wanted;
}

void control_reloaded(struct control *c, json_t *result)
{
	char *text = result ? json_dumps(result, JSON_COMPACT) : NULL;

	json_decref(result);
	if (!text)
		text = strdup("{\"error\":\"out of memory\",\"code\":12}");
	pthread_mutex_lock(&c->lock);
	free(c->reloaded);
	c->reloaded = c->n_begun ? TAKE(text) : NULL;
	pthread_mutex_unlock(&c->lock);
	free(text);
	eventfd_write(c->inner_fd, 1);
}

int control_start(struct daemon *d, int wake_fd, struct control **ret, struct assay_err *err)
{
	struct control *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return assay_err_set(err, -ENOMEM, "out of memory");
	pthread_mutex_init(&c->lock, NULL);
	c->asks = (struct rate){ .each_ns = ASK_EACH_NS, .burst = ASKS_MAX };
	c->reloads = (struct rate){ .each_ns = RELOAD_EACH_NS, .burst = RELOADS_MAX };
	c->upgrades = (struct rate){ .each_ns = UPGRADE_EACH_NS, .burst = UPGRADES_MAX };
	c->daemon = d;
	c->wake_fd = wake_fd;
	c->listener[1] = -1;
	c->child = (struct child){ .socket = -1, .pidfd = -1 };
	c->inner_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	c->listener[0] = -1;
	r = anchor_open_counts(d->anchor, err);
	if (r == 0)
		c->listener[0] = r = listen_at(d->conf.control_socket, 0600, err);
	if (r >= 0) {
		c->listener[1] = listen_public(c);
		d->control = c;
		r = start_process(c, err);
	}
	if (r == 0) {
		*ret = c;
		return 0;
	}
	d->control = NULL;
	control_stop(c);
	return r;
}

static void end_thread(struct control *c)
{
	c->stopping = true;
	eventfd_write(c->inner_fd, 1);
	if (c->child.pid)
		pthread_join(c->thread, NULL);
}

void control_pause(struct control *c)
{
	end_thread(c);
	child_close(&c->child); /* it sees that, and ends */
	c->child.pid = 0;
	c->stopping = c->gone = false;
}

void control_resume(struct control *c)
{
	struct assay_err err;

	if (anchor_open_counts(c->daemon->anchor, &err) == 0 && start_process(c, &err) == 0)
		return;
	log_line(LOG_ERR, "nobody can ask: %s", err.text);
	c->gone = true;
}

void control_stop(struct control *c)
{
	if (!c)
		return;
	end_thread(c);
	if (c->child.pid)
		child_close(&c->child); /* it sees that, and ends */
	if (c->listener[0] >= 0)
		unlink(c->daemon->conf.control_socket);
	if (c->listener[1] >= 0)
		unlink(c->daemon->conf.public_socket);
	for (size_t i = 0; i < ARRAY_LEN(c->listener); i++)
		if (c->listener[i] >= 0)
			close(c->listener[i]);
	close(c->inner_fd);
	pthread_mutex_destroy(&c->lock);
	free(c->reloaded);
	free(c);
}
