/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Makes files that nobody has seen and opens each for reading, in THREADS threads; or, with
 * PROGRAM, executes copies of it. Until the file STOP is there. Prints for each what came of it
 * ("ok", or the number of the error), the milliseconds that it took, and the path. Not both in one
 * process: what is forked holds for a moment what another thread has open for writing.
 *
 * usage: steady DIR STOP THREADS | steady DIR STOP PROGRAM
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAUSE_NS      2000000
#define EXEC_PAUSE_NS 200000000
#define THREADS_MAX   64

static const char *dir, *stop;
static char program[4u << 20];
static size_t program_len;

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void write_file(const char *path, const void *data, size_t len, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

	if (fd < 0 || write(fd, data, len) != (ssize_t)len)
		err(2, "%s", path);
	close(fd);
}

static int open_it(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static int execute_it(const char *path)
{
	char *const argv[] = { (char *)path, NULL };
	pid_t pid;
	int r, status;

	r = posix_spawn(&pid, path, NULL, NULL, argv, NULL);
	if (r)
		return r;
	if (waitpid(pid, &status, 0) != pid)
		return errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
}

static void try_one(unsigned thread, unsigned n)
{
	char path[4096], text[64];
	int len = snprintf(text, sizeof(text), "thread %u file %u\n", thread, n), r;
	double began = now_ms();

	snprintf(path, sizeof(path), "%s/%s%u-%u", dir, program_len ? "program-" : "", thread, n);
	if (program_len) {
		memcpy(program + program_len, text, (size_t)len);
		write_file(path, program, program_len + (size_t)len, 0755);
		r = execute_it(path);
	} else {
		write_file(path, text, (size_t)len, 0644);
		r = open_it(path);
	}
	if (r)
		printf("%d %.1f %s\n", r, now_ms() - began, path);
	else
		printf("ok %.1f %s\n", now_ms() - began, path);
}

static void *run(void *arg)
{
	const struct timespec pause = { .tv_nsec = program_len ? EXEC_PAUSE_NS : PAUSE_NS };

	for (unsigned n = 0; access(stop, F_OK) < 0; n++) {
		try_one((unsigned)(uintptr_t)arg, n);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

static void read_program(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, program, sizeof(program) - 64);

	if (len <= 0)
		err(2, "%s", path);
	close(fd);
	program_len = (size_t)len;
}

int main(int argc, char **argv)
{
	unsigned n = argc == 4 ? (unsigned)atoi(argv[3]) : 0;
	pthread_t thread[THREADS_MAX];

	if (argc != 4 || n > THREADS_MAX)
		errx(2, "usage: steady DIR STOP THREADS | steady DIR STOP PROGRAM");
	dir = argv[1];
	stop = argv[2];
	if (n == 0)
		read_program(argv[3]);
	for (unsigned i = 0; i < (n ? n : 1); i++)
		if (pthread_create(&thread[i], NULL, run, (void *)(uintptr_t)i))
			errx(2, "no thread");
	for (unsigned i = 0; i < (n ? n : 1); i++)
		pthread_join(thread[i], NULL);
	return 0;
}
