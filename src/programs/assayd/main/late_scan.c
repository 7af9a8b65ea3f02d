/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/late_scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/fmt.h"
#include "base/num.h"
#include "formats/mlist_ascii.h"
#include "programs/assayd/process/log.h"
#include "programs/assayd/main/loop.h"
#include "programs/assayd/main/maps.h"
#include "programs/assayd/main/mounts.h"

#define AT_ONCE_MAX 256u /* files under way */
#define WAIT_MS	    1000
#define SEEN_SLOTS  65536u /* a power of two; beyond it, files are judged again, without harm */
#define TOLD_MAX    16u	   /* names in the log, of files that cannot be opened */

struct walk {
	struct late_scan *scan;
	struct {
		uint64_t dev, ino;
	} * seen;
	uint64_t mount_ns; /* ours */
	bool is_apart;	   /* the process that is looked at is in another one */
	struct assay_err *err;
};

static bool has_to_end(const struct late_scan *s)
{
	return s->ends && atomic_load(s->ends);
}

static bool is_wanted(const struct late_wanted *w, uint64_t dev)
{
	for (uint32_t i = 0; i < w->n; i++)
		if (w->dev[i] == dev)
			return true;
	return w->all;
}

/* Has it been met in another process already? */
static bool was_seen(struct walk *w, uint64_t dev, uint64_t ino)
{
	uint64_t slot = (ino ^ dev * 31) * 0x9e3779b97f4a7c15u >> 48;

	if (w->seen[slot].dev == dev && w->seen[slot].ino == ino)
		return true;
	w->seen[slot].dev = dev;
	w->seen[slot].ino = ino;
	return false;
}

/* Also those whose open could wait for ever. An overlay's file may show as its layer's: what it is
 * is seen when it is open. */
static bool skip_file(void *ctx, uint64_t dev, uint64_t ino)
{
	struct walk *w = ctx;
	struct late_scan *s = w->scan;
	bool wanted = is_wanted(s->wanted, dev);

	if (has_to_end(s) || (!wanted && !w->is_apart))
		return true;
	if (mounts_is_remote(s->daemon->mounts, dev)) {
		s->n_remote += wanted;
		return true;
	}
	return wanted && was_seen(w, dev, ino);
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

static int add_running(void *ctx, const struct maps_file *file)
{
	struct walk *w = ctx;
	struct late_scan *s = w->scan;
	struct stat st;

	if (has_to_end(s))
		return -ECANCELED;
	if (!is_wanted(s->wanted, file->dev) &&
	    (fstat(file->fd, &st) < 0 || !is_wanted(s->wanted, st.st_dev)))
		return 0;
	if (measure(s, file) == -ENOMEM)
		return assay_err_set(w->err, -ENOMEM, "out of memory");
	return wait_for_left(s, AT_ONCE_MAX, w->err);
}

/* Anybody may have chosen the name. */
static void note_unreadable(void *ctx, const struct maps_file *file, int error)
{
	struct walk *w = ctx;
	struct late_scan *s = w->scan;
	char name[512];
	struct assay_wr out = assay_wr(name, sizeof(name));

	if (has_to_end(s) || (file->ino && !is_wanted(s->wanted, file->dev)))
		return;
	if (file->ino && s->n_missed < LATE_MISSED_MAX)
		s->missed[s->n_missed++] =
			(struct late_file){ .pid = file->pid, .dev = file->dev, .ino = file->ino };
	assay_ascii_escape(assay_bytes_str(file->path), &out);
	if (s->n_unreadable++ < TOLD_MAX)
		log_line(LOG_WARNING, "cannot open '%.*s' of process %d: %s", (int)out.len, name,
			 (int)file->pid, strerror(error));
}

static uint64_t mount_ns_of(pid_t pid)
{
	char path[64];
	struct stat st;

	assay_fmt(path, sizeof(path), "/proc/%d/ns/mnt", (int)pid);
	return stat(path, &st) == 0 ? st.st_ino : 0;
}

static int scan_process(struct walk *w, pid_t pid)
{
	const struct maps_walk walk = { .pid = pid,
					.skip = skip_file,
					.each = add_running,
					.unreadable = note_unreadable,
					.ctx = w };

	if (has_to_end(w->scan))
		return -ECANCELED;
	w->is_apart = w->scan->wanted->overlays && mount_ns_of(pid) != w->mount_ns;
	w->scan->n_processes++;
	return maps_walk(&walk);
}

static int scan_processes(struct walk *w)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	uint64_t pid;
	int r = 0;

	if (!proc)
		return assay_err_set(w->err, -errno, "cannot read '/proc': %s", strerror(errno));
	while (r == 0 && (entry = readdir(proc))) {
		if (assay_num_parse(assay_bytes_str(entry->d_name), 10, INT32_MAX, &pid) < 0 ||
		    (pid_t)pid == getpid())
			continue;
		r = scan_process(w, (pid_t)pid);
	}
	closedir(proc);
	return r;
}

int late_scan(struct late_scan *s, struct assay_err *err)
{
	struct walk w = { .scan = s, .mount_ns = mount_ns_of(getpid()), .err = err };
	int r;

	w.seen = calloc(SEEN_SLOTS, sizeof(*w.seen));
	r = w.seen ? scan_processes(&w) : assay_err_set(err, -ENOMEM, "out of memory");
	if (r == 0)
		r = wait_for_left(s, 0, err);
	free(w.seen);
	return r;
}

/* ---- one file ------------------------------------------------------------------------------- */

struct again {
	struct late_scan *scan;
	const struct late_file *file;
	enum late_outcome outcome;
};

static bool is_another(void *ctx, uint64_t dev, uint64_t ino)
{
	const struct again *a = ctx;

	return has_to_end(a->scan) || dev != a->file->dev || ino != a->file->ino;
}

static int add_again(void *ctx, const struct maps_file *file)
{
	struct again *a = ctx;

	if (!has_to_end(a->scan) && measure(a->scan, file) == 0)
		a->outcome = LATE_MEASURED;
	else
		a->outcome = LATE_MISSED;
	return 0;
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
	struct again a = { .scan = s, .file = file, .outcome = LATE_GONE };
	const struct maps_walk walk = { .pid = file->pid,
					.skip = is_another,
					.each = add_again,
					.unreadable = note_missed,
					.ctx = &a };

	if (maps_walk(&walk) < 0)
		return LATE_MISSED;
	return a.outcome;
}
