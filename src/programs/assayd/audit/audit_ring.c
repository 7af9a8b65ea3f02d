/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/audit/audit_ring.h"

void audit_ring_init(struct audit_ring *r, void *data, size_t size)
{
	*r = (struct audit_ring){ .data = data, .size = size, .first = 1, .next = 1 };
}

/* Where @len bytes fit in one piece behind the newest line, with the lines that stand there gone.
 */
static size_t make_room(struct audit_ring *r, size_t len)
{
	size_t at = 0, i;

	if (r->next > r->first) {
		i = (r->next - 1) % AUDIT_RING_LINES;
		at = r->line[i].at + r->line[i].len;
	}
	/* A line that does not fit before the end begins at the start; what is behind it is older.
	 */
	if (len > r->size - at) {
		while (r->first < r->next && r->line[r->first % AUDIT_RING_LINES].at >= at)
			r->first++;
		at = 0;
	}
	while (r->first < r->next) {
		i = r->first % AUDIT_RING_LINES;
		if (r->line[i].at < at || r->line[i].at >= at + len)
			break;
		r->first++;
	}
	return at;
}

void audit_ring_put(struct audit_ring *r, struct assay_bytes line)
{
	size_t at, i = r->next % AUDIT_RING_LINES;

	if (line.len > r->size)
		line.len = 0;
	if (r->next - r->first == AUDIT_RING_LINES)
		r->first++;
	at = make_room(r, line.len);
	if (line.len)
		memcpy(r->data + at, line.data, line.len);
	r->line[i].at = at;
	r->line[i].len = line.len;
	r->next++;
}

bool audit_ring_get(const struct audit_ring *r, uint64_t *cursor, uint64_t *missed,
		    struct assay_bytes *ret)
{
	uint64_t at = *cursor;
	size_t i;

	if (at < r->first) {
		*missed += r->first - at;
		at = r->first;
		*cursor = at;
	}
	if (at >= r->next)
		return false;
	i = at % AUDIT_RING_LINES;
	*ret = assay_bytes(r->data + r->line[i].at, r->line[i].len);
	*cursor = at + 1;
	return true;
}
