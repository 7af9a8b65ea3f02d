/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Measurement lists as the kernel prints them (security/integrity/ima/ima_fs.c:
 * ima_ascii_measurements_show). Names are printed raw there, so a name with a newline makes two
 * lines of one record: what does not begin like a record belongs to the one before, and a template
 * digest tells whether that was right. Binary lists have no such doubt.
 */
#pragma once

#include "formats/mlist.h"

/* Whether a file begins like an ascii list. */
bool assay_ascii_is(struct assay_bytes file);

/* Bytes that assay_ascii_parse() writes at most for a text of @len bytes. */
static inline size_t assay_ascii_bound(size_t len)
{
	return 2 * len + 64;
}

/*
 * Turns a whole ascii list into the binary one that the kernel would show beside it, little-endian.
 * Errors, with line and column: -EBADMSG a line that cannot be cut into the fields of its template,
 * -EOPNOTSUPP unknown template, field or algorithm, -ENOSPC @w is full.
 */
int assay_ascii_parse(struct assay_bytes text, struct assay_wr *w, struct assay_list_form *ret,
		      struct assay_err *err);

enum assay_ascii_names {
	ASSAY_ASCII_RAW, /* as the kernel prints them */
	/* What is no printable UTF-8 as \xHH, a backslash as two: a name cannot forge a record, nor
	 * play with a terminal. */
	ASSAY_ASCII_ESCAPED,
};

/* One field, or one record without the newline, as text. @w needs at most 4 bytes for each byte,
 * and 512 for a record. */
void assay_field_print(enum assay_field id, struct assay_bytes field, bool big,
		       enum assay_ascii_names names, struct assay_wr *w);
void assay_ascii_print(const struct assay_record *record, const struct assay_template_data *cut,
		       bool big, enum assay_ascii_names names, struct assay_wr *w);

/* Text of unknown bytes, escaped as above. */
void assay_ascii_escape(struct assay_bytes in, struct assay_wr *w);
