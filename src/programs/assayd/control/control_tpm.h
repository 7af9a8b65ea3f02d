/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * PCR values and quotes, asked of the anchor process over a line of their own: one question of a
 * client after the other, in steps, as each may take seconds. For one thread; never blocks.
 */
#pragma once

#include "programs/assayd/anchor/anchor_msg.h"
#include "programs/assayd/control/control_clients.h"

enum tpm_step { TPM_IDLE, TPM_COUNTS, TPM_FLUSH, TPM_VALUES, TPM_QUOTE };

struct control_tpm {
	int line;
	struct clients *clients;
	uint64_t asked; /* id of the last question */
	enum tpm_step step;
	uint64_t client; /* id of his question */
	struct control_request request;
	uint64_t flush_upto, flush_end_ms;
	struct anchor_msg answer;
	struct ipc_buffer in;
	uint8_t out[IPC_BODY_MAX];
};

/* The next client's question, if none is under way. Errors: the line is of no use any more. */
int control_tpm_begin(struct control_tpm *t, uint64_t now_ms);
/* The line has something. Errors: as above. */
int control_tpm_receive(struct control_tpm *t, uint64_t now_ms);
