/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <unistd.h>

#include "programs/assayd/main/loop_private.h"

#define NO_SLOT	   UINT32_MAX
#define PART_BITS  3u
#define SLOT_BITS  29u
#define SLOTS_STEP 256u

_Static_assert(JUDGE_ASKS_MAX < 1u << PART_BITS, "a part each");

/* Free slots are a chain: where a file's pointer would be stands the number of the next, odd. */
static struct file *as_free(uint32_t next)
{
	return (struct file *)((uintptr_t)next << 1 | 1);
}

static bool is_free(const struct file *f)
{
	return (uintptr_t)f & 1;
}

static bool more_slots(struct loop *l)
{
	uint32_t cap = l->cap_slots + SLOTS_STEP + l->cap_slots / 2;
	struct file **bigger;

	if (cap > 1u << SLOT_BITS || !(bigger = realloc(l->slot, cap * sizeof(struct file *))))
		return false;
	l->slot = bigger;
	l->cap_slots = cap;
	return true;
}

static bool take_slot(struct loop *l, uint32_t *ret)
{
	if (l->n_slots > 0 && l->free_slot != NO_SLOT) {
		*ret = l->free_slot;
		l->free_slot = (uint32_t)((uintptr_t)l->slot[*ret] >> 1);
		return true;
	}
	if (l->n_slots == l->cap_slots && !more_slots(l))
		return false;
	if (l->n_slots == 0)
		l->free_slot = NO_SLOT;
	*ret = l->n_slots++;
	return true;
}

struct file *loop_file_new(struct loop *l, const struct assay_fanotify_event *event)
{
	struct file *f = calloc(1, sizeof(*f));

	if (!f || !take_slot(l, &f->slot)) {
		free(f);
		return NULL;
	}
	l->slot[f->slot] = f;
	f->generation = ++l->generation;
	f->event = *event;
	f->size_max = l->size_max;
	f->wait_for = ASSAY_NO_RECORD;
	f->older = l->newest;
	*(f->older ? &f->older->newer : &l->oldest) = f;
	l->newest = f;
	l->n_files++;
	return f;
}

void loop_file_unlink(struct loop *l, struct file *f)
{
	*(f->older ? &f->older->newer : &l->oldest) = f->newer;
	*(f->newer ? &f->newer->older : &l->newest) = f->older;
	f->older = f->newer = NULL;
}

void loop_file_free(struct loop *l, struct file *f)
{
	l->slot[f->slot] = as_free(l->free_slot);
	l->free_slot = f->slot;
	l->n_files--;
	if (f->goes_on)
		atomic_fetch_sub(&l->idle_left, 1);
	free(f->hearing);
	closer_close(l->closer, f->event.fd);
	free(f);
}

struct file *loop_file_at(const struct loop *l, uint32_t slot)
{
	return slot < l->n_slots && !is_free(l->slot[slot]) ? l->slot[slot] : NULL;
}

uint64_t loop_file_id(const struct file *f, uint32_t part)
{
	return (uint64_t)f->generation << 32 | f->slot << PART_BITS | part;
}

struct file *loop_file_find(const struct loop *l, uint64_t id, uint32_t *ret_part)
{
	struct file *f = loop_file_at(l, (uint32_t)id >> PART_BITS);

	*ret_part = (uint32_t)id & ((1u << PART_BITS) - 1);
	return f && f->generation == id >> 32 ? f : NULL;
}

void file_list_add(struct file_list *list, struct file *f)
{
	f->next = NULL;
	f->before = list->last;
	*(f->before ? &f->before->next : &list->first) = f;
	list->last = f;
}

void file_list_insert(struct file_list *list, struct file *f)
{
	struct file *at = list->last;

	while (at && at->wait_for > f->wait_for)
		at = at->before;
	f->before = at;
	f->next = at ? at->next : list->first;
	*(at ? &at->next : &list->first) = f;
	*(f->next ? &f->next->before : &list->last) = f;
}

void file_list_remove(struct file_list *list, struct file *f)
{
	*(f->before ? &f->before->next : &list->first) = f->next;
	*(f->next ? &f->next->before : &list->last) = f->before;
	f->next = f->before = NULL;
}
