/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The core's state, shared by its files and by nobody else: core.c judges, append.c writes records,
 * state.c makes the records about ourselves, aggregate.c boot_aggregate. */
#pragma once

#include "engine/core/batcher.h"
#include "engine/core/dedup.h"
#include "engine/core/event.h"
#include "formats/mlist.h"

#define ASSAY_CORE_HEAD_MAX (4u + 20u + 4u + ASSAY_TEMPLATE_NAME_MAX + 4u)

/* A template that is used, parsed. */
struct assay_core_template {
	struct assay_bytes name;
	struct assay_template template;
};

struct assay_core {
	struct assay_ports ports;
	struct assay_core_config config;
	const struct assay_policy *policy;
	struct assay_core_template standard, buffer; /* config.template, "ima-buf" */
	struct assay_dedup dedup;
	struct assay_batcher batcher;
	enum assay_batching mode;
	uint64_t records, violations;
	uint8_t *data, *record; /* scratch: template data, and a whole record */
	bool broken;		/* list and batch hashes may disagree: no record is taken */
};

/* What append needs to know of a new record. */
struct assay_new_record {
	uint32_t pcr;
	const struct assay_core_template *template;
	struct assay_template_facts facts; /* digest NULL: a violation */
	bool violation;
	bool keep_equal; /* an equal record in the list does not stand for this one */
	bool alone;	 /* a step by itself: no batch record covers it */
	bool reserve;	 /* may use the reserved space */
};

/* Encodes and appends. *ret_new false: an equal record is in the list, *ret_index is that one. */
int assay_core_append(struct assay_core *c, const struct assay_new_record *rec, uint64_t *ret_index,
		      bool *ret_new, struct assay_err *err);

/* What a restored record says of the list itself: mode, batch sequence. */
int assay_core_restore_own(struct assay_core *c, const struct assay_record *record,
			   struct assay_err *err);
