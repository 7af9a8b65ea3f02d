/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/peek/peek_msg.h"

#include <errno.h>

#include "base/macros.h"
#include "base/rd.h"

enum {
	FLAG_SEEN = 1u << 0,
	FLAG_CAP_SETUID = 1u << 1,
	FLAG_CAP_SETGID = 1u << 2,
	FLAGS_ALL = 7,
};
#define ACCESS_MASK (ASSAY_MAY_READ | ASSAY_MAY_WRITE | ASSAY_MAY_EXEC)

void peek_opener_encode(const struct peek_opener *o, struct assay_wr *w)
{
	const struct assay_subject *s = &o->subject;
	const uint32_t ids[] = { s->uid, s->euid, s->suid, s->gid, s->egid, s->sgid };

	assay_wr_u32(w, o->access);
	assay_wr_u32(w, (o->seen ? FLAG_SEEN : 0) | (s->cap_setuid ? FLAG_CAP_SETUID : 0) |
				(s->cap_setgid ? FLAG_CAP_SETGID : 0));
	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		assay_wr_u32(w, ids[i]);
}

int peek_opener_parse(struct assay_bytes body, struct peek_opener *ret)
{
	struct assay_rd in = assay_rd(body);
	struct peek_opener o = { 0 };
	struct assay_subject *s = &o.subject;
	uint32_t *const ids[] = { &s->uid, &s->euid, &s->suid, &s->gid, &s->egid, &s->sgid };
	uint32_t flags;

	if (!assay_rd_u32(&in, &o.access) || !assay_rd_u32(&in, &flags))
		return -EBADMSG;
	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		if (!assay_rd_u32(&in, ids[i]))
			return -EBADMSG;
	if (!assay_rd_end(&in) || o.access & ~(uint32_t)ACCESS_MASK || flags & ~(uint32_t)FLAGS_ALL)
		return -EBADMSG;
	o.seen = flags & FLAG_SEEN;
	s->cap_setuid = flags & FLAG_CAP_SETUID;
	s->cap_setgid = flags & FLAG_CAP_SETGID;
	*ret = o;
	return 0;
}

static const enum assay_audit_field texts[] = { ASSAY_AUDIT_TTY, ASSAY_AUDIT_EXE,
						ASSAY_AUDIT_SUBJ };
static const enum assay_audit_field numbers[] = {
	ASSAY_AUDIT_PID,  ASSAY_AUDIT_PPID,  ASSAY_AUDIT_UID,	ASSAY_AUDIT_EUID,
	ASSAY_AUDIT_SUID, ASSAY_AUDIT_FSUID, ASSAY_AUDIT_GID,	ASSAY_AUDIT_EGID,
	ASSAY_AUDIT_SGID, ASSAY_AUDIT_FSGID, ASSAY_AUDIT_MNTNS, ASSAY_AUDIT_PIDNS,
};

/* A text of no length is not known; a number is one more than it is, and 0 if it is not known. */
void peek_audit_encode(const struct assay_audit *r, struct assay_wr *w)
{
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct assay_bytes text = { 0 };

		if (assay_audit_has(r, texts[i]))
			text = r->value[texts[i]].text;
		assay_wr_u32(w, (uint32_t)text.len);
		assay_wr_bytes(w, text);
	}
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		assay_wr_u64(w,
			     assay_audit_has(r, numbers[i]) ? r->value[numbers[i]].number + 1 : 0);
}

int peek_audit_parse(struct assay_bytes body, struct assay_audit *ret)
{
	struct assay_rd in = assay_rd(body);
	struct assay_bytes text[ARRAY_LEN(texts)];
	uint64_t number[ARRAY_LEN(numbers)];
	uint32_t len;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (!assay_rd_u32(&in, &len) || len > assay_audit_field_max(texts[i]) ||
		    !assay_rd_bytes(&in, len, &text[i]))
			return -EBADMSG;
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		if (!assay_rd_u64(&in, &number[i]) || number[i] > UINT32_MAX + 1ull)
			return -EBADMSG;
	if (!assay_rd_end(&in))
		return -EBADMSG;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (text[i].len)
			assay_audit_set_text(ret, texts[i], text[i]);
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		if (number[i])
			assay_audit_set_number(ret, numbers[i], number[i] - 1);
	return 0;
}
