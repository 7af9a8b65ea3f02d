/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "assay status": what a running assayd says of itself, and of its TPM's PCRs. */
#include <stdio.h>
#include <string.h>

#include "base/hex.h"
#include "programs/assay/answer.h"
#include "programs/assay/commands.h"
#include "programs/assay/status_page.h"
#include "programs/common/control_msg.h"

#define NAME	   "status"
#define TIMEOUT_MS 30000 /* a PCR is read between two extends, and a TPM may be slow */

struct options {
	const char *control;
	bool public, pcrs, json, openmetrics;
};

static const struct option_row rows[] = {
	{ 'C', "control", "SOCKET", "of assayd (" CONTROL_SOCKET ")", OPTION_TEXT,
	  offsetof(struct options, control) },
	{ 'p', "pcrs", NULL,
	  "PCR 10 of each bank instead: BANK INDEX HEX, for 'assay log verify --pcrs'", OPTION_FLAG,
	  offsetof(struct options, pcrs) },
	{ 'P', "public", NULL, "as everybody may: counts and health, over " CONTROL_PUBLIC,
	  OPTION_FLAG, offsetof(struct options, public) },
	{ 'j', "json", NULL, "the JSON that assayd sent", OPTION_FLAG,
	  offsetof(struct options, json) },
	{ 'o', "openmetrics", NULL, "OpenMetrics text, for Prometheus", OPTION_FLAG,
	  offsetof(struct options, openmetrics) },
	{ 0 },
};

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

/* Something that an operator must look at. */
static bool in_trouble(const json_t *reply)
{
	return !json_is_true(status_find(reply, "health.ok"));
}

static int print(const struct options *o, json_t *reply)
{
	struct assay_err err;
	int r = EXIT_YES;

	if (o->json) {
		r = answer_print_indented(NAME, json_incref(reply));
	} else if (o->pcrs) {
		if (print_pcrs(reply, &err) < 0)
			return assay_cmd_fail(NAME, NULL, &err);
	} else if (o->openmetrics) {
		status_metrics_print(reply);
	} else {
		status_page_print(reply);
	}
	return r == EXIT_YES && !o->pcrs && in_trouble(reply) ? EXIT_NO : r;
}

static int run(int argc, char **argv)
{
	struct control_request request = { .op = CONTROL_STATUS };
	struct options o = { 0 };
	int r = options_parse_all(NAME, rows, argc, argv, &o), status;
	struct assay_err err;
	json_t *reply;

	if (r)
		return r;
	if ((o.pcrs && o.public) || (o.openmetrics && (o.pcrs || o.json)))
		return assay_cmd_usage(NAME, "two of its options do not go together");
	if (!o.control)
		o.control = o.public ? CONTROL_PUBLIC : CONTROL_SOCKET;
	if (o.pcrs)
		request.op = CONTROL_PCRS;
	if (control_ask(o.control, &request, TIMEOUT_MS, &reply, &err) < 0)
		return assay_cmd_fail(NAME, NULL, &err);
	status = print(&o, reply);
	json_decref(reply);
	return status;
}

const struct command cmd_status = {
	.name = "status",
	.synopsis = "[--control SOCKET] [--public | --pcrs] [--json | --openmetrics]",
	.summary = "what a running assayd says of itself",
	.rows = rows,
	.run = run,
};
