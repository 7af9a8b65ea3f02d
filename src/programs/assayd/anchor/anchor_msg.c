/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/anchor/anchor_msg.h"

#include <errno.h>

#define ERRNO_MAX      4095u
#define PRIORITY_MAX   7u /* syslog's */
#define PCRS_ALL       ((1u << ASSAY_PCRS) - 1)
#define BANKS_ALL      ((1u << ASSAY_BANKS_MAX) - 1)
#define TIMEOUT_MS_MAX 3600000u
#define POLICY_HASH    ASSAY_HASH_SHA256

static const struct {
	uint32_t type, fds;
	enum anchor_msg_sender sender;
	const char *name;
} types[] = {
#define X(id, value, sender, fds) { value, fds, ANCHOR_MSG_##sender, #id },
	ANCHOR_MSG_LIST(X)
#undef X
};

const char *anchor_msg_name(uint32_t type)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (types[i].type == type)
			return types[i].name;
	return "?";
}

uint32_t anchor_msg_fds(enum anchor_msg_type type)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (types[i].type == type)
			return types[i].fds;
	return 0;
}

static bool may_send(enum anchor_msg_sender sender, uint32_t type)
{
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (types[i].type == type)
			return types[i].sender == sender;
	return false;
}

/* ---- pieces --------------------------------------------------------------------------------- */

static bool get_bool(struct assay_rd *in, bool *ret)
{
	uint32_t v;

	if (!assay_rd_u32(in, &v) || v > 1)
		return false;
	*ret = v;
	return true;
}

static bool get_field(struct assay_rd *in, size_t max, struct assay_bytes *ret)
{
	uint32_t len;

	return assay_rd_u32(in, &len) && len <= max && assay_rd_bytes(in, len, ret);
}

static bool is_control(uint8_t c)
{
	return c < 0x20 || c == 0x7f;
}

static void put_text(struct assay_wr *w, const char *text, size_t max)
{
	size_t len = strnlen(text, max - 1);

	assay_wr_u32(w, (uint32_t)len);
	for (size_t i = 0; i < len; i++)
		assay_wr_u8(w, is_control((uint8_t)text[i]) ? '?' : (uint8_t)text[i]);
}

static bool get_text(struct assay_rd *in, char *ret, size_t max)
{
	struct assay_bytes b;

	if (!get_field(in, max - 1, &b))
		return false;
	for (size_t i = 0; i < b.len; i++)
		if (is_control(b.data[i]))
			return false;
	memcpy(ret, b.data, b.len);
	ret[b.len] = '\0';
	return true;
}

/* ---- of main -------------------------------------------------------------------------------- */

static void put_state(struct assay_wr *w, const struct anchor_state *s)
{
	assay_wr_u32(w, s->gap);
	assay_wr_field(w, s->what);
	assay_wr_field(w, s->rest);
}

/* The record that it becomes has the grammar of all state records. */
static bool is_state(const struct anchor_state *s)
{
	uint8_t buf[ASSAY_STATE_SIZE_MAX];
	struct assay_wr w = assay_wr(buf, sizeof(buf));
	char what[ANCHOR_WHAT_MAX + 1] = "";

	memcpy(what, s->what.data, s->what.len);
	for (const char *c = what; *c; c++)
		if (*c != '-' && *c != '_' && (*c < 'a' || *c > 'z'))
			return false;
	if (strlen(what) != s->what.len || what[0] == '\0')
		return false;
	assay_state_begin(&w, what);
	assay_wr_bytes(&w, s->rest);
	return assay_wr_ok(&w) && assay_state_check(assay_wr_done(&w), NULL) == 0;
}

static bool get_state(struct assay_rd *in, struct anchor_state *s)
{
	return get_bool(in, &s->gap) && get_field(in, ANCHOR_WHAT_MAX, &s->what) &&
	       get_field(in, ASSAY_STATE_SIZE_MAX, &s->rest) && is_state(s);
}

static void put_policy(struct assay_wr *w, const struct anchor_policy *p)
{
	if (p->digest.alg != POLICY_HASH)
		w->full = true;
	assay_wr_u32(w, p->builtin);
	assay_wr_field(w, p->name);
	assay_wr_raw(w, p->digest.data, assay_hash_size(POLICY_HASH));
}

static bool get_policy(struct assay_rd *in, struct anchor_policy *p)
{
	p->digest = (struct assay_digest){ .alg = POLICY_HASH };
	return get_bool(in, &p->builtin) && get_field(in, ANCHOR_NAME_MAX - 1, &p->name) &&
	       p->name.len > 0 && !memchr(p->name.data, '\0', p->name.len) &&
	       assay_rd_copy(in, p->digest.data, assay_hash_size(POLICY_HASH));
}

static void put_quote(struct assay_wr *w, const struct assay_quote_request *q)
{
	assay_wr_u32(w, q->pcr_mask);
	assay_wr_u32(w, q->bank_mask);
	assay_wr_field(w, q->nonce);
	assay_wr_field(w, q->ak_public);
	assay_wr_field(w, q->ak_private);
}

static bool get_quote(struct assay_rd *in, struct assay_quote_request *q)
{
	return assay_rd_u32(in, &q->pcr_mask) && !(q->pcr_mask & ~PCRS_ALL) &&
	       assay_rd_u32(in, &q->bank_mask) && !(q->bank_mask & ~BANKS_ALL) &&
	       get_field(in, ANCHOR_NONCE_MAX, &q->nonce) &&
	       get_field(in, ANCHOR_KEY_MAX, &q->ak_public) &&
	       get_field(in, ANCHOR_KEY_MAX, &q->ak_private);
}

static void put_of_main(struct assay_wr *w, const struct anchor_msg *m)
{
	switch (m->type) {
	case ANCHOR_MSG_STATE:
		put_state(w, &m->state);
		break;
	case ANCHOR_MSG_POLICY:
		put_policy(w, &m->policy);
		break;
	case ANCHOR_MSG_FLUSH:
		assay_wr_u32(w, m->flush.timeout_ms);
		assay_wr_u64(w, m->flush.upto);
		break;
	case ANCHOR_MSG_PCRS:
		assay_wr_u32(w, m->pcr_mask);
		break;
	case ANCHOR_MSG_QUOTE:
		put_quote(w, &m->quote);
		break;
	case ANCHOR_MSG_STOP:
		assay_wr_field(w, m->why);
		break;
	default: /* START, GATHERED, COUNTS, ENDING, LINE: nothing more to say */
		break;
	}
}

static bool get_of_main(struct assay_rd *in, struct anchor_msg *m)
{
	switch (m->type) {
	case ANCHOR_MSG_START:
	case ANCHOR_MSG_GATHERED:
	case ANCHOR_MSG_COUNTS:
	case ANCHOR_MSG_ENDING:
	case ANCHOR_MSG_LINE:
		return true;
	case ANCHOR_MSG_STATE:
		return get_state(in, &m->state);
	case ANCHOR_MSG_POLICY:
		return get_policy(in, &m->policy);
	case ANCHOR_MSG_FLUSH:
		return assay_rd_u32(in, &m->flush.timeout_ms) &&
		       m->flush.timeout_ms <= TIMEOUT_MS_MAX && assay_rd_u64(in, &m->flush.upto);
	case ANCHOR_MSG_PCRS:
		return assay_rd_u32(in, &m->pcr_mask) && !(m->pcr_mask & ~PCRS_ALL);
	case ANCHOR_MSG_QUOTE:
		return get_quote(in, &m->quote);
	case ANCHOR_MSG_STOP:
		return get_field(in, ANCHOR_WHAT_MAX, &m->why) &&
		       !memchr(m->why.data, '\0', m->why.len);
	default:
		return false;
	}
}

/* ---- of the anchor -------------------------------------------------------------------------- */

static bool is_hex(const char *text)
{
	return strspn(text, "0123456789abcdef") == strlen(text);
}

static void put_ready(struct assay_wr *w, const struct anchor_ready *r)
{
	assay_wr_u64(w, r->upto);
	assay_wr_u32(w, r->landlock);
	put_text(w, r->ek_name, sizeof(r->ek_name));
}

static bool get_ready(struct assay_rd *in, struct anchor_ready *r)
{
	return assay_rd_u64(in, &r->upto) && get_bool(in, &r->landlock) &&
	       get_text(in, r->ek_name, sizeof(r->ek_name)) && is_hex(r->ek_name);
}

static void put_counts(struct assay_wr *w, const struct recorder_counts *c)
{
	const uint64_t numbers[] = { c->records,    c->anchored,    c->violations,    c->extends,
				     c->extend_ns,  c->batches,	    c->gaps,	      c->segment,
				     c->list_bytes, c->lost_events, c->last_extend_ns };

	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		assay_wr_u64(w, numbers[i]);
	assay_wr_u32(w, c->tpm_lost);
	assay_wr_u32(w, c->list_full);
}

static bool get_counts(struct assay_rd *in, struct recorder_counts *c)
{
	uint64_t *const numbers[] = { &c->records,     &c->anchored,	  &c->violations,
				      &c->extends,     &c->extend_ns,	  &c->batches,
				      &c->gaps,	       &c->segment,	  &c->list_bytes,
				      &c->lost_events, &c->last_extend_ns };

	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		if (!assay_rd_u64(in, numbers[i]))
			return false;
	return get_bool(in, &c->tpm_lost) && get_bool(in, &c->list_full);
}

static void put_clock(struct assay_wr *w, const struct assay_tpm_clock *c)
{
	assay_wr_u64(w, c->clock);
	assay_wr_u32(w, c->reset_count);
	assay_wr_u32(w, c->restart_count);
	assay_wr_u32(w, c->safe);
}

static bool get_clock(struct assay_rd *in, struct assay_tpm_clock *c)
{
	return assay_rd_u64(in, &c->clock) && assay_rd_u32(in, &c->reset_count) &&
	       assay_rd_u32(in, &c->restart_count) && get_bool(in, &c->safe);
}

static bool get_banks(struct assay_rd *in, struct assay_banks *b)
{
	if (!assay_rd_u32(in, &b->n) || b->n > ASSAY_BANKS_MAX)
		return false;
	for (uint32_t i = 0; i < b->n; i++) {
		uint32_t alg;

		if (!assay_rd_u32(in, &alg) || alg >= ASSAY_HASH_COUNT || !assay_hash_tpm_id(alg))
			return false;
		b->alg[i] = alg;
	}
	return true;
}

static void put_values(struct assay_wr *w, const struct anchor_values *v)
{
	assay_wr_u32(w, v->mask);
	put_clock(w, &v->clock);
	assay_wr_u32(w, v->banks.n);
	for (uint32_t i = 0; i < v->banks.n; i++)
		assay_wr_u32(w, v->banks.alg[i]);
	for (uint32_t p = 0; p < ASSAY_PCRS; p++)
		for (uint32_t i = 0; v->mask & 1u << p && i < v->banks.n; i++)
			assay_wr_raw(w, v->pcr[p].value[i], assay_hash_size(v->banks.alg[i]));
}

static bool get_values(struct assay_rd *in, struct anchor_values *v)
{
	if (!assay_rd_u32(in, &v->mask) || v->mask & ~PCRS_ALL || !get_clock(in, &v->clock) ||
	    !get_banks(in, &v->banks))
		return false;
	for (uint32_t p = 0; p < ASSAY_PCRS; p++)
		for (uint32_t i = 0; v->mask & 1u << p && i < v->banks.n; i++)
			if (!assay_rd_copy(in, v->pcr[p].value[i],
					   assay_hash_size(v->banks.alg[i])))
				return false;
	return true;
}

static void put_quoted(struct assay_wr *w, const struct anchor_quoted *m)
{
	const struct assay_quote_reply *q = &m->reply;

	assay_wr_field(w, assay_bytes(q->attest, q->attest_len));
	assay_wr_field(w, assay_bytes(q->signature, q->signature_len));
	put_values(w, &m->values);
}

static bool get_quoted(struct assay_rd *in, struct anchor_quoted *m)
{
	struct assay_quote_reply *q = &m->reply;
	struct assay_bytes attest, signature;

	if (!get_field(in, sizeof(q->attest), &attest) ||
	    !get_field(in, sizeof(q->signature), &signature))
		return false;
	q->attest_len = attest.len;
	q->signature_len = signature.len;
	memcpy(q->attest, attest.data, attest.len);
	memcpy(q->signature, signature.data, signature.len);
	return get_values(in, &m->values);
}

static void put_of_anchor(struct assay_wr *w, const struct anchor_msg *m)
{
	switch (m->type) {
	case ANCHOR_MSG_READY:
		put_ready(w, &m->ready);
		break;
	case ANCHOR_MSG_ANCHORED:
		assay_wr_u64(w, m->anchored.upto);
		assay_wr_u32(w, m->anchored.released);
		break;
	case ANCHOR_MSG_SEGMENT:
		assay_wr_u32(w, m->segment);
		break;
	case ANCHOR_MSG_LOG:
	case ANCHOR_MSG_FAILED:
		assay_wr_u32(w, m->text.number);
		put_text(w, m->text.text, sizeof(m->text.text));
		break;
	case ANCHOR_MSG_INDEX:
		assay_wr_u64(w, m->index);
		break;
	case ANCHOR_MSG_COUNTED:
		put_counts(w, &m->counts);
		break;
	case ANCHOR_MSG_VALUES:
		put_values(w, &m->values);
		break;
	case ANCHOR_MSG_QUOTED:
		put_quoted(w, &m->quoted);
		break;
	default: /* DONE */
		break;
	}
}

static bool get_of_anchor(struct assay_rd *in, struct anchor_msg *m)
{
	uint32_t number;

	switch (m->type) {
	case ANCHOR_MSG_DONE:
		return true;
	case ANCHOR_MSG_READY:
		return get_ready(in, &m->ready);
	case ANCHOR_MSG_ANCHORED:
		return assay_rd_u64(in, &m->anchored.upto) && get_bool(in, &m->anchored.released);
	case ANCHOR_MSG_SEGMENT:
		if (!assay_rd_u32(in, &number) || number >= ASSAY_SEGMENT_START_COUNT)
			return false;
		m->segment = number;
		return true;
	case ANCHOR_MSG_LOG:
		return assay_rd_u32(in, &m->text.number) && m->text.number <= PRIORITY_MAX &&
		       get_text(in, m->text.text, sizeof(m->text.text));
	case ANCHOR_MSG_FAILED:
		return assay_rd_u32(in, &m->text.number) && m->text.number - 1 < ERRNO_MAX &&
		       get_text(in, m->text.text, sizeof(m->text.text));
	case ANCHOR_MSG_INDEX:
		return assay_rd_u64(in, &m->index);
	case ANCHOR_MSG_COUNTED:
		return get_counts(in, &m->counts);
	case ANCHOR_MSG_VALUES:
		return get_values(in, &m->values);
	case ANCHOR_MSG_QUOTED:
		return get_quoted(in, &m->quoted);
	default:
		return false;
	}
}

/* ---- whole ---------------------------------------------------------------------------------- */

void anchor_msg_encode(const struct anchor_msg *m, struct assay_wr *w)
{
	if (may_send(ANCHOR_MSG_MAIN, m->type))
		put_of_main(w, m);
	else
		put_of_anchor(w, m);
}

int anchor_msg_decode(enum anchor_msg_sender sender, uint32_t type, struct assay_bytes body,
		      struct anchor_msg *ret, struct assay_err *err)
{
	struct assay_rd in = assay_rd(body);
	bool good;

	if (!may_send(sender, type))
		return assay_err_set(err, -EBADMSG, "message %u is not one that comes here", type);
	if (body.len > IPC_BODY_MAX)
		return assay_err_set(err, -E2BIG, "message %s is too long", anchor_msg_name(type));
	memset(ret, 0, sizeof(*ret));
	ret->type = type;
	good = sender == ANCHOR_MSG_MAIN ? get_of_main(&in, ret) : get_of_anchor(&in, ret);
	if (good && assay_rd_end(&in))
		return 0;
	return assay_err_set(err, -EBADMSG, "message %s of %zu bytes is malformed",
			     anchor_msg_name(type), body.len);
}
