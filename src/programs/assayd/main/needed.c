/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/needed.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/macros.h"
#include "programs/assayd/main/needed_find.h"
#include "programs/assayd/main/needed_private.h"
#include "programs/assayd/main/running.h"
#include "programs/assayd/process/log.h"

#define LISTENER_NS 10000000000ull /* between two searches for who listens */
#define SOON_NS	    1000000000ull  /* until the next try, when it was nobody's fault */
/* So long may who looks take: microseconds, if nobody keeps it. */
#define LOOK_MS	      1000u
#define LOOK_AGAIN_MS 100u /* at one that has kept it */
#define DIGEST_MS     10000u
#define SEARCH_MS     5000u
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
#define OF_LISTENER ARRAY_LEN(services) /* behind them */
#define OF_CONF	    (OF_LISTENER + 1)	/* exempt_pid */
_Static_assert(OF_CONF < NEEDED_OF_MAX, "a refusal each");

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

/* ---- one more ------------------------------------------------------------------------------- */

/* What is wrong with the process stays so; what is wrong with us may pass. */
static uint64_t again_ns(int error, uint64_t now_ns)
{
	if (error == -EACCES || error == -EPERM || error == -ENOENT || error == -EFBIG)
		return UINT64_MAX;
	if (error == -ESRCH || error == -ESTALE || error == -EAGAIN)
		return now_ns + SOON_NS;
	return now_ns + NEEDED_AGAIN_NS;
}

/* The end of what is asked about n->one: exempt, or not. */
static void end_try(struct needed *n, int r, uint64_t now_ns)
{
	struct needed_refusal *was = &n->refused[n->of];
	struct needed_held *one = &n->one;
	bool again = was->pid == one->pid;

	n->asked = ASKED_NOTHING;
	if (r < 0 && n->one_is_exempt)
		assay_fanotify_unexempt(n->daemon->group, one->pid);
	if (r < 0 && r != -ESRCH && n->of != OF_CONF && (!again || r != was->why))
		log_line(LOG_WARNING, "%s (process %d) is not exempt: %s", one->name, (int)one->pid,
			 strerror(-r));
	*was = (struct needed_refusal){ r < 0 ? one->pid : 0, r, again_ns(r, now_ns) };
	if (r == 0) {
		one->seen_ns = now_ns;
		one->next_ns = now_ns + NEEDED_LOOK_NS;
		needed_hold(n, one);
	} else if (one->pidfd >= 0) {
		close(one->pidfd);
	}
	one->pidfd = -1;
	n->one_is_exempt = false;
}

static int ask(struct needed *n, enum needed_asked what, uint64_t now_ns)
{
	const bool has_hung =
		what == ASKED_HELD ? n->one.has_hung : n->refused[n->of].why == -ETIMEDOUT;
	const uint32_t look_ms = has_hung ? LOOK_AGAIN_MS : LOOK_MS;
	struct vouch_question q = { .type = VOUCH_PROGRAM,
				    .digests = what == ASKED_NEW || what == ASKED_RECORD,
				    .pid = n->one.pid,
				    .alg = n->daemon->hash,
				    .patience_ms = look_ms };
	int r;

	if (what == ASKED_RECORD) {
		q.type = VOUCH_RECORD;
		q.patience_ms = DIGEST_MS;
	} else if (what == ASKED_LISTENER || what == ASKED_AGAIN) {
		q.type = VOUCH_LISTENER;
		q.pid = 1;
		q.tcti = n->daemon->conf.tcti;
		q.patience_ms = SEARCH_MS;
	}
	r = vouch_ask(n->vouch, &q, now_ns);
	n->asked = r == 0 ? what : ASKED_NOTHING;
	return r;
}

/* Whether @pid is one to be exempt of that kind, as far as it is seen without looking into it. That
 * is what main sees itself: who looks for it at what can hang has no say in this. */
static bool may_be_exempt(size_t of, pid_t pid)
{
	if (of < OF_LISTENER)
		return needed_is_service(pid, services[of].unit, services[of].root);
	return of == OF_CONF || needed_is_roots(pid);
}

/* That it is needed is asked once the process is held, as the number may have been another's
 * before. False: it comes to nothing. */
static bool try(struct needed *n, size_t of, const char *name, pid_t pid, uint64_t now_ns)
{
	int r = n->n == NEEDED_HELD_MAX ? -E2BIG : 0;

	n->of = of;
	n->one = (struct needed_held){ .name = name, .pid = pid, .pidfd = -1 };
	n->one_is_exempt = false;
	if (r == 0 && (n->one.pidfd = (int)syscall(SYS_pidfd_open, pid, 0)) < 0)
		r = -errno;
	if (r == 0 && !may_be_exempt(of, pid))
		r = -ESRCH;
	if (r == 0)
		r = ask(n, of == OF_LISTENER ? ASKED_AGAIN : ASKED_NEW, now_ns);
	if (r < 0)
		end_try(n, r, now_ns);
	return r == 0;
}

/* Exempt a moment before it is in the list, which may be what waits for it. */
static int exempt(struct needed *n, uint64_t now_ns)
{
	int r = assay_fanotify_exempt_other(n->daemon->group, n->one.pid, NULL);

	n->one_is_exempt = r == 0;
	return r < 0 ? r : ask(n, ASKED_RECORD, now_ns);
}

/* What it runs is in the list, whatever the policy says: it is let do what others are not. */
static int write_down(struct needed *n)
{
	struct needed_about about = { .name = n->one.name,
				      .pid = n->one.pid,
				      .digest = n->told.digest };

	if (needed_has_ended(n->one.pidfd))
		return -ESRCH;
	memcpy(about.path, n->told.path, sizeof(about.path));
	n->one.program = n->told.program;
	return needed_record(n, n->daemon, NEEDED_EXEMPT, &about);
}

/* As if it had not become so. Who was held for exempt_pid was recorded while somebody waited. */
void needed_unrecorded(struct needed *n, pid_t pid, int error)
{
	const char *name = needed_drop(n, pid);

	if (!name)
		return;
	for (size_t of = 0; of <= OF_LISTENER; of++)
		if (strcmp(name, of < OF_LISTENER ? services[of].name : LISTENER) == 0)
			n->refused[of] =
				(struct needed_refusal){ pid, error,
							 again_ns(error, assay_clock_ns()) };
	if (pid != n->unrecorded.pid || error != n->unrecorded.why)
		log_line(LOG_WARNING, "%s (process %d) is not exempt: %s", name, (int)pid,
			 strerror(-error));
	n->unrecorded = (struct needed_refusal){ .pid = pid, .why = error };
}

/* ---- what is told --------------------------------------------------------------------------- */

/* One that exempt_pid names is not searched for until somebody has ended. */
static void take_listener(struct needed *n, int r, uint64_t now_ns)
{
	const pid_t pid = r < 0 ? 0 : n->told.listener;
	struct needed_refusal *was = &n->refused[OF_LISTENER];

	n->asked = ASKED_NOTHING;
	if (pid != was->pid)
		*was = (struct needed_refusal){ 0 };
	n->listener_ns = now_ns + LISTENER_NS;
	if (pid == 0)
		return;
	if (needed_is_held(n, "", pid))
		n->listener_ns = UINT64_MAX;
	else if (now_ns >= was->again_ns)
		(void)try(n, OF_LISTENER, LISTENER, pid, now_ns);
}

/* @r: 0 or why nobody has answered. */
static void take_answer(struct needed *n, int r, uint64_t now_ns)
{
	const enum needed_asked asked = n->asked;

	if (asked == ASKED_HELD) {
		n->asked = ASKED_NOTHING;
		needed_take_look(n, r, now_ns);
		return;
	}
	if (r == 0)
		r = n->told.error;
	if (asked == ASKED_LISTENER) {
		take_listener(n, r, now_ns);
		return;
	}
	if (r == 0 && asked == ASKED_AGAIN)
		r = n->told.listener == n->one.pid ? ask(n, ASKED_NEW, now_ns) : -ESRCH;
	else if (r == 0 && asked == ASKED_NEW)
		r = exempt(n, now_ns);
	else if (r == 0 && (r = write_down(n)) == 0)
		end_try(n, 0, now_ns);
	if (r < 0)
		end_try(n, r, now_ns);
}

/* ---- what is to be asked -------------------------------------------------------------------- */

static bool reaches_by(const struct daemon *d, const char *way)
{
	size_t len = strlen(way);

	return d->conf.anchor == ASSAY_CONF_ANCHOR_TPM2 && strncmp(d->conf.tcti, way, len) == 0 &&
	       (d->conf.tcti[len] == ':' || d->conf.tcti[len] == '\0');
}

static bool ask_for_service(struct needed *n, size_t of, uint64_t now_ns)
{
	const struct service *s = &services[of];
	struct needed_refusal *was = &n->refused[of];
	pid_t pid;

	if ((s->tcti && !reaches_by(n->daemon, s->tcti)) || needed_is_held(n, s->name, 0))
		return false;
	pid = needed_find_service(s->unit, s->root);
	if (pid != was->pid)
		*was = (struct needed_refusal){ 0 };
	if (pid == 0 || needed_is_held(n, s->name, pid) || (was->pid && now_ns < was->again_ns))
		return false;
	return try(n, of, s->name, pid, now_ns);
}

static bool ask_for_listener(struct needed *n, uint64_t now_ns)
{
	const struct daemon *d = n->daemon;

	if ((!reaches_by(d, "swtpm") && !reaches_by(d, "mssim")) || now_ns < n->listener_ns ||
	    needed_is_held(n, LISTENER, 0))
		return false;
	n->of = OF_LISTENER;
	n->listener_ns = now_ns + LISTENER_NS;
	return ask(n, ASKED_LISTENER, now_ns) == 0;
}

/* One question is asked, if there is one. */
static bool ask_next(struct needed *n, uint64_t now_ns)
{
	struct needed_held *due;
	int r;

	if (n->only_given)
		return false;
	for (size_t of = 0; of < ARRAY_LEN(services); of++)
		if (ask_for_service(n, of, now_ns))
			return true;
	if (ask_for_listener(n, now_ns))
		return true;
	while ((due = needed_find_due(n, now_ns))) {
		n->one = *due;
		n->one.pidfd = -1; /* is not ours */
		r = ask(n, ASKED_HELD, now_ns);
		if (r == 0)
			return true;
		needed_take_look(n, r, now_ns);
	}
	return false;
}

static void count_unseen(struct needed *n)
{
	uint32_t unseen = 0;

	for (size_t i = 0; i < n->n; i++)
		unseen += n->held[i].is_unseen;
	for (size_t of = 0; of < OF_CONF; of++)
		unseen += n->refused[of].pid && n->refused[of].why == -ETIMEDOUT;
	atomic_store(&n->unseen, unseen);
}

int needed_tend(struct needed *n, uint64_t now_ns, int most_ms)
{
	int r = -ENOENT;

	if (!n)
		return most_ms;
	needed_drop_ended(n);
	do {
		if (n->asked) {
			r = vouch_hear(n->vouch, now_ns, &n->told);
			if (r == -EAGAIN)
				break;
			take_answer(n, r, now_ns);
		}
	} while (n->asked || ask_next(n, now_ns));
	count_unseen(n);
	return vouch_wait_ms(n->vouch, most_ms);
}

int needed_fd(const struct needed *n)
{
	return n && n->asked ? vouch_fd(n->vouch) : -1;
}

/* ---- from the start to the end -------------------------------------------------------------- */

/* Its opens are answered at once: who waits for what it looks at would wait for itself. */
static int start_looking(void *ctx, bool digests, struct child *ret, struct assay_err *err)
{
	struct daemon *d = ctx;
	int r = spawner_start(d->spawner, digests ? CHILD_VOUCH_DIGEST : CHILD_VOUCH, NULL, 0,
			      daemon_admit, d, ret, err);

	if (r == 0)
		(void)fcntl(ret->socket, F_SETFL, O_NONBLOCK);
	return r;
}

/* Nobody opens anything yet: all that is asked is told, or will not be. */
static void wait_for_answers(struct needed *n)
{
	int ms = needed_tend(n, assay_clock_ns(), NEEDED_LOOK_NS / 1000000u);

	while (n->asked) {
		struct pollfd p = { .fd = needed_fd(n), .events = POLLIN };

		poll(&p, 1, ms);
		ms = needed_tend(n, assay_clock_ns(), NEEDED_LOOK_NS / 1000000u);
	}
}

/* Before anybody is looked for, who may be one of them. */
static int exempt_given(struct needed *n, struct assay_err *err)
{
	const struct daemon *d = n->daemon;

	n->only_given = true;
	for (uint32_t i = 0; i < d->conf.exempt_pid.n; i++) {
		const pid_t pid = (pid_t)d->conf.exempt_pid.value[i];
		const struct needed_refusal *was = &n->refused[OF_CONF];

		if (try(n, OF_CONF, "exempt_pid", pid, assay_clock_ns()))
			wait_for_answers(n);
		if (was->pid)
			return assay_err_set(err, was->why,
					     "exempt_pid: cannot exempt process %u: %s",
					     d->conf.exempt_pid.value[i], strerror(-was->why));
	}
	n->only_given = false;
	return 0;
}

int needed_new(struct daemon *d, struct needed **ret, struct assay_err *err)
{
	const struct vouch_ops ops = { .start = start_looking,
				       .dismiss = daemon_dismiss,
				       .ctx = d };
	struct needed *n = calloc(1, sizeof(*n));

	if (!n || vouch_new(&ops, &n->vouch) < 0) {
		free(n);
		return assay_err_set(err, -ENOMEM, "out of memory");
	}
	n->daemon = d;
	n->one.pidfd = -1;
	n->afterwards = (struct rate){ .each_ns = AFTERWARDS_NS, .burst = AFTERWARDS };
	pthread_mutex_init(&n->lock, NULL);
	*ret = n;
	assay_fanotify_on_exempted(d->group, measure_afterwards, n);
	if (exempt_given(n, err) < 0)
		return err->code;
	wait_for_answers(n);
	return 0;
}

void needed_free(struct needed *n)
{
	if (!n)
		return;
	vouch_free(n->vouch);
	if (n->one.pidfd >= 0)
		close(n->one.pidfd);
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

uint32_t needed_unseen(const struct needed *n)
{
	return n ? atomic_load(&n->unseen) : 0;
}

uint64_t needed_unmeasured(const struct needed *n)
{
	return n ? atomic_load(&n->unmeasured) : 0;
}
