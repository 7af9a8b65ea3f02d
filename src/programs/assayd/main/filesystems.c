/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/filesystems.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The kernel gives most of them numbers one after the other. */
static uint32_t bucket_of(uint64_t dev)
{
	return (uint32_t)(dev ^ dev >> 32) % FILESYSTEMS_BUCKETS;
}

/* Where the pointer to it is, or would be. */
static struct filesystem **place_of(struct filesystems *t, uint64_t dev)
{
	struct filesystem **at = &t->bucket[bucket_of(dev)];

	while (*at && (*at)->dev != dev)
		at = &(*at)->next;
	return at;
}

const struct filesystem *filesystems_find(const struct filesystems *t, uint64_t dev)
{
	const struct filesystem *f = t->bucket[bucket_of(dev)];

	while (f && f->dev != dev)
		f = f->next;
	return f;
}

static bool has_room(const struct filesystems *t, const struct filesystem *f)
{
	return f->dev == FILESYSTEMS_UNTOLD ||
	       (t->n < FILESYSTEMS_MAX && (f->ours || t->n_users < FILESYSTEMS_USERS_MAX));
}

bool filesystems_set(struct filesystems *t, const struct filesystem *f)
{
	struct filesystem **at = place_of(t, f->dev), *next = NULL;

	if (*at) {
		next = (*at)->next;
		t->n_users -= !(*at)->ours;
	} else {
		if (!has_room(t, f) || !(*at = malloc(sizeof(**at))))
			return false;
		t->n++;
	}
	**at = *f;
	(*at)->next = next;
	t->n_users += !f->ours;
	return true;
}

void filesystems_drop(struct filesystems *t, bool (*goes)(void *ctx, const struct filesystem *f),
		      void *ctx)
{
	for (size_t i = 0; i < FILESYSTEMS_BUCKETS; i++) {
		struct filesystem **at = &t->bucket[i], *f;

		while ((f = *at)) {
			if (!goes(ctx, f)) {
				at = &f->next;
				continue;
			}
			*at = f->next;
			t->n--;
			t->n_users -= !f->ours;
			free(f);
		}
	}
}

static bool goes_always(void *ctx, const struct filesystem *f)
{
	(void)ctx;
	(void)f;
	return true;
}

void filesystems_drop_all(struct filesystems *t)
{
	filesystems_drop(t, goes_always, NULL);
}

const struct filesystem *filesystems_next(const struct filesystems *t, const struct filesystem *f)
{
	size_t i = 0;

	if (f && f->next)
		return f->next;
	if (f)
		i = bucket_of(f->dev) + 1;
	while (i < FILESYSTEMS_BUCKETS && !t->bucket[i])
		i++;
	return i < FILESYSTEMS_BUCKETS ? t->bucket[i] : NULL;
}

int filesystems_list(const struct filesystems *t, struct filesystems_list *ret)
{
	struct filesystems_entry *v = calloc(t->n + 1, sizeof(*v));
	const struct filesystem *f = NULL;
	size_t n = 0;

	if (!v)
		return -ENOMEM;
	while (n < t->n && (f = filesystems_next(t, f)))
		v[n++] = (struct filesystems_entry){
			.dev = f->dev,
			.measured = f->bits != 0 || f->layered,
			.remote = f->remote,
			.overlay = assay_mount_is_overlay(f->what.type),
		};
	*ret = (struct filesystems_list){ .v = v, .n = n };
	return 0;
}
