/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the control socket answers about audit records. */
#pragma once

#include <jansson.h>

#include "programs/assayd/audit/audit.h"

/* "assay audit": as many records as one message holds, of those that came after record @after (0:
 * all that is kept). The caller owns it; NULL: out of memory. */
json_t *audit_reply(struct audit *a, uint64_t after);

/* Its part of the status. */
json_t *audit_status(struct audit *a);
