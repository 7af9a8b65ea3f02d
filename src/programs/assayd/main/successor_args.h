/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The command that starts the program which is installed now in the place of this one. */
#pragma once

#include "base/wr.h"

/* As spawner_start() takes it for CHILD_SUCCESSOR. Errors: as open(), read(); -EBADMSG, -E2BIG. */
int successor_args(struct assay_wr *w);
