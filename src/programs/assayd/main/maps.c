/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/maps.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/macros.h"
#include "base/num.h"
#include "programs/assayd/main/maps_line.h"
#include "programs/assayd/process/threads.h"

#define SEEN_MAX 1024u /* files of one process that are told apart; more are told twice */

struct walk {
	const struct maps_walk *of;
	pid_t task; /* whose maps are read */
	struct {
		uint64_t dev, ino;
	} seen[SEEN_MAX];
	size_t n_seen;
	char exe[4096];
};

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

/* Unless the process has ended, or has unmapped the file, since we read of it. */
static void tell_unreadable(const struct walk *w, const struct maps_file *file, int error)
{
	if (error != ENOENT && error != ESRCH)
		w->of->unreadable(w->of->ctx, file, error);
}

static void tell_unknown(const struct walk *w, const char *maps, int error)
{
	const struct maps_file file = { .fd = -1, .pid = w->task, .path = maps };

	tell_unreadable(w, &file, error);
}

/* O_NONBLOCK: nobody's write lease keeps us waiting. */
static int open_readable(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	return fd < 0 ? -errno : fd;
}

/* To open with O_PATH asks nobody who answers for the file, nor does its end. Returns -ECANCELED:
 * it is left out. */
static int open_admitted(const struct walk *w, const char *link, const struct maps_file *file)
{
	AUTO(fd) int path = open(link, O_PATH | O_CLOEXEC);
	struct maps_file asked = *file;
	char again[64];
	int r;

	if (path < 0)
		return -errno;
	asked.fd = path;
	r = w->of->admit(w->of->ctx, &asked);
	if (r <= 0)
		return r < 0 ? r : -ECANCELED;
	snprintf(again, sizeof(again), "/proc/self/fd/%d", path);
	return open_readable(again);
}

static int visit(struct walk *w, const char *link, struct maps_file *file)
{
	AUTO(fd) int fd = w->of->admit ? open_admitted(w, link, file) : open_readable(link);
	struct stat st;
	int r = fd < 0 ? fd : 0;

	if (r == 0 && fstat(fd, &st) < 0)
		r = -errno;
	if (r < 0) {
		if (r != -ECANCELED)
			tell_unreadable(w, file, -r);
		return 0;
	}
	file->fd = fd;
	return S_ISREG(st.st_mode) ? w->of->each(w->of->ctx, file) : 0;
}

static void find_exe(struct walk *w)
{
	char link[64];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/%d/exe", (int)w->task);
	n = readlinkat(AT_FDCWD, link, w->exe, sizeof(w->exe) - 1);
	w->exe[n < 0 ? 0 : n] = '\0';
}

static int visit_mapping(struct walk *w, const struct maps_line *m)
{
	const struct maps_walk *of = w->of;
	struct maps_file file = {
		.fd = -1,
		.pid = w->task,
		.dev = m->dev,
		.ino = m->ino,
		.path = m->path,
		.is_exe = strcmp(m->path, w->exe) == 0,
	};
	char link[128];

	if (!(of->all || m->perms[2] == 'x') || !is_new(w, m->dev, m->ino) ||
	    (of->skip && of->skip(of->ctx, &file)))
		return 0;
	snprintf(link, sizeof(link), "/proc/%d/map_files/%s", (int)w->task, m->range);
	return visit(w, link, &file);
}

/* 1: there is none. */
static int walk_lines(struct walk *w, FILE *maps, const char *path)
{
	char *line = NULL;
	struct maps_line m;
	bool is_empty = true;
	size_t cap = 0;
	int r = 0;

	errno = 0;
	while (r == 0 && getline(&line, &cap, maps) >= 0) {
		is_empty = false;
		line[strcspn(line, "\n")] = '\0';
		if (maps_line_parse(line, &m))
			r = visit_mapping(w, &m);
		errno = 0;
	}
	if (r == 0 && errno)
		tell_unknown(w, path, errno);
	free(line);
	return r == 0 && is_empty ? 1 : r;
}

/* 1: it has no memory. */
static int walk_task(struct walk *w, pid_t task)
{
	char path[64];
	FILE *maps;
	int r;

	w->task = task;
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)task);
	maps = fopen(path, "re");
	if (!maps) {
		r = errno;
		tell_unknown(w, path, r);
		return r == ESRCH;
	}
	find_exe(w);
	r = walk_lines(w, maps, path);
	fclose(maps);
	return r;
}

/* Of the kernel's own threads each is alone. */
static DIR *open_threads(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	return threads_count(AT_FDCWD, path) > 1 ? opendir(path) : NULL;
}

/* The first one has ended, and what they share is not shown by its number any more. A thread can be
 * looked at like a process, though no list has it. */
static int walk_threads(struct walk *w)
{
	DIR *threads = open_threads(w->of->pid);
	struct dirent *entry;
	uint64_t task;
	int r = 1;

	while (threads && r == 1 && (entry = readdir(threads)))
		if (assay_num_parse(assay_bytes_str(entry->d_name), 10, INT32_MAX, &task) == 0 &&
		    (pid_t)task != w->of->pid)
			r = walk_task(w, (pid_t)task);
	if (threads)
		closedir(threads);
	return r;
}

int maps_walk(const struct maps_walk *walk)
{
	struct walk *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	w->of = walk;
	r = walk_task(w, walk->pid);
	if (r == 1)
		r = walk_threads(w);
	free(w);
	return r < 0 ? r : 0;
}
