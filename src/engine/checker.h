/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What can be said of one record by itself: its fields have their shapes, and the template digest
 * that the list states is that of its data. Computes what goes into each PCR bank. Knows nothing of
 * the records around it, so several threads can each have one and share out a list.
 */
#pragma once

#include "engine/core/digest.h"
#include "engine/ports.h"
#include "formats/mlist.h"

/* What a record would put into the PCRs if it is extended by itself. */
struct assay_record_digests {
	bool extends; /* the two digests are there; else assay_checker_extends() computes them */
	struct assay_pcr_value bank; /* each bank's own digest; 0xff.. for a violation */
	uint8_t sha1[20];	     /* for padded extends, if the checker was asked for it */
	bool boot_aggregate;	     /* the record's name is that: a boot, or a kexec, begins */
};

struct assay_checker {
	struct assay_crypto crypto;
	struct assay_banks banks;
	struct assay_list_form form;
	bool want_sha1;
	/* Does not compute the template digest of the list's column where that is also a bank's,
	 * but takes the stated one: for who shows by the PCR that it is what was extended. */
	bool column_as_stated;
	/* The template of the record before: they repeat. */
	struct assay_template template;
	uint8_t name[ASSAY_TEMPLATE_NAME_MAX];
	size_t name_len;
};

/* Everything is copied; nothing needs freeing. Errors: -EOPNOTSUPP a bank, or the list's column,
 * that the crypto cannot compute. */
int assay_checker_init(struct assay_checker *c, const struct assay_crypto *crypto,
		       const struct assay_banks *banks, const struct assay_list_form *form,
		       bool want_sha1);

/* Cuts a record into its fields. Errors: as assay_template_parse() and assay_template_cut(). */
int assay_checker_cut(struct assay_checker *c, const struct assay_record *record,
		      struct assay_template_data *ret, struct assay_err *err);

/* All that can be said of a record but what it would extend. Errors: those of assay_checker_cut(),
 * and -EKEYREJECTED: the stated template digest is not that of the data. */
int assay_checker_record(struct assay_checker *c, const struct assay_record *record,
			 struct assay_record_digests *ret, struct assay_err *err);

/* The digests of a record that assay_checker_record() found good. */
int assay_checker_extends(struct assay_checker *c, const struct assay_record *record,
			  struct assay_record_digests *ret, struct assay_err *err);

/* Both. */
int assay_checker_digests(struct assay_checker *c, const struct assay_record *record,
			  struct assay_record_digests *ret, struct assay_err *err);
