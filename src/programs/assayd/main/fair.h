/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A queue that is fair between users: each has a line of its own, and the lines take turns. Users
 * share a line when their numbers collide, so that memory does not grow with them. Pure; for one
 * thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define FAIR_LINES 61u

/* Embedded in what is queued. */
struct fair_node {
	struct fair_node *before, *after;
	uint32_t line;
};

struct fair {
	struct fair_node *first[FAIR_LINES], *last[FAIR_LINES];
	uint32_t turn; /* the line that was taken from last */
	uint32_t n;
};

void fair_put(struct fair *f, struct fair_node *node, uint32_t uid);
/* The first of the line whose turn it is; NULL: all are empty. */
struct fair_node *fair_take(struct fair *f);
/* The one that was taken last, where it was. */
void fair_put_back(struct fair *f, struct fair_node *node);
/* Out of the middle; @node is in @f. */
void fair_remove(struct fair *f, struct fair_node *node);
