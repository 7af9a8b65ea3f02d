/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/mount_ids.h"

#include <fcntl.h>
#include <stdlib.h>

#include "backends/source_fanotify/mountinfo.h"
#include "base/file.h"
#include "base/fmt.h"

#define TEXT_MAX (16u << 20)
#define IDS_MAX	 65536u /* the kernel's own limit is 100,000 a namespace */

struct mount_id {
	uint64_t id, dev;
};

static int compare(const void *a, const void *b)
{
	const struct mount_id *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static size_t count_lines(struct assay_bytes text)
{
	size_t n = 1;

	for (size_t i = 0; i < text.len; i++)
		n += text.data[i] == '\n';
	return n < IDS_MAX ? n : IDS_MAX;
}

static void parse(struct mount_ids *t, struct assay_bytes text)
{
	size_t max = count_lines(text);
	struct assay_mount *mount = malloc(sizeof(*mount));
	unsigned skipped = 0;

	t->v = calloc(max, sizeof(*t->v));
	while (t->v && mount && t->n < max && assay_mountinfo_next(&text, mount, &skipped))
		t->v[t->n++] = (struct mount_id){ (uint64_t)mount->id, mount->dev };
	free(mount);
	if (t->n)
		qsort(t->v, t->n, sizeof(*t->v), compare);
}

/* No lock that the process's execve() holds is taken for it. */
void mount_ids_read(struct mount_ids *t, pid_t pid)
{
	AUTO(file) struct assay_file text = { 0 };
	char path[64];

	mount_ids_done(t);
	t->pid = pid;
	assay_fmt(path, sizeof(path), "/proc/%d/mountinfo", (int)pid);
	if (assay_file_read(AT_FDCWD, path, TEXT_MAX, &text, NULL) == 0)
		parse(t, text.bytes);
}

void mount_ids_done(struct mount_ids *t)
{
	free(t->v);
	*t = (struct mount_ids){ 0 };
}

bool mount_ids_find(const struct mount_ids *t, uint64_t id, uint64_t *ret_dev)
{
	const struct mount_id key = { .id = id };
	const struct mount_id *m = t->n ? bsearch(&key, t->v, t->n, sizeof(key), compare) : NULL;

	if (m)
		*ret_dev = m->dev;
	return m != NULL;
}
