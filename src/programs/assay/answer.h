/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What commands print with --json: the parts that several have in common. Each returns NULL when
 * memory is out, which jansson takes for a value that is not there and answer_print() tells. */
#pragma once

#include <jansson.h>

#include "formats/quote.h"

/* A string of any bytes, paths and messages too: what is no text is escaped as names in lists are
 * (assay_ascii_escape()). */
json_t *answer_text(const char *text);
json_t *answer_hex(struct assay_bytes bytes);
json_t *answer_clock(const struct assay_tpm_clock *clock);
/* An array of bank, pcr, value. */
json_t *answer_pcrs(const struct assay_quote_pcrs *pcrs);

/* One line on stdout, or several for people to read; frees @answer. Returns an exit status. */
int answer_print(const char *command, json_t *answer);
int answer_print_indented(const char *command, json_t *answer);
