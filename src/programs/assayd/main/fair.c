/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/fair.h"

#include <stddef.h>

void fair_put(struct fair *f, struct fair_node *node, uint32_t uid)
{
	uint32_t line = uid % FAIR_LINES;

	*node = (struct fair_node){ .before = f->last[line], .line = line };
	*(node->before ? &node->before->after : &f->first[line]) = node;
	f->last[line] = node;
	f->n++;
}

void fair_remove(struct fair *f, struct fair_node *node)
{
	*(node->before ? &node->before->after : &f->first[node->line]) = node->after;
	*(node->after ? &node->after->before : &f->last[node->line]) = node->before;
	f->n--;
}

void fair_put_back(struct fair *f, struct fair_node *node)
{
	node->before = NULL;
	node->after = f->first[node->line];
	*(node->after ? &node->after->before : &f->last[node->line]) = node;
	f->first[node->line] = node;
	f->turn = (node->line + FAIR_LINES - 1) % FAIR_LINES;
	f->n++;
}

struct fair_node *fair_take(struct fair *f)
{
	struct fair_node *node;

	if (f->n == 0)
		return NULL;
	do
		f->turn = (f->turn + 1) % FAIR_LINES;
	while (!f->first[f->turn]);
	node = f->first[f->turn];
	fair_remove(f, node);
	return node;
}
