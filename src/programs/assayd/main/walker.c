/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/walker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fmt.h"
#include "programs/assayd/main/mounts.h"
#include "programs/assayd/main/running.h"
#include "programs/assayd/process/ipc.h"
#include "programs/assayd/scout/walk_msg.h"

#define START_MS      30000u /* until its first word: a busy machine */
#define HANG_MS	      1000u  /* without a word */
#define HANG_MANY     5u     /* have hung: somebody makes them, and has less patience from us */
#define HANG_AGAIN_MS 100u
#define STEP_MS	      50
#define DYING_MAX     8u    /* killed, and not ended: they wait for what SIGKILL does not end */
#define DYING_MS      2000u /* that they are given for it */
#define IDLE_MS	      50u   /* beyond that nobody works: the process that is looked at waits */
#define WORDS_MAX     (1u << 20) /* about one process: mappings have a limit far below */

struct walker {
	struct walker_job *job;
	struct filesystems_list known; /* ascending */
	uint64_t memory;	       /* the device of files that are memory alone */
	bool has_overlays;	       /* some that are measured */
	struct child child;
	uint32_t looking; /* 0: at none yet */
	uint32_t first;
	uint32_t n_words; /* about that process */
	uint64_t waited_ms;
	int final; /* the end of all, whose reason is in err */
	struct ipc_buffer buffer;
	struct assay_err *err;
};

static bool has_to_end(const struct walker *w)
{
	return w->job->ends && atomic_load(w->job->ends);
}

/* ---- devices -------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	const struct filesystems_entry *x = a, *y = b;

	return x->dev < y->dev ? -1 : x->dev > y->dev;
}

static const struct filesystems_entry *find(const struct walker *w, uint64_t dev)
{
	const struct filesystems_entry key = { .dev = dev };

	return w->known.n == 0 ? NULL : bsearch(&key, w->known.v, w->known.n, sizeof(key), compare);
}

/* Before they are sorted. */
static bool has_device(const struct walker *w, uint64_t dev)
{
	for (size_t i = 0; i < w->known.n; i++)
		if (w->known.v[i].dev == dev)
			return true;
	return false;
}

/* Programs run from there, too; nobody else answers for it. */
static uint64_t device_of_memory(void)
{
	AUTO(fd) int fd = memfd_create("assayd", MFD_CLOEXEC);
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 ? st.st_dev : 0;
}

/* What is not known to be measured is not opened: a filesystem that nobody has told us of yet may
 * be one whose server never answers. */
static int list_devices(struct walker *w)
{
	struct filesystems_entry *at;
	int r;

	free(w->known.v);
	w->known = (struct filesystems_list){ 0 };
	r = mounts_list(w->job->daemon->mounts, &w->known);
	at = w->known.v;
	w->memory = device_of_memory();
	w->has_overlays = false;
	for (size_t i = 0; r == 0 && i < w->known.n; i++)
		w->has_overlays |= at[i].overlay && at[i].measured;
	if (r == 0 && w->job->wanted->all && w->memory && !has_device(w, w->memory))
		at[w->known.n++] = (struct filesystems_entry){ .dev = w->memory, .measured = true };
	if (r == 0 && w->known.n)
		qsort(at, w->known.n, sizeof(*at), compare);
	return r;
}

static struct walk_device describe(const struct walker *w, const struct filesystems_entry *e)
{
	const struct late_wanted *wanted = w->job->wanted;
	struct walk_device d = { .dev = e->dev };

	if (e->measured && late_is_wanted(wanted, e->dev))
		d.flags |= WALK_OPEN;
	if (!e->remote && wanted->overlays)
		d.flags |= WALK_LOOK;
	if (!e->remote && wanted->all && w->has_overlays)
		d.flags |= WALK_LOOK_HERE;
	if (e->remote && wanted->all)
		d.flags |= WALK_COUNT;
	if (e->overlay)
		d.flags |= WALK_OVERLAY;
	return d;
}

/* It takes what it is told, unless it is stopped or has gone mad. */
static int send_to(struct walker *w, const struct ipc_message *m)
{
	uint64_t began = assay_clock_ms();
	int r = ipc_send(w->child.socket, m);

	while (r == -EAGAIN && !has_to_end(w) && assay_clock_ms() - began < START_MS)
		r = ipc_send(w->child.socket, m);
	return r;
}

static int send_devices(struct walker *w)
{
	uint8_t body[IPC_BODY_MAX];
	struct ipc_message m = { .type = WALK_DEVICES };
	int r = 0;

	for (size_t i = 0; r == 0 && i < w->known.n;) {
		struct assay_wr out = assay_wr(body, sizeof(body));

		for (size_t n = 0; n < WALK_DEVICES_MAX && i < w->known.n; n++, i++) {
			const struct walk_device d = describe(w, &w->known.v[i]);

			walk_device_write(&out, &d);
		}
		m.body = assay_wr_done(&out);
		r = send_to(w, &m);
	}
	return r;
}

static int send_request(struct walker *w)
{
	const struct walk_request request = { .except = (uint32_t)getpid(),
					      .first = w->first,
					      .last = (uint32_t)w->job->last,
					      .dev = w->job->dev,
					      .ino = w->job->ino,
					      .unknown = w->job->wanted->all &&
							 w->job->daemon->conf.mount.n == 0 };
	uint8_t body[64];
	struct assay_wr out = assay_wr(body, sizeof(body));
	int r = send_devices(w);

	walk_request_encode(&request, &out);
	if (r == 0)
		r = send_to(w,
			    &(struct ipc_message){ .type = WALK_GO, .body = assay_wr_done(&out) });
	return r;
}

/* ---- what it says --------------------------------------------------------------------------- */

/* The walker has looked at it by what cannot change any more. This finds only one that is in an
 * enemy's hands, and then it is too late for the descriptor: to close it may be to wait. */
static bool is_believed(const struct walker *w, const struct walk_file *file, int fd)
{
	const struct filesystems_entry *e = find(w, file->dev);
	int flags = fcntl(fd, F_GETFL);
	struct statx st;

	return flags >= 0 && !(flags & (O_PATH | O_WRONLY | O_RDWR)) && e && e->measured &&
	       late_is_wanted(w->job->wanted, file->dev) &&
	       statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &st) == 0 &&
	       S_ISREG(st.stx_mode);
}

static int take_file(struct walker *w, const struct walk_file *file, int fd)
{
	struct maps_file f = { .fd = fd,
			       .pid = (pid_t)w->looking,
			       .dev = file->dev,
			       .ino = file->ino,
			       .path = "",
			       .is_exe = file->is_exe };

	if (is_believed(w, file, fd))
		return w->job->each(w->job->ctx, &f);
	f.fd = -1;
	w->job->unreadable(w->job->ctx, &f, ESTALE);
	return 0;
}

static int take_files(struct walker *w, const struct ipc_message *m)
{
	struct walk_file file[IPC_FDS_MAX];
	uint32_t n;
	int r = 0;

	if (walk_files_parse(m->body, file, &n) < 0 || n != m->n_fds || !w->looking)
		return -EBADMSG;
	for (uint32_t i = 0; r == 0 && i < n; i++)
		r = take_file(w, &file[i], m->fd[i]);
	w->final = r;
	return r == 0 ? send_to(w, &(struct ipc_message){ .type = WALK_MORE }) : r;
}

static int take_failure(struct walker *w, const struct ipc_message *m)
{
	struct walk_failure f;
	struct maps_file file = { .fd = -1, .pid = (pid_t)w->looking };

	if (walk_failure_parse(m->body, &f) < 0 || m->n_fds || !w->looking)
		return -EBADMSG;
	file.dev = f.dev;
	file.ino = f.ino;
	file.path = f.path;
	w->job->unreadable(w->job->ctx, &file, (int)f.error);
	return 0;
}

/* One process after the other, so that it comes to an end. */
static int take_looking(struct walker *w, const struct ipc_message *m)
{
	if (m->n_fds || m->body.len || m->id < w->first || m->id <= w->looking ||
	    m->id > (uint64_t)w->job->last)
		return -EBADMSG;
	w->looking = (uint32_t)m->id;
	w->n_words = 0;
	w->job->n_processes++;
	return 0;
}

/* 1: it is done. */
static int take(struct walker *w, const struct ipc_message *m)
{
	switch (m->type) {
	case WALK_LOOKING:
		return take_looking(w, m);
	case WALK_FILES:
		return take_files(w, m);
	case WALK_FAILED:
		return take_failure(w, m);
	case WALK_DONE:
		w->job->n_remote += m->id;
		return 1;
	default:
		return -EBADMSG;
	}
}

static uint32_t patience_ms(const struct walker *w)
{
	if (!w->looking)
		return START_MS;
	return w->job->again || w->job->n_hung >= HANG_MANY ? HANG_AGAIN_MS : HANG_MS;
}

static int wait_for_word(struct walker *w)
{
	struct pollfd p = { .fd = w->child.socket, .events = POLLIN };
	uint64_t last = assay_clock_ms(), patience = patience_ms(w), waited = 0;
	int r = 0;

	while (r == 0 && poll(&p, 1, STEP_MS) <= 0) {
		waited += assay_clock_step(&last, assay_clock_ms(), STEP_MS);
		if (has_to_end(w))
			r = -ECANCELED;
		else if (waited >= patience)
			r = -ETIME;
	}
	waited += assay_clock_step(&last, assay_clock_ms(), STEP_MS);
	w->waited_ms += waited;
	if (waited > IDLE_MS)
		w->job->idle_ms += waited;
	return r;
}

/* Returns 0 when it is done; -ETIME it hangs, -EPIPE it has ended, -EBADMSG it said what it may
 * not. */
static int hear(struct walker *w)
{
	struct ipc_message m;
	int r = 0;

	while (r == 0) {
		r = wait_for_word(w);
		if (r == 0)
			r = ipc_receive(w->child.socket, &w->buffer, &m);
		if (r < 0)
			break;
		r = w->n_words++ < WORDS_MAX ? take(w, &m) : -EBADMSG;
		ipc_close_fds(&m);
		if (r == 0 && has_to_end(w))
			r = -ECANCELED;
		if (r == 0 && w->job->max_wait_ms && w->waited_ms >= w->job->max_wait_ms)
			r = -ETIMEDOUT;
	}
	return r < 0 ? r : 0;
}

/* ---- one after the other -------------------------------------------------------------------- */

/* Not for ever: see send_to(). */
static int limit_sends(int socket)
{
	const struct timeval limit = { .tv_usec = STEP_MS * 1000 };

	return setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0 ? -errno : 0;
}

static uint32_t count_dying(struct spawner *s)
{
	struct spawner_child child[SPAWNER_CHILDREN_MAX];
	uint32_t ended[CHILD_ROLE_COUNT], n = 0;

	for (size_t i = spawner_list(s, child, ARRAY_LEN(child), ended); i > 0; i--)
		n += child[i - 1].role == CHILD_WALKER;
	return n;
}

/* Those that were before this one are to end. */
static int wait_for_place(struct walker *w)
{
	uint64_t began = assay_clock_ms();

	while (!has_to_end(w) && count_dying(w->job->daemon->spawner) >= DYING_MAX) {
		if (assay_clock_ms() - began >= DYING_MS)
			return assay_err_set(w->err, -EBUSY,
					     "what runs already cannot be looked at: %u processes "
					     "that were to do so do not end",
					     DYING_MAX);
		poll(NULL, 0, STEP_MS);
	}
	return has_to_end(w) ? -ECANCELED : 0;
}

static int start(struct walker *w)
{
	struct daemon *d = w->job->daemon;
	int r = wait_for_place(w);

	if (r == 0)
		r = spawner_start(d->spawner, CHILD_WALKER, NULL, 0, daemon_admit, d, &w->child,
				  w->err);
	return r < 0 && has_to_end(w) ? -ECANCELED : r;
}

/* Its table is new: the less what is known has aged, the less is told in vain. */
static int run_one(struct walker *w)
{
	int r = start(w);

	if (r < 0)
		return w->final = r;
	w->looking = w->n_words = 0;
	r = has_to_end(w) ? -ECANCELED : list_devices(w);
	if (r == 0)
		r = limit_sends(w->child.socket);
	if (r == 0)
		r = send_request(w);
	if (r == 0)
		r = hear(w);
	if (r < 0)
		child_kill(&w->child); /* else it ends */
	if (!has_to_end(w))
		daemon_dismiss(w->job->daemon, w->child.pid);
	child_close(&w->child);
	return r;
}

/* The process that it was at is left out. True: another walker may go on. */
static bool leave_out(struct walker *w, int r)
{
	char path[64];
	const struct maps_file file = { .fd = -1, .pid = (pid_t)w->looking, .path = path };

	if (w->final || !w->looking || has_to_end(w) ||
	    (r != -ETIME && r != -EPIPE && r != -EBADMSG))
		return false;
	assay_fmt(path, sizeof(path), "/proc/%u/maps", (unsigned)w->looking);
	w->job->unreadable(w->job->ctx, &file, r == -ETIME ? ETIMEDOUT : -r);
	w->job->n_hung++;
	w->first = w->looking + 1;
	return true;
}

static int run_all(struct walker *w)
{
	struct walker_job *job = w->job;
	int r = run_one(w);

	while (leave_out(w, r)) {
		if (w->looking == (uint32_t)job->last)
			return 0;
		if (job->max_hung && job->n_hung == job->max_hung)
			return -ETIMEDOUT;
		r = run_one(w);
	}
	if (r == 0 || w->final || r == -ECANCELED || r == -ETIMEDOUT)
		return r;
	return assay_err_set(w->err, -EPIPE, "what runs already cannot be looked at: %s",
			     strerror(-r));
}

int walker_run(struct walker_job *job, struct assay_err *err)
{
	struct walker *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return assay_err_set(err, -ENOMEM, "out of memory");
	w->job = job;
	w->err = err;
	w->first = (uint32_t)job->first;
	r = run_all(w);
	free(w->known.v);
	free(w);
	return r;
}
