/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/late_scan.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "formats/mlist_ascii.h"
#include "programs/assayd/process/log.h"
#include "programs/assayd/main/loop.h"
#include "programs/assayd/main/walker.h"

#define AT_ONCE_MAX 256u /* files under way */
#define WAIT_MS	    1000
#define TOLD_MAX    16u /* names in the log, of files that cannot be opened */

struct scan {
	struct late_scan *of;
	struct assay_err *err;
};

static bool has_to_end(const struct late_scan *s)
{
	return s->ends && atomic_load(s->ends);
}

static bool is_over(const struct late_scan *s)
{
	return s->max_ms && assay_clock_ms() - s->began_ms > s->max_ms;
}

bool late_is_wanted(const struct late_wanted *w, uint64_t dev)
{
	for (uint32_t i = 0; i < w->n; i++)
		if (w->dev[i] == dev)
			return true;
	return w->all;
}

/* Waits until no more than @most are under way. */
static int wait_for_left(struct late_scan *s, uint32_t most, struct assay_err *err)
{
	struct loop *loop = s->daemon->loop;
	struct pollfd p = { .fd = loop_late_fd(loop), .events = POLLIN };
	eventfd_t unused;
	int r;

	while (loop_late_left(loop) > most && !loop_has_failed(loop)) {
		poll(&p, 1, WAIT_MS);
		if (has_to_end(s))
			return -ECANCELED;
		if (is_over(s))
			return -ETIMEDOUT;
		(void)eventfd_read(p.fd, &unused);
	}
	r = loop_late_error(loop);
	return r < 0 ? assay_err_set(err, r, "what runs already cannot be recorded: %s",
				     strerror(-r))
		     : 0;
}

static int measure(struct late_scan *s, const struct maps_file *file)
{
	int fd = fcntl(file->fd, F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	s->n_files++;
	atomic_fetch_add(&s->daemon->totals.late, 1);
	return loop_late_add(s->daemon->loop, fd, file->pid, file->is_exe);
}

/* Anybody may have chosen the name. */
static void note_unreadable(void *ctx, const struct maps_file *file, int error)
{
	const struct scan *scan = ctx;
	struct late_scan *s = scan->of;
	char name[512];
	struct assay_wr out = assay_wr(name, sizeof(name));

	/* One of an overlay may have its layer's number. */
	if (has_to_end(s) ||
	    (file->ino && !s->wanted->overlays && !late_is_wanted(s->wanted, file->dev)))
		return;
	if (s->n_missed < LATE_MISSED_MAX)
		s->missed[s->n_missed++] =
			(struct late_file){ .pid = file->pid, .dev = file->dev, .ino = file->ino };
	assay_ascii_escape(assay_bytes_str(file->path), &out);
	if (s->n_unreadable++ < TOLD_MAX)
		log_line(LOG_WARNING, "cannot open '%.*s' of process %d: %s", (int)out.len, name,
			 (int)file->pid, strerror(error));
}

static int add_running(void *ctx, const struct maps_file *file)
{
	const struct scan *scan = ctx;
	struct late_scan *s = scan->of;

	int r;

	if (has_to_end(s))
		return -ECANCELED;
	r = measure(s, file);
	if (r == -ENOMEM)
		return assay_err_set(scan->err, -ENOMEM, "out of memory");
	if (r < 0)
		note_unreadable(ctx, file, -r);
	return wait_for_left(s, AT_ONCE_MAX, scan->err);
}

int late_scan(struct late_scan *s, struct assay_err *err)
{
	struct scan scan = { .of = s, .err = err };
	struct walker_job job = { .daemon = s->daemon,
				  .wanted = s->wanted,
				  .ends = s->ends,
				  .first = 1,
				  .last = INT32_MAX,
				  .max_hung = s->max_hung,
				  .max_wait_ms = s->max_wait_ms,
				  .each = add_running,
				  .unreadable = note_unreadable,
				  .ctx = &scan };
	int r, left;

	s->began_ms = assay_clock_ms();
	r = walker_run(&job, err);
	s->n_processes = job.n_processes;
	s->n_remote = job.n_remote;
	s->idle_ms = job.idle_ms;
	if (r < 0 && r != -ETIMEDOUT)
		return r;
	left = wait_for_left(s, 0, err);
	return left < 0 ? left : r;
}

/* ---- one again ------------------------------------------------------------------------------ */

struct again {
	struct late_scan *scan;
	enum late_outcome outcome;
	struct assay_err *err;
};

static int add_again(void *ctx, const struct maps_file *file)
{
	struct again *a = ctx;

	if (has_to_end(a->scan) || measure(a->scan, file) < 0) {
		a->outcome = LATE_MISSED;
		return 0;
	}
	if (a->outcome == LATE_GONE)
		a->outcome = LATE_MEASURED;
	return wait_for_left(a->scan, AT_ONCE_MAX, a->err);
}

static void note_missed(void *ctx, const struct maps_file *file, int error)
{
	struct again *a = ctx;

	(void)file;
	(void)error;
	a->outcome = LATE_MISSED;
}

enum late_outcome late_scan_file(struct late_scan *s, const struct late_file *file)
{
	/* What maps shows need not be the number of its filesystem. */
	static const struct late_wanted wanted = { .all = true, .overlays = true };
	struct assay_err err;
	struct again a = { .scan = s, .outcome = LATE_GONE, .err = &err };
	struct walker_job job = { .daemon = s->daemon,
				  .wanted = &wanted,
				  .ends = s->ends,
				  .first = file->pid,
				  .last = file->pid,
				  .dev = file->dev,
				  .ino = file->ino,
				  .again = true,
				  .each = add_again,
				  .unreadable = note_missed,
				  .ctx = &a };

	if (walker_run(&job, &err) < 0 || wait_for_left(s, 0, &err) < 0)
		return LATE_MISSED;
	/* A process whose files are none of ours. */
	if (a.outcome == LATE_GONE && file->ino == 0 && job.n_processes)
		return LATE_MEASURED;
	return a.outcome;
}
