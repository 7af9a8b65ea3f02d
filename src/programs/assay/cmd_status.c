/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "assay status": what a running assayd says of itself, and of its TPM's PCRs. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/hex.h"
#include "programs/assay/commands.h"
#include "programs/common/control_msg.h"

#define NAME	   "status"
#define TIMEOUT_MS 30000 /* a PCR is read between two extends, and a TPM may be slow */

struct options {
	const char *control;
	bool pcrs, json;
};

static const struct option_row rows[] = {
	{ 'C', "control", "SOCKET", "of assayd (" CONTROL_SOCKET ")", OPTION_TEXT,
	  offsetof(struct options, control) },
	{ 'p', "pcrs", NULL,
	  "PCR 10 of each bank instead: BANK INDEX HEX, for 'assay log verify --pcrs'", OPTION_FLAG,
	  offsetof(struct options, pcrs) },
	{ 'j', "json", NULL, "the JSON that assayd sent", OPTION_FLAG,
	  offsetof(struct options, json) },
	{ 0 },
};

/* The caller owns *@ret. */
static int ask(const struct options *o, json_t **ret, struct assay_err *err)
{
	struct control_request request = { .op = o->pcrs ? CONTROL_PCRS : CONTROL_STATUS };
	json_t *message = control_request_pack(&request);
	AUTO(fd) int fd = -1;
	int r;

	r = control_connect(o->control, TIMEOUT_MS, &fd, err);
	if (r == 0)
		r = control_send(fd, message, err);
	json_decref(message);
	if (r == 0)
		r = control_receive(fd, TIMEOUT_MS, ret, err);
	if (r < 0)
		return r;
	r = control_reply_check(*ret, err);
	if (r < 0)
		json_decref(*ret);
	return r;
}

/* The form that "assay log verify --pcrs" reads. */
static int print_pcrs(const json_t *reply, struct assay_err *err)
{
	static struct assay_quote_pcrs pcrs;
	char hex[2 * ASSAY_HASH_SIZE_MAX + 1];
	int r = control_pcrs_parse(reply, &pcrs, err);

	for (uint32_t i = 0; r == 0 && i < pcrs.n; i++) {
		const struct assay_quote_pcr *v = &pcrs.v[i];

		assay_hex_encode(assay_bytes(v->value, assay_hash_size(v->bank)), hex);
		printf("%s %u %s\n", assay_hash_name(v->bank), v->pcr, hex);
	}
	return r;
}

static void print_value(const char *name, const json_t *value, int depth);

static void print_members(const json_t *value, int depth)
{
	const char *key;
	json_t *member;
	size_t i;

	json_object_foreach((json_t *)value, key, member) print_value(key, member, depth);
	json_array_foreach(value, i, member) print_value("-", member, depth);
}

/* One "name value" a line; what is inside something is indented under its name. */
static void print_value(const char *name, const json_t *value, int depth)
{
	printf("%*s", 2 * depth, "");
	if (json_is_object(value) || json_is_array(value)) {
		size_t n = json_is_array(value) ? json_array_size(value) : json_object_size(value);

		printf("%s%s\n", name, n == 0 ? " none" : "");
		print_members(value, depth + 1);
		return;
	}
	printf("%-*s ", 18 - 2 * depth, name);
	if (json_is_string(value))
		puts(json_string_value(value));
	else if (json_is_integer(value))
		printf("%" JSON_INTEGER_FORMAT "\n", json_integer_value(value));
	else
		puts(json_is_true(value) ? "yes" : "no");
}

/* Something that an operator must look at. */
static bool in_trouble(const json_t *reply)
{
	return json_is_true(json_object_get(json_object_get(reply, "anchor"), "tpm_lost")) ||
	       json_is_true(json_object_get(json_object_get(reply, "list"), "full"));
}

static int run(int argc, char **argv)
{
	struct options o = { .control = CONTROL_SOCKET };
	int first, r = options_parse(NAME, rows, argc, argv, &o, &first), status = EXIT_YES;
	struct assay_err err;
	json_t *reply;

	if (r)
		return r;
	if (first != argc)
		return assay_cmd_usage(NAME, "it takes no argument, not '%s'", argv[first]);
	if (ask(&o, &reply, &err) < 0)
		return assay_cmd_fail(NAME, NULL, &err);
	if (o.json) {
		json_dumpf(reply, stdout, JSON_INDENT(2));
		putchar('\n');
	} else if (o.pcrs) {
		status = print_pcrs(reply, &err) < 0 ? assay_cmd_fail(NAME, NULL, &err) : EXIT_YES;
	} else {
		print_members(reply, 0);
	}
	if (!o.pcrs && in_trouble(reply))
		status = EXIT_NO;
	json_decref(reply);
	return status;
}

const struct command cmd_status = {
	.name = "status",
	.synopsis = "[--control SOCKET] [--pcrs] [--json]",
	.summary = "what a running assayd says of itself",
	.rows = rows,
	.run = run,
};
