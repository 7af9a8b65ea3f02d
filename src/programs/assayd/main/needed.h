/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Exempts those that assayd, or the journal that it writes to, may wait for (decision 0050), looks
 * for them again when they have ended, and has what they open measured afterwards. For the main
 * thread, but for needed_json() and needed_count().
 */
#pragma once

#include <jansson.h>

#include "programs/assayd/main/daemon.h"

struct needed;

/* Exempts what the configuration names and what is found now. After the group and the anchor, and
 * before the first mark. Errors: -ENOMEM, -ESRCH of exempt_pid. */
int needed_new(struct daemon *d, struct needed **ret, struct assay_err *err);
void needed_free(struct needed *n); /* NULL allowed; after the reader */

/* Now and then. */
void needed_tend(struct needed *n, uint64_t now_ns);

/* Who is exempt: name and process. NULL: out of memory. */
json_t *needed_json(struct needed *n);
uint32_t needed_count(struct needed *n);
/* What they opened and is not measured: too much, or too large. */
uint64_t needed_unmeasured(const struct needed *n);
