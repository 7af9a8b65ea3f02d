/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The group as root opens it: however much waits for its reader, the kernel drops nothing, so that
 * nobody is let through unmeasured because too many came at once. */
#include "unit/test.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/fanotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/source_fanotify/source_fanotify.h"
#include "base/macros.h"

#define FILES	   128u
#define AT_MOST	   (200u * 1000) /* events: a machine with a larger default shows nothing here */
#define MAX_EVENTS "/proc/sys/fs/fanotify/max_queued_events"

static char folder[] = "/tmp/assay-group.XXXXXX";

static char *path_of(unsigned i, char *buf, size_t size)
{
	snprintf(buf, size, "%s/%u", folder, i);
	return buf;
}

/* By a thread of its own: the kernel merges what one thread does to one file. */
static void *open_all(void *unused)
{
	char path[64];

	for (unsigned i = 0; i < FILES; i++) {
		int fd = open(path_of(i, path, sizeof(path)), O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			return folder;
		close(fd);
	}
	return NULL;
}

/* What a group has at most by default; 0: not to be seen. */
static unsigned default_max(void)
{
	FILE *f = fopen(MAX_EVENTS, "re");
	unsigned n = 0;

	if (f && fscanf(f, "%u", &n) != 1)
		n = 0;
	if (f)
		fclose(f);
	return n;
}

/* Threads of ours that have ended are nobody's any more, so not exempt: their events come here. */
static void read_all(struct assay_fanotify *group)
{
	struct pollfd pfd = { .fd = assay_fanotify_fd(group), .events = POLLIN };
	struct assay_fanotify_event e[ASSAY_FANOTIFY_READ_MAX];

	while (poll(&pfd, 1, 0) == 1) {
		int n = assay_fanotify_read(group, e, ARRAY_LEN(e));

		assert_true(n >= 0);
		while (n > 0)
			close(e[--n].fd);
	}
}

/* Openers who wait would have to be as many threads: what is queued here is told, and waits for no
 * answer. The kernel counts both alike. */
static void queue_is_not_bounded(void **state)
{
	unsigned max = default_max(), n_threads = max / FILES + 2;
	struct assay_fanotify_counts counts;
	struct assay_fanotify *group;
	pthread_t thread;
	void *failed;

	if (geteuid() != 0 || max == 0 || max > AT_MOST)
		skip();
	assert_int_equal(assay_fanotify_new(&group, NULL), 0);
	assert_int_equal(fanotify_mark(assay_fanotify_fd(group), FAN_MARK_ADD,
				       FAN_OPEN | FAN_EVENT_ON_CHILD, AT_FDCWD, folder),
			 0);
	for (unsigned i = 0; i < n_threads; i++) {
		assert_int_equal(pthread_create(&thread, NULL, open_all, NULL), 0);
		pthread_join(thread, &failed);
		assert_null(failed);
	}
	read_all(group);
	assay_fanotify_counts(group, &counts);
	assert_true(n_threads * FILES > max);
	assert_int_equal(counts.overflows, 0);
	assert_int_equal(counts.events, n_threads * FILES);
	assay_fanotify_free(group);
}

/* The queue, and the marks, of which the machine has more than can be made here. */
static void kernel_says_unlimited(void **state)
{
	const unsigned want = FAN_UNLIMITED_QUEUE | FAN_UNLIMITED_MARKS | FAN_CLASS_CONTENT;
	struct assay_fanotify *group;
	unsigned flags = 0;
	char line[256];
	FILE *f;

	if (geteuid() != 0)
		skip();
	assert_int_equal(assay_fanotify_new(&group, NULL), 0);
	snprintf(line, sizeof(line), "/proc/self/fdinfo/%d", assay_fanotify_fd(group));
	f = fopen(line, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "fanotify flags:%x", &flags) == 1)
			break;
	fclose(f);
	assert_int_equal(flags & want, want);
	assay_fanotify_free(group);
}

static int make_files(void **state)
{
	char path[64];

	if (!mkdtemp(folder))
		return -1;
	for (unsigned i = 0; i < FILES; i++)
		close(open(path_of(i, path, sizeof(path)), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	return 0;
}

static int remove_files(void **state)
{
	char path[64];

	for (unsigned i = 0; i < FILES; i++)
		unlink(path_of(i, path, sizeof(path)));
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(queue_is_not_bounded),
		cmocka_unit_test(kernel_says_unlimited),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}
