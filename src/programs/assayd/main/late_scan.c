/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What ran before the first mark. Marks stand while this runs, so whatever starts or is mapped
 * meanwhile raises an event: nothing falls between.
 */
#include "programs/assayd/main/startup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/num.h"
#include "formats/batch.h"
#include "formats/mlist_ascii.h"
#include "programs/assayd/process/log.h"
#include "programs/assayd/main/loop.h"
#include "programs/assayd/main/maps.h"
#include "programs/assayd/main/mounts.h"

#define AT_ONCE_MAX 256u /* files under way */
#define WAIT_MS	    1000
#define SEEN_SLOTS  65536u /* a power of two; beyond it, files are judged again, without harm */

#define TOLD_MAX    16u /* names in the log, of files that cannot be opened */

struct scan {
	struct daemon *daemon;
	struct {
		uint64_t dev, ino;
	} * seen;
	uint64_t n_files, n_processes, n_remote, n_unreadable;
	struct assay_err *err;
};

/* Files seen in another process already, and those whose open could wait for ever. */
static bool skip_file(void *ctx, uint64_t dev, uint64_t ino)
{
	struct scan *s = ctx;
	uint64_t slot = (ino ^ dev * 31) * 0x9e3779b97f4a7c15u >> 48;

	if (mounts_is_remote(s->daemon->mounts, dev)) {
		s->n_remote++;
		return true;
	}
	if (s->seen[slot].dev == dev && s->seen[slot].ino == ino)
		return true;
	s->seen[slot].dev = dev;
	s->seen[slot].ino = ino;
	return false;
}

/* Waits until no more than @most are under way. */
static int wait_for_left(struct scan *s, uint32_t most)
{
	struct loop *loop = s->daemon->loop;
	struct pollfd p = { .fd = loop_late_fd(loop), .events = POLLIN };
	eventfd_t unused;
	int r;

	while (loop_late_left(loop) > most && !loop_has_failed(loop)) {
		poll(&p, 1, WAIT_MS);
		(void)eventfd_read(p.fd, &unused);
	}
	r = loop_late_error(loop);
	return r < 0 ? assay_err_set(s->err, r, "what runs already cannot be recorded: %s",
				     strerror(-r))
		     : 0;
}

static int add_running(void *ctx, const struct maps_file *file)
{
	struct scan *s = ctx;
	int fd = fcntl(file->fd, F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		return 0;
	s->n_files++;
	atomic_fetch_add(&s->daemon->totals.late, 1);
	if (loop_late_add(s->daemon->loop, fd, file->pid, file->is_exe) < 0)
		return assay_err_set(s->err, -ENOMEM, "out of memory");
	return wait_for_left(s, AT_ONCE_MAX);
}

static void fill_late(void *ctx, struct assay_wr *w)
{
	const struct scan *s = ctx;

	assay_state_add_u64(w, "processes", s->n_processes);
	assay_state_add_u64(w, "files", s->n_files);
	assay_state_add_u64(w, "skipped_remote", s->n_remote);
	assay_state_add_u64(w, "unreadable", s->n_unreadable);
}

/* Anybody may have chosen the name. */
static void count_unreadable(void *ctx, const struct maps_file *file, int error)
{
	struct scan *s = ctx;
	char name[512];
	struct assay_wr w = assay_wr(name, sizeof(name));

	assay_ascii_escape(assay_bytes_str(file->path), &w);
	if (s->n_unreadable++ < TOLD_MAX)
		log_line(LOG_WARNING, "cannot open '%.*s' of process %d: %s", (int)w.len, name,
			 (int)file->pid, strerror(error));
}

static int scan_process(struct scan *s, pid_t pid)
{
	struct maps_walk walk = { .pid = pid,
				  .skip = skip_file,
				  .each = add_running,
				  .unreadable = count_unreadable,
				  .ctx = s };

	s->n_processes++;
	return maps_walk(&walk);
}

static int scan_processes(struct scan *s)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	uint64_t pid;
	int r = 0;

	if (!proc)
		return assay_err_set(s->err, -errno, "cannot read '/proc': %s", strerror(errno));
	while (r == 0 && (entry = readdir(proc))) {
		if (assay_num_parse(assay_bytes_str(entry->d_name), 10, INT32_MAX, &pid) < 0 ||
		    (pid_t)pid == getpid())
			continue;
		r = scan_process(s, (pid_t)pid);
	}
	closedir(proc);
	return r;
}

int startup_scan_running(struct daemon *d, struct assay_err *err)
{
	struct scan s = { .daemon = d, .err = err };
	int r;

	s.seen = calloc(SEEN_SLOTS, sizeof(*s.seen));
	r = s.seen ? scan_processes(&s) : assay_err_set(err, -ENOMEM, "out of memory");
	if (r == 0)
		r = wait_for_left(&s, 0);
	if (r == 0)
		r = anchor_state(d->anchor, "late", fill_late, &s, false, NULL, err);
	if (r == 0)
		log_line(s.n_unreadable ? LOG_WARNING : LOG_INFO,
			 "%llu files of %llu running processes were looked at, %llu could not be "
			 "opened",
			 (unsigned long long)s.n_files, (unsigned long long)s.n_processes,
			 (unsigned long long)s.n_unreadable);
	free(s.seen);
	return r;
}
