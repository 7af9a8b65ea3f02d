/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "assay log": reads, verifies, counts and converts measurement lists. */
#include <getopt.h>
#include <stddef.h>

#include "backends/crypto_openssl/crypto_openssl.h"
#include "programs/assay/cmd.h"
#include "programs/assay/log.h"

static const struct command subcommands[] = {
	{
		.name = "export",
		.synopsis = "--format FORMAT FILE",
		.summary = "writes a list in another format",
		.options = "  -f, --format FORMAT  cel-json, cel-tlv, binary, ascii or anchored\n"
			   "  -b, --bank BANK      digests of a CEL record: a bank, once for each "
			   "(sha1 and sha256)\n",
		.run = cmd_log_export,
	},
	{
		.name = "show",
		.synopsis = "[--json] FILE...",
		.summary = "prints the entries of a list",
		.options = "  -j, --json  one JSON object a line\n",
		.run = cmd_log_show,
	},
	{
		.name = "stat",
		.synopsis = "[--json] FILE...",
		.summary = "counts what is in a list",
		.options = "  -j, --json  one JSON object\n",
		.run = cmd_log_stat,
	},
	{
		.name = "verify",
		.synopsis = "[--pcr BANK:INDEX:HEX]... [--pcrs PATH]... [OPTION]... FILE...",
		.summary = "checks a list, and what PCR values say of it",
		.options = "  -p, --pcr BANK:INDEX:HEX  a PCR value that must be reached\n"
			   "  -P, --pcrs PATH           PCR values: lines BANK INDEX HEX, or what "
			   "tpm2_pcrread prints\n"
			   "  -t, --tpm                 PCR values of this machine's TPM\n"
			   "  -T, --tcti TCTI           how to reach the TPM\n"
			   "  -v, --ignore-violations   a list with violations may hold\n"
			   "  -c, --complete            every entry must be proved by the values\n"
			   "  -F, --first N             the segment that the list begins with (1)\n"
			   "  -J, --jobs N              threads (one for each CPU)\n"
			   "  -j, --json                one JSON object\n",
		.run = cmd_log_verify,
	},
	{ .name = NULL },
};

const struct command cmd_log = {
	.name = "log",
	.summary = "measurement lists: show, verify, count, convert",
	.sub = subcommands,
};

int log_run_on_list(const char *name, int argc, char **argv,
		    int (*run)(const struct log_list *list, bool json,
			       const struct assay_crypto *crypto))
{
	static const struct option longs[] = { { "json", no_argument, NULL, 'j' }, { 0 } };
	__attribute__((cleanup(assay_auto_log_list))) struct log_list list = { 0 };
	AUTO(crypto_openssl) struct assay_crypto_openssl *openssl = NULL;
	struct assay_crypto crypto;
	struct assay_err err;
	bool json = false;
	int c, r;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "j", longs, NULL)) != -1) {
		if (c != 'j')
			return assay_cmd_usage(name, "unknown option '%s'", argv[optind - 1]);
		json = true;
	}
	if (optind >= argc)
		return assay_cmd_usage(name, "a file is needed ('-' is standard input)");
	if (assay_crypto_openssl_new(&openssl, &err) < 0)
		return assay_cmd_fail(name, NULL, &err);
	crypto = assay_crypto_openssl_port(openssl);
	r = log_list_open(name, argv + optind, argc - optind, &crypto, &list);
	return r ? r : run(&list, json, &crypto);
}
