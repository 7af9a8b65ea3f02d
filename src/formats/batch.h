/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The two buffers that assay puts into "ima-buf" records of its own: the batch record, which stands
 * for the records before it (docs/formats/batch.md), and the state record, which says what the
 * measurer did (docs/formats/state.md).
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"
#include "base/wr.h"
#include "formats/hash.h"

#define ASSAY_BATCH_NAME "assay-batch" /* event name of the record */
#define ASSAY_STATE_NAME "assay-state"

/* ---- assay-batch: little-endian
 *  0  4  magic "ABAT"
 *  4  2  version, 1
 *  6  2  number of banks
 *  8  8  sequence: 1 for the segment's first batch record, one more each time
 * 16  8  first: index in the segment of the first record that is covered
 * 24  8  count: records that are covered, all of the batch record's own PCR
 * 32  .  per bank: u16 TPM_ALG_ID, u16 digest size, digest
 *
 * The digest is over the covered records in list order, each as
 *   u32 pcr, u32 length and bytes of the template name, u8 violation (0 or 1),
 *   u32 length and bytes of the template data.
 */
#define ASSAY_BATCH_BANKS_MAX 8
#define ASSAY_BATCH_SIZE_MAX  (32 + ASSAY_BATCH_BANKS_MAX * (4 + ASSAY_HASH_SIZE_MAX))

struct assay_batch {
	uint64_t sequence, first, count;
	uint32_t n_banks;
	struct assay_digest digest[ASSAY_BATCH_BANKS_MAX];
};

/* At most ASSAY_BATCH_SIZE_MAX bytes. */
void assay_batch_encode(const struct assay_batch *batch, struct assay_wr *w);

/* Whether @buf claims to be one (its magic): a keyring may bear any name. */
bool assay_batch_is(struct assay_bytes buf);

/* Errors: -EBADMSG malformed or a bank twice, -EOPNOTSUPP unknown version or algorithm. */
int assay_batch_parse(struct assay_bytes buf, struct assay_batch *ret, struct assay_err *err);

/* What one covered record adds to the batch digest, in two parts: this head, then its data. */
#define ASSAY_BATCH_HEAD_MAX (4 + 4 + 255 + 1 + 4)
void assay_batch_head(uint32_t pcr, struct assay_bytes template_name, bool violation,
		      size_t data_len, struct assay_wr *w);

/* ---- assay-state: text "v=1;event=NAME;key=value;...;" in which "\", ";" and "=" of values and
 * bytes outside 0x20..0x7e are written as \xHH. */
#define ASSAY_STATE_SIZE_MAX 8192
#define ASSAY_STATE_KEYS_MAX 64u /* each is compared with those before it */

/* The version and the event, then any keys, each once. Values are escaped; the words are not, and
 * must have the form of words. A text that is too long does not fit. */
void assay_state_begin(struct assay_wr *w, const char *event);
void assay_state_add(struct assay_wr *w, const char *key, struct assay_bytes value);
void assay_state_add_u64(struct assay_wr *w, const char *key, uint64_t value);
void assay_state_add_hex(struct assay_wr *w, const char *key, struct assay_bytes value);

/* Whether @buf claims to be one: it begins with a version and an event. */
bool assay_state_is(struct assay_bytes buf);
/* The raw (still escaped) value of @key; len 0 and data NULL if absent. "event" is a key too. */
struct assay_bytes assay_state_get(struct assay_bytes buf, const char *key);
/* Takes a pair from the front of *@rest, the value as it stands; false: there is none. */
bool assay_state_next(struct assay_bytes *rest, struct assay_bytes *ret_key,
		      struct assay_bytes *ret_value);
/* The whole text has the grammar above, each key once. Errors: -EBADMSG, -E2BIG, -EOPNOTSUPP
 * version. */
int assay_state_check(struct assay_bytes buf, struct assay_err *err);
