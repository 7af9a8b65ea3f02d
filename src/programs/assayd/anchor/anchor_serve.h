/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the anchor process does for main: shared by anchor_process.c, which sets it up, and
 * anchor_serve.c. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "backends/crypto_openssl/crypto_openssl.h"
#include "base/file.h"
#include "base/sandbox.h"
#include "formats/conf.h"
#include "programs/assayd/anchor/anchor_msg.h"
#include "programs/assayd/anchor/anchor_open.h"
#include "programs/assayd/process/ipc.h"
#include "programs/assayd/main/policy_load.h"
#include "programs/assayd/anchor/recorder.h"

#define ANCHOR_SAY_MAX	    1024u /* bytes of what it says by itself */

#define ANCHOR_GUESTS_MAX   4u
#define ANCHOR_GUEST_MS_MAX 1000u

/* A socket that one thread serves, call after call. */
struct anchor_line {
	struct anchor_server *server;
	int socket;
	bool guest; /* of somebody who may ask for less than main: his own end, should he err */
	struct ipc_buffer in;
	uint8_t out[IPC_BODY_MAX];
	struct anchor_msg ask, answer;
};

struct anchor_server {
	struct assay_conf conf;
	struct assay_crypto_openssl *openssl;
	struct assay_crypto crypto;
	struct assay_core_config core;
	struct assay_sandbox_report sandbox;
	struct opened_anchor anchor;
	int list_dirfd;
	struct anchor_line line[2];

	/* Held for writing by the call that stops the recorder, for reading by its users. */
	pthread_rwlock_t recorder_lock;
	struct recorder *recorder;	    /* NULL: it was stopped */
	const struct loaded_policy *policy; /* of one line alone */

	pthread_mutex_t told_lock;
	bool told; /* main knows that it is ready */
	uint64_t upto;

	atomic_uint guests; /* lines of them */
	atomic_bool more;   /* main's word that files are on their way */
	struct ipc_buffer events_in;
	uint8_t results[IPC_BODY_MAX];
};

/* Until main's end is closed (-EPIPE), or it says what it may not. */
int anchor_serve_events(struct anchor_server *s);

/* A thread that answers what comes over @line, and ends with its socket. Errors: -EAGAIN. */
int anchor_start_line(struct anchor_line *line, struct assay_err *err);
