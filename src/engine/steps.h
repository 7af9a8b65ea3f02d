/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The anchored form of a list: its steps, in the order in which they extended the PCRs, which is
 * not always that of the list (docs/formats/batch.md). A step whose place a later record of the
 * kernel's may still change is held back. Knows nothing of how it is shown or stored.
 */
#pragma once

#include "engine/replay.h"

struct assay_steps;

/*
 * Of a list of @form, replayed for @banks. @own: it is ours, not evidence (assay_replay_set_own()).
 * Errors: as assay_replay_new().
 */
int assay_steps_new(const struct assay_crypto *crypto, const struct assay_banks *banks,
		    const struct assay_list_form *form, bool own, struct assay_steps **ret);
void assay_steps_free(struct assay_steps *s);
AUTO_DEFINE(steps);

/* Takes the next record of the list, which stays where it is until its step was given out. Errors,
 * after which it can go no further: as assay_replay_record(), -ENOMEM. */
int assay_steps_add(struct assay_steps *s, const struct assay_record *record, uint64_t offset,
		    struct assay_err *err);

/* No record follows: nothing is held back any more. */
void assay_steps_end(struct assay_steps *s);

/* The next step whose place is known; to be asked for after each record until there is none. @ret
 * and @ret_step are borrowed until the next call on @s. */
bool assay_steps_next(struct assay_steps *s, const struct assay_record **ret,
		      const struct assay_step **ret_step);
