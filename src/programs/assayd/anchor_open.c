/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/anchor_open.h"

#include <errno.h>
#include <unistd.h>

#include "backends/anchor_tpm2/anchor_tpm2.h"

static int open_tpm(const struct assay_conf *conf, struct opened_anchor *ret, struct assay_err *err)
{
	struct assay_anchor_tpm2_config config = {
		.size = sizeof(config),
		.tcti = conf->tcti,
		.timeout_ms = conf->tpm_timeout_ms,
		.session = conf->tpm_session == ASSAY_CONF_SESSION_HMAC ? ASSAY_TPM_SESSION_HMAC
									: ASSAY_TPM_SESSION_NONE,
	};
	int r = assay_anchor_tpm2_new(&config, &ret->tpm, err);

	if (r == 0)
		ret->port = assay_anchor_tpm2_port(ret->tpm);
	else
		assay_err_prefix(err, "TPM at '%s'", conf->tcti);
	return r;
}

/* A build without the software anchor says so; nothing takes its place. */
static int open_soft(struct assay_err *err)
{
	return assay_err_set(err, -EOPNOTSUPP, "this build has no software anchor");
}

int anchor_open(const struct assay_conf *conf, struct opened_anchor *ret, struct assay_err *err)
{
	*ret = (struct opened_anchor){ .dirfd = -1 };
	switch ((enum assay_conf_anchor)conf->anchor) {
	case ASSAY_CONF_ANCHOR_TPM2:
		return open_tpm(conf, ret, err);
	case ASSAY_CONF_ANCHOR_SOFT:
		return open_soft(err);
	case ASSAY_CONF_ANCHOR_NONE:
		return 0;
	}
	return -EINVAL;
}

void anchor_close(struct opened_anchor *a)
{
	assay_anchor_tpm2_free(a->tpm);
	if (a->dirfd >= 0)
		close(a->dirfd);
	*a = (struct opened_anchor){ .dirfd = -1 };
}
