/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* assayd's status for people and for OpenMetrics; what a reply does not have is left out. */
#pragma once

#include <jansson.h>

/* A page for a terminal, worst first. */
void status_page_print(const json_t *reply);
/* OpenMetrics text, to the end of file. */
void status_metrics_print(const json_t *reply);

/* By a path as "anchor.extends"; NULL: there is none. */
const json_t *status_find(const json_t *reply, const char *path);
