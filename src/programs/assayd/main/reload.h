/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reads configuration and policy again while assayd runs. What is broken changes nothing, is in the
 * list, and stays known until it is mended. For the main thread, but for reload_get_state().
 */
#pragma once

#include <jansson.h>

#include "programs/assayd/main/daemon.h"

/* Why what is there is not in force. */
enum reload_refused { RELOAD_FINE, RELOAD_CONF, RELOAD_POLICY };

struct reload_state {
	enum reload_refused refused;
	char reason[sizeof(((struct assay_err *)0)->text)];
	uint64_t needs_restart; /* bit per key (assay_conf_key()) that differs from what is in force
				 */
};

/* Fills d->reload. Errors: -ENOMEM. */
int reload_open(struct daemon *d, struct assay_err *err);
void reload_free(struct reload *r); /* NULL allowed */

/* Returns what came of it, the caller's; NULL: out of memory. docs/formats/control.md */
json_t *reload_now(struct daemon *d);

/* The policy that the list was slow to take: @r 0, it is in force, and so is what came with it. */
void reload_end(struct daemon *d, int r);

/* @why a policy could not be loaded, or NULL: one has come into force. */
void reload_note_policy(struct reload *r, const char *why);

/* For any thread. */
void reload_get_state(struct reload *r, struct reload_state *ret);
/* The record in the list, and the word in status. */
const char *reload_refused_name(enum reload_refused refused);
json_t *reload_keys_json(uint64_t keys);
