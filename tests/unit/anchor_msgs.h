/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One good message of each type between main and the anchor process, for tests that bend it. */
#pragma once

#include "programs/assayd/anchor/anchor_msg.h"

#define GOOD_MSGS_MAX 24u

static inline enum anchor_msg_sender sender_of(enum anchor_msg_type type)
{
	return type < ANCHOR_MSG_READY ? ANCHOR_MSG_MAIN : ANCHOR_MSG_ANCHOR;
}

static inline struct anchor_msg good_values(void)
{
	struct anchor_msg m = { .type = ANCHOR_MSG_VALUES };

	m.values.mask = 1u << 10 | 1u << 23;
	m.values.clock = (struct assay_tpm_clock){ 77, 5, 6, true };
	m.values.banks.n = 2;
	m.values.banks.alg[0] = ASSAY_HASH_SHA1;
	m.values.banks.alg[1] = ASSAY_HASH_SHA256;
	memset(m.values.pcr[10].value[0], 0xaa, 20);
	memset(m.values.pcr[23].value[1], 0xbb, 32);
	return m;
}

static inline struct anchor_msg good_policy(void)
{
	struct anchor_msg m = { .type = ANCHOR_MSG_POLICY };

	m.policy.builtin = true;
	m.policy.name = assay_bytes_str("tcb");
	m.policy.digest.alg = ASSAY_HASH_SHA256;
	memset(m.policy.digest.data, 0xcc, 32);
	return m;
}

static inline struct anchor_msg good_state(void)
{
	struct anchor_msg m = { .type = ANCHOR_MSG_STATE };

	m.state.gap = true;
	m.state.what = assay_bytes_str("deadline");
	m.state.rest = assay_bytes_str("path=/bin/true;waited_ms=30000;");
	return m;
}

static inline struct anchor_msg good_quote(void)
{
	struct anchor_msg m = { .type = ANCHOR_MSG_QUOTE };

	m.quote.nonce = assay_bytes_str("12345678");
	m.quote.pcr_mask = 1u << 10;
	m.quote.bank_mask = 3;
	m.quote.ak_public = assay_bytes_str("public");
	m.quote.ak_private = assay_bytes_str("private");
	return m;
}

static inline struct anchor_msg good_text(enum anchor_msg_type type, uint32_t number)
{
	struct anchor_msg m = { .type = type, .text = { .number = number } };

	strcpy(m.text.text, "the list takes records again");
	return m;
}

static inline struct anchor_msg good_ready(void)
{
	struct anchor_msg m = { .type = ANCHOR_MSG_READY };

	m.ready.upto = 12;
	m.ready.landlock = true;
	strcpy(m.ready.ek_name, "000b0123456789abcdef");
	return m;
}

static inline struct anchor_msg good_counted(void)
{
	struct anchor_msg m = { .type = ANCHOR_MSG_COUNTED };

	m.counts = (struct recorder_counts){
		.records = 1,
		.anchored = 2,
		.violations = 3,
		.extends = 4,
		.extend_ns = 5,
		.batches = 6,
		.gaps = 7,
		.segment = 8,
		.list_bytes = 9,
		.lost_events = 10,
		.last_extend_ns = 11,
		.tpm_lost = true,
	};
	return m;
}

static inline struct anchor_msg good_quoted(void)
{
	struct anchor_msg m = { .type = ANCHOR_MSG_QUOTED };

	m.quoted.reply.attest_len = 100;
	memset(m.quoted.reply.attest, 1, 100);
	m.quoted.reply.signature_len = 70;
	memset(m.quoted.reply.signature, 2, 70);
	m.quoted.values = good_values().values;
	return m;
}

/* Returns how many. */
static inline size_t good_msgs(struct anchor_msg ret[static GOOD_MSGS_MAX])
{
	size_t n = 0;

	ret[n++] = (struct anchor_msg){ .type = ANCHOR_MSG_START };
	ret[n++] = (struct anchor_msg){ .type = ANCHOR_MSG_GATHERED };
	ret[n++] = good_state();
	ret[n++] = good_policy();
	ret[n++] = (struct anchor_msg){ .type = ANCHOR_MSG_COUNTS };
	ret[n++] = (struct anchor_msg){ .type = ANCHOR_MSG_FLUSH, .flush = { 200, 1234 } };
	ret[n++] = (struct anchor_msg){ .type = ANCHOR_MSG_PCRS, .pcr_mask = 0xffffff };
	ret[n++] = good_quote();
	ret[n++] = (struct anchor_msg){ .type = ANCHOR_MSG_ENDING };
	ret[n++] = (struct anchor_msg){ .type = ANCHOR_MSG_STOP, .why = assay_bytes_str("asked") };
	ret[n++] = (struct anchor_msg){ .type = ANCHOR_MSG_LINE };
	ret[n++] = good_ready();
	ret[n++] = (struct anchor_msg){ .type = ANCHOR_MSG_ANCHORED, .anchored = { 99, false } };
	ret[n++] =
		(struct anchor_msg){ .type = ANCHOR_MSG_SEGMENT, .segment = ASSAY_SEGMENT_BROKEN };
	ret[n++] = good_text(ANCHOR_MSG_LOG, 3);
	ret[n++] = (struct anchor_msg){ .type = ANCHOR_MSG_DONE };
	ret[n++] = good_text(ANCHOR_MSG_FAILED, 28);
	ret[n++] = (struct anchor_msg){ .type = ANCHOR_MSG_INDEX, .index = 1234 };
	ret[n++] = good_counted();
	ret[n++] = good_values();
	ret[n++] = good_quoted();
	return n;
}

/* Facts with something in every field. */
static inline struct anchor_event good_event(uint64_t id)
{
	struct anchor_event e = { .id = id };
	struct assay_facts *f = &e.facts;

	f->have = 0x7ff;
	f->mode = 0100755;
	f->match = (struct assay_match_facts){
		.hook = ASSAY_HOOK_BPRM_CHECK,
		.mask = ASSAY_MAY_EXEC,
		.subject = { 1, 2, 3, 4, 5, 6, true, false },
		.fs = { .magic = 0xef53, .uuid = { 1, 2, 3 } },
		.fowner = 7,
		.fgroup = 8,
	};
	f->match.fs.name = assay_bytes_str("ext4");
	f->match.label = assay_bytes_str("l");
	f->path = assay_bytes_str("/usr/bin/true");
	f->digest.alg = ASSAY_HASH_SHA256;
	memset(f->digest.data, 0xdd, 32);
	f->verity.alg = ASSAY_HASH_COUNT;
	f->modsig_digest.alg = ASSAY_HASH_COUNT;
	f->sig = assay_bytes_str("sig");
	f->evmsig = assay_bytes_str("evm");
	f->modsig = assay_bytes_str("mod");
	f->xattr_names = assay_bytes_str("n");
	f->xattr_lengths = assay_bytes_str("len");
	f->xattr_values = assay_bytes_str("v");
	f->buffer_name = assay_bytes_str("key");
	f->buffer = assay_bytes_str("buffer");
	f->open_writers = true;
	return e;
}
