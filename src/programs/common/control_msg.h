/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What assay and assayd say to each other over the control socket: one JSON message each way, each
 * one packet of a SOCK_SEQPACKET socket (docs/formats/control.md). Both sides check every field.
 */
#pragma once

#include <jansson.h>

#include "base/err.h"
#include "engine/ports.h"
#include "formats/quote.h"

#define CONTROL_SOCKET	    "/run/assay/control"
#define CONTROL_PUBLIC	    "/run/assay/status"
#define CONTROL_MESSAGE_MAX 65536 /* bytes */
#define CONTROL_REQUEST_MAX 8192  /* bytes of a request */
#define CONTROL_BLOB_MAX    1024  /* bytes of a binary field */

enum control_op {
	CONTROL_STATUS,
	CONTROL_PCRS,
	CONTROL_QUOTE,
	CONTROL_AUDIT,
	CONTROL_RELOAD,
	CONTROL_UPGRADE,
	CONTROL_OP_COUNT
};

struct control_blob {
	uint8_t data[CONTROL_BLOB_MAX];
	size_t len;
};

struct control_request {
	enum control_op op;
	/* CONTROL_PCRS, CONTROL_QUOTE; n 0: PCR 10 of every bank */
	struct assay_selection selection;
	/* CONTROL_QUOTE */
	struct control_blob nonce; /* at most ASSAY_NONCE_MAX bytes */
	struct control_blob ak_public, ak_private;
	/* CONTROL_AUDIT: what came after this record; 0: all that is kept */
	uint64_t after;
};

/* ---- messages ---- */

/* The caller owns what is returned (json_decref); NULL: out of memory. */
json_t *control_request_pack(const struct control_request *request);
/* Of a packet. Errors: -EBADMSG malformed, unknown key or over a limit; -EOPNOTSUPP unknown op or
 * bank; -E2BIG. */
int control_request_read(struct assay_bytes text, struct control_request *ret,
			 struct assay_err *err);

json_t *control_error_pack(int code, const char *text);
/* 0, or the error that the reply is. */
int control_reply_check(const json_t *reply, struct assay_err *err);

json_t *control_pcrs_pack(const struct assay_quote_pcrs *pcrs, const struct assay_tpm_clock *clock);
int control_pcrs_parse(const json_t *reply, struct assay_quote_pcrs *ret, struct assay_err *err);

json_t *control_quote_pack(const struct assay_quote_reply *quote,
			   const struct assay_quote_pcrs *pcrs);
int control_quote_parse(const json_t *reply, struct assay_quote_reply *ret_quote,
			struct assay_quote_pcrs *ret_pcrs, struct assay_err *err);

/* ---- what the anchor port wants and gives ---- */

/* The port's request; borrows from @request. -EOPNOTSUPP: a bank that the anchor has not, or other
 * PCRs in one bank than in another. */
int control_quote_request(const struct control_request *request, const struct assay_banks *banks,
			  struct assay_quote_request *ret, struct assay_err *err);
/* The PCRs of @selection in any bank (n 0: PCR 10). */
uint32_t control_pcr_mask(const struct assay_selection *selection);
/* Picks the values of @selection (n 0: PCR 10 of all) out of what the port read. */
int control_pick(const struct assay_selection *selection, const struct assay_banks *banks,
		 const struct assay_pcr_value values[ASSAY_PCRS], struct assay_quote_pcrs *ret,
		 struct assay_err *err);

/* ---- the socket ---- */

/* One question, on a connection of its own: others want to ask too. The caller owns *@ret, which is
 * no error. Errors: those of the socket, or what the reply says. */
int control_ask(const char *path, const struct control_request *request, int timeout_ms,
		json_t **ret, struct assay_err *err);

/* -ENOENT or -ECONNREFUSED: nobody there; -ETIMEDOUT: others are before us, and it took longer than
 * @timeout_ms. The same limit holds for each control_send(). */
int control_connect(const char *path, int timeout_ms, int *ret_fd, struct assay_err *err);
/* One packet. -E2BIG; -EPIPE or -ECONNRESET: who was there has gone. */
int control_send(int fd, const json_t *message, struct assay_err *err);
/* One packet, within @timeout_ms. The caller owns *@ret. -EPIPE the other side is gone,
 * -ETIMEDOUT, -EBADMSG not JSON, -E2BIG. */
int control_receive(int fd, int timeout_ms, json_t **ret, struct assay_err *err);
