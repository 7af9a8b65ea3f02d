/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "assay tpm": what the TPM is, and attestation keys made in it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/anchor_tpm2/anchor_tpm2.h"
#include "base/file.h"
#include "base/fmt.h"
#include "programs/assay/commands.h"
#include "programs/assay/quote.h"

#define CREATE "tpm create-ak"
#define INFO   "tpm info"

/* tpm2-tss prints for itself unless it is told not to; our messages say the same once. */
static int open_tpm(const char *tcti, struct assay_anchor_tpm2 **ret, struct assay_err *err)
{
	struct assay_anchor_tpm2_config config = { .size = sizeof(config), .tcti = tcti };

	setenv("TSS2_LOG", "all+NONE", 0);
	return assay_anchor_tpm2_new(&config, ret, err);
}

/* ---- create-ak ------------------------------------------------------------------------------ */

struct create_options {
	enum assay_ak_algorithm algorithm;
	const char *tcti, *pem, *prefix;
};

static int take_algorithm(void *options, const char *name, struct assay_err *err)
{
	struct create_options *o = options;

	if (strcmp(name, "ecc") != 0 && strcmp(name, "rsa") != 0)
		return assay_err_set(err, -EINVAL, "'%s' is neither 'ecc' nor 'rsa'", name);
	o->algorithm = strcmp(name, "ecc") == 0 ? ASSAY_AK_ECC_P256 : ASSAY_AK_RSA_2048;
	return 0;
}

static const struct option_row create_rows[] = {
	{ 'a', "algorithm", "ALG", "ecc (P-256, the default) or rsa (2048 bits)", OPTION_CALL,
	  .take = take_algorithm },
	{ 'T', "tcti", "TCTI", "how to reach the TPM", OPTION_TEXT,
	  offsetof(struct create_options, tcti) },
	{ 'p', "pem", "FILE", "another file for the PEM", OPTION_TEXT,
	  offsetof(struct create_options, pem) },
	{ 0 },
};

static int write_part(const char *prefix, const char *suffix, unsigned mode, struct assay_bytes b,
		      struct assay_err *err)
{
	char path[4096];

	if (assay_fmt(path, sizeof(path), "%s%s", prefix, suffix) >= sizeof(path))
		return assay_err_set(err, -ENAMETOOLONG, "path '%s' is too long", prefix);
	return assay_file_replace(AT_FDCWD, path, mode, b, err);
}

static int write_ak(const struct create_options *o, const struct assay_ak *ak,
		    struct assay_err *err)
{
	struct assay_bytes public_part = assay_bytes(ak->public, ak->public_len);
	char text[2048];
	struct assay_wr pem = assay_wr(text, sizeof(text));
	struct assay_tpm_public public;
	int r = assay_tpm_public_parse(public_part, &public, err);

	if (r == 0)
		r = quote_key_pem(&public, &pem, err);
	if (r == 0)
		r = write_part(o->prefix, ".priv", 0600, assay_bytes(ak->private, ak->private_len),
			       err);
	if (r == 0)
		r = write_part(o->prefix, ".pub", 0644, public_part, err);
	if (r == 0)
		r = write_part(o->pem ? o->pem : o->prefix, o->pem ? "" : ".pem", 0644,
			       assay_wr_done(&pem), err);
	return r;
}

/* A key that somebody has enrolled is not written over. */
static int refuse_existing(const char *prefix, struct assay_err *err)
{
	char path[4096];

	if (assay_fmt(path, sizeof(path), "%s.priv", prefix) >= sizeof(path) ||
	    access(path, F_OK) != 0)
		return 0;
	return assay_err_set(err, -EEXIST,
			     "'%s' is there already, and may be enrolled: name another prefix, or "
			     "remove it first",
			     path);
}

static int cmd_create_ak(int argc, char **argv)
{
	AUTO(anchor_tpm2) struct assay_anchor_tpm2 *tpm = NULL;
	struct create_options o = { .algorithm = ASSAY_AK_ECC_P256 };
	struct assay_err err = { 0 };
	struct assay_ak ak;
	int first, r = options_parse(CREATE, create_rows, argc, argv, &o, &first);

	if (r)
		return r;
	if (first + 1 != argc)
		return assay_cmd_usage(CREATE, "one PREFIX for the files is needed");
	o.prefix = argv[first];
	if (refuse_existing(o.prefix, &err) < 0 || open_tpm(o.tcti, &tpm, &err) < 0 ||
	    assay_anchor_tpm2_create_ak(tpm, o.algorithm, &ak, &err) < 0 ||
	    write_ak(&o, &ak, &err) < 0)
		return assay_cmd_fail(CREATE, NULL, &err);
	return EXIT_YES;
}

/* ---- info ----------------------------------------------------------------------------------- */

static void print_info(const struct assay_tpm_info *info, bool json)
{
	const char *between = "";

	if (json)
		printf("{\"manufacturer\": \"%s\", \"firmware\": \"%x.%x\", "
		       "\"specification\": \"%u.%02u\", \"banks\": [",
		       info->manufacturer, info->firmware[0], info->firmware[1],
		       info->spec_revision / 100, info->spec_revision % 100);
	else
		printf("manufacturer   %s\nfirmware       %x.%x\nspecification  %u.%02u\n"
		       "banks          ",
		       info->manufacturer, info->firmware[0], info->firmware[1],
		       info->spec_revision / 100, info->spec_revision % 100);
	for (uint32_t i = 0; i < info->banks.n; i++, between = json ? ", " : " ")
		printf(json ? "%s\"%s\"" : "%s%s", between, assay_hash_name(info->banks.alg[i]));
	printf(json ? "], \"clock_ms\": %llu, \"resets\": %u, \"restarts\": %u, \"safe\": %s}\n"
		    : "\nclock          %llu ms, %u resets, %u restarts since the last, safe: "
		      "%s\n",
	       (unsigned long long)info->clock.clock, info->clock.reset_count,
	       info->clock.restart_count,
	       info->clock.safe ? (json ? "true" : "yes") : (json ? "false" : "no"));
}

struct info_options {
	const char *tcti;
	bool json;
};

static const struct option_row info_rows[] = {
	{ 'T', "tcti", "TCTI", "how to reach the TPM", OPTION_TEXT,
	  offsetof(struct info_options, tcti) },
	{ 'j', "json", NULL, "one JSON object", OPTION_FLAG, offsetof(struct info_options, json) },
	{ 0 },
};

static int cmd_info(int argc, char **argv)
{
	AUTO(anchor_tpm2) struct assay_anchor_tpm2 *tpm = NULL;
	struct assay_err err = { 0 };
	struct info_options o = { 0 };
	struct assay_tpm_info info;
	int first, r = options_parse(INFO, info_rows, argc, argv, &o, &first);

	if (r)
		return r;
	if (first != argc)
		return assay_cmd_usage(INFO, "'%s' is too much", argv[first]);
	if (open_tpm(o.tcti, &tpm, &err) < 0 || assay_anchor_tpm2_info(tpm, &info, &err) < 0)
		return assay_cmd_fail(INFO, NULL, &err);
	print_info(&info, o.json);
	return EXIT_YES;
}

static const struct command subcommands[] = {
	{
		.name = "create-ak",
		.synopsis = "[--algorithm ecc|rsa] [--tcti TCTI] [--pem FILE] PREFIX",
		.summary = "makes an attestation key: PREFIX.pub, PREFIX.priv, PREFIX.pem",
		.rows = create_rows,
		.run = cmd_create_ak,
	},
	{
		.name = "info",
		.synopsis = "[--tcti TCTI] [--json]",
		.summary = "says what the TPM is: maker, PCR banks, clock",
		.rows = info_rows,
		.run = cmd_info,
	},
	{ .name = NULL },
};

const struct command cmd_tpm = {
	.name = "tpm",
	.summary = "the TPM: what it is, attestation keys",
	.sub = subcommands,
};
