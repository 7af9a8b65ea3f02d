/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/scout/walk_msg.h"

#include <errno.h>
#include <string.h>

void walk_device_write(struct assay_wr *w, const struct walk_device *d)
{
	assay_wr_u64(w, d->dev);
	assay_wr_u32(w, d->flags);
}

bool walk_device_read(struct assay_rd *in, struct walk_device *ret)
{
	static const uint32_t known =
		WALK_OPEN | WALK_LOOK | WALK_COUNT | WALK_OVERLAY | WALK_LOOK_HERE;

	return assay_rd_u64(in, &ret->dev) && assay_rd_u32(in, &ret->flags) &&
	       (ret->flags & ~known) == 0;
}

void walk_request_encode(const struct walk_request *r, struct assay_wr *w)
{
	assay_wr_u32(w, r->except);
	assay_wr_u32(w, r->first);
	assay_wr_u32(w, r->last);
	assay_wr_u64(w, r->dev);
	assay_wr_u64(w, r->ino);
	assay_wr_u32(w, r->unknown);
}

int walk_request_parse(struct assay_bytes body, struct walk_request *ret)
{
	struct assay_rd in = assay_rd(body);
	bool whole = assay_rd_u32(&in, &ret->except) && assay_rd_u32(&in, &ret->first) &&
		     assay_rd_u32(&in, &ret->last) && assay_rd_u64(&in, &ret->dev) &&
		     assay_rd_u64(&in, &ret->ino) && assay_rd_u32(&in, &ret->unknown) &&
		     assay_rd_end(&in);

	return whole && ret->unknown <= 1 ? 0 : -EBADMSG;
}

void walk_files_encode(const struct walk_file *files, uint32_t n, struct assay_wr *w)
{
	for (uint32_t i = 0; i < n; i++) {
		assay_wr_u64(w, files[i].dev);
		assay_wr_u64(w, files[i].ino);
		assay_wr_u32(w, files[i].is_exe);
	}
}

int walk_files_parse(struct assay_bytes body, struct walk_file ret[static IPC_FDS_MAX],
		     uint32_t *ret_n)
{
	struct assay_rd in = assay_rd(body);
	uint32_t n = 0;

	for (; n < IPC_FDS_MAX && !assay_rd_end(&in); n++)
		if (!assay_rd_u64(&in, &ret[n].dev) || !assay_rd_u64(&in, &ret[n].ino) ||
		    !assay_rd_u32(&in, &ret[n].is_exe) || ret[n].ino == 0 || ret[n].is_exe > 1)
			return -EBADMSG;
	*ret_n = n;
	return assay_rd_end(&in) ? 0 : -E2BIG;
}

void walk_failure_encode(const struct walk_failure *f, struct assay_wr *w)
{
	assay_wr_u64(w, f->dev);
	assay_wr_u64(w, f->ino);
	assay_wr_u32(w, f->error);
	assay_wr_field(w, assay_bytes_str(f->path));
}

/* Of the path, without a NUL inside, so that it is a string of that length. */
static bool path_read(struct assay_rd *in, char ret[static WALK_PATH_MAX])
{
	struct assay_bytes text;
	uint32_t len;

	if (!assay_rd_u32(in, &len) || len >= WALK_PATH_MAX || !assay_rd_bytes(in, len, &text) ||
	    (len && memchr(text.data, '\0', len)))
		return false;
	memcpy(ret, text.data, len);
	ret[len] = '\0';
	return true;
}

int walk_failure_parse(struct assay_bytes body, struct walk_failure *ret)
{
	struct assay_rd in = assay_rd(body);
	bool whole = assay_rd_u64(&in, &ret->dev) && assay_rd_u64(&in, &ret->ino) &&
		     assay_rd_u32(&in, &ret->error) && path_read(&in, ret->path) &&
		     assay_rd_end(&in);

	return whole && ret->error > 0 && ret->error <= 4095 ? 0 : -EBADMSG;
}
