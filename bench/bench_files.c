/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The client's side of the daemon's benches: opens, executes and reads files, and prints how long
 * that took. Knows nothing of the daemon; run.sh runs it with and without one.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "base/clock.h"
#include "base/macros.h"
#include "client.h"

enum { SAMPLES = 15, THREADS_MAX = 256, FILES_MAX = 1000000, BUFFER = 1 << 16 };

static void open_once(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		client_die(path);
	close(fd);
}

/* Nanoseconds of one operation: the median of SAMPLES runs of @count each. */
static int repeat(void (*once)(const char *path), const char *path, unsigned count)
{
	uint64_t sample[SAMPLES];

	for (unsigned s = 0; s < SAMPLES; s++) {
		uint64_t start = assay_clock_ns();

		for (unsigned i = 0; i < count; i++)
			once(path);
		sample[s] = assay_clock_ns() - start;
	}
	qsort(sample, SAMPLES, sizeof(sample[0]), client_compare);
	printf("%.1f\n", (double)sample[SAMPLES / 2] / count);
	return 0;
}

/* Milliseconds that one open takes. */
static int open_timed(const char *path)
{
	uint64_t start = assay_clock_ns();

	open_once(path);
	printf("%.3f\n", (double)(assay_clock_ns() - start) / 1e6);
	return 0;
}

/* ---- many files, many threads ---------------------------------------------------------------- */

struct work {
	char **paths;
	size_t n_paths;
	atomic_size_t next;
	atomic_uint_fast64_t longest_ns; /* of one open */
	bool reads, digests;
};

static void digest_update(EVP_MD_CTX *digest, const void *data, ssize_t len)
{
	if (digest && EVP_DigestUpdate(digest, data, (size_t)len) != 1)
		exit(2);
}

static void read_file(int fd, uint8_t *buffer, EVP_MD_CTX *digest)
{
	uint8_t value[EVP_MAX_MD_SIZE];
	ssize_t n;

	if (digest && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) != 1)
		exit(2);
	while ((n = read(fd, buffer, BUFFER)) > 0)
		digest_update(digest, buffer, n);
	if (n < 0)
		client_die("read");
	if (digest && EVP_DigestFinal_ex(digest, value, NULL) != 1)
		exit(2);
}

static void note_longest(struct work *w, uint64_t ns)
{
	uint_fast64_t seen = atomic_load(&w->longest_ns);

	while (ns > seen && !atomic_compare_exchange_weak(&w->longest_ns, &seen, ns))
		;
}

static void *client(void *arg)
{
	struct work *w = arg;
	uint8_t *buffer = malloc(BUFFER);
	EVP_MD_CTX *digest = w->digests ? EVP_MD_CTX_new() : NULL;
	size_t i;

	if (!buffer || (w->digests && !digest))
		client_die("malloc");
	while ((i = atomic_fetch_add(&w->next, 1)) < w->n_paths) {
		uint64_t start = assay_clock_ns();
		int fd = open(w->paths[i], O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			client_die(w->paths[i]);
		note_longest(w, assay_clock_ns() - start);
		if (w->reads || digest)
			read_file(fd, buffer, digest);
		close(fd);
	}
	EVP_MD_CTX_free(digest);
	free(buffer);
	return NULL;
}

/* Every file of @folder once: prints milliseconds in all, and of the longest open. */
static int open_all(const char *folder, unsigned threads, const char *what)
{
	struct work w = { .reads = strcmp(what, "read") == 0,
			  .digests = strcmp(what, "digest") == 0 };
	pthread_t thread[THREADS_MAX];
	uint64_t start;

	w.n_paths = client_list(folder, &w.paths);
	start = assay_clock_ns();
	for (unsigned i = 0; i < threads; i++)
		if (pthread_create(&thread[i], NULL, client, &w) != 0)
			client_die("pthread_create");
	for (unsigned i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	printf("%.3f %.3f %zu\n", (double)(assay_clock_ns() - start) / 1e6,
	       (double)atomic_load(&w.longest_ns) / 1e6, w.n_paths);
	for (size_t i = 0; i < w.n_paths; i++)
		free(w.paths[i]);
	free(w.paths);
	return 0;
}

/* @count files of @size bytes, no two alike. */
static int make_files(const char *folder, unsigned count, size_t size)
{
	uint8_t *data = calloc(1, size + sizeof(uint64_t));
	uint64_t seed = assay_clock_ns() ^ (uint64_t)getpid() << 32;
	char path[4096];

	if (!data)
		client_die("malloc");
	for (unsigned i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%s/f%07u", folder, i);
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		memcpy(data, &seed, sizeof(seed));
		int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

		if (fd < 0 || write(fd, data, size) != (ssize_t)size)
			client_die(path);
		close(fd);
	}
	free(data);
	return 0;
}

static unsigned number(const char *text, unsigned max)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*end || value == 0 || value > max) {
		fprintf(stderr, "bench_files: '%s' is not a number up to %u\n", text, max);
		exit(2);
	}
	return (unsigned)value;
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "open") == 0)
		return repeat(open_once, argv[2], number(argv[3], 1u << 30));
	if (argc == 4 && strcmp(argv[1], "exec") == 0)
		return repeat(client_execute, argv[2], number(argv[3], 1u << 30));
	if (argc == 3 && strcmp(argv[1], "once") == 0)
		return open_timed(argv[2]);
	if (argc == 5 && strcmp(argv[1], "all") == 0)
		return open_all(argv[2], number(argv[3], THREADS_MAX), argv[4]);
	if (argc == 5 && strcmp(argv[1], "make") == 0)
		return make_files(argv[2], number(argv[3], FILES_MAX), number(argv[4], 1u << 30));
	fputs("usage: bench_files open FILE COUNT     ns of one open and close\n"
	      "       bench_files exec PROGRAM COUNT  ns of one start and end\n"
	      "       bench_files once FILE           ms of one open\n"
	      "       bench_files all FOLDER THREADS open|read|digest\n"
	      "                                       ms for all files, ms of the longest open, "
	      "files\n"
	      "       bench_files make FOLDER COUNT SIZE\n",
	      stderr);
	return 2;
}
