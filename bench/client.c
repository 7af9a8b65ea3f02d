/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "client.h"

#include <dirent.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { PATHS_MAX = 1000000 };

void client_die(const char *what)
{
	perror(what);
	exit(2);
}

void client_execute(const char *path)
{
	char *argv[] = { (char *)path, NULL }, *envp[] = { NULL };
	int status, e;
	pid_t pid;

	e = posix_spawn(&pid, path, NULL, NULL, argv, envp);
	if (e != 0 || waitpid(pid, &status, 0) != pid || status != 0)
		client_die(path);
}

int client_compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

size_t client_list(const char *folder, char ***ret)
{
	char **paths = calloc(PATHS_MAX, sizeof(*paths));
	DIR *d = opendir(folder);
	struct dirent *e;
	size_t n = 0;

	if (!d || !paths)
		client_die(folder);
	while ((e = readdir(d)) && n < PATHS_MAX) {
		if (e->d_name[0] == '.' || e->d_type != DT_REG)
			continue;
		if (asprintf(&paths[n++], "%s/%s", folder, e->d_name) < 0)
			client_die("malloc");
	}
	closedir(d);
	qsort(paths, n, sizeof(*paths), compare_names);
	*ret = paths;
	return n;
}
