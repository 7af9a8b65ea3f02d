/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "assay log": reads, verifies, counts and converts measurement lists. */
#include "backends/crypto_openssl/crypto_openssl.h"
#include "programs/assay/cmd.h"
#include "programs/assay/log.h"

static const struct command subcommands[] = {
	{
		.name = "export",
		.synopsis = "--format FORMAT [OPTION]... FILE",
		.summary = "writes a list in another format",
		.rows = log_export_rows,
		.run = cmd_log_export,
	},
	{
		.name = "show",
		.synopsis = "[--states] [--json] FILE...",
		.summary = "prints the entries of a list",
		.rows = log_show_rows,
		.run = cmd_log_show,
	},
	{
		.name = "stat",
		.synopsis = "[--json] FILE...",
		.summary = "counts what is in a list",
		.rows = log_stat_rows,
		.run = cmd_log_stat,
	},
	{
		.name = "verify",
		.synopsis = "[--pcr BANK:INDEX:HEX]... [--pcrs PATH]... [OPTION]... FILE...",
		.summary = "checks a list, and what PCR values say of it",
		.rows = log_verify_rows,
		.run = cmd_log_verify,
	},
	{ .name = NULL },
};

const struct command cmd_log = {
	.name = "log",
	.summary = "measurement lists: show, verify, count, convert",
	.sub = subcommands,
};

int log_run_on_list(const char *name, const struct option_row *rows, void *options, int argc,
		    char **argv,
		    int (*run)(const struct log_list *list, const void *options,
			       const struct assay_crypto *crypto))
{
	__attribute__((cleanup(assay_auto_log_list))) struct log_list list = { 0 };
	AUTO(crypto_openssl) struct assay_crypto_openssl *openssl = NULL;
	struct assay_crypto crypto;
	struct assay_err err;
	int first, r;

	r = options_parse(name, rows, argc, argv, options, &first);
	if (r)
		return r;
	if (first >= argc)
		return assay_cmd_usage(name, "a file is needed ('-' is standard input)");
	if (assay_crypto_openssl_new(&openssl, &err) < 0)
		return assay_cmd_fail(name, NULL, &err);
	crypto = assay_crypto_openssl_port(openssl);
	r = log_list_open(name, argv + first, argc - first, &crypto, &list);
	return r ? r : run(&list, options, &crypto);
}
