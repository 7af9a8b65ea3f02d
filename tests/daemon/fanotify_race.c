/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The lease and mark protocol against writers that do not wait for it. One process handles events,
 * a second reads (its open is what the handler works on), a third, exempt so that its own opens are
 * not serialised behind the handler, changes the file at a random moment of that. When both are
 * done, the reader opens once more: what it reads then must be what the handler has seen. A mark
 * that outlived a change shows as content nobody has seen. Stores through a mapping that was made
 * after the mark are not tried: no fanotify plane sees them (docs/compatibility.md).
 *
 * usage: fanotify_race DIR TRIES lease|nolease SEED; prints counts; exits 0 none stale, 1 stale.
 */
#include <assert.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/source_fanotify/lease.h"
#include "backends/source_fanotify/source_fanotify.h"
#include "base/clock.h"

#define TRIES_MAX 1000000u

struct shared {
	sem_t reader_go, writer_go;
	_Atomic uint32_t value; /* of this try */
	_Atomic uint32_t stale;
	_Atomic uint8_t seen[TRIES_MAX + 1];
};

static struct shared *shared;
static struct assay_fanotify *group;
static char path[4096], beside[4096 + 4];
static bool with_lease, writer_waits;
static int done;     /* eventfd: a semaphore that one can poll */
static int queue[2]; /* pipe: descriptors of events */
static unsigned n_marked, n_broken, n_refused;

static void spin_random(unsigned most_us)
{
	uint64_t end = assay_clock_ns() + (uint64_t)(rand() % (int)most_us) * 1000u;

	while (assay_clock_ns() < end)
		;
}

static void post_done(void)
{
	if (eventfd_write(done, 1) < 0)
		err(2, "eventfd");
}

/* Content is the number of the try that wrote it; an empty or half file has none. */
static uint32_t read_value(int fd)
{
	char text[9] = { 0 };

	return pread(fd, text, 8, 0) == 8 ? (uint32_t)strtoul(text, NULL, 16) : 0;
}

static void write_value(int fd, uint32_t value)
{
	char text[9];

	snprintf(text, sizeof(text), "%08x", value);
	if (pwrite(fd, text, 8, 0) != 8)
		err(2, "pwrite");
}

static int open_or_die(const char *name, int flags)
{
	int fd = open(name, flags, 0644);

	if (fd < 0)
		err(2, "%s", name);
	return fd;
}

static void change_by_open(uint32_t value)
{
	int fd = open_or_die(path, O_WRONLY);

	write_value(fd, value);
	close(fd);
}

static void change_by_trunc(uint32_t value)
{
	int fd;

	if (truncate(path, 0) < 0)
		err(2, "truncate");
	fd = open_or_die(path, O_WRONLY | O_TRUNC);
	write_value(fd, value);
	close(fd);
}

static void change_by_rename(uint32_t value)
{
	int fd = open_or_die(beside, O_WRONLY | O_CREAT | O_TRUNC);

	write_value(fd, value);
	close(fd);
	if (rename(beside, path) < 0)
		err(2, "rename");
}

static void run_writer(void)
{
	for (;;) {
		uint32_t value;

		sem_wait(&shared->writer_go);
		value = atomic_load(&shared->value);
		spin_random(100);
		switch (rand() % 4) {
		case 0:
			change_by_trunc(value);
			break;
		case 1:
			change_by_rename(value);
			break;
		default:
			change_by_open(value);
		}
		post_done();
	}
}

static void read_once(void)
{
	int fd = open_or_die(path, O_RDONLY);

	(void)read_value(fd);
	close(fd);
}

static void run_reader(void)
{
	for (;;) {
		uint32_t value;
		int fd;

		sem_wait(&shared->reader_go);
		read_once();
		post_done();
		sem_wait(&shared->reader_go);
		fd = open_or_die(path, O_RDONLY);
		value = read_value(fd);
		close(fd);
		if (!atomic_load(&shared->seen[value]))
			atomic_fetch_add(&shared->stale, 1);
		post_done();
	}
}

static void let_writer_go(void)
{
	if (writer_waits)
		sem_post(&shared->writer_go);
	writer_waits = false;
}

/* The protocol of lease.h, with a number in place of a digest. The writer comes at a random moment
 * before, between or after its steps. */
static void handle(int fd)
{
	int r = 0;

	if (rand() % 4 == 0) {
		let_writer_go();
		spin_random(200);
	}
	if (with_lease)
		r = assay_lease_take(fd);
	atomic_store(&shared->seen[read_value(fd)], 1);
	let_writer_go();
	spin_random(200);
	if (r == 0) {
		assert(assay_fanotify_ignore(group, fd, ASSAY_FANOTIFY_OPEN, 0) == 0);
		n_marked++;
		if (with_lease && !assay_lease_intact(fd)) {
			assert(assay_fanotify_unignore(group, fd, ASSAY_FANOTIFY_OPEN) == 0);
			n_broken++;
		}
		if (with_lease)
			assay_lease_drop(fd);
	} else {
		assert(r == -EAGAIN);
		n_refused++;
	}
	assay_fanotify_answer(group, fd, true);
	close(fd);
}

/* Answers the exempt writer at once, while the handler is at work. */
static void *run_group(void *unused)
{
	struct pollfd p = { .fd = assay_fanotify_fd(group), .events = POLLIN };
	struct assay_fanotify_event event;

	while (poll(&p, 1, -1) > 0)
		if (assay_fanotify_read(group, &event, 1) == 1 &&
		    write(queue[1], &event.fd, sizeof(event.fd)) < 0)
			err(2, "pipe");
	return unused;
}

/* Handles events until @n have posted that they are done. */
static void handle_until_done(unsigned n)
{
	struct pollfd p[] = {
		{ .fd = queue[0], .events = POLLIN },
		{ .fd = done, .events = POLLIN },
	};
	eventfd_t one;
	int fd;

	while (n > 0 && poll(p, 2, -1) > 0) {
		if (p[1].revents && eventfd_read(done, &one) == 0)
			n--;
		if (p[0].revents && read(queue[0], &fd, sizeof(fd)) == sizeof(fd))
			handle(fd);
	}
}

static void try_once(uint32_t value)
{
	atomic_store(&shared->value, value);
	writer_waits = true;
	if (truncate(path, 8) < 0) /* to the size that it has: drops the mark, raises no event */
		err(2, "truncate");
	sem_post(&shared->reader_go);
	handle_until_done(1);
	let_writer_go(); /* if the first open raised no event */
	handle_until_done(1);
	sem_post(&shared->reader_go);
	handle_until_done(1);
}

static pid_t start(void (*run)(void))
{
	pid_t pid = fork();

	if (pid < 0)
		err(2, "fork");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		assay_fanotify_close(group);
		srand((unsigned)rand() ^ (unsigned)getpid());
		run();
	}
	return pid;
}

static void set_up(const char *dir)
{
	struct assay_err error;
	int fd;

	signal(SIGIO, SIG_IGN);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		err(2, "mmap");
	sem_init(&shared->reader_go, 1, 0);
	sem_init(&shared->writer_go, 1, 0);
	done = eventfd(0, EFD_SEMAPHORE | EFD_NONBLOCK);
	snprintf(path, sizeof(path), "%s/file", dir);
	snprintf(beside, sizeof(beside), "%s.new", path);
	fd = open_or_die(path, O_WRONLY | O_CREAT | O_TRUNC);
	write_value(fd, 0);
	close(fd);
	if (assay_fanotify_new(&group, &error) < 0)
		errx(77, "%s", error.text);
}

int main(int argc, char **argv)
{
	pid_t reader, writer;
	pthread_t thread;
	unsigned tries;
	int fd;

	if (argc != 5)
		errx(2, "usage: fanotify_race DIR TRIES lease|nolease SEED");
	tries = (unsigned)strtoul(argv[2], NULL, 10);
	if (tries > TRIES_MAX)
		errx(2, "too many tries");
	with_lease = strcmp(argv[3], "lease") == 0;
	srand((unsigned)strtoul(argv[4], NULL, 10));
	alarm(240);
	set_up(argv[1]);
	reader = start(run_reader);
	writer = start(run_writer);
	if (assay_fanotify_exempt(group, writer, NULL) < 0)
		errx(2, "cannot exempt the writer");
	fd = open_or_die(argv[1], O_RDONLY | O_DIRECTORY);
	if (assay_fanotify_mark(group, fd, ASSAY_FANOTIFY_OPEN) < 0)
		errx(77, "cannot mark '%s'", argv[1]);
	if (pipe(queue) < 0 || pthread_create(&thread, NULL, run_group, NULL) != 0)
		err(2, "thread");
	for (uint32_t i = 1; i <= tries; i++)
		try_once(i);
	kill(reader, SIGKILL);
	kill(writer, SIGKILL);
	while (wait(NULL) > 0)
		;
	printf("tries %u marked %u broken %u refused %u stale %u\n", tries, n_marked, n_broken,
	       n_refused, atomic_load(&shared->stale));
	return atomic_load(&shared->stale) ? 1 : 0;
}
