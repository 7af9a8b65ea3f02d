/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The answer to "assay audit": as many records as one control message holds. */
#pragma once

#include <jansson.h>

#include "programs/assayd/audit.h"

/* What came after record @after (0: all that is kept). The caller owns it; NULL: out of memory. */
json_t *audit_reply(struct audit *a, uint64_t after);
