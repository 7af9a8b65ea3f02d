/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The anchor that the configuration names. */
#pragma once

#include "engine/ports.h"
#include "formats/conf.h"

struct assay_anchor_tpm2;
struct assay_anchor_soft;

struct opened_anchor {
	struct assay_anchor port; /* ops NULL: none */
	struct assay_anchor_tpm2 *tpm;
	struct assay_anchor_soft *soft;
	int dirfd;
};

#define ANCHOR_EK_NAME_TEXT (2 * 66 + 1) /* hexadecimal: algorithm and SHA-512 */

/* The TPM name of the endorsement key that sessions are salted to; "" if there is none. */
void anchor_ek_name(const struct opened_anchor *a, char ret[static ANCHOR_EK_NAME_TEXT]);

/* With tpm_session = hmac the endorsement key is pinned in @list_dirfd at the first start, and no
 * other is taken after it (-EKEYREJECTED). What is half open after an error anchor_close() closes
 * too. */
int anchor_open(const struct assay_conf *conf, const struct assay_crypto *crypto, int list_dirfd,
		struct opened_anchor *ret, struct assay_err *err);
void anchor_close(struct opened_anchor *a); /* also of one that was zeroed */
