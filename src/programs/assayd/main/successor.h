/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Comes up in the place of an assayd that runs (decision 0048), where another one would set its
 * first mark. */
#pragma once

#include "programs/assayd/main/running.h"

/* Until takeover_is_done(d->takeover) an error leaves all as it was. */
int successor_start(struct running *r, struct assay_err *err);
