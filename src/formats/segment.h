/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The head of a segment file: which boot of which TPM it belongs to, and what every PCR held before
 * its first record. After it, at ASSAY_SEGMENT_RECORDS, stand the records, byte for byte the
 * kernel's binary list with the sha1 column, little-endian (docs/formats/segment.md).
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"
#include "base/wr.h"
#include "formats/pcr.h"

#define ASSAY_SEGMENT_HEAD_SIZE 20480u /* bytes kept for the head */
#define ASSAY_SEGMENT_CHECKSUM	20448u /* its last 32 bytes: SHA-256 of those before */
#define ASSAY_SEGMENT_COMMIT	20480u /* the commit page, struct assay_segment_commit */
#define ASSAY_SEGMENT_RECORDS	24576u /* first record */

enum assay_segment_start {
	ASSAY_SEGMENT_FIRST,  /* there was no list */
	ASSAY_SEGMENT_RESET,  /* the PCRs are at their initial value: TPM Reset or Restart */
	ASSAY_SEGMENT_BROKEN, /* list and PCRs did not agree; base is what was observed */
	ASSAY_SEGMENT_START_COUNT
};

struct assay_segment_head {
	uint64_t number;     /* 1 for the first segment of a list */
	uint64_t created_ns; /* CLOCK_REALTIME */
	uint8_t boot_id[16]; /* /proc/sys/kernel/random/boot_id */
	enum assay_segment_start start;
	uint8_t previous[32]; /* SHA-256 of the records of the segment before, zero for the first */
	uint64_t previous_len; /* bytes of those records */
	struct assay_tpm_clock clock;
	struct assay_banks banks;
	struct assay_pcr_value base[ASSAY_PCRS];
};

/*
 * What of the records counts. @written survives the process: it is stored after the bytes. What is
 * below @synced survives the kernel. @boot_id is the boot that wrote last: while it goes on, no
 * page can have been lost.
 */
struct assay_segment_commit {
	uint64_t written, synced; /* bytes of records */
	uint8_t boot_id[16];
};

/* Whether a file begins like a segment. */
bool assay_segment_is(struct assay_bytes file);

/* Who computes SHA-256: formats has no crypto of its own. Returns 0 or an error. */
struct assay_segment_hasher {
	int (*sha256)(void *ctx, struct assay_bytes in, uint8_t ret[static 32]);
	void *ctx;
};

/* Writes ASSAY_SEGMENT_HEAD_SIZE bytes, at whose end stands the SHA-256 of those before. Errors:
 * -EINVAL what a head cannot say, -ENOSPC no room in @w, those of @hasher. */
int assay_segment_encode(const struct assay_segment_head *head,
			 const struct assay_segment_hasher *hasher, struct assay_wr *w);

/*
 * Parses a segment file: head and records up to what was written. The head's checksum is checked if
 * @hasher is not NULL. The records are not looked at. Errors: -EBADMSG, -EOPNOTSUPP unknown
 * version.
 */
int assay_segment_parse(struct assay_bytes file, const struct assay_segment_hasher *hasher,
			struct assay_segment_head *ret, struct assay_bytes *ret_records,
			struct assay_err *err);

/* The commit page of a segment file. Errors: -EBADMSG, also if the file is shorter than it says. */
int assay_segment_parse_commit(struct assay_bytes file, struct assay_segment_commit *ret,
			       struct assay_err *err);
