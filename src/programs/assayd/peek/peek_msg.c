/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/peek/peek_msg.h"

#include <errno.h>

#include "base/macros.h"
#include "base/rd.h"
#include "engine/core/policy.h"

#define ACCESS_MASK (ASSAY_MAY_READ | ASSAY_MAY_WRITE | ASSAY_MAY_EXEC)

void peek_access_encode(uint32_t access, struct assay_wr *w)
{
	assay_wr_u32(w, access);
}

int peek_access_parse(struct assay_bytes body, uint32_t *ret)
{
	struct assay_rd in = assay_rd(body);
	uint32_t access;

	if (!assay_rd_u32(&in, &access) || !assay_rd_end(&in) || access & ~(uint32_t)ACCESS_MASK)
		return -EBADMSG;
	*ret = access;
	return 0;
}

static const enum assay_audit_field texts[] = { ASSAY_AUDIT_TTY, ASSAY_AUDIT_EXE,
						ASSAY_AUDIT_SUBJ };
static const enum assay_audit_field numbers[] = { ASSAY_AUDIT_MNTNS, ASSAY_AUDIT_PIDNS };

/* A text of no length, or the number 0, is not known. */
void peek_subject_encode(const struct assay_audit *r, struct assay_wr *w)
{
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct assay_bytes text = { 0 };

		if (assay_audit_has(r, texts[i]))
			text = r->value[texts[i]].text;
		assay_wr_u32(w, (uint32_t)text.len);
		assay_wr_bytes(w, text);
	}
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		assay_wr_u64(w, assay_audit_has(r, numbers[i]) ? r->value[numbers[i]].number : 0);
}

int peek_subject_parse(struct assay_bytes body, struct assay_audit *ret)
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
		if (!assay_rd_u64(&in, &number[i]) || number[i] > UINT32_MAX)
			return -EBADMSG;
	if (!assay_rd_end(&in))
		return -EBADMSG;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (text[i].len)
			assay_audit_set_text(ret, texts[i], text[i]);
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		if (number[i])
			assay_audit_set_number(ret, numbers[i], number[i]);
	return 0;
}
