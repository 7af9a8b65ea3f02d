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
#include "programs/assay/answer.h"
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
	bool json;
};

/* Where the parts of a key are written. */
struct ak_paths {
	char private[4096], public[4096], pem[4096];
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
	{ 'j', "json", NULL, "print the key's name and files as a JSON object", OPTION_FLAG,
	  offsetof(struct create_options, json) },
	{ 0 },
};

static int name_files(const struct create_options *o, struct ak_paths *ret, struct assay_err *err)
{
	const struct {
		char *to;
		const char *prefix, *suffix;
	} part[] = {
		{ ret->private, o->prefix, ".priv" },
		{ ret->public, o->prefix, ".pub" },
		{ ret->pem, o->pem ? o->pem : o->prefix, o->pem ? "" : ".pem" },
	};

	for (size_t i = 0; i < ARRAY_LEN(part); i++)
		if (assay_fmt(part[i].to, sizeof(ret->pem), "%s%s", part[i].prefix,
			      part[i].suffix) >= sizeof(ret->pem))
			return assay_err_set(err, -ENAMETOOLONG, "path '%s' is too long",
					     part[i].prefix);
	return 0;
}

static int write_ak(const struct ak_paths *paths, const struct assay_ak *ak,
		    const struct assay_tpm_public *public, struct assay_err *err)
{
	char text[2048];
	struct assay_wr pem = assay_wr(text, sizeof(text));
	int r = quote_key_pem(public, &pem, err);

	if (r == 0)
		r = assay_file_replace(AT_FDCWD, paths->private, 0600,
				       assay_bytes(ak->private, ak->private_len), err);
	if (r == 0)
		r = assay_file_replace(AT_FDCWD, paths->public, 0644,
				       assay_bytes(ak->public, ak->public_len), err);
	if (r == 0)
		r = assay_file_replace(AT_FDCWD, paths->pem, 0644, assay_wr_done(&pem), err);
	return r;
}

/* A key that somebody has enrolled is not written over. */
static int refuse_existing(const char *path, struct assay_err *err)
{
	if (access(path, F_OK) != 0)
		return 0;
	return assay_err_set(err, -EEXIST,
			     "'%s' is there already, and may be enrolled: name another prefix, or "
			     "remove it first",
			     path);
}

static int create_ak(const struct create_options *o, const struct ak_paths *paths,
		     struct assay_ak *ak, struct assay_tpm_public *ret_public,
		     struct assay_err *err)
{
	AUTO(anchor_tpm2) struct assay_anchor_tpm2 *tpm = NULL;
	int r = refuse_existing(paths->private, err);

	if (r == 0)
		r = open_tpm(o->tcti, &tpm, err);
	if (r == 0)
		r = assay_anchor_tpm2_create_ak(tpm, o->algorithm, ak, err);
	if (r == 0)
		r = assay_tpm_public_parse(assay_bytes(ak->public, ak->public_len), ret_public,
					   err);
	return r < 0 ? r : write_ak(paths, ak, ret_public, err);
}

/* No handle: nothing of the key stays in the TPM. */
static int tell_ak(const struct create_options *o, const struct ak_paths *paths,
		   const struct assay_tpm_public *public)
{
	AUTO(crypto_openssl) struct assay_crypto_openssl *openssl = NULL;
	uint8_t name[ASSAY_TPM_NAME_MAX];
	struct assay_wr w = assay_wr(name, sizeof(name));
	struct assay_crypto crypto;
	struct assay_err err;

	if (assay_crypto_openssl_new(&openssl, &err) < 0)
		return assay_cmd_fail(CREATE, NULL, &err);
	crypto = assay_crypto_openssl_port(openssl);
	if (quote_key_name(&crypto, public, &w, &err) < 0)
		return assay_cmd_fail(CREATE, NULL, &err);
	return answer_print(CREATE,
			    json_pack("{s:s, s:o, s:o, s:o, s:o}", "algorithm",
				      o->algorithm == ASSAY_AK_ECC_P256 ? "ecc-p256" : "rsa-2048",
				      "name", answer_hex(assay_wr_done(&w)), "public",
				      answer_text(paths->public), "private",
				      answer_text(paths->private), "pem", answer_text(paths->pem)));
}

static int cmd_create_ak(int argc, char **argv)
{
	struct create_options o = { .algorithm = ASSAY_AK_ECC_P256 };
	struct assay_err err = { 0 };
	struct assay_tpm_public public;
	struct ak_paths paths;
	struct assay_ak ak;
	int first, r = options_parse(CREATE, create_rows, argc, argv, &o, &first);

	if (r)
		return r;
	if (first + 1 != argc)
		return assay_cmd_usage(CREATE, "one PREFIX for the files is needed");
	o.prefix = argv[first];
	if (name_files(&o, &paths, &err) < 0 || create_ak(&o, &paths, &ak, &public, &err) < 0)
		return assay_cmd_fail(CREATE, NULL, &err);
	return o.json ? tell_ak(&o, &paths, &public) : EXIT_YES;
}

/* ---- info ----------------------------------------------------------------------------------- */

static void print_info(const struct assay_tpm_info *info)
{
	printf("manufacturer   %s\nfirmware       %x.%x\nspecification  %u.%02u\nbanks         ",
	       info->manufacturer, info->firmware[0], info->firmware[1], info->spec_revision / 100,
	       info->spec_revision % 100);
	for (uint32_t i = 0; i < info->banks.n; i++)
		printf(" %s", assay_hash_name(info->banks.alg[i]));
	printf("\nclock          %llu ms, %u resets, %u restarts since the last, safe: %s\n",
	       (unsigned long long)info->clock.clock, info->clock.reset_count,
	       info->clock.restart_count, info->clock.safe ? "yes" : "no");
}

static int tell_info(const struct assay_tpm_info *info)
{
	json_t *banks = json_array(), *answer = answer_clock(&info->clock);
	char firmware[32], specification[32];

	assay_fmt(firmware, sizeof(firmware), "%x.%x", info->firmware[0], info->firmware[1]);
	assay_fmt(specification, sizeof(specification), "%u.%02u", info->spec_revision / 100,
		  info->spec_revision % 100);
	for (uint32_t i = 0; i < info->banks.n; i++)
		json_array_append_new(banks, json_string(assay_hash_name(info->banks.alg[i])));
	json_object_set_new(answer, "manufacturer", answer_text(info->manufacturer));
	json_object_set_new(answer, "firmware", json_string(firmware));
	json_object_set_new(answer, "specification", json_string(specification));
	json_object_set_new(answer, "banks", banks);
	return answer_print(INFO, answer);
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
	if (o.json)
		return tell_info(&info);
	print_info(&info);
	return EXIT_YES;
}

static const struct command subcommands[] = {
	{
		.name = "create-ak",
		.synopsis = "[--algorithm ecc|rsa] [--tcti TCTI] [--pem FILE] [--json] PREFIX",
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
