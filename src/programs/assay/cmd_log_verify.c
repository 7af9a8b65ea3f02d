/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "assay log verify": its options. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "backends/crypto_openssl/crypto_openssl.h"
#include "base/num.h"
#include "programs/assay/cmd.h"
#include "programs/assay/log.h"
#include "programs/assay/log_verify.h"

#define NAME "log verify"

struct options {
	struct log_verify_options v;
	const char *tcti;
	char **files;
	int n_files;
	bool tpm;
};

static int parse_jobs(const char *text, unsigned *ret)
{
	uint64_t n;

	if (assay_num_parse(assay_bytes_str(text), 10, 1024, &n) < 0 || n == 0)
		return assay_cmd_usage(NAME, "'%s' is no number of threads", text);
	*ret = (unsigned)n;
	return 0;
}

static int parse_first(const char *text, uint64_t *ret)
{
	if (assay_num_parse(assay_bytes_str(text), 10, UINT64_MAX, ret) < 0 || *ret == 0)
		return assay_cmd_usage(NAME, "'%s' is no number of a segment", text);
	return 0;
}

static int parse_option(int c, struct options *o)
{
	struct assay_err err = { 0 };

	switch (c) {
	case 'p':
		return log_claims_add(&o->v.claims, optarg, &err) < 0
			       ? assay_cmd_usage(NAME, "%s", err.text)
			       : 0;
	case 'P':
		return log_claims_read(&o->v.claims, optarg, &err) < 0
			       ? assay_cmd_fail(NAME, optarg, &err)
			       : 0;
	case 't':
		o->tpm = true;
		return 0;
	case 'T':
		o->tcti = optarg;
		return 0;
	case 'v':
		o->v.ignore_violations = true;
		return 0;
	case 'c':
		o->v.complete = true;
		return 0;
	case 'J':
		return parse_jobs(optarg, &o->v.jobs);
	case 'F':
		return parse_first(optarg, &o->v.first);
	case 'j':
		o->v.json = true;
		return 0;
	default:
		return assay_cmd_usage(NAME, "unknown option, or one without its argument");
	}
}

static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "pcr", required_argument, NULL, 'p' },
		{ "pcrs", required_argument, NULL, 'P' },
		{ "tpm", no_argument, NULL, 't' },
		{ "tcti", required_argument, NULL, 'T' },
		{ "ignore-violations", no_argument, NULL, 'v' },
		{ "complete", no_argument, NULL, 'c' },
		{ "first", required_argument, NULL, 'F' },
		{ "jobs", required_argument, NULL, 'J' },
		{ "json", no_argument, NULL, 'j' },
		{ 0 },
	};
	int c, r = 0;

	opterr = 0;
	while (r == 0 && (c = getopt_long(argc, argv, "p:P:tT:vcF:J:j", longs, NULL)) != -1)
		r = parse_option(c, o);
	if (r)
		return r;
	if (optind >= argc)
		return assay_cmd_usage(NAME, "a file is needed ('-' is standard input)");
	if (o->tcti && !o->tpm)
		return assay_cmd_usage(NAME, "--tcti is of no use without --tpm");
	o->files = argv + optind;
	o->n_files = argc - optind;
	return 0;
}

/* A file alone may be any segment, unless it is said which. */
static int check_list(struct options *o, struct log_list *list)
{
	if (!o->v.first) {
		o->v.first = 1;
		return 0;
	}
	if (!list->part[0].input.head)
		return assay_cmd_usage(NAME, "--first is of segments, and '%s' is none",
				       list->part[0].path);
	list->chain = true;
	return 0;
}

int cmd_log_verify(int argc, char **argv)
{
	__attribute__((cleanup(assay_auto_log_list))) struct log_list list = { 0 };
	AUTO(crypto_openssl) struct assay_crypto_openssl *openssl = NULL;
	static struct options o; /* large */
	struct assay_crypto crypto;
	struct assay_err err;
	int r;

	o = (struct options){ .v.jobs = log_walk_cpus() };
	r = parse_options(argc, argv, &o);
	if (r)
		return r;
	if (o.tpm && log_claims_tpm(&o.v.claims, o.tcti, &err) < 0)
		return assay_cmd_fail(NAME, NULL, &err);
	if (assay_crypto_openssl_new(&openssl, &err) < 0)
		return assay_cmd_fail(NAME, NULL, &err);
	crypto = assay_crypto_openssl_port(openssl);
	r = log_list_open(NAME, o.files, o.n_files, &crypto, &list);
	if (r == 0)
		r = check_list(&o, &list);
	return r ? r : log_verify(NAME, &list, &o.v, &crypto);
}
