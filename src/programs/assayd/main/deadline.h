/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * When whoever waits is answered at the latest, and how: what is in force, for all threads. Atomic,
 * as the reader takes no lock that a reload could hold.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "formats/conf.h"

struct deadline {
	_Atomic uint32_t ms;
	atomic_bool allows; /* who has waited so long goes on */
};

static inline void deadline_set(struct deadline *d, const struct assay_conf *conf)
{
	atomic_store(&d->ms, conf->deadline_ms);
	atomic_store(&d->allows, conf->deadline_answer == ASSAY_CONF_ANSWER_ALLOW);
}
