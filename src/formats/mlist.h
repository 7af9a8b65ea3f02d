/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Records of a measurement list in the kernel's binary form, one at a time
 * (security/integrity/ima/ima_fs.c: ima_measurements_show). The whole form: docs/formats/list.md.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"
#include "base/rd.h"
#include "base/wr.h"
#include "formats/hash.h"
#include "formats/template.h"

#define ASSAY_RECORD_DATA_MAX (16u << 20) /* template data of one record: a modsig or a buffer */
#define ASSAY_RECORD_PCR_MAX  63u

/* One record; borrows from the list that it was read from. */
struct assay_record {
	uint32_t pcr;
	struct assay_bytes template_digest; /* as stored; its size tells the list's bank */
	struct assay_bytes template_name;
	struct assay_bytes data; /* template data; for "ima": raw d, then u32 length and name */
	bool legacy;		 /* template "ima" */
	bool violation;		 /* the stored template digest is all zero */
	size_t size;		 /* bytes of the whole record */
};

/* How a list is to be read. */
struct assay_list_form {
	bool big;		/* byte order of lengths and integers */
	enum assay_hash column; /* which template digest the records hold: sha1, or a bank's */
};

/*
 * Reads the next record. The reader must not be at its end. Errors, with the offset counted from
 * the reader's start: -EBADMSG malformed or cut short, -E2BIG over a limit. The data is not cut
 * into fields: assay_template_cut() does.
 */
int assay_record_parse(struct assay_rd *in, const struct assay_list_form *form,
		       struct assay_record *ret, struct assay_err *err);

/* Writes a record, little-endian. */
void assay_record_encode(const struct assay_record *record, struct assay_wr *w);

/*
 * Finds out byte order and digest column of a list by parsing its first records (sha1 first, then
 * the banks). Errors: -EBADMSG no form fits; an empty list is little-endian sha1.
 */
int assay_list_form_detect(struct assay_bytes list, struct assay_list_form *ret,
			   struct assay_err *err);
