/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/layers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct layers_mount {
	uint64_t dev;
	char *point;
	struct assay_bytes options;
	bool overlay, waits;
};

static int add(struct layers *l, const struct assay_mount *mount, bool waits)
{
	struct layers_mount *bigger;
	size_t cap = l->cap ? 2 * l->cap : 16;

	if (l->n == l->cap) {
		bigger = realloc(l->mount, cap * sizeof(*bigger));
		if (!bigger)
			return -ENOMEM;
		l->mount = bigger;
		l->cap = cap;
	}
	l->mount[l->n] = (struct layers_mount){
		.dev = mount->dev,
		.point = strdup(mount->point),
		.options = mount->options,
		.overlay = assay_mount_is_overlay(mount->type),
		.waits = waits,
	};
	return l->mount[l->n++].point ? 0 : -ENOMEM;
}

static int gather(struct assay_bytes rest,
		  bool (*waits)(void *ctx, const struct assay_mount *mount), void *ctx,
		  struct layers *l)
{
	struct assay_mount *mount = malloc(sizeof(*mount));
	unsigned skipped = 0;
	int r = mount ? 0 : -ENOMEM;

	while (r == 0 && assay_mountinfo_next(&rest, mount, &skipped)) {
		bool may_wait = waits(ctx, mount);

		if (may_wait || assay_mount_is_overlay(mount->type))
			r = add(l, mount, may_wait);
	}
	free(mount);
	return r;
}

static bool lies_on_one(const struct layers *l, const struct layers_mount *overlay)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct layers_mount *below = &l->mount[i];

		if (below->waits && below->dev != overlay->dev &&
		    assay_mount_layers_below(overlay->options, below->point))
			return true;
	}
	return false;
}

/* An overlay may have many mounts. */
static void set_waits(struct layers *l, uint64_t dev)
{
	for (size_t i = 0; i < l->n; i++)
		l->mount[i].waits |= l->mount[i].dev == dev;
}

/* Each round finds those that are one overlay higher. */
static void spread(struct layers *l)
{
	bool more;

	do {
		more = false;
		for (size_t i = 0; i < l->n; i++) {
			const struct layers_mount *m = &l->mount[i];

			if (m->overlay && !m->waits && lies_on_one(l, m)) {
				set_waits(l, m->dev);
				more = true;
			}
		}
	} while (more);
}

int layers_find(struct assay_bytes mountinfo,
		bool (*waits)(void *ctx, const struct assay_mount *mount), void *ctx,
		struct layers *ret)
{
	struct layers l = { 0 };
	int r = gather(mountinfo, waits, ctx, &l);

	if (r < 0) {
		layers_done(&l);
		return r;
	}
	spread(&l);
	*ret = l;
	return 0;
}

bool layers_may_wait(const struct layers *l, uint64_t dev)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->mount[i].dev == dev)
			return l->mount[i].waits;
	return false;
}

void layers_done(struct layers *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->mount[i].point);
	free(l->mount);
	*l = (struct layers){ 0 };
}
