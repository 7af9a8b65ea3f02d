/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "assay log verify": its options. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "backends/crypto_openssl/crypto_openssl.h"
#include "base/num.h"
#include "programs/assay/cmd.h"
#include "programs/assay/log.h"
#include "programs/assay/log_verify.h"

#define NAME	 "log verify"
#define JOBS_MAX 1024u

struct options {
	struct log_verify_options v;
	const char *tcti;
	bool tpm;
};

static int take_pcr(void *options, const char *text, struct assay_err *err)
{
	struct options *o = options;

	return log_claims_add(&o->v.claims, text, err);
}

static int take_pcrs(void *options, const char *path, struct assay_err *err)
{
	struct options *o = options;

	return log_claims_read(&o->v.claims, path, err) < 0 ? assay_cmd_fail(NAME, path, err) : 0;
}

static int take_first(void *options, const char *text, struct assay_err *err)
{
	struct options *o = options;

	return log_first_parse(text, &o->v.first, err);
}

static int take_jobs(void *options, const char *text, struct assay_err *err)
{
	struct options *o = options;
	uint64_t n;

	if (assay_num_parse(assay_bytes_str(text), 10, JOBS_MAX, &n) < 0 || n == 0)
		return assay_err_set(err, -EINVAL, "'%s' is no number of threads (1 to %u)", text,
				     JOBS_MAX);
	o->v.jobs = (unsigned)n;
	return 0;
}

const struct option_row log_verify_rows[] = {
	{ 'p', "pcr", "BANK:INDEX:HEX", "a PCR value that must be reached", OPTION_CALL,
	  .take = take_pcr },
	{ 'P', "pcrs", "PATH", "PCR values: lines BANK INDEX HEX, or what tpm2_pcrread prints",
	  OPTION_CALL, .take = take_pcrs },
	{ 't', "tpm", NULL, "PCR values of this machine's TPM", OPTION_FLAG,
	  offsetof(struct options, tpm) },
	{ 'T', "tcti", "TCTI", "how to reach the TPM", OPTION_TEXT,
	  offsetof(struct options, tcti) },
	{ 'v', "ignore-violations", NULL, "a list with violations may hold", OPTION_FLAG,
	  offsetof(struct options, v.ignore_violations) },
	{ 'c', "complete", NULL, "every entry must be proved by the values", OPTION_FLAG,
	  offsetof(struct options, v.complete) },
	{ 'F', "first", "N", "the segment that the list begins with (1)", OPTION_CALL,
	  .take = take_first },
	{ 'J', "jobs", "N", "threads (one for each CPU)", OPTION_CALL, .take = take_jobs },
	{ 'j', "json", NULL, "one JSON object", OPTION_FLAG, offsetof(struct options, v.json) },
	{ 0 },
};

int cmd_log_verify(int argc, char **argv)
{
	__attribute__((cleanup(assay_auto_log_list))) struct log_list list = { 0 };
	AUTO(crypto_openssl) struct assay_crypto_openssl *openssl = NULL;
	static struct options o; /* large */
	struct assay_crypto crypto;
	struct assay_err err;
	int first, r;

	o = (struct options){ .v.jobs = log_walk_cpus() };
	r = options_parse(NAME, log_verify_rows, argc, argv, &o, &first);
	if (r)
		return r;
	if (first >= argc)
		return assay_cmd_usage(NAME, "a file is needed ('-' is standard input)");
	if (o.tcti && !o.tpm)
		return assay_cmd_usage(NAME, "--tcti is of no use without --tpm");
	if (o.tpm && log_claims_tpm(&o.v.claims, o.tcti, &err) < 0)
		return assay_cmd_fail(NAME, NULL, &err);
	if (assay_crypto_openssl_new(&openssl, &err) < 0)
		return assay_cmd_fail(NAME, NULL, &err);
	crypto = assay_crypto_openssl_port(openssl);
	r = log_list_open(NAME, argv + first, argc - first, &crypto, &list);
	if (r == 0)
		r = log_list_begin(NAME, &list, &o.v.first);
	return r ? r : log_verify(NAME, &list, &o.v, &crypto);
}
