/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Each file has one thread that changes it and then reads what it wrote, and READERS that open
 * it without a pause, so that an opener waits whenever a mark is set or taken away. Prints every
 * content that was read after a change as "PATH<tab>CONTENT": all of them must have been measured.
 *
 * hammer FOLDER CHANGES READERS
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILES	    6
#define READERS_MAX 64

struct target {
	char path[512];
	int changes, readers;
	atomic_bool done;
};

static void *read_on(void *arg)
{
	struct target *t = arg;
	char buf[64];

	while (!atomic_load(&t->done)) {
		int fd = open(t->path, O_RDONLY | O_CLOEXEC);

		if (fd < 0 || read(fd, buf, sizeof(buf)) < 0)
			abort();
		close(fd);
	}
	return NULL;
}

/* In place, over a truncated file; every third time it is emptied without being opened for
 * writing. */
static void change(const struct target *t, int i)
{
	int flags = i % 3 == 2 ? O_RDONLY : O_WRONLY;
	int fd = open(t->path, flags | O_TRUNC | O_CLOEXEC);

	if (fd < 0 || (flags == O_WRONLY && dprintf(fd, "change %d", i) < 0))
		abort();
	close(fd);
}

static void *change_and_read(void *arg)
{
	struct target *t = arg;
	pthread_t reader[READERS_MAX];

	for (int i = 0; i < t->readers; i++)
		if (pthread_create(&reader[i], NULL, read_on, t) != 0)
			abort();
	for (int i = 0; i < t->changes; i++) {
		char buf[64];
		ssize_t n;
		int fd;

		change(t, i);
		fd = open(t->path, O_RDONLY | O_CLOEXEC);
		n = read(fd, buf, sizeof(buf));
		close(fd);
		if (n < 0)
			abort();
		printf("%s\t%.*s\n", t->path, (int)n, buf);
	}
	atomic_store(&t->done, true);
	for (int i = 0; i < t->readers; i++)
		pthread_join(reader[i], NULL);
	return NULL;
}

int main(int argc, char **argv)
{
	static struct target target[FILES];
	pthread_t thread[FILES];

	if (argc != 4 || atoi(argv[3]) > READERS_MAX)
		return 2;
	for (int i = 0; i < FILES; i++) {
		struct target *t = &target[i];

		snprintf(t->path, sizeof(t->path), "%s/file-%d", argv[1], i);
		t->changes = atoi(argv[2]);
		t->readers = atoi(argv[3]);
		close(open(t->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
		if (pthread_create(&thread[i], NULL, change_and_read, t) != 0)
			return 1;
	}
	for (int i = 0; i < FILES; i++)
		pthread_join(thread[i], NULL);
	return 0;
}
