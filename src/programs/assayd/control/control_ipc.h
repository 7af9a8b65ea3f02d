/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What main and the process control say to each other (docs/formats/ipc.md). main believes no field
 * that it has not checked. */
#pragma once

#include <stdbool.h>

#include "programs/assayd/process/ipc.h"

enum control_ipc {
	/* of control */
	CONTROL_IPC_STATUS = 1, /* body: flag, the public part alone */
	CONTROL_IPC_AUDIT,	/* body: u64, after which record */
	CONTROL_IPC_RELOAD,
	CONTROL_IPC_UPGRADE,
	/* of main */
	CONTROL_IPC_START = 32, /* what it serves: enum control_start_fd */
	CONTROL_IPC_TEXT,	/* the answer to a question: JSON, sealed */
};

/* Descriptors of START, in this order; the last may be missing. */
enum control_start_fd {
	CONTROL_START_ROOT, /* listening socket of root */
	CONTROL_START_LINE, /* anchor_line() */
	CONTROL_START_PUBLIC,
	CONTROL_START_FDS
};

/* Of a question. */
struct control_ask {
	enum control_ipc type;
	uint64_t id;
	bool public;	/* STATUS */
	uint64_t after; /* AUDIT */
};

int control_ask_send(int socket, const struct control_ask *ask) ASSAY_MUST_CHECK;
/* Errors: -EBADMSG. */
int control_ask_parse(const struct ipc_message *m, struct control_ask *ret);
