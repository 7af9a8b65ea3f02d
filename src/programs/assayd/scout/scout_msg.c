/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/scout/scout_msg.h"

#include <errno.h>
#include <string.h>

#include "base/rd.h"

/* Everything of the body, or it is malformed. */
static int whole(const struct assay_rd *in, bool parsed)
{
	return parsed && assay_rd_end(in) ? 0 : -EBADMSG;
}

static bool place_read(struct assay_rd *in, struct scout_place *ret)
{
	return assay_rd_u64(in, &ret->ns) && assay_rd_u32(in, &ret->id);
}

/* Without a NUL inside, so that it is a string of that length. */
static bool text_read(struct assay_rd *in, char *to, size_t size)
{
	struct assay_bytes text;
	uint32_t len;

	if (!assay_rd_u32(in, &len) || len >= size || !assay_rd_bytes(in, len, &text))
		return false;
	if (len && memchr(text.data, '\0', len))
		return false;
	memcpy(to, text.data, len);
	to[len] = '\0';
	return true;
}

void scout_place_encode(const struct scout_place *place, struct assay_wr *w)
{
	assay_wr_u64(w, place->ns);
	assay_wr_u32(w, place->id);
}

int scout_place_parse(struct assay_bytes body, struct scout_place *ret)
{
	struct assay_rd in = assay_rd(body);

	return whole(&in, place_read(&in, ret));
}

void scout_skips_encode(const struct scout_place *skips, uint32_t n, struct assay_wr *w)
{
	for (uint32_t i = 0; i < n; i++)
		scout_place_encode(&skips[i], w);
}

int scout_skips_parse(struct assay_bytes body, struct scout_place ret[static SCOUT_SKIP_MAX],
		      uint32_t *ret_n)
{
	struct assay_rd in = assay_rd(body);
	uint32_t n = 0;

	while (n < SCOUT_SKIP_MAX && !assay_rd_end(&in))
		if (!place_read(&in, &ret[n++]))
			return -EBADMSG;
	*ret_n = n;
	return assay_rd_end(&in) ? 0 : -E2BIG;
}

void scout_mount_encode(const struct scout_mount *m, struct assay_wr *w)
{
	scout_place_encode(&m->place, w);
	assay_wr_u64(w, m->dev);
	assay_wr_u32(w, m->flags);
	assay_wr_u32(w, m->error);
	assay_wr_field(w, assay_bytes_str(m->point));
	assay_wr_field(w, assay_bytes_str(m->type));
}

int scout_mount_parse(struct assay_bytes body, struct scout_mount *ret)
{
	struct assay_rd in = assay_rd(body);

	return whole(&in, place_read(&in, &ret->place) && assay_rd_u64(&in, &ret->dev) &&
				  assay_rd_u32(&in, &ret->flags) &&
				  (ret->flags & ~(SCOUT_OURS | SCOUT_LAYER)) == 0 &&
				  assay_rd_u32(&in, &ret->error) &&
				  text_read(&in, ret->point, sizeof(ret->point)) &&
				  text_read(&in, ret->type, sizeof(ret->type)));
}

void scout_summary_encode(const struct scout_summary *s, struct assay_wr *w)
{
	assay_wr_u32(w, s->namespaces);
	assay_wr_u32(w, s->filesystems);
}

int scout_summary_parse(struct assay_bytes body, struct scout_summary *ret)
{
	struct assay_rd in = assay_rd(body);

	return whole(&in,
		     assay_rd_u32(&in, &ret->namespaces) && assay_rd_u32(&in, &ret->filesystems));
}
