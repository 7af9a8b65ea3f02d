/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/anchor_client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "programs/assayd/anchor/anchor_msg.h"
#include "programs/assayd/main/notify.h"
#include "programs/assayd/process/ipc.h"
#include "programs/assayd/process/log.h"

#define FLUSH_SLICE_MS 200u /* others call in between */
#define TICK_MS	       1000 /* the manager hears of us: a TPM may be slow */
#define ANSWER_MS      5000 /* for what waits for neither list nor TPM */
#define FOREVER	       (-1)

/* One call at a time: a request, its answer. */
struct line {
	int socket;
	pthread_mutex_t lock;
	uint64_t id;
	bool late; /* an answer is still to come */
	struct ipc_buffer in;
	uint8_t out[IPC_BODY_MAX];
};

struct anchor {
	struct child child;
	struct line records, tpm, counts;
	/* While it starts; one thread. */
	bool starting;
	const struct anchor_wait *wait;
	struct recorder_counts last_counts;
	struct anchor_ready ready;
};

/* ---- one call ------------------------------------------------------------------------------- */

static int gone(struct assay_err *err)
{
	return assay_err_set(err, -EPIPE, "the anchor process is gone");
}

static int send_call(struct line *l, const struct anchor_msg *ask, int fd)
{
	struct assay_wr w = assay_wr(l->out, sizeof(l->out));
	struct ipc_message m = { .type = ask->type, .id = ++l->id, .n_fds = fd >= 0 };

	anchor_msg_encode(ask, &w);
	if (!assay_wr_ok(&w))
		return -E2BIG;
	m.body = assay_wr_done(&w);
	m.fd[0] = fd;
	return ipc_send(l->socket, &m);
}

static int receive_answer(struct line *l, struct anchor_msg *ret)
{
	struct ipc_message m;
	int rc = ipc_receive(l->socket, &l->in, &m);

	if (rc < 0)
		return rc;
	if (m.n_fds || m.id != l->id)
		rc = -EBADMSG;
	else
		rc = anchor_msg_decode(ANCHOR_MSG_ANCHOR, m.type, m.body, ret, NULL);
	ipc_close_fds(&m);
	return rc < 0 ? -EBADMSG : 0;
}

/* False: no longer. */
static bool go_on_waiting(const struct anchor_wait *w)
{
	if (w)
		return w->wait(w->ctx);
	notify_manager("WATCHDOG=1");
	return true;
}

/* An anchor that answers what it may not is as good as gone, for whoever watches its socket too. */
static int check_answer(struct anchor *a, int rc, enum anchor_msg_type want,
			const struct anchor_msg *answer, struct assay_err *err)
{
	if (rc == 0 && answer->type == ANCHOR_MSG_FAILED)
		return assay_err_set(err, -(int)answer->text.number, "%s", answer->text.text);
	if (rc == -E2BIG)
		return assay_err_set(err, rc, "too long for the anchor process");
	if (rc == -ETIMEDOUT || rc == -ECANCELED)
		return assay_err_set(err, rc, "the anchor process does not answer");
	if (rc == 0 && answer->type == want)
		return 0;
	shutdown(a->child.socket, SHUT_RDWR);
	return gone(err);
}

/* 0 it is there. At the start the manager hears of us meanwhile. */
static int await_answer(const struct anchor *a, const struct line *l, int timeout_ms)
{
	struct pollfd p = { .fd = l->socket, .events = POLLIN };

	if (!a->starting || timeout_ms != FOREVER)
		return poll(&p, 1, timeout_ms) == 1 ? 0 : -ETIMEDOUT;
	while (poll(&p, 1, TICK_MS) != 1)
		if (!go_on_waiting(a->wait))
			return -ECANCELED;
	return 0;
}

static int take_answer(const struct anchor *a, struct line *l, int timeout_ms,
		       struct anchor_msg *ret)
{
	int rc = await_answer(a, l, timeout_ms);

	l->late = rc < 0;
	return rc < 0 ? rc : receive_answer(l, ret);
}

/* With the line's lock. One that comes late is taken before the next is asked for. */
static int ask_within(struct anchor *a, struct line *l, const struct anchor_msg *ask, int fd,
		      int timeout_ms, struct anchor_msg *ret)
{
	int rc = l->late ? take_answer(a, l, timeout_ms, ret) : 0;

	if (rc == 0)
		rc = send_call(l, ask, fd);
	return rc < 0 ? rc : take_answer(a, l, timeout_ms, ret);
}

static int call_within(struct anchor *a, struct line *l, const struct anchor_msg *ask, int fd,
		       int timeout_ms, enum anchor_msg_type want, struct anchor_msg *ret,
		       struct assay_err *err)
{
	int rc;

	pthread_mutex_lock(&l->lock);
	rc = ask_within(a, l, ask, fd, timeout_ms, ret);
	pthread_mutex_unlock(&l->lock);
	return check_answer(a, rc, want, ret, err);
}

/* For the list, which may stall: at the start, and for the thread of records.h. */
static int call(struct anchor *a, const struct anchor_msg *ask, int fd, enum anchor_msg_type want,
		struct anchor_msg *ret, struct assay_err *err)
{
	return call_within(a, &a->records, ask, fd, FOREVER, want, ret, err);
}

/* ---- start ---------------------------------------------------------------------------------- */

static int begin_line(struct line *l, int *ret_other)
{
	int pair[2], rc = ipc_pair(pair);

	if (rc < 0)
		return rc;
	l->socket = pair[0];
	*ret_other = pair[1];
	return 0;
}

/* What the anchor has no use for stays here. */
static int seal_conf(const struct anchor_config *config)
{
	struct assay_conf *conf = malloc(sizeof(*conf));
	uint8_t *text = malloc(ASSAY_CONF_SIZE_MAX);
	struct assay_wr w = assay_wr(text, ASSAY_CONF_SIZE_MAX);
	struct assay_bytes list =
		assay_bytes_str(config->kernel_list ? config->kernel_list : "none");
	int fd = -ENOMEM;

	if (conf && text) {
		*conf = *config->conf;
		conf->mount.n = conf->exempt_pid.n = 0;
		fd = assay_conf_set(conf, "kernel_list", list, NULL);
		assay_conf_print(conf, &w);
		if (fd == 0)
			fd = assay_wr_ok(&w) ? ipc_sealed(assay_wr_done(&w)) : -E2BIG;
	}
	free(conf);
	free(text);
	return fd;
}

static int send_start(struct anchor *a, const struct anchor_config *config)
{
	struct ipc_message m = { .type = ANCHOR_MSG_START, .n_fds = ANCHOR_START_FDS };
	int fd[ANCHOR_START_FDS] = { -1, config->list_dirfd, -1, -1 }, rc;

	fd[ANCHOR_START_CONF] = rc = seal_conf(config);
	if (rc >= 0)
		rc = begin_line(&a->records, &fd[ANCHOR_START_RECORDS]);
	if (rc >= 0)
		rc = begin_line(&a->tpm, &fd[ANCHOR_START_TPM]);
	memcpy(m.fd, fd, sizeof(fd));
	if (rc >= 0)
		rc = ipc_send(a->child.socket, &m);
	for (size_t i = 0; i < ARRAY_LEN(fd); i++)
		if (i != ANCHOR_START_LIST && fd[i] >= 0)
			close(fd[i]);
	return rc;
}

/* The next message of the events' socket that is no line for the log. */
static int next_message(struct anchor *a, const struct anchor_wait *wait, struct anchor_msg *ret)
{
	struct pollfd p = { .fd = a->child.socket, .events = POLLIN };
	struct ipc_message m;
	int rc;

	do {
		if (!go_on_waiting(wait))
			return -ECANCELED;
		if (poll(&p, 1, TICK_MS) <= 0)
			continue;
		rc = ipc_receive(a->child.socket, &a->records.in, &m);
		if (rc == -EAGAIN)
			continue;
		if (rc == 0)
			rc = m.n_fds ? -EBADMSG
				     : anchor_msg_decode(ANCHOR_MSG_ANCHOR, m.type, m.body, ret,
							 NULL);
		if (rc < 0)
			return rc;
		if (ret->type == ANCHOR_MSG_LOG)
			log_line((int)ret->text.number, "%s", ret->text.text);
		else
			return 0;
	} while (true);
}

static int wait_until_ready(struct anchor *a, const struct anchor_wait *wait, struct assay_err *err)
{
	struct anchor_msg m;
	int rc = next_message(a, wait, &m);

	if (rc == -ECANCELED)
		return assay_err_set(err, rc, "the anchor process is not waited for");
	if (rc == 0 && m.type == ANCHOR_MSG_READY)
		a->ready = m.ready;
	return check_answer(a, rc, ANCHOR_MSG_READY, &m, err);
}

static void init_line(struct line *l)
{
	l->socket = -1;
	pthread_mutex_init(&l->lock, NULL);
}

static void done_line(struct line *l)
{
	if (l->socket >= 0)
		close(l->socket);
	pthread_mutex_destroy(&l->lock);
}

int anchor_start(const struct anchor_config *config, struct anchor **ret, struct assay_err *err)
{
	struct anchor *a = calloc(1, sizeof(*a));
	int rc;

	if (!a)
		return assay_err_set(err, -ENOMEM, "out of memory");
	a->child = (struct child){ .pidfd = -1, .socket = -1 };
	init_line(&a->records);
	init_line(&a->tpm);
	init_line(&a->counts);
	a->starting = true;
	a->wait = config->wait;
	rc = spawner_start(config->spawner, CHILD_ANCHOR, NULL, 0, config->admit, config->ctx,
			   &a->child, err);
	if (rc == 0 && (rc = send_start(a, config)) < 0)
		assay_err_set(err, rc, "cannot start the anchor process: %s", strerror(-rc));
	if (rc == 0)
		rc = wait_until_ready(a, config->wait, err);
	if (rc == 0 && fcntl(a->child.socket, F_SETFL, O_NONBLOCK) < 0)
		rc = assay_err_set(err, -errno, "cannot use a socket: %s", strerror(errno));
	if (rc == 0)
		*ret = a;
	else
		anchor_free(a);
	return rc;
}

void anchor_started(struct anchor *a)
{
	a->starting = false;
}

/* ---- the end -------------------------------------------------------------------------------- */

void anchor_ending(struct anchor *a)
{
	struct anchor_msg answer;

	(void)call_within(a, &a->tpm, &(struct anchor_msg){ .type = ANCHOR_MSG_ENDING }, -1,
			  ANSWER_MS, ANCHOR_MSG_DONE, &answer, NULL);
}

void anchor_cut(struct anchor *a)
{
	shutdown(a->records.socket, SHUT_RDWR);
}

/* What it says meanwhile is taken, or it would wait for us. */
static int drain(struct anchor *a)
{
	struct ipc_buffer buffer;
	struct ipc_message m;
	struct anchor_msg msg;
	int rc = ipc_receive(a->child.socket, &buffer, &m);

	if (rc < 0)
		return rc == -EAGAIN ? 0 : rc;
	if (anchor_msg_decode(ANCHOR_MSG_ANCHOR, m.type, m.body, &msg, NULL) == 0 &&
	    msg.type == ANCHOR_MSG_LOG)
		log_line((int)msg.text.number, "%s", msg.text.text);
	ipc_close_fds(&m);
	return 0;
}

void anchor_stop(struct anchor *a, const char *why, const struct anchor_wait *wait)
{
	const struct anchor_msg ask = { .type = ANCHOR_MSG_STOP, .why = assay_bytes_str(why) };
	struct pollfd p[] = {
		{ .fd = a->records.socket, .events = POLLIN },
		{ .fd = a->child.socket, .events = POLLIN },
	};
	int rc = a->records.late ? -ETIMEDOUT : send_call(&a->records, &ask, -1);

	while (rc == 0 && go_on_waiting(wait)) {
		if (poll(p, ARRAY_LEN(p), TICK_MS) <= 0)
			continue;
		if (p[1].revents)
			rc = drain(a);
		else if (p[0].revents)
			break;
	}
	anchor_free(a);
}

void anchor_free(struct anchor *a)
{
	if (!a)
		return;
	child_close(&a->child);
	done_line(&a->records);
	done_line(&a->tpm);
	done_line(&a->counts);
	free(a);
}

/* ---- what is known -------------------------------------------------------------------------- */

int anchor_socket(const struct anchor *a)
{
	return a->child.socket;
}

pid_t anchor_pid(const struct anchor *a)
{
	return a->child.pid;
}

const char *anchor_ek(const struct anchor *a)
{
	return a->ready.ek_name;
}

bool anchor_has_landlock(const struct anchor *a)
{
	return a->ready.landlock;
}

/* ---- the list ------------------------------------------------------------------------------- */

int anchor_state_text(struct anchor *a, const char *what, struct assay_bytes rest, bool gap,
		      struct assay_err *err)
{
	const struct anchor_msg ask = {
		.type = ANCHOR_MSG_STATE,
		.state = { .gap = gap, .what = assay_bytes_str(what), .rest = rest }
	};
	struct anchor_msg answer;

	return call(a, &ask, -1, ANCHOR_MSG_INDEX, &answer, err);
}

int anchor_state(struct anchor *a, const char *what, void (*fill)(void *ctx, struct assay_wr *w),
		 void *ctx, struct assay_err *err)
{
	uint8_t rest[ASSAY_STATE_SIZE_MAX];
	struct assay_wr w = assay_wr(rest, sizeof(rest));

	if (fill)
		fill(ctx, &w);
	if (!assay_wr_ok(&w))
		return assay_err_set(err, -E2BIG, "state record '%s' is too long", what);
	return anchor_state_text(a, what, assay_wr_done(&w), false, err);
}

int anchor_set_policy(struct anchor *a, const struct loaded_policy *policy, struct assay_err *err)
{
	struct anchor_msg ask = { .type = ANCHOR_MSG_POLICY }, answer;
	AUTO(fd) int fd = ipc_sealed(policy->text);

	if (fd < 0)
		return assay_err_set(err, fd, "cannot hand over the policy: %s", strerror(-fd));
	ask.policy = (struct anchor_policy){ .builtin = policy->builtin,
					     .name = assay_bytes_str(policy->name),
					     .digest = policy->digest };
	return call(a, &ask, fd, ANCHOR_MSG_DONE, &answer, err);
}

int anchor_line(struct anchor *a, int *ret, struct assay_err *err)
{
	const struct anchor_msg ask = { .type = ANCHOR_MSG_LINE };
	struct anchor_msg answer;
	int pair[2], rc = ipc_pair(pair);

	if (rc < 0)
		return assay_err_set(err, rc, "cannot make a socket: %s", strerror(-rc));
	rc = call_within(a, &a->tpm, &ask, pair[1], a->starting ? FOREVER : ANSWER_MS,
			 ANCHOR_MSG_DONE, &answer, err);
	close(pair[1]);
	if (rc == 0)
		*ret = pair[0];
	else
		close(pair[0]);
	return rc;
}

int anchor_open_counts(struct anchor *a, struct assay_err *err)
{
	return a->counts.socket < 0 ? anchor_line(a, &a->counts.socket, err) : 0;
}

int anchor_counts_within(struct anchor *a, int timeout_ms, struct recorder_counts *ret)
{
	const struct anchor_msg ask = { .type = ANCHOR_MSG_COUNTS };
	struct anchor_msg answer;
	int rc;

	pthread_mutex_lock(&a->counts.lock);
	rc = ask_within(a, &a->counts, &ask, -1, timeout_ms, &answer);
	if (rc == 0 && answer.type != ANCHOR_MSG_COUNTED)
		rc = -EPIPE;
	if (rc == 0)
		a->last_counts = answer.counts;
	*ret = a->last_counts;
	pthread_mutex_unlock(&a->counts.lock);
	return rc;
}

/* ---- the TPM -------------------------------------------------------------------------------- */

/* In slices: who else waits for the line gets a turn. An anchor that keeps its own time is given a
 * little more than that. */
int anchor_await(struct anchor *a, uint64_t upto, uint32_t timeout_ms)
{
	struct anchor_msg ask = { .type = ANCHOR_MSG_FLUSH, .flush.upto = upto }, answer;
	int rc;

	do {
		ask.flush.timeout_ms = timeout_ms < FLUSH_SLICE_MS ? timeout_ms : FLUSH_SLICE_MS;
		rc = call_within(a, &a->tpm, &ask, -1, (int)timeout_ms + ANSWER_MS, ANCHOR_MSG_DONE,
				 &answer, NULL);
		timeout_ms -= ask.flush.timeout_ms;
	} while (rc == -ETIMEDOUT && timeout_ms > 0 && !a->tpm.late);
	return rc;
}
