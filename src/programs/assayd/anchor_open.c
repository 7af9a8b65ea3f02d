/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/anchor_open.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/anchor_soft/anchor_soft.h"
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

static int open_soft(const struct assay_conf *conf, const struct assay_crypto *crypto,
		     struct opened_anchor *ret, struct assay_err *err)
{
	const char *dir = conf->soft_anchor_dir;
	int r;

	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return assay_err_set(err, -errno, "cannot make '%s': %s", dir, strerror(errno));
	ret->dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (ret->dirfd < 0)
		return assay_err_set(err, -errno, "cannot open '%s': %s", dir, strerror(errno));
	r = assay_anchor_soft_new(ret->dirfd, crypto, &ret->soft, err);
	if (r == 0)
		ret->port = assay_anchor_soft_port(ret->soft);
	else
		assay_err_prefix(err, "software anchor in '%s'", dir);
	return r;
}

int anchor_open(const struct assay_conf *conf, const struct assay_crypto *crypto,
		struct opened_anchor *ret, struct assay_err *err)
{
	*ret = (struct opened_anchor){ .dirfd = -1 };
	switch ((enum assay_conf_anchor)conf->anchor) {
	case ASSAY_CONF_ANCHOR_TPM2:
		return open_tpm(conf, ret, err);
	case ASSAY_CONF_ANCHOR_SOFT:
		return open_soft(conf, crypto, ret, err);
	case ASSAY_CONF_ANCHOR_NONE:
		return 0;
	}
	return -EINVAL;
}

void anchor_close(struct opened_anchor *a)
{
	assay_anchor_tpm2_free(a->tpm);
	assay_anchor_soft_free(a->soft);
	if (a->dirfd >= 0)
		close(a->dirfd);
	*a = (struct opened_anchor){ .dirfd = -1 };
}
