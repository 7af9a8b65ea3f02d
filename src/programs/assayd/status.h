/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The reply to "status": what assayd(8) documents. */
#pragma once

#include <jansson.h>

#include "programs/assayd/daemon.h"

json_t *status_json(struct daemon *d); /* NULL: out of memory */
