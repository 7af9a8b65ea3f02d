/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The process that has the list and the TPM, and nothing else. main's side: recording.h for events,
 * anchor_client.h for the rest. */
#pragma once

/* A child_fn. Serves until main's end of its socket is closed, or it was told to stop. */
int anchor_process(void);
