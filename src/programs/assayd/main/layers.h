/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which overlays of a table of mounts lie, over whatever other overlays, on what somebody else
 * answers for. In no order: a namespace that was copied shows an overlay before the ones below it.
 * Pure; by the words of the table alone (mountinfo.h).
 */
#pragma once

#include "backends/source_fanotify/mountinfo.h"

struct layers_mount;
struct layers {
	struct layers_mount *mount; /* overlays, and what may keep an opener waiting */
	size_t n, cap;
};

/* @waits: whether who opens a file of a mount may wait for others, as far as that is known without
 * its layers. Borrows @mountinfo until layers_done(). Errors: -ENOMEM. */
int layers_find(struct assay_bytes mountinfo,
		bool (*waits)(void *ctx, const struct assay_mount *mount), void *ctx,
		struct layers *ret);
/* Whether who opens a file of the overlay @dev may wait for others. */
bool layers_may_wait(const struct layers *l, uint64_t dev);
void layers_done(struct layers *l); /* contents only; safe when zeroed */
