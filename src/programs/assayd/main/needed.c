/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/needed.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "backends/source_fanotify/content.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/fmt.h"
#include "formats/batch.h"
#include "programs/assayd/main/needed_find.h"
#include "programs/assayd/process/log.h"
#include "programs/assayd/process/rate.h"

#define HELD_MAX    (ASSAY_CONF_LIST_MAX + 8u)
#define PROGRAM_MAX (256 << 20)	   /* bytes */
#define LISTENER_NS 10000000000ull /* between two searches for who listens */
#define AGAIN_NS    10000000000ull /* between two tries with the same process */
#define UNSAID_MAX  64u
/* What they open because we have measured what they opened: that must end. */
#define AFTERWARDS    256u
#define AFTERWARDS_NS 10000000000ull

#define LISTENER      "TPM" /* who listens where the TPM is reached */

static const struct service {
	const char *name, *unit;
	bool root;
	const char *tcti; /* needed with that way to the TPM alone */
} services[] = {
	{ "journald", "systemd-journald.service", true, NULL },
	{ "auditd", "auditd.service", true, NULL },
	{ "tee-supplicant", "tee-supplicant.service", false, NULL },
	{ "tpm2-abrmd", "tpm2-abrmd.service", false, "tabrmd" },
	{ "dbus", "dbus.service", false, "tabrmd" }, /* by which that one is reached */
};

/* What a process runs. The number of a file that is gone may be another's; when it was born
 * differs, where the filesystem knows it. */
struct program {
	uint32_t major, minor;
	uint64_t ino;
	struct statx_timestamp born;
};

struct held {
	const char *name;
	pid_t pid;
	int pidfd;
	struct program program;
};

/* Whom we have looked at in vain. */
struct refusal {
	pid_t pid;
	int why;
	uint64_t again_ns;
};

struct exempt_record {
	const char *name;
	pid_t pid;
	char path[PATH_MAX];
	struct assay_digest digest;
};

/* A record for which there was no list. */
struct unsaid {
	struct unsaid *next;
	bool ended;
	struct exempt_record record;
};

struct needed {
	struct daemon *daemon;
	struct unsaid *unsaid, **last_unsaid;
	size_t n_unsaid;
	pthread_mutex_t lock; /* guards these */
	struct held held[HELD_MAX];
	size_t n;
	struct refusal refused[ARRAY_LEN(services) + 1]; /* of each the last */
	uint64_t listener_ns;
	struct rate afterwards; /* the reader's */
	_Atomic uint64_t unmeasured;
};

/* ---- what they open ------------------------------------------------------------------------- */

/* In the reader: waits for nobody, not even for the server of a filesystem. When the table is full,
 * the descriptor is one of those that are kept back, for the next one who is exempt. */
static void measure_afterwards(void *ctx, int fd, int32_t tid, bool exec)
{
	const struct assay_fanotify_event e = {
		.fd = fd, .tid = tid, .exec = exec, .answered = true
	};
	struct needed *n = ctx;
	struct daemon *d = n->daemon;
	uint64_t most = (uint64_t)d->conf.max_file_size_mib << 20;
	struct statx st = { 0 };

	(void)statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_SIZE, &st);
	if (S_ISREG(st.stx_mode)) {
		if (st.stx_size <= most && arrivals_room(&d->arrivals) > 0 &&
		    rate_take(&n->afterwards, assay_clock_ns()) &&
		    arrivals_put(&d->arrivals, &e, 1, false))
			return;
		atomic_fetch_add(&n->unmeasured, 1);
	}
	close(fd);
}

/* ---- who ------------------------------------------------------------------------------------ */

static int look_at_program(int dir_fd, const char *path, struct program *ret)
{
	const int flags = AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC;
	struct statx st;

	if (statx(dir_fd, path, flags, STATX_INO | STATX_BTIME, &st) < 0)
		return -errno;
	*ret = (struct program){ .major = st.stx_dev_major,
				 .minor = st.stx_dev_minor,
				 .ino = st.stx_ino,
				 .born = st.stx_mask & STATX_BTIME
						 ? st.stx_btime
						 : (struct statx_timestamp){ 0 } };
	return 0;
}

/* One that ends has no program any more, before it has ended. */
static bool runs_another(pid_t pid, const struct program *than)
{
	struct program now = { 0 };
	char link[64];
	int r;

	assay_fmt(link, sizeof(link), "/proc/%d/exe", (int)pid);
	r = look_at_program(AT_FDCWD, link, &now);
	if (r < 0)
		return r != -ENOENT && r != -ESRCH;
	return now.ino != than->ino || now.major != than->major || now.minor != than->minor ||
	       now.born.tv_sec != than->born.tv_sec || now.born.tv_nsec != than->born.tv_nsec;
}

static void fill_ended(void *ctx, struct assay_wr *w)
{
	const struct exempt_record *r = ctx;

	assay_state_add(w, "kind", assay_bytes_str(r->name));
	assay_state_add_u64(w, "pid", (uint64_t)r->pid);
	assay_state_add(w, "path", assay_bytes_str(r->path));
}

static void fill_exempt(void *ctx, struct assay_wr *w)
{
	const struct exempt_record *r = ctx;

	fill_ended(ctx, w);
	assay_state_add(w, "alg", assay_bytes_str(assay_hash_name(r->digest.alg)));
	assay_state_add_hex(w, "digest", assay_digest_bytes(&r->digest));
}

static int write_record(struct needed *n, bool ended, const struct exempt_record *r)
{
	struct anchor *a = n->daemon->anchor;
	struct assay_err err;

	if (ended)
		return anchor_state(a, "exempt-ended", fill_ended, (void *)r, false, NULL, &err);
	return anchor_state(a, "exempt", fill_exempt, (void *)r, false, NULL, &err);
}

/* While an upgrade is undone there may be no anchor: it waits for the next one. */
static int say(struct needed *n, bool ended, const struct exempt_record *r)
{
	struct unsaid *u;

	if (n->daemon->anchor)
		return write_record(n, ended, r);
	if (n->n_unsaid == UNSAID_MAX)
		return -ENOBUFS;
	if (!(u = malloc(sizeof(*u))))
		return -ENOMEM;
	*u = (struct unsaid){ .ended = ended, .record = *r };
	*n->last_unsaid = u;
	n->last_unsaid = &u->next;
	n->n_unsaid++;
	return 0;
}

static void say_rest(struct needed *n)
{
	struct unsaid *u;
	int r;

	while (n->daemon->anchor && (u = n->unsaid)) {
		r = write_record(n, u->ended, &u->record);
		if (r < 0)
			log_line(LOG_ERR, "that %s (process %d) is exempt%s is not in the list: %s",
				 u->record.name, (int)u->record.pid, u->ended ? " no more" : "",
				 strerror(-r));
		if (!(n->unsaid = u->next))
			n->last_unsaid = &n->unsaid;
		n->n_unsaid--;
		free(u);
	}
}

/* Of the record all but the digest. The text is of /proc, where the program can be opened. */
static void describe(const char *name, pid_t pid, struct exempt_record *ret, char link[static 64])
{
	ssize_t len;

	ret->name = name;
	ret->pid = pid;
	assay_fmt(link, 64, "/proc/%d/exe", (int)pid);
	len = readlink(link, ret->path, sizeof(ret->path) - 1);
	ret->path[len < 0 ? 0 : len] = '\0';
}

static int digest_of(struct needed *n, int fd, struct assay_digest *ret)
{
	AUTO(content) struct assay_content *content = NULL;
	struct assay_err err;
	uint64_t bytes;
	struct stat st;
	int r = fstat(fd, &st) < 0 ? -errno : 0;

	/* The main thread reads it: nothing that takes long is a service's program. */
	if (r == 0 && (!S_ISREG(st.st_mode) || st.st_size > PROGRAM_MAX))
		r = -EFBIG;
	if (r == 0)
		r = assay_content_new(&n->daemon->crypto, &n->daemon->hash, 1, &content, &err);
	return r < 0 ? r : assay_content_digest(content, fd, NULL, NULL, ret, &bytes);
}

/* What it runs is in the list, whatever the policy says: it is let do what others are not. */
static int record(struct needed *n, const char *name, pid_t pid, struct program *ret)
{
	struct exempt_record r = { 0 };
	AUTO(fd) int fd = -1;
	char link[64];
	int rc;

	describe(name, pid, &r, link);
	fd = open(link, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	rc = fd < 0 ? -errno : look_at_program(fd, "", ret);
	if (rc == 0)
		rc = digest_of(n, fd, &r.digest);
	return rc < 0 ? rc : say(n, false, &r);
}

/* It is another program that would open what it likes. */
static void record_ended(struct needed *n, const struct held *h)
{
	struct exempt_record r = { 0 };
	char link[64];
	int rc;

	describe(h->name, h->pid, &r, link);
	log_line(LOG_WARNING, "%s (process %d) runs '%s' now, and is exempt no more", h->name,
		 (int)h->pid, r.path);
	rc = say(n, true, &r);
	if (rc < 0)
		log_line(LOG_ERR, "that is not in the list: %s", strerror(-rc));
}

static void hold(struct needed *n, const struct held *h)
{
	pthread_mutex_lock(&n->lock);
	n->held[n->n++] = *h;
	pthread_mutex_unlock(&n->lock);
	log_line(LOG_NOTICE, "%s (process %d) opens what it likes, and is measured afterwards",
		 h->name, (int)h->pid);
}

static bool has_ended(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	return poll(&p, 1, 0) != 0;
}

/* What it was found by. */
static bool is_needed(const struct needed *n, const char *name, pid_t pid, const struct service *of)
{
	if (of)
		return needed_is_service(pid, of->unit, of->root);
	return strcmp(name, LISTENER) != 0 || needed_find_listener(n->daemon->conf.tcti) == pid;
}

/* That it is needed is asked again once the process is held, as the number may have been another's
 * before. @of: NULL: no service. */
static int exempt(struct needed *n, const char *name, pid_t pid, const struct service *of)
{
	struct assay_fanotify *group = n->daemon->group;
	AUTO(fd) int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct held h = { .name = name, .pid = pid };
	int r = pidfd < 0 ? -errno : 0;

	if (n->n == HELD_MAX)
		return -E2BIG;
	if (r == 0 && !is_needed(n, name, pid, of))
		r = -ESRCH;
	if (r == 0)
		r = assay_fanotify_exempt_other(group, pid, NULL);
	if (r < 0)
		return r;
	r = record(n, name, pid, &h.program);
	if (r == 0 && (has_ended(pidfd) || runs_another(pid, &h.program)))
		r = -ESRCH;
	if (r < 0) {
		assay_fanotify_unexempt(group, pid);
		return r;
	}
	h.pidfd = TAKE_FD(pidfd);
	hold(n, &h);
	return 0;
}

/* ---- when ----------------------------------------------------------------------------------- */

static void drop(struct needed *n, size_t i)
{
	assay_fanotify_unexempt(n->daemon->group, n->held[i].pid);
	close(n->held[i].pidfd);
	pthread_mutex_lock(&n->lock);
	n->held[i] = n->held[--n->n];
	pthread_mutex_unlock(&n->lock);
	n->listener_ns = 0;
}

/* Who ends, or becomes somebody else: a service that was found before the service manager's child
 * had executed its program, or whoever executes another one. */
static void look_again(struct needed *n)
{
	for (size_t i = 0; i < n->n;) {
		const struct held h = n->held[i];
		bool ended = has_ended(h.pidfd);

		if (!ended && !runs_another(h.pid, &h.program)) {
			i++;
			continue;
		}
		drop(n, i);
		if (!ended)
			record_ended(n, &h);
	}
}

static bool is_held(const struct needed *n, const char *name, pid_t pid)
{
	for (size_t i = 0; i < n->n; i++)
		if (n->held[i].pid == pid || strcmp(n->held[i].name, name) == 0)
			return true;
	return false;
}

/* What is wrong with the process stays so; what is wrong with us may pass. */
static uint64_t again_ns(int error, uint64_t now_ns)
{
	if (error == -EACCES || error == -EPERM || error == -ENOENT || error == -EFBIG)
		return UINT64_MAX;
	return error == -ESRCH ? now_ns : now_ns + AGAIN_NS;
}

static void take(struct needed *n, size_t i, pid_t pid, uint64_t now_ns)
{
	const struct service *of = i < ARRAY_LEN(services) ? &services[i] : NULL;
	const char *name = of ? of->name : LISTENER;
	struct refusal *was = &n->refused[i];
	bool again = pid == was->pid;
	int r;

	if (pid == 0 || is_held(n, name, pid) || (again && now_ns < was->again_ns))
		return;
	r = exempt(n, name, pid, of);
	if (r < 0 && r != -ESRCH && (!again || r != was->why))
		log_line(LOG_WARNING, "%s (process %d) is not exempt: %s", name, (int)pid,
			 strerror(-r));
	*was = (struct refusal){ r < 0 ? pid : 0, r, again_ns(r, now_ns) };
}

static bool reaches_by(const struct daemon *d, const char *way)
{
	size_t len = strlen(way);

	return d->conf.anchor == ASSAY_CONF_ANCHOR_TPM2 && strncmp(d->conf.tcti, way, len) == 0 &&
	       (d->conf.tcti[len] == ':' || d->conf.tcti[len] == '\0');
}

static void find_listener(struct needed *n, uint64_t now_ns)
{
	const struct daemon *d = n->daemon;
	pid_t pid;

	if (!reaches_by(d, "swtpm") && !reaches_by(d, "mssim"))
		return;
	if (now_ns < n->listener_ns || is_held(n, LISTENER, 0))
		return;
	pid = needed_find_listener(d->conf.tcti);
	/* One that exempt_pid names is not searched for until somebody has ended. */
	n->listener_ns = is_held(n, "", pid) ? UINT64_MAX : now_ns + LISTENER_NS;
	take(n, ARRAY_LEN(services), pid, now_ns);
}

void needed_tend(struct needed *n, uint64_t now_ns)
{
	if (!n)
		return;
	say_rest(n);
	look_again(n);
	for (size_t i = 0; i < ARRAY_LEN(services); i++) {
		const struct service *s = &services[i];

		if ((!s->tcti || reaches_by(n->daemon, s->tcti)) && !is_held(n, s->name, 0))
			take(n, i, needed_find_service(s->unit, s->root), now_ns);
	}
	find_listener(n, now_ns);
}

int needed_new(struct daemon *d, struct needed **ret, struct assay_err *err)
{
	struct needed *n = calloc(1, sizeof(*n));
	int r;

	if (!n)
		return assay_err_set(err, -ENOMEM, "out of memory");
	n->daemon = d;
	n->last_unsaid = &n->unsaid;
	n->afterwards = (struct rate){ .each_ns = AFTERWARDS_NS, .burst = AFTERWARDS };
	pthread_mutex_init(&n->lock, NULL);
	*ret = n;
	assay_fanotify_on_exempted(d->group, measure_afterwards, n);
	for (uint32_t i = 0; i < d->conf.exempt_pid.n; i++) {
		r = exempt(n, "exempt_pid", (pid_t)d->conf.exempt_pid.value[i], NULL);
		if (r < 0)
			return assay_err_set(err, r, "exempt_pid: cannot exempt process %u: %s",
					     d->conf.exempt_pid.value[i], strerror(-r));
	}
	needed_tend(n, assay_clock_ns());
	return 0;
}

void needed_free(struct needed *n)
{
	struct unsaid *u, *next;

	if (!n)
		return;

	for (u = n->unsaid; u; u = next) {
		next = u->next;
		free(u);
	}
	while (n->n > 0)
		close(n->held[--n->n].pidfd);
	pthread_mutex_destroy(&n->lock);
	free(n);
}

/* ---- for who asks --------------------------------------------------------------------------- */

json_t *needed_json(struct needed *n)
{
	json_t *list = json_array();

	if (!n || !list)
		return list;
	pthread_mutex_lock(&n->lock);
	for (size_t i = 0; i < n->n; i++)
		json_array_append_new(list, json_pack("{s:s, s:i}", "name", n->held[i].name, "pid",
						      (int)n->held[i].pid));
	pthread_mutex_unlock(&n->lock);
	return list;
}

uint32_t needed_count(struct needed *n)
{
	uint32_t count;

	if (!n)
		return 0;
	pthread_mutex_lock(&n->lock);
	count = (uint32_t)n->n;
	pthread_mutex_unlock(&n->lock);
	return count;
}

uint64_t needed_unmeasured(const struct needed *n)
{
	return n ? atomic_load(&n->unmeasured) : 0;
}
