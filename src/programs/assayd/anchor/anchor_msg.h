/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What main and the anchor process say to each other (docs/formats/ipc.md), byte for byte. Both
 * sides decode with this, and nothing that does not decode is acted on. Knows of no socket.
 */
#pragma once

#include "base/err.h"
#include "base/rd.h"
#include "base/wr.h"
#include "engine/core/event.h"
#include "formats/batch.h"
#include "formats/segment.h"
#include "programs/assayd/anchor/anchor_open.h"
#include "programs/assayd/process/ipc.h"
#include "programs/assayd/anchor/recorder.h"

/* id, value, who sends it, descriptors. Of main: the events' socket; then the calls', one at a
 * time on each; of the anchor: the events' socket; then the answers to calls. */
#define ANCHOR_MSG_LIST(X)                                                                         \
	X(START, 1, MAIN, 4)                                                                       \
	X(EVENTS, 2, MAIN, 0)                                                                      \
	X(GATHERED, 3, MAIN, 0)                                                                    \
	X(STATE, 16, MAIN, 0)                                                                      \
	X(POLICY, 17, MAIN, 1)                                                                     \
	X(COUNTS, 18, MAIN, 0)                                                                     \
	X(FLUSH, 19, MAIN, 0)                                                                      \
	X(PCRS, 20, MAIN, 0)                                                                       \
	X(QUOTE, 21, MAIN, 0)                                                                      \
	X(ENDING, 22, MAIN, 0)                                                                     \
	X(STOP, 23, MAIN, 0)                                                                       \
	X(LINE, 24, MAIN, 1)                                                                       \
	X(READY, 32, ANCHOR, 0)                                                                    \
	X(RESULTS, 33, ANCHOR, 0)                                                                  \
	X(ANCHORED, 34, ANCHOR, 0)                                                                 \
	X(SEGMENT, 35, ANCHOR, 0)                                                                  \
	X(LOG, 36, ANCHOR, 0)                                                                      \
	X(DONE, 48, ANCHOR, 0)                                                                     \
	X(FAILED, 49, ANCHOR, 0)                                                                   \
	X(INDEX, 50, ANCHOR, 0)                                                                    \
	X(COUNTED, 51, ANCHOR, 0)                                                                  \
	X(VALUES, 52, ANCHOR, 0)                                                                   \
	X(QUOTED, 53, ANCHOR, 0)

enum anchor_msg_type {
#define X(id, value, sender, fds) ANCHOR_MSG_##id = (value),
	ANCHOR_MSG_LIST(X)
#undef X
};

enum anchor_msg_sender { ANCHOR_MSG_MAIN, ANCHOR_MSG_ANCHOR };

/* Descriptors of START, in this order. */
enum anchor_start_fd {
	ANCHOR_START_CONF,    /* sealed: the configuration, as assay_conf_print() writes it */
	ANCHOR_START_LIST,    /* the list's folder */
	ANCHOR_START_RECORDS, /* calls that only the list is needed for */
	ANCHOR_START_TPM,     /* calls that wait for the TPM */
	ANCHOR_START_FDS
};

#define ANCHOR_TEXT_MAX	  512u	/* bytes of a text for a person, with the NUL it gets */
#define ANCHOR_WHAT_MAX	  32u	/* bytes of a state record's event */
#define ANCHOR_NAME_MAX	  1024u /* bytes of a policy's name */
#define ANCHOR_KEY_MAX	  1024u /* bytes of each half of an attestation key */
#define ANCHOR_NONCE_MAX  64u
#define ANCHOR_RESULT_LEN 24u

/* A text for a person: one line, without control characters. */
struct anchor_text {
	uint32_t number; /* of LOG: the priority; of FAILED: the positive errno */
	char text[ANCHOR_TEXT_MAX];
};

struct anchor_ready {
	uint64_t upto; /* anchored already */
	bool landlock; /* paths are taken from the process */
	char ek_name[ANCHOR_EK_NAME_TEXT];
};

struct anchor_anchored {
	uint64_t upto;
	bool released;
};

/* Both borrow from the body. The fields of @rest are as assay_state_add() writes them. */
struct anchor_state {
	bool gap;
	struct assay_bytes what, rest;
};

struct anchor_policy {
	bool builtin;
	struct assay_bytes name;    /* borrowed from the body */
	struct assay_digest digest; /* of the text: SHA-256 */
};

/* In slices, that others get their turn: with the same index, or it would go away for ever from who
 * waits for it while others write. */
struct anchor_flush {
	uint32_t timeout_ms;
	uint64_t upto; /* records below it are to be anchored */
};

struct anchor_values {
	uint32_t mask; /* bit per PCR that was asked for */
	struct assay_banks banks;
	struct assay_tpm_clock clock;
	struct assay_pcr_value pcr[ASSAY_PCRS];
};

struct anchor_quoted {
	struct assay_quote_reply reply;
	struct anchor_values values; /* that it is over */
};

/* One message that is not EVENTS or RESULTS. */
struct anchor_msg {
	enum anchor_msg_type type;
	union {
		struct anchor_text text;	  /* LOG, FAILED */
		struct anchor_ready ready;	  /* READY */
		struct anchor_anchored anchored;  /* ANCHORED */
		enum assay_segment_start segment; /* SEGMENT */
		struct anchor_state state;	  /* STATE */
		struct anchor_policy policy;	  /* POLICY */
		struct anchor_flush flush;	  /* FLUSH */
		uint32_t pcr_mask;		  /* PCRS */
		struct assay_quote_request quote; /* QUOTE */
		struct assay_bytes why;		  /* STOP; borrowed from the body */
		uint64_t index;			  /* INDEX */
		struct recorder_counts counts;	  /* COUNTED */
		struct anchor_values values;	  /* VALUES */
		struct anchor_quoted quoted;	  /* QUOTED */
	};
};

/* @w is full if it does not fit. Texts that are too long are cut, control characters become '?'. */
void anchor_msg_encode(const struct anchor_msg *m, struct assay_wr *w);
/* What @sender may send, to the last byte. Errors: -EBADMSG, -E2BIG. */
int anchor_msg_decode(enum anchor_msg_sender sender, uint32_t type, struct assay_bytes body,
		      struct anchor_msg *ret, struct assay_err *err);
/* How many descriptors come with a message. */
uint32_t anchor_msg_fds(enum anchor_msg_type type);
const char *anchor_msg_name(uint32_t type); /* "?" */

/* ---- events and their results: many in one message
 *
 *  0  4  EVENTS: more (0 or 1): files are on their way that would bring more events soon
 *  4  4  how many follow, at least one
 *
 *  0  4  RESULTS: zero
 *  4  4  how many follow, at least one
 */
#define ANCHOR_MANY_HEAD 8u

struct anchor_event {
	uint64_t id;
	struct assay_facts facts; /* borrows from the body */
};

struct anchor_result {
	uint64_t id;
	int error;	   /* 0 or -errno */
	uint32_t need;	   /* not 0: facts that the policy in force there wants too */
	uint64_t wait_for; /* record, or ASSAY_NO_RECORD */
};

void anchor_many_head(bool more, uint32_t n, uint8_t ret[static ANCHOR_MANY_HEAD]);
/* Takes the head off @in. Errors: -EBADMSG. */
int anchor_many_begin(struct assay_rd *in, bool *ret_more, uint32_t *ret_n);

void anchor_event_encode(const struct anchor_event *e, struct assay_wr *w);
int anchor_event_decode(struct assay_rd *in, struct anchor_event *ret);

void anchor_result_encode(const struct anchor_result *r, struct assay_wr *w);
int anchor_result_decode(struct assay_rd *in, struct anchor_result *ret);
