/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/recording.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "programs/assayd/anchor/anchor_msg.h"
#include "programs/assayd/process/log.h"

#define IDS_MIN	     64u /* slots; a power of two */
#define MESSAGES_MAX 64u /* taken in one turn: the loop has others to serve */

/* A message of events that is full, or that the socket had no room for. */
struct packet {
	struct packet *next;
	uint32_t n; /* events */
	size_t len;
	uint8_t body[];
};

/* The ids that are outstanding; open addressing, no more than half full. */
struct ids {
	uint64_t *slot; /* id + 1, as 0 is a free one; the id UINT64_MAX is not taken */
	uint32_t n, cap;
};

struct recording {
	int socket;
	struct recording_ops ops;
	void *ctx;
	struct ids ids;
	uint64_t let_go;   /* records below need not be waited for */
	uint64_t anchored; /* never goes back */
	bool more;	   /* files are on their way */
	bool told_more;	   /* the anchor was last told so */
	struct packet *first, **last;
	struct assay_wr w; /* events that are not in a packet yet, behind room for their head */
	uint32_t n;
	uint8_t events[IPC_BODY_MAX];
	struct ipc_buffer in;
};

/* ---- ids ------------------------------------------------------------------------------------ */

static uint32_t slot_of(const struct ids *ids, uint64_t key)
{
	return (uint32_t)(key * 0x9e3779b97f4a7c15u >> 32) & (ids->cap - 1);
}

/* The slot that holds @key, or the free one where it would stand. */
static uint32_t find_slot(const struct ids *ids, uint64_t key)
{
	uint32_t at = slot_of(ids, key);

	while (ids->slot[at] && ids->slot[at] != key)
		at = (at + 1) & (ids->cap - 1);
	return at;
}

static int resize_ids(struct ids *ids, uint32_t cap)
{
	struct ids bigger = { .slot = calloc(cap, sizeof(uint64_t)), .n = ids->n, .cap = cap };

	if (!bigger.slot)
		return -ENOMEM;
	for (uint32_t i = 0; i < ids->cap; i++)
		if (ids->slot[i])
			bigger.slot[find_slot(&bigger, ids->slot[i])] = ids->slot[i];
	free(ids->slot);
	*ids = bigger;
	return 0;
}

static int add_id(struct ids *ids, uint64_t id)
{
	uint32_t at;

	if (ids->n >= ids->cap / 2 && resize_ids(ids, ids->cap * 2) < 0)
		return -ENOMEM;
	at = find_slot(ids, id + 1);
	if (id == UINT64_MAX || ids->slot[at])
		return -EINVAL;
	ids->slot[at] = id + 1;
	ids->n++;
	return 0;
}

/* False: it is not outstanding. Those behind it move up, as a search ends at a free slot. */
static bool remove_id(struct ids *ids, uint64_t id)
{
	uint32_t hole, at;

	if (id == UINT64_MAX || !ids->slot[hole = find_slot(ids, id + 1)])
		return false;
	for (at = (hole + 1) & (ids->cap - 1); ids->slot[at]; at = (at + 1) & (ids->cap - 1)) {
		uint32_t home = slot_of(ids, ids->slot[at]);

		if (((at - home) & (ids->cap - 1)) < ((at - hole) & (ids->cap - 1)))
			continue;
		ids->slot[hole] = ids->slot[at];
		hole = at;
	}
	ids->slot[hole] = 0;
	ids->n--;
	return true;
}

/* ---- out ------------------------------------------------------------------------------------ */

static void begin_events(struct recording *r)
{
	r->w = assay_wr(r->events, sizeof(r->events));
	assay_wr_zero(&r->w, ANCHOR_MANY_HEAD);
	r->n = 0;
}

int recording_new(int socket, const struct recording_ops *ops, void *ctx, struct recording **ret)
{
	struct recording *r = calloc(1, sizeof(*r));

	if (!r || resize_ids(&r->ids, IDS_MIN) < 0) {
		free(r);
		return -ENOMEM;
	}
	r->socket = socket;
	r->ops = *ops;
	r->ctx = ctx;
	r->last = &r->first;
	begin_events(r);
	*ret = r;
	return 0;
}

static void drop_first(struct recording *r)
{
	struct packet *p = r->first;

	r->first = p->next;
	if (!r->first)
		r->last = &r->first;
	free(p);
}

void recording_free(struct recording *r)
{
	if (!r)
		return;
	while (r->first)
		drop_first(r);
	free(r->ids.slot);
	free(r);
}

/* The events so far are a message of their own. */
static int close_packet(struct recording *r)
{
	struct packet *p = r->n ? malloc(sizeof(*p) + r->w.len) : NULL;

	if (!p)
		return r->n ? -ENOMEM : 0;
	*p = (struct packet){ .n = r->n, .len = r->w.len };
	memcpy(p->body, r->w.data, r->w.len);
	*r->last = p;
	r->last = &p->next;
	begin_events(r);
	return 0;
}

int recording_submit(struct recording *r, uint64_t id, const struct assay_facts *facts)
{
	const struct anchor_event event = { id, *facts };
	struct assay_wr before = r->w;
	int rc;

	anchor_event_encode(&event, &r->w);
	if (!assay_wr_ok(&r->w)) {
		r->w = before;
		rc = close_packet(r);
		if (rc < 0)
			return rc;
		before = r->w;
		anchor_event_encode(&event, &r->w);
	}
	rc = assay_wr_ok(&r->w) ? add_id(&r->ids, id) : -E2BIG;
	if (rc < 0) {
		r->w = before;
		return rc;
	}
	r->n++;
	r->more = true;
	return 0;
}

void recording_gathered(struct recording *r)
{
	r->more = false;
}

/* 0: it is sent, or the socket is full (*ret_full). */
static int send_message(struct recording *r, enum anchor_msg_type type, struct assay_bytes body,
			bool *ret_full)
{
	int rc = ipc_send(r->socket, &(struct ipc_message){ .type = type, .body = body });

	*ret_full = rc == -EAGAIN || rc == -ENOBUFS;
	return *ret_full ? 0 : rc;
}

/* Whether more is to come is said as late as can be, with the last message that is there. */
static int send_events(struct recording *r, uint8_t *body, size_t len, uint32_t n, bool last,
		       bool *ret_full)
{
	bool more = !last || r->more;
	int rc;

	anchor_many_head(more, n, body);
	rc = send_message(r, ANCHOR_MSG_EVENTS, assay_bytes(body, len), ret_full);
	if (rc == 0 && !*ret_full)
		r->told_more = more;
	return rc;
}

static int send_all(struct recording *r)
{
	bool full = false;
	int rc = 0;

	while (rc == 0 && r->first) {
		struct packet *p = r->first;

		rc = send_events(r, p->body, p->len, p->n, !p->next && r->n == 0, &full);
		if (rc < 0 || full)
			return rc;
		drop_first(r);
	}
	if (rc == 0 && r->n) {
		rc = send_events(r, r->events, r->w.len, r->n, true, &full);
		if (rc < 0 || full)
			return rc;
		begin_events(r);
	}
	if (rc == 0 && r->told_more && !r->more) {
		rc = send_message(r, ANCHOR_MSG_GATHERED, assay_bytes(NULL, 0), &full);
		r->told_more = full;
	}
	return rc;
}

bool recording_wants_to_write(const struct recording *r)
{
	return r->first || r->n || (r->told_more && !r->more);
}

/* ---- in ------------------------------------------------------------------------------------- */

static int take_result(struct recording *r, const struct anchor_result *result)
{
	struct recording_result out = {
		.error = result->error,
		.need = result->need,
		.wait_for = result->wait_for,
	};

	if (!remove_id(&r->ids, result->id))
		return -EBADMSG;
	if (out.wait_for < r->let_go)
		out.wait_for = ASSAY_NO_RECORD;
	r->ops.done(r->ctx, result->id, &out);
	return 0;
}

static int take_results(struct recording *r, struct assay_bytes body)
{
	struct assay_rd in = assay_rd(body);
	struct anchor_result result;
	bool unused;
	uint32_t n;
	int rc = anchor_many_begin(&in, &unused, &n);

	if (rc == 0 && (unused || assay_rd_left(&in) != (size_t)n * ANCHOR_RESULT_LEN))
		rc = -EBADMSG;
	while (rc == 0 && n-- > 0) {
		rc = anchor_result_decode(&in, &result);
		if (rc == 0)
			rc = take_result(r, &result);
	}
	return rc;
}

static int take_anchored(struct recording *r, const struct anchor_anchored *a)
{
	if (!a->released && a->upto < r->anchored)
		return -EBADMSG;
	if (!a->released)
		r->anchored = a->upto;
	if (a->upto > r->let_go)
		r->let_go = a->upto;
	r->ops.anchored(r->ctx, a->upto, a->released);
	return 0;
}

static int take_message(struct recording *r, const struct ipc_message *m)
{
	struct anchor_msg msg;
	int rc;

	if (m->n_fds)
		return -EBADMSG;
	if (m->type == ANCHOR_MSG_RESULTS)
		return take_results(r, m->body);
	rc = anchor_msg_decode(ANCHOR_MSG_ANCHOR, m->type, m->body, &msg, NULL);
	if (rc < 0)
		return -EBADMSG;
	switch (msg.type) {
	case ANCHOR_MSG_ANCHORED:
		return take_anchored(r, &msg.anchored);
	case ANCHOR_MSG_SEGMENT:
		r->ops.segment(r->ctx, msg.segment);
		return 0;
	case ANCHOR_MSG_LOG:
		log_line((int)msg.text.number, "%s", msg.text.text);
		return 0;
	default: /* answers, which do not come here */
		return -EBADMSG;
	}
}

int recording_receive(struct recording *r)
{
	struct ipc_message m = { 0 };
	int rc = send_all(r);

	for (uint32_t i = 0; rc == 0 && i < MESSAGES_MAX; i++) {
		rc = ipc_receive(r->socket, &r->in, &m);
		if (rc == 0)
			rc = take_message(r, &m);
		ipc_close_fds(&m);
	}
	return rc == -EAGAIN ? 0 : rc;
}

uint32_t recording_outstanding(const struct recording *r)
{
	return r->ids.n;
}
