/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Brings the parts up in the order that leaves no gap, waits for signals and news, and takes them
 * down so that nobody is left waiting. Once it runs it waits for nothing that a user can stall:
 * what it has to say in the list a thread writes (records.h).
 */
#include "programs/assayd/main/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "formats/batch.h"
#include "programs/assayd/audit/audit_daemon.h"
#include "programs/assayd/main/alive.h"
#include "programs/assayd/main/control.h"
#include "programs/assayd/process/folder.h"
#include "programs/assayd/process/log.h"
#include "programs/assayd/process/programs.h"
#include "programs/assayd/main/handover.h"
#include "programs/assayd/main/late.h"
#include "programs/assayd/main/loop.h"
#include "programs/assayd/main/mounts.h"
#include "programs/assayd/main/needed.h"
#include "programs/assayd/main/notify.h"
#include "programs/assayd/main/policy_change.h"
#include "programs/assayd/main/reader.h"
#include "programs/assayd/main/reload.h"
#include "programs/assayd/main/scout.h"
#include "programs/assayd/main/startup.h"
#include "programs/assayd/main/successor.h"
#include "programs/assayd/main/takeover.h"
#include "programs/assayd/peek/peek.h"
#include "programs/assayd/view/view_link.h"

#define KERNEL_LIST    "/sys/kernel/security/ima/binary_runtime_measurements"
#define FILES_RESERVED 512u   /* descriptors for everything but events */
#define EVENTS_MAX     65536u /* held at once */
#define TICK_MS	       1000

void daemon_forget_verdicts(struct daemon *d)
{
	struct assay_fanotify_forgotten n;
	uint64_t began = assay_clock_ns();
	int r = assay_fanotify_forget(d->group, &n);

	if (r < 0)
		log_line(LOG_ERR, "files that are known stay known: %s", strerror(-r));
	else if (n.flushed)
		log_line(LOG_NOTICE,
			 "%llu marks are on files that cannot be reached: all are removed",
			 (unsigned long long)n.unreached);
	log_line(LOG_INFO, "%llu of %llu known files are asked for again, after %llu ms",
		 (unsigned long long)n.cleared, (unsigned long long)n.marks,
		 (unsigned long long)(assay_clock_ns() - began) / 1000000u);
}

/* ---- start ---------------------------------------------------------------------------------- */

/* Descriptors for events, beside those of the daemon itself. */
static uint32_t raise_file_limit(void)
{
	struct rlimit limit = { .rlim_cur = 1024, .rlim_max = 1024 };

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur > EVENTS_MAX + FILES_RESERVED)
		return EVENTS_MAX;
	return limit.rlim_cur > 2 * FILES_RESERVED ? (uint32_t)limit.rlim_cur - FILES_RESERVED
						   : (uint32_t)limit.rlim_cur / 2;
}

static int block_signals(struct assay_err *err)
{
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigset_t set;
	int fd;

	sigaction(SIGPIPE, &ignore, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGIO); /* a lease is broken: the loop's */
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? assay_err_set(err, -errno, "cannot make a signalfd: %s", strerror(errno))
		      : fd;
}

static const char *kernel_list(const struct daemon *d)
{
	if (strcmp(d->conf.kernel_list, "none") == 0)
		return NULL;
	if (strcmp(d->conf.kernel_list, "auto") != 0)
		return d->conf.kernel_list;
	return access(KERNEL_LIST, R_OK) == 0 ? KERNEL_LIST : NULL;
}

/* Its opens are answered at once: others wait for it. */
int daemon_admit(void *ctx, pid_t pid, int pidfd)
{
	struct daemon *d = ctx;
	int r = assay_fanotify_exempt(d->group, pid, NULL);

	(void)pidfd;
	if (r == 0 && d->takeover && !takeover_is_done(d->takeover))
		r = takeover_exempt(d->takeover, pid);
	return r;
}

void daemon_dismiss(void *ctx, pid_t pid)
{
	struct daemon *d = ctx;

	assay_fanotify_unexempt(d->group, pid);
}

static int start_anchor(struct daemon *d, const struct anchor_wait *wait, struct assay_err *err)
{
	AUTO(fd) int list_dirfd = folder_open(d->conf.list_dir, "list_dir", err);
	struct anchor_config config = {
		.conf = &d->conf,
		.kernel_list = kernel_list(d),
		.list_dirfd = list_dirfd,
		.spawner = d->spawner,
		.admit = daemon_admit,
		.ctx = d,
		.wait = wait,
	};
	int rc = list_dirfd < 0 ? list_dirfd : anchor_start(&config, &d->anchor, err);

	if (rc == 0 && !anchor_has_landlock(d->anchor))
		log_line(LOG_NOTICE, "this kernel has no Landlock: the process with list and TPM "
				     "could open other files of root's");
	return rc;
}

int daemon_start_anchor(struct daemon *d, const struct anchor_wait *wait, struct assay_err *err)
{
	int rc = start_anchor(d, wait, err);

	if (rc == 0)
		rc = anchor_set_policy(d->anchor, atomic_load(&d->policy), err);
	if (rc == 0)
		rc = startup_record_settled(d, err);
	return rc;
}

static int write_record(void *ctx, const char *event, struct assay_bytes rest, bool gap,
			struct assay_err *err)
{
	struct daemon *d = ctx;

	return anchor_state_text(d->anchor, event, rest, gap, err);
}

static int new_records(struct running *r, struct assay_err *err)
{
	const struct records_ops ops = { .write = write_record,
					 .ctx = r->daemon,
					 .wake_fd = r->wake_fd };

	return records_new(&ops, &r->daemon->records) < 0
		       ? assay_err_set(err, -ENOMEM, "out of memory")
		       : 0;
}

/* Whoever has something to say waits no more. */
static int begin_records(struct daemon *d, struct assay_err *err)
{
	int rc = records_begin(d->records);

	anchor_started(d->anchor);
	return rc < 0 ? assay_err_set(err, rc, "cannot start a thread: %s", strerror(-rc)) : 0;
}

static uint32_t n_workers(const struct daemon *d)
{
	int cpus = get_nprocs();

	if (d->conf.workers)
		return d->conf.workers;
	return cpus > 0 && cpus <= 256 ? (uint32_t)cpus : 2;
}

static int make_loop(struct running *r, struct assay_err *err)
{
	struct daemon *d = r->daemon;
	const struct loop_config config = {
		.daemon = d,
		.arrivals = &d->arrivals,
		.ledger = &d->ledger,
		.n_workers = n_workers(d),
		.wake_fd = r->wake_fd,
	};
	int rc = arrivals_init(&d->arrivals, raise_file_limit());

	if (rc < 0)
		return assay_err_set(err, rc, "cannot make an eventfd: %s", strerror(-rc));
	ledger_init(&d->ledger, r->wake_fd);
	return loop_new(&config, &d->loop, err);
}

static int start_source(struct running *r, struct assay_err *err)
{
	struct daemon *d = r->daemon;
	int rc = d->takeover ? assay_fanotify_await(&d->group, err)
			     : assay_fanotify_new(&d->group, err);

	if (rc < 0)
		return rc;
	if (assay_fs_table_new(&d->fs) < 0)
		return assay_err_set(err, -ENOMEM, "out of memory");
	return make_loop(r, err);
}

static int load_policy(struct daemon *d, const struct loaded_policy **ret, struct assay_err *err)
{
	int rc = policy_load(NULL, d->conf.policy, &d->crypto, &d->core, ret, err);

	if (rc < 0)
		d->blame("policy", err);
	return rc;
}

/* What needs neither the list nor the kernel's events. */
static int prepare(struct running *r, struct assay_err *err)
{
	struct daemon *d = r->daemon;
	const struct loaded_policy *policy;
	int rc;

	/* First, so that it has nothing of what comes now. */
	rc = programs_new(&d->programs, err);
	if (rc == 0)
		rc = spawner_new(d->programs, &d->spawner, err);
	if (rc < 0)
		return rc;
	d->fetch = (struct fetch){
		.spawner = d->spawner, .admit = daemon_admit, .dismiss = daemon_dismiss, .ctx = d
	};
	r->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r->signal_fd = rc = block_signals(err);
	if (rc >= 0 && !d->takeover)
		rc = control_check(d->conf.control_socket, err);
	if (rc >= 0)
		rc = load_policy(d, &policy, err);
	if (rc < 0)
		return rc;
	atomic_store(&d->policy, policy);
	rc = new_records(r, err);
	if (rc == 0)
		rc = audit_open(d, err);
	if (rc == 0)
		rc = reload_open(d, err);
	if (rc == 0)
		rc = start_source(r, err);
	return rc;
}

int daemon_lock_memory(const struct daemon *d, struct assay_err *err)
{
	if (d->conf.lock_memory && mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0)
		return assay_err_set(err, -errno, "cannot lock memory: %s", strerror(errno));
	return 0;
}

/* Before the first mark. */
static int open_list(struct running *r, struct assay_err *err)
{
	struct daemon *d = r->daemon;
	int rc = daemon_start_anchor(d, NULL, err);

	if (rc == 0)
		rc = needed_new(d, &d->needed, err);
	if (rc == 0)
		audit_policy(d, atomic_load(&d->policy)->name, 0);
	return rc < 0 ? rc : daemon_lock_memory(d, err);
}

/* ---- the first events ------------------------------------------------------------------------ */

int daemon_start_reader(struct running *r, struct held *held, struct assay_err *err)
{
	struct daemon *d = r->daemon;
	const struct reader_config config = {
		.group = d->group,
		.arrivals = &d->arrivals,
		.ledger = &d->ledger,
		.deadline = &d->deadline,
		.held = held,
		.turns = &d->reader_turns,
	};

	return reader_start(&config, &r->reader, err);
}

int daemon_start_peek(struct running *r, struct assay_err *err)
{
	const struct peek_ops ops = { .start = staff_start_child,
				      .ctx = &r->staff,
				      .wake_fd = r->wake_fd };

	return peek_new(&ops, &r->daemon->peek, err);
}

/* From the first mark on; whoever opens is held from here until the loop answers. */
static int watch(struct running *r, struct assay_err *err)
{
	struct daemon *d = r->daemon;
	int rc;

	policy_change_start_view(d, daemon_admit);
	rc = staff_start(&r->staff, d, err);
	if (rc == 0)
		rc = daemon_start_peek(r, err);
	if (rc == 0)
		rc = loop_start(d->loop, anchor_socket(d->anchor), err);
	if (rc == 0)
		rc = daemon_start_reader(r, NULL, err);
	if (rc == 0)
		startup_wait_for_view(d);
	if (rc == 0)
		rc = startup_record_self(d, err);
	if (rc == 0)
		rc = mounts_new(d, &d->mounts, err);
	if (rc == 0)
		rc = mounts_scan(d->mounts, err);
	if (rc == 0)
		rc = daemon_search_elsewhere(d, err);
	if (rc == 0)
		rc = late_new(d, &d->late, err);
	if (rc == 0)
		rc = startup_scan_running(d, err);
	if (rc == 0)
		rc = handover_new(r, 0, &d->handover, err);
	if (rc == 0)
		rc = control_start(d, r->wake_fd, &r->control, err);
	return rc;
}

/* ---- while it runs -------------------------------------------------------------------------- */

/* SIGHUP, or whoever asked. */
static void on_hangup(struct daemon *d)
{
	json_decref(reload_now(d));
}

static void on_mounts(struct daemon *d)
{
	struct assay_err err;

	if (mounts_scan(d->mounts, &err) < 0)
		log_line(LOG_ERR, "%s", err.text);
}

/* Of other threads. */
static void take_news(struct running *r)
{
	eventfd_t unused;

	(void)eventfd_read(r->wake_fd, &unused);
	records_tend(r->daemon->records);
	if (control_tend(r->control))
		control_reloaded(r->control, reload_now(r->daemon));
}

/* What is recorded now and then. */
static void record_some(struct daemon *d)
{
	mounts_record_counts(d->mounts, false);
	late_record(d->late, false);
}

/* Milliseconds until the next time. */
static int tend_children(struct running *r)
{
	struct daemon *d = r->daemon;
	int ms = staff_tend(&r->staff, d, TICK_MS);

	ms = needed_tend(d->needed, assay_clock_ns(), ms);
	return peek_tend(d->peek, assay_clock_ns(), ms);
}

/* Until SIGTERM or SIGINT (0), until another one has all (1), or until nothing can be recorded any
 * more. */
static int run(struct running *r, struct assay_err *err)
{
	struct daemon *d = r->daemon;
	struct pollfd p[] = {
		{ .fd = r->signal_fd, .events = POLLIN },
		{ .fd = r->wake_fd, .events = POLLIN },
		{ .fd = mounts_fd(d->mounts), .events = POLLPRI },
		{ .events = POLLIN },
		{ .events = POLLIN },
		{ .events = POLLIN },
		{ .events = POLLIN },
		{ .events = POLLIN },
	};
	struct signalfd_siginfo info;
	int pause_ms = TICK_MS, rc;

	for (;;) {
		p[3].fd = d->scout ? scout_fd(d->scout) : -1;
		p[4].fd = view_link_fd(d->view);
		p[5].fd = handover_fd(d->handover);
		p[6].fd = needed_fd(d->needed);
		p[7].fd = d->scout ? scout_events_fd(d->scout) : -1;
		poll(p, ARRAY_LEN(p), pause_ms);
		alive_tell(d);
		while (read(r->signal_fd, &info, sizeof(info)) == sizeof(info)) {
			if (info.ssi_signo != SIGHUP)
				return 0;
			on_hangup(d);
		}
		if (loop_has_failed(d->loop))
			return assay_err_set(err, -EPIPE,
					     "the anchor process is gone: whoever waited was let "
					     "go, nothing is measured any more");
		if (spawner_is_gone(d->spawner))
			return assay_err_set(
				err, -EPIPE,
				"the spawner process is gone: what ends can not be replaced");
		take_news(r);
		gaps_record(&r->gaps, d, false);
		daemon_record_audit_lost(d);
		if (loop_take_segment(d->loop)) {
			daemon_forget_verdicts(d);
			view_link_segment(d->view);
		}
		pause_ms = tend_children(r);
		if (p[2].revents || mounts_are_due(d->mounts))
			on_mounts(d);
		pause_ms = daemon_tend_elsewhere(d, p[7].revents, pause_ms);
		view_link_receive(d->view);
		view_link_tick(d->view, assay_clock_ns());
		record_some(d);
		rc = handover_tend(d->handover, err);
		if (rc)
			return rc == -EINTR ? 0 : rc;
	}
}

/* ---- all of it ------------------------------------------------------------------------------- */

/* "assay=off": the list says so, and that is all. Nobody waits for it meanwhile, the boot least. */
static int run_off(struct running *r, struct assay_err *err)
{
	int rc;

	notify_manager(
		"READY=1\nSTATUS=Off, as the kernel's command line says: nothing is watched");
	rc = prepare(r, err);
	if (rc == 0)
		rc = open_list(r, err);
	if (rc == 0)
		rc = startup_record_self(r->daemon, err);
	daemon_stop(r, rc == 0 ? "cmdline" : "start");
	return rc;
}

/* Returns what run() does, or -errno. */
static int start_and_run(struct running *r, struct assay_err *err)
{
	struct daemon *d = r->daemon;
	int rc = prepare(r, err);

	if (rc == 0 && d->takeover)
		rc = successor_start(r, err);
	else if (rc == 0 && (rc = open_list(r, err)) == 0)
		rc = watch(r, err);
	if (rc == 0)
		rc = begin_records(d, err);
	if (rc < 0)
		return rc;
	notify_manager("READY=1");
	log_line(LOG_INFO, "watching %u filesystems", mounts_covered(d->mounts));
	rc = run(r, err);
	if (rc != 1) /* who has taken over does not stop */
		notify_manager("STOPPING=1");
	return rc;
}

int daemon_run(struct daemon *d, struct assay_err *err)
{
	struct running r = { .daemon = d, .signal_fd = -1, .wake_fd = -1 };
	AUTO(fd) int successor = -1;
	int rc;

	startup_settle(d);
	if (cmdline_is_off(&d->cmdline) && d->takeover)
		return assay_err_set(err, -ECANCELED, "the kernel's command line says 'off'");
	if (cmdline_is_off(&d->cmdline))
		return run_off(&r, err);
	rc = start_and_run(&r, err);
	if (rc < 0 && d->takeover && !takeover_is_done(d->takeover))
		takeover_fail(d->takeover, err->text);
	successor = rc == 1 ? handover_successor(d->handover) : -1;
	daemon_stop(&r, rc >= 0 ? "asked" : "start");
	if (successor >= 0 && poll(&(struct pollfd){ .fd = successor, .events = POLLIN }, 1, 0) > 0)
		rc = assay_err_set(err, -EPIPE, "who has taken over has ended");
	return rc < 0 ? rc : 0;
}
