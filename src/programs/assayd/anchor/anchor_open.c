/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/anchor/anchor_open.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/anchor_soft/anchor_soft.h"
#include "backends/anchor_tpm2/anchor_tpm2.h"
#include "base/file.h"
#include "base/hex.h"
#include "programs/assayd/process/folder.h"

/* The endorsement key that sessions were first salted to, in hex, beside the list: whoever puts
 * himself between us and the TPM later has another one. */
#define EK_FILE	    "endorsement-key"
#define EK_NAME_MAX 66u /* bytes: algorithm and SHA-512 */
_Static_assert(ANCHOR_EK_NAME_TEXT == 2 * EK_NAME_MAX + 1, "a pinned name fits");

struct ek_pin {
	uint8_t name[EK_NAME_MAX];
	size_t len; /* 0: none is pinned yet */
};

static int read_pin(int dirfd, struct ek_pin *ret, struct assay_err *err)
{
	AUTO(file) struct assay_file file = { 0 };
	struct assay_bytes hex;
	long n;
	int r = assay_file_read(dirfd, EK_FILE, 2 * EK_NAME_MAX + 1, &file, err);

	ret->len = 0;
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	hex = file.bytes;
	if (hex.len > 0 && hex.data[hex.len - 1] == '\n')
		hex.len--;
	n = assay_hex_decode(hex, ret->name, sizeof(ret->name));
	if (n <= 0)
		return assay_err_set(err, -EBADMSG, "'%s' beside the list is not a key's name",
				     EK_FILE);
	ret->len = (size_t)n;
	return 0;
}

static int write_pin(int dirfd, struct assay_bytes name, struct assay_err *err)
{
	char hex[2 * EK_NAME_MAX + 1];

	if (name.len > EK_NAME_MAX)
		return assay_err_set(err, -E2BIG, "the endorsement key's name is too long");
	assay_hex_encode(name, hex);
	return assay_file_replace(dirfd, EK_FILE, 0600, assay_bytes_str(hex), err);
}

static int open_tpm(const struct assay_conf *conf, int list_dirfd, struct opened_anchor *ret,
		    struct assay_err *err)
{
	bool salted = conf->tpm_session == ASSAY_CONF_SESSION_HMAC;
	struct assay_anchor_tpm2_config config = {
		.size = sizeof(config),
		.tcti = conf->tcti,
		.timeout_ms = conf->tpm_timeout_ms,
		.session = salted ? ASSAY_TPM_SESSION_HMAC : ASSAY_TPM_SESSION_NONE,
	};
	struct ek_pin pin = { .len = 0 };
	int r = salted ? read_pin(list_dirfd, &pin, err) : 0;

	if (r < 0)
		return r;
	config.ek_name = assay_bytes(pin.name, pin.len);
	r = assay_anchor_tpm2_new(&config, &ret->tpm, err);
	if (r == 0 && salted && pin.len == 0)
		r = write_pin(list_dirfd, assay_anchor_tpm2_ek_name(ret->tpm), err);
	if (r == 0)
		ret->port = assay_anchor_tpm2_port(ret->tpm);
	else
		assay_err_prefix(err, "TPM at '%s'", conf->tcti);
	if (r == -EKEYREJECTED)
		assay_err_prefix(err, "if this TPM was put there on purpose, remove '%s/%s'",
				 conf->list_dir, EK_FILE);
	return r;
}

static int open_soft(const struct assay_conf *conf, const struct assay_crypto *crypto,
		     struct opened_anchor *ret, struct assay_err *err)
{
	int r;

	ret->dirfd = folder_open(conf->soft_anchor_dir, "soft_anchor_dir", err);
	if (ret->dirfd < 0)
		return ret->dirfd;
	r = assay_anchor_soft_new(ret->dirfd, crypto, &ret->soft, err);
	if (r == 0)
		ret->port = assay_anchor_soft_port(ret->soft);
	else
		assay_err_prefix(err, "software anchor in '%s'", conf->soft_anchor_dir);
	return r;
}

int anchor_open(const struct assay_conf *conf, const struct assay_crypto *crypto, int list_dirfd,
		struct opened_anchor *ret, struct assay_err *err)
{
	*ret = (struct opened_anchor){ .dirfd = -1 };
	switch ((enum assay_conf_anchor)conf->anchor) {
	case ASSAY_CONF_ANCHOR_TPM2:
		return open_tpm(conf, list_dirfd, ret, err);
	case ASSAY_CONF_ANCHOR_SOFT:
		return open_soft(conf, crypto, ret, err);
	case ASSAY_CONF_ANCHOR_NONE:
		return 0;
	case ASSAY_CONF_ANCHOR_AUTO: /* startup_settle() has made one of the others of it */
		break;
	}
	return -EINVAL;
}

void anchor_ek_name(const struct opened_anchor *a, char ret[static ANCHOR_EK_NAME_TEXT])
{
	struct assay_bytes name = { 0 };

	if (a->tpm)
		name = assay_anchor_tpm2_ek_name(a->tpm);
	if (name.len > EK_NAME_MAX)
		name.len = 0;
	assay_hex_encode(name, ret);
}

void anchor_close(struct opened_anchor *a)
{
	assay_anchor_tpm2_free(a->tpm);
	assay_anchor_soft_free(a->soft);
	if (a->dirfd >= 0)
		close(a->dirfd);
	*a = (struct opened_anchor){ .dirfd = -1 };
}
