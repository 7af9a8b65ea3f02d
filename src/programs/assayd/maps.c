/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/maps.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/file.h"
#include "base/macros.h"
#include "base/num.h"

#define SEEN_MAX 1024u /* files of one process that are told apart; more are told twice */

struct walk {
	pid_t pid;
	bool all;
	bool (*skip)(void *ctx, uint64_t dev, uint64_t ino);
	void *skip_ctx;
	int (*each)(void *ctx, const struct maps_file *file);
	void *ctx;
	struct {
		uint64_t dev, ino;
	} seen[SEEN_MAX];
	size_t n_seen;
	char exe[4096];
};

/* One line of /proc/PID/maps: "START-END PERMS OFFSET MAJOR:MINOR INODE   PATH". */
struct mapping {
	const char *range, *perms, *path;
	uint64_t dev, ino;
};

/* Cuts the next word off *@at; "" past the last. */
static char *next_word(char **at, const char *ends)
{
	char *word = *at + strspn(*at, " ");
	size_t len = strcspn(word, ends);

	*at = word + len + (word[len] != '\0');
	word[len] = '\0';
	return word;
}

static bool take_number(char **at, const char *ends, unsigned base, uint64_t max, uint64_t *ret)
{
	return assay_num_parse(assay_bytes_str(next_word(at, ends)), base, max, ret) == 0;
}

static bool parse_mapping(char *line, struct mapping *ret)
{
	uint64_t major, minor;

	ret->range = next_word(&line, " ");
	ret->perms = next_word(&line, " ");
	next_word(&line, " ");
	if (!take_number(&line, ":", 16, UINT32_MAX, &major) ||
	    !take_number(&line, " ", 16, UINT32_MAX, &minor) ||
	    !take_number(&line, " ", 10, UINT64_MAX, &ret->ino))
		return false;
	ret->dev = makedev((unsigned)major, (unsigned)minor);
	ret->path = line + strspn(line, " ");
	return ret->ino != 0 && strlen(ret->perms) == 4;
}

static bool is_new(struct walk *w, uint64_t dev, uint64_t ino)
{
	for (size_t i = 0; i < w->n_seen; i++)
		if (w->seen[i].dev == dev && w->seen[i].ino == ino)
			return false;
	if (w->n_seen < SEEN_MAX) {
		w->seen[w->n_seen].dev = dev;
		w->seen[w->n_seen++].ino = ino;
	}
	return true;
}

/* -ENOENT and the like: it has been unmapped since. */
static int visit(struct walk *w, const char *link, const char *path, bool is_exe)
{
	AUTO(fd) int fd = open(link, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct maps_file file = { .fd = fd, .pid = w->pid, .path = path, .is_exe = is_exe };
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	return w->each(w->ctx, &file);
}

static void find_exe(struct walk *w)
{
	char link[64];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/%d/exe", (int)w->pid);
	n = readlink(link, w->exe, sizeof(w->exe) - 1);
	w->exe[n < 0 ? 0 : n] = '\0';
}

static int visit_mapping(struct walk *w, const struct mapping *m)
{
	char link[128];

	if (!(w->all || m->perms[2] == 'x') || !is_new(w, m->dev, m->ino) ||
	    (w->skip && w->skip(w->skip_ctx, m->dev, m->ino)))
		return 0;
	snprintf(link, sizeof(link), "/proc/%d/map_files/%s", (int)w->pid, m->range);
	return visit(w, link, m->path, strcmp(m->path, w->exe) == 0);
}

int maps_walk(pid_t pid, bool all, bool (*skip)(void *ctx, uint64_t dev, uint64_t ino),
	      void *skip_ctx, int (*each)(void *ctx, const struct maps_file *file), void *ctx)
{
	struct walk *w = calloc(1, sizeof(*w));
	char path[64], *line = NULL;
	struct mapping m;
	size_t cap = 0;
	FILE *maps;
	int r = 0;

	if (!w)
		return -ENOMEM;
	*w = (struct walk){
		.pid = pid, .all = all, .skip = skip, .skip_ctx = skip_ctx, .each = each, .ctx = ctx
	};
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	maps = fopen(path, "re");
	if (maps) {
		find_exe(w);
		while (r == 0 && getline(&line, &cap, maps) >= 0) {
			line[strcspn(line, "\n")] = '\0';
			if (parse_mapping(line, &m))
				r = visit_mapping(w, &m);
		}
		fclose(maps);
	}
	free(line);
	free(w);
	return r;
}
