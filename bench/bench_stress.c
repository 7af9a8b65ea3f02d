/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The client's side of the benches under stress: much work by many processes, how long that took,
 * and how long each open took, those of a bystander too who opens one known file again and again.
 * Knows nothing of the daemon.
 *
 * bench_stress scripts|reads|execs|known FOLDER PROGRAM
 * prints: MS OPENS MEDIAN P99 LONGEST, and of the bystander: OPENS MEDIAN P99 LONGEST; in
 * microseconds.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "client.h"

enum { CLIENTS_MAX = 32, SAMPLES_MAX = 1 << 18, BUFFER = 1 << 16 };

/* What one of them saw, in memory that all share. A descriptor for writing must not be in another's
 * child while a script is executed, so they are processes. */
struct client {
	unsigned number;
	size_t n;
	uint64_t sample[SAMPLES_MAX]; /* ns of each open */
};

struct stress {
	const char *name;
	unsigned clients;
	void (*run)(struct client *c);
};

static const char *folder, *program;
static char **paths;
static size_t n_paths;
static atomic_bool over;

/* Takes the time of an open. */
static int open_seen(struct client *c, const char *path, int flags)
{
	uint64_t start = assay_clock_ns();
	int fd = open(path, flags | O_CLOEXEC, 0755);

	if (fd < 0)
		client_die(path);
	if (c->n < SAMPLES_MAX)
		c->sample[c->n++] = assay_clock_ns() - start;
	return fd;
}

/* ---- what they do --------------------------------------------------------------------------- */

static void write_script(struct client *c, const char *path, unsigned turn)
{
	char text[4200];
	int len = snprintf(text, sizeof(text), "#!%s\n# client %u turn %u\n", program, c->number,
			   turn);
	int fd = open_seen(c, path, O_WRONLY | O_CREAT | O_TRUNC);

	if (write(fd, text, (size_t)len) != len)
		client_die(path);
	close(fd);
}

/* Made or changed, read, run, and now and then deleted. */
static void run_scripts(struct client *c)
{
	char path[4096];

	for (unsigned turn = 0; turn < 150; turn++) {
		snprintf(path, sizeof(path), "%s/script-%u-%u", folder, c->number, turn % 7);
		write_script(c, path, turn);
		close(open_seen(c, path, O_RDONLY));
		client_execute(path);
		if (turn % 5 == 4 && unlink(path) < 0)
			client_die(path);
	}
}

/* All that there is, twice. */
static void run_reads(struct client *c)
{
	static uint8_t buffer[BUFFER];
	ssize_t n;

	for (size_t i = 0; i < 2 * n_paths; i++) {
		int fd = open_seen(c, paths[i % n_paths], O_RDONLY);

		while ((n = read(fd, buffer, sizeof(buffer))) > 0)
			;
		if (n < 0)
			client_die("read");
		close(fd);
	}
}

static void run_execs(struct client *c)
{
	for (size_t i = 0; i < 200; i++) {
		const char *path = paths[(c->number + i) % n_paths];

		close(open_seen(c, path, O_RDONLY));
		client_execute(path);
	}
}

static void run_known(struct client *c)
{
	for (size_t i = 0; i < 20000; i++)
		close(open_seen(c, paths[i % n_paths], O_RDONLY));
}

static const struct stress stresses[] = {
	{ "scripts", 10, run_scripts },
	{ "reads", 3, run_reads },
	{ "execs", 16, run_execs },
	{ "known", 4, run_known },
};

static void *run_bystander(void *arg)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	struct client *c = arg;

	while (!atomic_load(&over)) {
		close(open_seen(c, program, O_RDONLY));
		nanosleep(&pause, NULL);
	}
	return NULL;
}

/* ---- the whole ------------------------------------------------------------------------------ */

static void print_samples(uint64_t *sample, size_t n)
{
	if (n == 0)
		client_die("nothing was opened");
	qsort(sample, n, sizeof(*sample), client_compare);
	printf(" %zu %.1f %.1f %.1f", n, (double)sample[n / 2] / 1e3,
	       (double)sample[n - 1 - n / 100] / 1e3, (double)sample[n - 1] / 1e3);
}

static const struct stress *stress;

static struct client *shared_clients(unsigned n)
{
	void *at = mmap(NULL, n * sizeof(struct client), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		client_die("mmap");
	return at;
}

static void start(struct client *c, unsigned number)
{
	pid_t pid = fork();

	if (pid < 0)
		client_die("fork");
	if (pid > 0)
		return;
	c->number = number;
	stress->run(c);
	_exit(0);
}

static void wait_for_all(void)
{
	int status;

	while (wait(&status) > 0)
		if (status != 0)
			exit(2);
}

static void measure(void)
{
	struct client *client = shared_clients(CLIENTS_MAX + 1), *bystander = &client[CLIENTS_MAX];
	uint64_t *all = calloc((size_t)CLIENTS_MAX * SAMPLES_MAX, sizeof(*all)), began, took;
	pthread_t thread;
	size_t n = 0;

	if (!all)
		client_die("malloc");
	began = assay_clock_ns();
	for (unsigned i = 0; i < stress->clients; i++)
		start(&client[i], i);
	if (pthread_create(&thread, NULL, run_bystander, bystander) != 0)
		client_die("pthread_create");
	wait_for_all();
	took = assay_clock_ns() - began;
	atomic_store(&over, true);
	pthread_join(thread, NULL);
	for (unsigned i = 0; i < stress->clients; i++) {
		memcpy(all + n, client[i].sample, client[i].n * sizeof(*all));
		n += client[i].n;
	}
	printf("%.1f", (double)took / 1e6);
	print_samples(all, n);
	print_samples(bystander->sample, bystander->n);
	putchar('\n');
}

int main(int argc, char **argv)
{
	for (size_t i = 0; argc == 4 && i < sizeof(stresses) / sizeof(stresses[0]); i++)
		if (strcmp(argv[1], stresses[i].name) == 0)
			stress = &stresses[i];
	if (!stress) {
		fputs("usage: bench_stress scripts|reads|execs|known FOLDER PROGRAM\n", stderr);
		return 2;
	}
	folder = argv[2];
	program = argv[3];
	n_paths = client_list(folder, &paths);
	measure();
	return 0;
}
