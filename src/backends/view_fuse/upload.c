/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "backends/view_fuse/upload.h"

#include <errno.h>
#include <stdlib.h>

#include "formats/policy.h"

/* Up to the first @end or NUL. */
static struct assay_bytes cut_at(struct assay_bytes in, uint8_t end)
{
	size_t len = 0;

	while (len < in.len && in.data[len] != end && in.data[len] != '\0')
		len++;
	return assay_bytes(in.data, len);
}

/* A comment, or nothing but blanks: the kernel takes it and goes on. */
static bool is_empty(struct assay_bytes line)
{
	size_t at = 0;

	while (at < line.len && (line.data[at] == ' ' || line.data[at] == '\t'))
		at++;
	return at == line.len || line.data[at] == '#';
}

static int add_line(struct assay_view_upload *u, struct assay_bytes line)
{
	size_t need = u->len + line.len + 1;

	if (need > ASSAY_POLICY_SIZE_MAX)
		return -EFBIG;
	if (need > u->room) {
		size_t room = 2 * need;
		uint8_t *more = realloc(u->text, room);

		if (!more)
			return -ENOMEM;
		u->text = more;
		u->room = room;
	}
	if (line.len)
		memcpy(u->text + u->len, line.data, line.len);
	u->text[need - 1] = '\n';
	u->len = need;
	return 0;
}

static int take_rule(struct assay_view_upload *u, const struct assay_view_check *check,
		     struct assay_bytes line)
{
	int r = is_empty(line) ? 0 : check->rule(check->ctx, line);

	if (r == 0 && u->path)
		r = -EINVAL;
	if (r == 0)
		r = add_line(u, line);
	if (r == 0 && !is_empty(line))
		u->has_rule = true;
	return r;
}

/* The kernel takes the whole write for the path, up to a line's end. */
static int take_path(struct assay_view_upload *u, struct assay_bytes in, struct assay_bytes *ret)
{
	if (u->has_rule)
		return -EINVAL;
	u->path = true;
	*ret = cut_at(in, '\n');
	return 0;
}

int assay_view_upload_write(struct assay_view_upload *u, const struct assay_view_check *check,
			    struct assay_bytes in, uint64_t offset, size_t *ret_taken,
			    struct assay_bytes *ret_path)
{
	struct assay_bytes cut, line, path = { 0 };
	size_t taken;
	int r;

	if (offset != 0 && offset != u->taken)
		return -EINVAL;
	cut = assay_bytes(in.data, in.len < ASSAY_VIEW_WRITE_MAX ? in.len : ASSAY_VIEW_WRITE_MAX);
	line = cut_at(cut, '\n');
	if (in.len == 0)
		r = 0;
	else if (in.data[0] == '/')
		r = take_path(u, cut, &path);
	else
		r = take_rule(u, check, line);
	if (r < 0) {
		u->invalid = true;
		return r;
	}
	/* The end of the line is taken with it. */
	taken = path.len ? cut.len : line.len + 1;
	if (taken > in.len)
		taken = in.len;
	u->taken += taken;
	*ret_taken = taken;
	*ret_path = path;
	return 0;
}

struct assay_bytes assay_view_upload_take(struct assay_view_upload *u)
{
	if (u->invalid || !u->has_rule || u->loaded == u->len)
		return (struct assay_bytes){ 0 };
	u->loaded = u->len;
	return assay_bytes(u->text, u->len);
}

void assay_view_upload_failed(struct assay_view_upload *u)
{
	u->invalid = true;
}

void assay_view_upload_done(struct assay_view_upload *u)
{
	free(u->text);
	*u = (struct assay_view_upload){ 0 };
}
