/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/control/control_tpm.h"

#include <errno.h>
#include <string.h>

#define FLUSH_MS       30000 /* until what was measured is in the TPM */
#define FLUSH_SLICE_MS 200u

/* ---- to the anchor -------------------------------------------------------------------------- */

static int send_ask(struct control_tpm *t, enum tpm_step step, const struct anchor_msg *ask)
{
	struct assay_wr w = assay_wr(t->out, sizeof(t->out));
	struct ipc_message m = { .type = ask->type, .id = ++t->asked };

	anchor_msg_encode(ask, &w);
	if (!assay_wr_ok(&w))
		return -E2BIG;
	m.body = assay_wr_done(&w);
	t->step = step;
	return ipc_send(t->line, &m);
}

/* What is written by now is to be in the TPM. */
static int ask_counts(struct control_tpm *t)
{
	return send_ask(t, TPM_COUNTS, &(struct anchor_msg){ .type = ANCHOR_MSG_COUNTS });
}

/* In slices: the anchor answers before a client goes. */
static int ask_flush(struct control_tpm *t)
{
	return send_ask(t, TPM_FLUSH,
			&(struct anchor_msg){
				.type = ANCHOR_MSG_FLUSH,
				.flush = { .timeout_ms = FLUSH_SLICE_MS, .upto = t->flush_upto } });
}

/* No more than are asked for: a TPM gives a few at a time, and they may not move meanwhile. */
static int ask_pcrs(struct control_tpm *t)
{
	return send_ask(t, TPM_VALUES,
			&(struct anchor_msg){ .type = ANCHOR_MSG_PCRS,
					      .pcr_mask =
						      control_pcr_mask(&t->request.selection) });
}

static int ask_quote(struct control_tpm *t, struct assay_err *err)
{
	struct anchor_msg ask = { .type = ANCHOR_MSG_QUOTE };
	int r = control_quote_request(&t->request, &t->answer.values.banks, &ask.quote, err);

	return r < 0 ? r : send_ask(t, TPM_QUOTE, &ask);
}

/* ---- to the client -------------------------------------------------------------------------- */

static struct client *end_question(struct control_tpm *t)
{
	t->step = TPM_IDLE;
	return clients_find(t->clients, t->client, CLIENT_OF_TPM);
}

static void refuse(struct control_tpm *t, const struct assay_err *err, uint64_t now_ms)
{
	struct client *c = end_question(t);

	if (c)
		client_fail(c, err->code, err->text, now_ms);
}

static void give(struct control_tpm *t, json_t *reply, uint64_t now_ms)
{
	struct client *c = end_question(t);

	if (c)
		client_reply_json(c, reply, now_ms);
	else
		json_decref(reply);
}

/* ---- steps ---------------------------------------------------------------------------------- */

static int pick(const struct control_tpm *t, const struct anchor_values *v,
		struct assay_quote_pcrs *ret, struct assay_err *err)
{
	if (v->mask != control_pcr_mask(&t->request.selection))
		return -EBADMSG;
	return control_pick(&t->request.selection, &v->banks, v->pcr, ret, err);
}

/* What is asked for, or which banks there are to be quoted. */
static int on_values(struct control_tpm *t, uint64_t now_ms, struct assay_err *err)
{
	const struct anchor_values *v = &t->answer.values;
	struct assay_quote_pcrs pcrs = { 0 };
	int r = pick(t, v, &pcrs, err);

	if (r == 0 && t->request.op == CONTROL_PCRS)
		give(t, control_pcrs_pack(&pcrs, &v->clock), now_ms);
	else if (r == 0)
		r = ask_quote(t, err);
	return r;
}

static int on_quoted(struct control_tpm *t, uint64_t now_ms, struct assay_err *err)
{
	const struct anchor_quoted *q = &t->answer.quoted;
	struct assay_quote_pcrs pcrs = { 0 };
	int r = pick(t, &q->values, &pcrs, err);

	if (r == 0)
		give(t, control_quote_pack(&q->reply, &pcrs), now_ms);
	return r;
}

static int on_flushed(struct control_tpm *t, uint64_t now_ms, struct assay_err *err)
{
	const struct anchor_msg *m = &t->answer;

	if (m->type == ANCHOR_MSG_DONE)
		return ask_pcrs(t);
	if (m->text.number == ETIMEDOUT && now_ms < t->flush_end_ms)
		return ask_flush(t);
	return assay_err_set(err, -(int)m->text.number, "what was measured is not in the TPM yet");
}

static enum anchor_msg_type expected(enum tpm_step step)
{
	static const enum anchor_msg_type answers[] = {
		[TPM_COUNTS] = ANCHOR_MSG_COUNTED,
		[TPM_FLUSH] = ANCHOR_MSG_DONE,
		[TPM_VALUES] = ANCHOR_MSG_VALUES,
		[TPM_QUOTE] = ANCHOR_MSG_QUOTED,
	};

	return answers[step];
}

/* With @err set: the client hears it, and the line is good. */
static int go_on(struct control_tpm *t, uint64_t now_ms, struct assay_err *err)
{
	const struct anchor_msg *m = &t->answer;

	if (t->step == TPM_FLUSH)
		return on_flushed(t, now_ms, err);
	if (m->type == ANCHOR_MSG_FAILED)
		return assay_err_set(err, -(int)m->text.number, "%s", m->text.text);
	if (t->step == TPM_COUNTS) {
		t->flush_upto = m->counts.records;
		return ask_flush(t);
	}
	return t->step == TPM_QUOTE ? on_quoted(t, now_ms, err) : on_values(t, now_ms, err);
}

static int finish_step(struct control_tpm *t, int r, const struct assay_err *err, uint64_t now_ms)
{
	if (r < 0 && err->code) {
		refuse(t, err, now_ms);
		return control_tpm_begin(t, now_ms);
	}
	return r == 0 && t->step == TPM_IDLE ? control_tpm_begin(t, now_ms) : r;
}

int control_tpm_receive(struct control_tpm *t, uint64_t now_ms)
{
	struct assay_err err = { 0 };
	struct ipc_message m;
	int r = ipc_receive(t->line, &t->in, &m);

	if (r < 0)
		return r;
	ipc_close_fds(&m);
	if (t->step == TPM_IDLE || m.id != t->asked ||
	    anchor_msg_decode(ANCHOR_MSG_ANCHOR, m.type, m.body, &t->answer, NULL) < 0 ||
	    (t->answer.type != ANCHOR_MSG_FAILED && t->answer.type != expected(t->step)))
		return -EBADMSG;
	return finish_step(t, go_on(t, now_ms, &err), &err, now_ms);
}

int control_tpm_begin(struct control_tpm *t, uint64_t now_ms)
{
	struct client *c = t->step == TPM_IDLE ? clients_next_of_tpm(t->clients) : NULL;

	if (!c)
		return 0;
	t->client = c->id;
	t->request = *c->request;
	t->flush_end_ms = now_ms + FLUSH_MS;
	return t->request.op == CONTROL_QUOTE ? ask_counts(t) : ask_pcrs(t);
}
