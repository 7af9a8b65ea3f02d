/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/unit_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/file.h"
#include "base/fmt.h"

#define UNIT "assayd.service"

/* systemd.unit(5): the search path of system units, first come first served. */
static const char *const folders[] = {
	"etc/systemd/system.control", "run/systemd/system.control",
	"run/systemd/transient",      "run/systemd/generator.early",
	"etc/systemd/system",	      "etc/systemd/system.attached",
	"run/systemd/system",	      "run/systemd/system.attached",
	"run/systemd/generator",      "usr/local/lib/systemd/system",
	"usr/lib/systemd/system",     "lib/systemd/system",
	"run/systemd/generator.late",
};

/* What is said of this unit, and of every service. */
static const char *const drop_in_folders[] = { UNIT ".d", "service.d" };

struct walk {
	int root_fd;
	int (*each)(void *ctx, const struct unit_file *file);
	void *ctx;
	struct {
		dev_t dev;
		ino_t ino;
	} seen[ARRAY_LEN(folders) * ARRAY_LEN(drop_in_folders)];
	size_t n_seen;
	struct assay_err *err;
};

static bool is_absent(int error)
{
	return error == ENOENT || error == ENOTDIR || error == ELOOP;
}

/* What systemd reads, or its mark that there is nothing to read. */
static bool is_unit_file(const struct stat *st)
{
	return S_ISREG(st->st_mode) || (S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3));
}

/* 1: given to each(); 0: there is no such file. */
static int visit(const struct walk *w, const char *path, bool is_drop_in)
{
	AUTO(fd) int fd = openat(w->root_fd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char absolute[PATH_MAX + 1];
	struct unit_file file = { .fd = fd, .path = absolute, .is_drop_in = is_drop_in };
	struct stat st;
	int r;

	if (fd < 0 && is_absent(errno))
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return assay_err_set(w->err, -errno, "cannot open '/%s': %s", path,
				     strerror(errno));
	if (!is_unit_file(&st))
		return 0;
	assay_fmt(absolute, sizeof(absolute), "/%s", path);
	r = w->each(w->ctx, &file);
	return r < 0 ? r : 1;
}

static int walk_unit(const struct walk *w)
{
	char path[PATH_MAX];
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(folders); i++) {
		assay_fmt(path, sizeof(path), "%s/" UNIT, folders[i]);
		r = visit(w, path, false);
	}
	return r < 0 ? r : 0;
}

/* /lib is often another name of /usr/lib. */
static bool is_new(struct walk *w, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return false;
	for (size_t i = 0; i < w->n_seen; i++)
		if (w->seen[i].dev == st.st_dev && w->seen[i].ino == st.st_ino)
			return false;
	w->seen[w->n_seen].dev = st.st_dev;
	w->seen[w->n_seen++].ino = st.st_ino;
	return true;
}

static int is_conf(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return entry->d_name[0] != '.' && dot && strcmp(dot, ".conf") == 0;
}

/* The same order in every locale. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int visit_entries(const struct walk *w, const char *folder, struct dirent *const *entry,
			 size_t n)
{
	char path[PATH_MAX];
	int r = 0;

	if (n > UNIT_DROP_INS_MAX)
		return assay_err_set(w->err, -E2BIG, "'/%s' has more than %u drop-ins", folder,
				     UNIT_DROP_INS_MAX);
	for (size_t i = 0; r >= 0 && i < n; i++) {
		assay_fmt(path, sizeof(path), "%s/%s", folder, entry[i]->d_name);
		r = visit(w, path, true);
	}
	return r < 0 ? r : 0;
}

static int walk_drop_ins(struct walk *w, const char *folder)
{
	AUTO(fd) int fd = openat(w->root_fd, folder, O_RDONLY | O_CLOEXEC | O_DIRECTORY);
	struct dirent **entry = NULL;
	int n, r;

	if (fd < 0 && is_absent(errno))
		return 0;
	n = fd < 0 ? -1 : 0;
	if (fd >= 0 && is_new(w, fd))
		n = scandirat(fd, ".", &entry, is_conf, by_name);
	if (n < 0)
		return assay_err_set(w->err, -errno, "cannot read '/%s': %s", folder,
				     strerror(errno));
	r = visit_entries(w, folder, entry, (size_t)n);
	for (int i = 0; i < n; i++)
		free(entry[i]);
	free(entry);
	return r;
}

int unit_files_walk(int root_fd, int (*each)(void *ctx, const struct unit_file *file), void *ctx,
		    struct assay_err *err)
{
	struct walk w = { .root_fd = root_fd, .each = each, .ctx = ctx, .err = err };
	char folder[PATH_MAX];
	int r = walk_unit(&w);

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(folders); i++)
		for (size_t k = 0; r == 0 && k < ARRAY_LEN(drop_in_folders); k++) {
			assay_fmt(folder, sizeof(folder), "%s/%s", folders[i], drop_in_folders[k]);
			r = walk_drop_ins(&w, folder);
		}
	return r;
}
