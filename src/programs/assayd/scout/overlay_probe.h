/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether whoever reads events of an overlay is asked about the layer's file while he reads. To
 * read an event is to open its file; kernels from about 6.14 on then raise an event for the file in
 * the layer, and if the same group watches the layer it waits for itself, for good. It is tried by
 * a process that can be killed, on an overlay of its own in a mount namespace of its own. No kernel
 * version says it: fixes are backported.
 */
#pragma once

#include "programs/assayd/process/spawner.h"

/* What the process says. */
enum overlay_probe_message {
	OVERLAY_PROBE_OPENS = 1, /* next; if nothing follows, it waits for itself */
	OVERLAY_PROBE_DONE,
};

enum overlay_kind {
	OVERLAY_UNKNOWN, /* it could not be tried */
	OVERLAY_ASKS,	 /* an overlay and its layers must not be watched both */
	OVERLAY_QUIET,	 /* they may */
};

/* False: this kernel has none, yet. */
bool overlay_is_known(void);
/* Root's overlays may lie on any user's FUSE filesystem: that lets root in. */
bool overlay_root_enters(void);
/* Blocks for some seconds at most; best before the first mark. */
enum overlay_kind overlay_probe(struct spawner *spawner);

/* The process. */
int overlay_probe_process(void);
/* What it keeps once overlay and group are there: to open and to answer. For the tests. */
int overlay_probe_sandbox(void);
