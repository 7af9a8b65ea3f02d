/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/startup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/fmt.h"
#include "backends/source_fanotify/content.h"
#include "formats/batch.h"
#include "programs/assayd/process/log.h"
#include "programs/assayd/process/programs.h"
#include "programs/assayd/main/late.h"
#include "programs/assayd/main/maps.h"
#include "programs/assayd/main/unit_files.h"
#include "programs/assayd/view/view_link.h"

#define SEEN_MAX      256u /* more are recorded once for each process */
#define VIEW_MS	      2000u
#define HUNG_MAX      5u     /* processes that hang at the start; a second each */
#define WALK_MS	      20000u /* for all of them, also those that nearly hang */
#define SCAN_MS	      60000u /* with the digests: a service manager waits for 90 seconds */
#define TPM_DRIVER_MS 10000u /* a driver that is a module comes late */

struct self {
	struct daemon *daemon;
	struct assay_content *content;
	struct assay_err *err;
	char list[PATH_MAX]; /* its folder, as maps show it */
	/* the record that is written now */
	const char *kind, *path;
	const struct assay_digest *digest;
	uint64_t unreadable;
	/* Files of a process before this one. */
	uint64_t seen[SEEN_MAX][2];
	size_t n_seen;
};

static void fill_self(void *ctx, struct assay_wr *w)
{
	const struct self *s = ctx;

	assay_state_add(w, "kind", assay_bytes_str(s->kind));
	assay_state_add(w, "path", assay_bytes_str(s->path));
	assay_state_add(w, "alg", assay_bytes_str(assay_hash_name(s->digest->alg)));
	assay_state_add_hex(w, "digest", assay_digest_bytes(s->digest));
}

static int record(struct self *s, const char *kind, const char *path,
		  const struct assay_digest *digest)
{
	s->kind = kind;
	s->path = path;
	s->digest = digest;
	return anchor_state(s->daemon->anchor, "self", fill_self, s, s->err);
}

static int record_fd(struct self *s, const char *kind, const char *path, int fd)
{
	struct assay_digest digest;
	uint64_t bytes;
	int r = assay_content_digest(s->content, fd, NULL, NULL, &digest, &bytes);

	if (r < 0)
		return assay_err_set(s->err, r, "cannot read '%s': %s", path, strerror(-r));
	return record(s, kind, path, &digest);
}

static int record_path(struct self *s, const char *kind, const char *path)
{
	AUTO(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return assay_err_set(s->err, -errno, "cannot open '%s': %s", path, strerror(errno));
	return record_fd(s, kind, path, fd);
}

/* The list, which grows by these very records and says nothing about what assayd is. */
static bool is_list(const struct self *s, const char *path)
{
	size_t len = strlen(s->list);

	return strncmp(path, s->list, len) == 0 && path[len] == '/';
}

/* Through /proc/self/map_files: what is mapped, whatever its path leads to by now. */
static int record_mapped(void *ctx, const struct maps_file *file)
{
	if (is_list(ctx, file->path))
		return 0;
	return record_fd(ctx, file->is_exe ? "exe" : "mapped", file->path, file->fd);
}

static void count_unreadable(void *ctx, const struct maps_file *file, int error)
{
	struct self *s = ctx;

	s->unreadable++;
	log_line(LOG_WARNING, "cannot open '%s', which assayd itself maps: %s", file->path,
		 strerror(error));
}

static void fill_unreadable(void *ctx, struct assay_wr *w)
{
	const struct self *s = ctx;

	assay_state_add(w, "kind", assay_bytes_str("mapped"));
	assay_state_add_u64(w, "unreadable", s->unreadable);
}

static bool was_seen(struct self *s, uint64_t dev, uint64_t ino)
{
	for (size_t i = 0; i < s->n_seen; i++)
		if (s->seen[i][0] == dev && s->seen[i][1] == ino)
			return true;
	if (s->n_seen < SEEN_MAX) {
		s->seen[s->n_seen][0] = dev;
		s->seen[s->n_seen++][1] = ino;
	}
	return false;
}

/* The view comes up by itself: it has all that it maps when it says so. */
void startup_wait_for_view(const struct daemon *d)
{
	struct pollfd p = { .fd = view_link_fd(d->view), .events = POLLIN };

	if (p.fd >= 0)
		(void)poll(&p, 1, VIEW_MS);
}

static bool skip_seen(void *ctx, const struct maps_file *file)
{
	return was_seen(ctx, file->dev, file->ino);
}

/* Of all processes that assayd is. */
static int walk_maps(struct self *s)
{
	struct spawner_child child[SPAWNER_CHILDREN_MAX];
	uint32_t ended[CHILD_ROLE_COUNT];
	size_t n = spawner_list(s->daemon->spawner, child, ARRAY_LEN(child), ended);
	struct maps_walk walk = { .pid = getpid(),
				  .all = true,
				  .skip = skip_seen,
				  .each = record_mapped,
				  .unreadable = count_unreadable,
				  .ctx = s };
	int r = maps_walk(&walk);

	for (size_t i = 0; r == 0 && i < n; i++) {
		walk.pid = child[i].pid;
		r = maps_walk(&walk);
	}
	return r;
}

/* What cannot be opened is told: then these records are not all that assayd is made of. */
static int record_maps(struct self *s)
{
	int r = walk_maps(s);

	if (r < 0 || s->unreadable == 0)
		return r;
	return anchor_state(s->daemon->anchor, "self", fill_unreadable, s, s->err);
}

/* Those that do not run by now, too. */
static int record_programs(struct self *s)
{
	const struct programs *p = s->daemon->programs;
	char path[PATH_MAX + 32];
	struct stat st;
	int r = 0;

	for (int i = 0; r == 0 && i < CHILD_ROLE_COUNT; i++) {
		if (p->fd[i] < 0 || fstat(p->fd[i], &st) < 0 || was_seen(s, st.st_dev, st.st_ino))
			continue;
		assay_fmt(path, sizeof(path), "%s/%s", p->folder, program_name((enum child_role)i));
		r = record_fd(s, "exe", path, p->fd[i]);
	}
	return r;
}

static int record_unit_file(void *ctx, const struct unit_file *file)
{
	return record_fd(ctx, file->is_drop_in ? "drop-in" : "unit", file->path, file->fd);
}

static int record_unit(struct self *s)
{
	AUTO(fd) int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (root < 0)
		return assay_err_set(s->err, -errno, "cannot open '/': %s", strerror(errno));
	return unit_files_walk(root, record_unit_file, s, s->err);
}

int startup_record_self(struct daemon *d, struct assay_err *err)
{
	const struct loaded_policy *policy = atomic_load(&d->policy);
	AUTO(content) struct assay_content *content = NULL;
	struct self s = { .daemon = d, .err = err };
	int r = assay_content_new(&d->crypto, &d->hash, 1, &content, err);

	s.content = content;
	if (r == 0 && !realpath(d->conf.list_dir, s.list))
		r = assay_err_set(err, -errno, "cannot look at '%s': %s", d->conf.list_dir,
				  strerror(errno));
	if (r == 0)
		r = record_maps(&s);
	if (r == 0)
		r = record_programs(&s);
	if (r == 0)
		r = record_unit(&s);
	if (r == 0 && d->conf_path)
		r = record_path(&s, "configuration", d->conf_path);
	if (r == 0)
		r = record(&s, "policy", policy->name, &policy->digest);
	return r;
}

void startup_settle(struct daemon *d)
{
	cmdline_read(&d->conf, &d->cmdline);
	cmdline_apply(&d->cmdline, &d->conf);
	deadline_set(&d->deadline, &d->conf);
	anchor_choose(&d->conf, "/sys", TPM_DRIVER_MS, &d->anchor_choice);
}

int startup_record_settled(struct daemon *d, struct assay_err *err)
{
	int r = 0;

	if (d->cmdline.order != CMDLINE_NONE)
		r = anchor_state(d->anchor, "cmdline", cmdline_fill, &d->cmdline, err);
	if (r == 0 && d->anchor_choice.why)
		r = anchor_state(d->anchor, "anchor", anchor_choice_fill, &d->anchor_choice, err);
	return r;
}

static void fill_late(void *ctx, struct assay_wr *w)
{
	const struct late_scan *s = ctx;

	assay_state_add_u64(w, "processes", s->n_processes);
	assay_state_add_u64(w, "files", s->n_files);
	assay_state_add_u64(w, "skipped_remote", s->n_remote);
	assay_state_add_u64(w, "unreadable", s->n_unreadable);
}

/* Nobody keeps assayd from starting by what he runs. */
static bool can_wait(int error)
{
	return error == -ETIMEDOUT || error == -EPIPE || error == -EBUSY || error == -EAGAIN;
}

int startup_scan_running(struct daemon *d, struct assay_err *err)
{
	static const struct late_wanted everything = { .all = true };
	struct late_scan s = {
		.daemon = d,
		.wanted = &everything,
		.max_hung = HUNG_MAX,
		.max_wait_ms = WALK_MS,
		.max_ms = SCAN_MS,
	};
	int r = late_scan(&s, err);
	bool is_whole = r == 0;

	if (r < 0 && r != -ETIMEDOUT)
		log_line(LOG_ERR, "%s", err->text);
	if (is_whole || can_wait(r))
		r = anchor_state(d->anchor, "late", fill_late, &s, err);
	if (r < 0)
		return r;
	log_line(s.n_unreadable ? LOG_WARNING : LOG_INFO,
		 "%llu files of %llu running processes were looked at, %llu could not be opened",
		 (unsigned long long)s.n_files, (unsigned long long)s.n_processes,
		 (unsigned long long)s.n_unreadable);
	if (is_whole) {
		late_want_again(d->late, &s);
	} else {
		log_line(LOG_WARNING, "all are looked at again while assayd runs");
		late_want_all(d->late);
	}
	return 0;
}
