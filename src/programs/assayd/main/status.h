/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The reply to "status" (docs/formats/status.md). For any thread. */
#pragma once

#include <jansson.h>

#include "programs/assayd/main/daemon.h"

/* @public: numbers and words of ours alone; no path, no digest, no name. NULL: out of memory. */
json_t *status_json(struct daemon *d, bool public);

json_t *status_policy(const struct loaded_policy *p);
/* Bytes that are no UTF-8, and control characters, as \xHH. */
json_t *status_text(const char *text);

/* Once a turn of the main thread: sees when something went unmeasured. */
void status_note(struct daemon *d);
