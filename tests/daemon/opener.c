/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Opens or executes each file whose path is a line of stdin, THREADS of them at once, all of them
 * TIMES times, and prints for each what came of it: "ok" or the number of the error, the
 * milliseconds that it took, and the path. Is killed after $ASK_SECONDS, as far as it can be.
 *
 * opener read|nonblock|truncate|exec THREADS [TIMES]
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATHS_MAX   65536
#define THREADS_MAX 4096

static const struct how {
	const char *name;
	int flags; /* -1: execute */
} hows[] = {
	{ "read", O_RDONLY },
	{ "nonblock", O_RDONLY | O_NONBLOCK },
	{ "truncate", O_RDWR | O_TRUNC },
	{ "exec", -1 },
};

static char *path[PATHS_MAX];
static size_t n_paths, n_all;
static atomic_size_t next;
static const struct how *how;

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* 0, or an error number. */
static int execute(const char *program)
{
	char *argv[] = { (char *)program, NULL }, *envp[] = { NULL };
	int status;
	pid_t pid;
	int r = posix_spawn(&pid, program, NULL, NULL, argv, envp);

	if (r != 0)
		return r;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return errno;
	return status == 0 ? 0 : ECHILD;
}

static int open_once(const char *file)
{
	int fd = open(file, how->flags | O_CLOEXEC);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static void *run(void *unused)
{
	size_t i;

	(void)unused;
	while ((i = atomic_fetch_add(&next, 1)) < n_all) {
		const char *file = path[i % n_paths];
		double began = now_ms();
		int r = how->flags < 0 ? execute(file) : open_once(file);
		double took = now_ms() - began;

		if (r == 0)
			printf("ok %.0f %s\n", took, file);
		else
			printf("%d %.0f %s\n", r, took, file);
	}
	return NULL;
}

static void read_paths(void)
{
	char line[4096];

	while (n_paths < PATHS_MAX && fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		path[n_paths] = strdup(line);
		if (!path[n_paths++])
			abort();
	}
}

/* All of them may have a file open at once. */
static void raise_limit(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) != 0)
		abort();
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files) != 0)
		abort();
}

int main(int argc, char **argv)
{
	static pthread_t thread[THREADS_MAX];
	size_t n = argc > 2 ? (size_t)atoi(argv[2]) : 0;
	pthread_attr_t small;

	for (size_t i = 0; argc > 2 && i < sizeof(hows) / sizeof(hows[0]); i++)
		if (strcmp(argv[1], hows[i].name) == 0)
			how = &hows[i];
	if (!how || n < 1 || n > THREADS_MAX)
		return 2;
	if (getenv("ASK_SECONDS"))
		alarm((unsigned)atoi(getenv("ASK_SECONDS")));
	raise_limit();
	read_paths();
	n_all = n_paths * (argc > 3 ? (size_t)atoi(argv[3]) : 1);
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 65536);
	for (size_t i = 0; i < n; i++)
		if (pthread_create(&thread[i], &small, run, NULL) != 0)
			return 1;
	for (size_t i = 0; i < n; i++)
		pthread_join(thread[i], NULL);
	return fflush(stdout) == 0 ? 0 : 1;
}
