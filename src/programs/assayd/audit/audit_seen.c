/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/audit/audit_seen.h"

#include <string.h>

static size_t set_of(const struct audit_seen_entry *e)
{
	return (size_t)(e->key[0] | e->key[1] << 8) % AUDIT_SEEN_SETS;
}

/* AUDIT_SEEN_WAYS: it is not there. */
static size_t way_of(const struct audit_seen *s, const struct audit_seen_entry *e)
{
	size_t way = 0;

	while (way < AUDIT_SEEN_WAYS &&
	       memcmp(s->entry[set_of(e)][way].key, e->key, AUDIT_SEEN_KEY) != 0)
		way++;
	return way;
}

bool audit_seen_has(const struct audit_seen *s, const struct audit_seen_entry *e)
{
	size_t way = way_of(s, e);

	return way < AUDIT_SEEN_WAYS &&
	       memcmp(s->entry[set_of(e)][way].content, e->content, AUDIT_SEEN_KEY) == 0;
}

void audit_seen_add(struct audit_seen *s, const struct audit_seen_entry *e)
{
	size_t set = set_of(e), way = way_of(s, e);

	if (way == AUDIT_SEEN_WAYS) {
		way = s->oldest[set];
		s->oldest[set] = (uint8_t)((way + 1) % AUDIT_SEEN_WAYS);
	}
	s->entry[set][way] = *e;
}
