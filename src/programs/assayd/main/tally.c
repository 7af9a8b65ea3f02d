/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/tally.h"

#include <string.h>

#include "base/fmt.h"

static struct tally_kind *find_kind(struct tally *t, const char *name)
{
	char cut[TALLY_KIND_MAX];

	assay_fmt(cut, sizeof(cut), "%s", name);
	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->kind[i].name, cut) == 0)
			return &t->kind[i];
	if (t->n == TALLY_KINDS)
		return &t->kind[TALLY_KINDS - 1];
	if (t->n == TALLY_KINDS - 1)
		memcpy(cut, "other", sizeof("other"));
	memcpy(t->kind[t->n].name, cut, sizeof(cut));
	return &t->kind[t->n++];
}

bool tally_add(struct tally *t, const char *name, uint64_t now_ns)
{
	struct tally_kind *k = find_kind(t, name);

	/* With a count that nobody has taken yet the interval goes on. */
	if (k->shown && !k->counted && now_ns - k->began_ns >= TALLY_INTERVAL_NS)
		k->shown = 0;
	if (k->shown == 0)
		k->began_ns = now_ns;
	if (k->shown == TALLY_SHOWN) {
		k->counted++;
		return false;
	}
	k->shown++;
	return true;
}

bool tally_take(struct tally *t, uint64_t now_ns, struct tally_kind *ret)
{
	for (size_t i = 0; i < t->n; i++) {
		struct tally_kind *k = &t->kind[i];

		if (!k->counted ||
		    (now_ns != UINT64_MAX && now_ns - k->began_ns < TALLY_INTERVAL_NS))
			continue;
		*ret = *k;
		k->shown = 0;
		k->counted = 0;
		return true;
	}
	return false;
}
