/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of this folder share. The types of tpm2-tss stop here. */
#pragma once

#include <tss2/tss2_esys.h>

#include "backends/anchor_tpm2/anchor_tpm2.h"
#include "base/macros.h"

struct tpm2_load; /* load.c */

struct assay_anchor_tpm2 {
	char *tcti_name; /* NULL: tctildr's default */
	uint32_t timeout_ms;
	enum assay_tpm_session want_session;
	struct tpm2_load *loading; /* an attempt to connect that took too long */
	TSS2_TCTI_CONTEXT *tcti;
	ESYS_CONTEXT *esys;
	/* The state of the connection is not known (a reply may still come): only reopen() helps.
	 */
	bool lost;
	bool full; /* the TPM had no room for an object or a session: sweep and try again */
	struct assay_banks banks;
	ESYS_TR session;    /* ESYS_TR_NONE: none */
	TPM2B_NAME ek_name; /* of the session's salt key; size 0: not pinned yet */
};

/* ---- call.c: one command, with a deadline ---- */

/* Takes the reply of the command that is under way; *@out is for its results. */
typedef TSS2_RC tpm2_finish(ESYS_CONTEXT *esys, void *out);

/*
 * Waits for the reply of the command that @sent is the result of sending, and calls @finish.
 * @name is the command's, for messages. Errors as engine/ports.h says of anchors.
 */
int assay_tpm2_call(struct assay_anchor_tpm2 *a, const char *name, TSS2_RC sent,
		    tpm2_finish *finish, void *out, struct assay_err *err);

/* The same errors for a code that came another way. */
int assay_tpm2_error(struct assay_anchor_tpm2 *a, const char *name, TSS2_RC rc,
		     struct assay_err *err);

/* -ENODEV if the connection was lost. */
int assay_tpm2_ready(const struct assay_anchor_tpm2 *a, struct assay_err *err);

/* ---- socket.c: swtpm's socket, with time-outs ---- */

bool assay_tpm2_socket_is(const char *tcti);
/* 0 or -errno of the connection; -EINVAL a key that is none of path, host and port, -ENAMETOOLONG.
 */
int assay_tpm2_socket_open(const char *tcti, uint32_t timeout_ms, TSS2_TCTI_CONTEXT **ret);
void assay_tpm2_socket_free(TSS2_TCTI_CONTEXT *tcti);

/* ---- load.c: the TCTI loader, with a deadline ---- */

/* Fills a->tcti. -ENODEV, -ETIMEDOUT. */
int assay_tpm2_load(struct assay_anchor_tpm2 *a, struct assay_err *err);
void assay_tpm2_unload(struct assay_anchor_tpm2 *a);
/* Whatever is still loading frees itself when it is done. */
void assay_tpm2_load_abandon(struct assay_anchor_tpm2 *a);
/* The TCTI's name for messages. */
const char *assay_tpm2_where(const struct assay_anchor_tpm2 *a);

/* ---- pcr.c ---- */

int assay_tpm2_banks(struct assay_anchor_tpm2 *a, struct assay_banks *ret, struct assay_err *err);
int assay_tpm2_clock(struct assay_anchor_tpm2 *a, struct assay_tpm_clock *ret,
		     struct assay_err *err);
int assay_tpm2_read(struct assay_anchor_tpm2 *a, uint32_t pcr_mask,
		    struct assay_pcr_value values[ASSAY_PCRS], struct assay_tpm_clock *ret_clock,
		    struct assay_err *err);
int assay_tpm2_extend(struct assay_anchor_tpm2 *a, uint32_t pcr,
		      const struct assay_pcr_value *digests, struct assay_err *err);

/* ---- sweep.c ---- */

/* First handles, part 2, 7.2; tpm2-tss's own macros shift into the sign bit. */
#define TPM2_OBJECTS  0x80000000u
#define TPM2_SESSIONS 0x02000000u

/* Throws out what is loaded from handle @first on. Nothing of ours may be among it. */
int assay_tpm2_sweep(struct assay_anchor_tpm2 *a, TPM2_HANDLE first, struct assay_err *err);

/* ---- session.c ---- */

/* Starts the session that the configuration wants. -EKEYREJECTED: not the TPM that was pinned. */
int assay_tpm2_session_start(struct assay_anchor_tpm2 *a, struct assay_err *err);
/* What authorises a command: the session, or an empty password. */
ESYS_TR assay_tpm2_session(const struct assay_anchor_tpm2 *a);

/* ---- key.c ---- */

/* Parameters of a P-256 key that protects others with AES-128-CFB. */
#define STORAGE_P256                                                                               \
	{                                                                                          \
		.symmetric = { .algorithm = TPM2_ALG_AES,                                          \
			       .keyBits.aes = 128,                                                 \
			       .mode.aes = TPM2_ALG_CFB },                                         \
		.scheme.scheme = TPM2_ALG_NULL, .curveID = TPM2_ECC_NIST_P256,                     \
		.kdf.scheme = TPM2_ALG_NULL,                                                       \
	}

/* The caller flushes *@ret. */
int assay_tpm2_create_primary(struct assay_anchor_tpm2 *a, ESYS_TR hierarchy,
			      const TPM2B_PUBLIC *template, ESYS_TR *ret, struct assay_err *err);
void assay_tpm2_flush(struct assay_anchor_tpm2 *a, ESYS_TR *handle); /* ESYS_TR_NONE allowed */
int assay_tpm2_quote(struct assay_anchor_tpm2 *a, const struct assay_quote_request *request,
		     struct assay_quote_reply *ret, struct assay_err *err);
