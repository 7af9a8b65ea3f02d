/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assay/answer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "formats/mlist_ascii.h"
#include "programs/assay/cmd.h"

#define ESCAPED_MAX 4u /* bytes that one becomes: \xHH */

json_t *answer_text(const char *text)
{
	size_t cap = ESCAPED_MAX * strlen(text);
	char *escaped = malloc(cap + 1);
	struct assay_wr w = assay_wr(escaped, cap);
	json_t *answer = NULL;

	if (escaped) {
		assay_ascii_escape(assay_bytes_str(text), &w);
		answer = json_stringn(escaped, w.len);
	}
	free(escaped);
	return answer;
}

json_t *answer_hex(struct assay_bytes bytes)
{
	char *hex = malloc(2 * bytes.len + 1);
	json_t *answer = NULL;

	if (hex) {
		assay_hex_encode(bytes, hex);
		answer = json_string(hex);
	}
	free(hex);
	return answer;
}

json_t *answer_clock(const struct assay_tpm_clock *clock)
{
	return json_pack("{s:I, s:I, s:I, s:b}", "clock_ms", (json_int_t)clock->clock, "resets",
			 (json_int_t)clock->reset_count, "restarts",
			 (json_int_t)clock->restart_count, "safe", clock->safe);
}

json_t *answer_pcrs(const struct assay_quote_pcrs *pcrs)
{
	json_t *all = json_array();

	for (uint32_t i = 0; i < pcrs->n; i++) {
		const struct assay_quote_pcr *p = &pcrs->v[i];

		json_array_append_new(all,
				      json_pack("{s:s, s:i, s:o}", "bank", assay_hash_name(p->bank),
						"pcr", (int)p->pcr, "value",
						answer_hex(assay_bytes(p->value,
								       assay_hash_size(p->bank)))));
	}
	return all;
}

static int print(const char *command, json_t *answer, size_t flags)
{
	struct assay_err err;
	int r = json_dumpf(answer, stdout, flags);

	json_decref(answer);
	if (r < 0) {
		assay_err_set(&err, -EIO, "cannot print the answer as JSON");
		return assay_cmd_fail(command, NULL, &err);
	}
	putchar('\n');
	return EXIT_YES;
}

int answer_print(const char *command, json_t *answer)
{
	return print(command, answer, JSON_COMPACT);
}

int answer_print_indented(const char *command, json_t *answer)
{
	return print(command, answer, JSON_INDENT(2));
}
