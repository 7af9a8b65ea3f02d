/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/anchor/anchor_serve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "programs/assayd/process/spawner.h"

#define CALL_STACK (256u << 10)

enum { END_TROUBLE = 2 };

/* ---- events --------------------------------------------------------------------------------- */

struct events {
	struct anchor_event event[RECORDER_EVENTS];
	const struct assay_facts *facts[RECORDER_EVENTS];
	struct assay_decision decision[RECORDER_EVENTS];
	int error[RECORDER_EVENTS];
	uint32_t n;
};

static void judge(struct anchor_server *s, struct events *e)
{
	pthread_rwlock_rdlock(&s->recorder_lock);
	if (s->recorder)
		recorder_events(s->recorder, e->facts, e->n, e->decision, e->error);
	else
		for (uint32_t i = 0; i < e->n; i++)
			e->error[i] = -ENODEV;
	pthread_rwlock_unlock(&s->recorder_lock);
}

static void put_results(const struct events *e, struct assay_wr *w)
{
	for (uint32_t i = 0; i < e->n; i++) {
		const struct assay_decision *d = &e->decision[i];
		struct anchor_result r = {
			.id = e->event[i].id,
			.error = e->error[i],
			.need = e->error[i] == 0 ? d->need : 0,
			.wait_for = ASSAY_NO_RECORD,
		};

		if (r.error == 0 && !r.need)
			r.wait_for = d->wait_for;
		anchor_result_encode(&r, w);
	}
}

/* Those that one lock is taken for; @left: in the message. */
static int take_events(struct assay_rd *in, uint32_t left, struct events *ret)
{
	int r = 0;

	ret->n = left < RECORDER_EVENTS ? left : RECORDER_EVENTS;
	for (uint32_t i = 0; r == 0 && i < ret->n; i++) {
		r = anchor_event_decode(in, &ret->event[i]);
		ret->facts[i] = &ret->event[i].facts;
	}
	return r;
}

static int send_results(struct anchor_server *s, uint32_t n, struct assay_wr *w)
{
	struct ipc_message m = { .type = ANCHOR_MSG_RESULTS, .body = assay_wr_done(w) };

	anchor_many_head(false, n, s->results);
	return ipc_send(CHILD_SOCKET, &m);
}

/* A result is shorter than its event: those of one message fit into one. */
static int serve_events(struct anchor_server *s, struct assay_bytes body)
{
	struct assay_wr w = assay_wr(s->results, sizeof(s->results));
	struct assay_rd in = assay_rd(body);
	struct events events;
	bool more;
	uint32_t n;
	int r = anchor_many_begin(&in, &more, &n);

	if (r < 0)
		return r;
	assay_wr_zero(&w, ANCHOR_MANY_HEAD);
	for (uint32_t left = n; r == 0 && left; left -= events.n) {
		r = take_events(&in, left, &events);
		if (r < 0)
			break;
		atomic_store(&s->more, more || left > events.n);
		judge(s, &events);
		put_results(&events, &w);
	}
	if (r == 0 && (!assay_rd_end(&in) || !assay_wr_ok(&w)))
		r = -EBADMSG;
	return r < 0 ? r : send_results(s, n, &w);
}

/* A pause that waits for others need not go on. */
static void gathered(struct anchor_server *s)
{
	pthread_rwlock_rdlock(&s->recorder_lock);
	if (s->recorder)
		recorder_gathered(s->recorder);
	pthread_rwlock_unlock(&s->recorder_lock);
}

int anchor_serve_events(struct anchor_server *s)
{
	struct ipc_message m;
	int r;

	do {
		r = ipc_receive(CHILD_SOCKET, &s->events_in, &m);
		if (r < 0)
			break;
		if (m.n_fds) {
			ipc_close_fds(&m);
			r = -EBADMSG;
		} else if (m.type == ANCHOR_MSG_EVENTS) {
			r = serve_events(s, m.body);
		} else if (m.type == ANCHOR_MSG_GATHERED && m.body.len == 0) {
			atomic_store(&s->more, false);
			gathered(s);
		} else {
			r = -EBADMSG;
		}
	} while (r == 0);
	return r;
}

/* ---- calls ---------------------------------------------------------------------------------- */

static void fill_rest(void *ctx, struct assay_wr *w)
{
	assay_wr_bytes(w, *(const struct assay_bytes *)ctx);
}

static int call_state(struct anchor_line *l, struct assay_err *err)
{
	const struct anchor_state *state = &l->ask.state;
	struct assay_bytes rest = state->rest;
	char what[ANCHOR_WHAT_MAX + 1] = "";
	int r;

	memcpy(what, state->what.data, state->what.len);
	r = recorder_state(l->server->recorder, what, fill_rest, &rest, state->gap,
			   &l->answer.index, err);
	l->answer.type = ANCHOR_MSG_INDEX;
	return r;
}

static int load_policy(struct anchor_line *l, struct assay_bytes text,
		       const struct loaded_policy **ret, struct assay_err *err)
{
	const struct anchor_policy *policy = &l->ask.policy;
	struct anchor_server *s = l->server;
	char name[ANCHOR_NAME_MAX] = "";
	int r;

	memcpy(name, policy->name.data, policy->name.len);
	r = policy_load_again(name, policy->builtin, text, &s->crypto, &s->core, ret, err);
	if (r == 0 && !assay_bytes_equal(assay_digest_bytes(&(*ret)->digest),
					 assay_digest_bytes(&policy->digest))) {
		policy_free(*ret);
		r = assay_err_set(err, -EBADMSG, "the policy is not the one that was announced");
	}
	return r;
}

/* Those of before stay, as the recorder borrows them. */
static int call_policy(struct anchor_line *l, int fd, struct assay_err *err)
{
	AUTO(file) struct assay_file text = { 0 };
	const struct loaded_policy *policy;
	struct anchor_server *s = l->server;
	int r = ipc_read_sealed(fd, ASSAY_POLICY_SIZE_MAX, &text);

	if (r < 0)
		return assay_err_set(err, r, "cannot read the policy: %s", strerror(-r));
	r = load_policy(l, text.bytes, &policy, err);
	if (r < 0)
		return r;
	r = recorder_set_policy(s->recorder, policy->compiled, policy->name, &policy->digest, err);
	if (r < 0) {
		policy_free(policy);
		return r;
	}
	policy_follow(policy, s->policy);
	s->policy = policy;
	return 0;
}

static int call_counts(struct anchor_line *l)
{
	recorder_counts(l->server->recorder, &l->answer.counts);
	l->answer.type = ANCHOR_MSG_COUNTED;
	return 0;
}

static int call_flush(struct anchor_line *l, struct assay_err *err)
{
	int r = recorder_await(l->server->recorder, l->ask.flush.upto, l->ask.flush.timeout_ms);

	return r < 0 ? assay_err_set(err, r, "not all is anchored yet") : 0;
}

static int call_pcrs(struct anchor_line *l, struct assay_err *err)
{
	struct anchor_values *v = &l->answer.values;

	v->mask = l->ask.pcr_mask;
	l->answer.type = ANCHOR_MSG_VALUES;
	return recorder_read_pcrs(l->server->recorder, v->mask, v->pcr, &v->banks, &v->clock, err);
}

static int call_quote(struct anchor_line *l, struct assay_err *err)
{
	struct anchor_quoted *to = &l->answer.quoted;
	struct recorder_quote q;
	int r = recorder_quote(l->server->recorder, &l->ask.quote, &q, err);

	l->answer.type = ANCHOR_MSG_QUOTED;
	if (r < 0)
		return r;
	to->reply = q.reply;
	to->values.mask = l->ask.quote.pcr_mask;
	to->values.banks = q.banks;
	to->values.clock = q.clock;
	memcpy(to->values.pcr, q.pcr, sizeof(q.pcr));
	return 0;
}

/* Its socket is the message's, which is closed after the call. */
static int call_line(struct anchor_line *l, int fd, struct assay_err *err)
{
	struct anchor_server *s = l->server;
	struct anchor_line *guest = NULL;
	int r = 0;

	if (atomic_fetch_add(&s->guests, 1) >= ANCHOR_GUESTS_MAX)
		r = assay_err_set(err, -EAGAIN, "there are too many lines");
	else if (!(guest = calloc(1, sizeof(*guest))))
		r = assay_err_set(err, -ENOMEM, "out of memory");
	if (r == 0) {
		*guest = (struct anchor_line){ .server = s, .guest = true };
		guest->socket = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		r = guest->socket < 0
			    ? assay_err_set(err, -errno, "cannot take a line: %s", strerror(errno))
			    : anchor_start_line(guest, err);
	}
	if (r == 0)
		return 0;
	atomic_fetch_sub(&s->guests, 1);
	if (guest && guest->socket >= 0)
		close(guest->socket);
	free(guest);
	return r;
}

static int serve(struct anchor_line *l, int fd, struct assay_err *err)
{
	switch (l->ask.type) {
	case ANCHOR_MSG_STATE:
		return call_state(l, err);
	case ANCHOR_MSG_POLICY:
		return call_policy(l, fd, err);
	case ANCHOR_MSG_COUNTS:
		return call_counts(l);
	case ANCHOR_MSG_FLUSH:
		return call_flush(l, err);
	case ANCHOR_MSG_PCRS:
		return call_pcrs(l, err);
	case ANCHOR_MSG_QUOTE:
		return call_quote(l, err);
	case ANCHOR_MSG_ENDING:
		recorder_ending(l->server->recorder);
		return 0;
	case ANCHOR_MSG_LINE:
		return call_line(l, fd, err);
	default: /* of the other socket */
		return assay_err_set(err, -EINVAL, "%s is no call", anchor_msg_name(l->ask.type));
	}
}

/* Whoever waits in the recorder returns, as it is told that the end comes; then it has no user. */
static void stop(struct anchor_server *s, struct assay_bytes why)
{
	char text[ANCHOR_WHAT_MAX + 1] = "";

	memcpy(text, why.data, why.len);
	pthread_rwlock_rdlock(&s->recorder_lock);
	if (s->recorder)
		recorder_ending(s->recorder);
	pthread_rwlock_unlock(&s->recorder_lock);
	pthread_rwlock_wrlock(&s->recorder_lock);
	recorder_stop(TAKE(s->recorder), text);
	pthread_rwlock_unlock(&s->recorder_lock);
}

static int answer(struct anchor_line *l, uint64_t id, int r, const struct assay_err *err)
{
	struct assay_wr w = assay_wr(l->out, sizeof(l->out));
	struct ipc_message m = { .id = id };

	if (r < 0) {
		memset(&l->answer, 0, sizeof(l->answer));
		l->answer.type = ANCHOR_MSG_FAILED;
		l->answer.text.number = (uint32_t)-r;
		memcpy(l->answer.text.text, err->text, sizeof(l->answer.text.text) - 1);
	}
	anchor_msg_encode(&l->answer, &w);
	if (!assay_wr_ok(&w))
		return -E2BIG;
	m.type = l->answer.type;
	m.body = assay_wr_done(&w);
	return ipc_send(l->socket, &m);
}

static bool guest_may(const struct anchor_msg *ask)
{
	return ask->type == ANCHOR_MSG_COUNTS || ask->type == ANCHOR_MSG_PCRS ||
	       ask->type == ANCHOR_MSG_QUOTE ||
	       (ask->type == ANCHOR_MSG_FLUSH && ask->flush.timeout_ms <= ANCHOR_GUEST_MS_MAX);
}

static int one_call(struct anchor_line *l, const struct ipc_message *m)
{
	struct anchor_server *s = l->server;
	struct assay_err err = { 0 };
	int r = anchor_msg_decode(ANCHOR_MSG_MAIN, m->type, m->body, &l->ask, &err);

	if (r < 0 || m->n_fds != anchor_msg_fds(l->ask.type) || (l->guest && !guest_may(&l->ask)))
		return -EBADMSG;
	memset(&l->answer, 0, sizeof(l->answer));
	l->answer.type = ANCHOR_MSG_DONE;
	if (l->ask.type == ANCHOR_MSG_STOP) {
		stop(s, l->ask.why);
		return answer(l, m->id, 0, &err);
	}
	pthread_rwlock_rdlock(&s->recorder_lock);
	r = s->recorder ? serve(l, m->n_fds ? m->fd[0] : -1, &err)
			: assay_err_set(&err, -ENODEV, "the list is closed");
	pthread_rwlock_unlock(&s->recorder_lock);
	return answer(l, m->id, r, &err);
}

static void end_guest(struct anchor_line *l)
{
	atomic_fetch_sub(&l->server->guests, 1);
	close(l->socket);
	free(l);
}

static void *serve_calls(void *line)
{
	struct anchor_line *l = line;
	struct ipc_message m;
	int r;

	do {
		r = ipc_receive(l->socket, &l->in, &m);
		if (r < 0)
			break;
		r = one_call(l, &m);
		ipc_close_fds(&m);
	} while (r == 0);
	if (l->guest)
		end_guest(l);
	else if (r != -EPIPE)
		_exit(END_TROUBLE);
	return NULL;
}

int anchor_start_line(struct anchor_line *line, struct assay_err *err)
{
	pthread_attr_t attr;
	pthread_t thread;
	int r;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, CALL_STACK);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	r = -pthread_create(&thread, &attr, serve_calls, line);
	pthread_attr_destroy(&attr);
	return r < 0 ? assay_err_set(err, r, "cannot start a thread: %s", strerror(-r)) : 0;
}
