/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "backends/crypto_openssl/crypto_openssl.h"
#include "backends/source_fanotify/content.h"
#include "programs/assayd/process/log.h"
#include "programs/assayd/vouch/vouch_process.h"

static int digest(void *ctx, int fd, enum assay_hash alg, struct assay_digest *ret)
{
	AUTO(content) struct assay_content *content = NULL;
	uint64_t bytes;
	int r = assay_content_new(ctx, &alg, 1, &content, NULL);

	return r < 0 ? r : assay_content_digest(content, fd, NULL, NULL, ret, &bytes);
}

int vouch_digest_process(void)
{
	struct assay_crypto_openssl *openssl = NULL; /* as long as the process */
	struct assay_err err = { 0 };
	struct assay_crypto crypto;

	if (assay_crypto_openssl_new(&openssl, &err) < 0) {
		log_line(LOG_ERR, "vouch: %s", err.text);
		return 1;
	}
	crypto = assay_crypto_openssl_port(openssl);
	return vouch_serve(&(struct vouch_digester){ .digest = digest, .ctx = &crypto });
}
