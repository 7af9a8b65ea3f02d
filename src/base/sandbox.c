/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/macros.h"

static int failed(struct assay_err *err, int r, const char *what)
{
	return assay_err_set(err, r, "cannot enter the sandbox: %s: %s", what, strerror(-r));
}

/* ---- ids and capabilities ------------------------------------------------------------------- */

static int change_ids(const struct assay_sandbox *s, struct assay_err *err)
{
	if (s->uid == ASSAY_SANDBOX_SAME_ID)
		return 0;
	if (s->keep_caps && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return failed(err, -errno, "keeping capabilities");
	if (setgroups(0, NULL) < 0 || setresgid(s->gid, s->gid, s->gid) < 0 ||
	    setresuid(s->uid, s->uid, s->uid) < 0)
		return failed(err, -errno, "changing ids");
	return 0;
}

/* Needs CAP_SETPCAP: before the ids go, and of no use to who never had it. */
static int bound_caps(uint64_t keep, struct assay_err *err)
{
	for (int cap = 0; cap < 64 && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
		if (keep & 1ull << cap)
			continue;
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EPERM)
			return failed(err, -errno, "bounding capabilities");
	}
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return failed(err, -errno, "clearing ambient capabilities");
	return 0;
}

static int keep_caps(const struct assay_sandbox *s, struct assay_err *err)
{
	cap_t caps = cap_init();
	int r = caps ? 0 : -ENOMEM;

	for (cap_value_t cap = 0; r == 0 && cap < 64; cap++) {
		if (!(s->keep_caps & 1ull << cap))
			continue;
		if (cap_set_flag(caps, CAP_PERMITTED, 1, &cap, CAP_SET) < 0 ||
		    cap_set_flag(caps, CAP_EFFECTIVE, 1, &cap, CAP_SET) < 0)
			r = -errno;
	}
	if (r == 0 && cap_set_proc(caps) < 0)
		r = -errno;
	cap_free(caps);
	return r < 0 ? failed(err, r, "dropping capabilities") : 0;
}

/* ---- limits --------------------------------------------------------------------------------- */

/* One that is lower already stays: to raise it is not ours. */
static int limit(int resource, rlim_t value)
{
	struct rlimit l;

	if (getrlimit(resource, &l) < 0)
		return -errno;
	l.rlim_cur = l.rlim_max = value < l.rlim_max ? value : l.rlim_max;
	return setrlimit(resource, &l) < 0 ? -errno : 0;
}

static int set_limits(const struct assay_sandbox *s, struct assay_err *err)
{
	int r = limit(RLIMIT_CORE, 0);

	if (r == 0)
		r = limit(RLIMIT_FSIZE, s->max_file_size);
	if (r == 0 && s->max_files)
		r = limit(RLIMIT_NOFILE, s->max_files);
	if (r == 0 && !s->may_thread) /* threads count as processes */
		r = limit(RLIMIT_NPROC, 0);
	if (r < 0)
		return failed(err, r, "limits");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return failed(err, -errno, "no new privileges");
	return 0;
}

/* ---- Landlock ------------------------------------------------------------------------------- */

/* As the newest kernel has it: older headers lack members, older kernels take zeros in them. */
struct ruleset {
	uint64_t fs, net, scoped;
};

#define FS_EXECUTE	  1ull
#define FS_WRITE_FILE	  (1ull << 1)
#define FS_READ_FILE	  (1ull << 2)
#define FS_READ_DIR	  (1ull << 3)
#define FS_ABI_1	  ((1ull << 13) - 1)
#define FS_REFER	  (1ull << 13) /* ABI 2 */
#define FS_TRUNCATE	  (1ull << 14) /* ABI 3 */
#define FS_IOCTL_DEV	  (1ull << 15) /* ABI 5 */
#define FS_OF_FILES	  (FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV)
#define NET_TCP		  3ull /* bind and connect; ABI 4 */
#define SCOPE_UNIX_SIGNAL 3ull /* abstract sockets and signals; ABI 6 */
#define RULESET_VERSION	  1u   /* LANDLOCK_CREATE_RULESET_VERSION */
#define RULE_PATH_BENEATH 1    /* LANDLOCK_RULE_PATH_BENEATH */

static struct ruleset everything(int abi)
{
	struct ruleset all = { .fs = FS_ABI_1 };

	if (abi >= 2)
		all.fs |= FS_REFER;
	if (abi >= 3)
		all.fs |= FS_TRUNCATE;
	if (abi >= 4)
		all.net = NET_TCP;
	if (abi >= 5)
		all.fs |= FS_IOCTL_DEV;
	if (abi >= 6)
		all.scoped = SCOPE_UNIX_SIGNAL;
	return all;
}

static int leave_path(int ruleset, const struct ruleset *all, const struct assay_sandbox_path *path)
{
	uint64_t readable = FS_READ_FILE | FS_READ_DIR;
	uint64_t writable = all->fs & ~(FS_EXECUTE | FS_REFER);
	struct landlock_path_beneath_attr rule = {
		.allowed_access = path->writable ? writable : readable,
		.parent_fd = path->fd,
	};
	bool is_folder = faccessat(path->fd, ".", F_OK, 0) == 0;

	if (!is_folder)
		rule.allowed_access &= FS_OF_FILES;
	return syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0) < 0 ? -errno
											: 0;
}

/* *ret false: this kernel has none. */
static int take_paths(const struct assay_sandbox *s, bool *ret, struct assay_err *err)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, RULESET_VERSION);
	struct ruleset all = everything((int)abi);
	int fd, r = 0;

	*ret = abi >= 1 && !s->all_paths;
	if (!*ret)
		return 0;
	if (s->sockets == ASSAY_SANDBOX_ANY_SOCKETS)
		all.net = 0;
	fd = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof(all), 0);
	if (fd < 0)
		return failed(err, -errno, "Landlock");
	for (size_t i = 0; r == 0 && i < s->n_paths; i++)
		r = leave_path(fd, &all, &s->paths[i]);
	if (r == 0 && syscall(SYS_landlock_restrict_self, fd, 0) < 0)
		r = -errno;
	close(fd);
	return r < 0 ? failed(err, r, "Landlock") : 0;
}

/* ---- seccomp -------------------------------------------------------------------------------- */

static const char *const libc_needs[] = {
	"brk", "mremap", "sched_getaffinity", "clock_gettime", "gettimeofday", "time",
	"clock_nanosleep", "close", "exit", "exit_group", "futex", "getpid", "getrandom", "gettid",
	"madvise", "munmap", "read", "restart_syscall", "rt_sigaction", "rt_sigprocmask",
	"rt_sigreturn", "sched_yield", "sigaltstack", "write",
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	/* Their run time: shadow memory, reports, leak checks at exit. */
	"getrlimit", "openat", "prctl", "prlimit64", "readlink", "sigprocmask", "lseek",
	"newfstatat", "fstat", "getuid", "sysinfo",
#endif
	NULL
};

/* Not those that have signals sent (F_SETOWN, F_SETSIG): to root's processes, from one of root's.
 */
static int allow_fcntl(scmp_filter_ctx ctx)
{
	static const int commands[] = { F_DUPFD,  F_DUPFD_CLOEXEC, F_GETFD,    F_SETFD,
					F_GETFL,  F_SETFL,	   F_GETLK,    F_SETLK,
					F_SETLKW, F_ADD_SEALS,	   F_GET_SEALS };
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(commands); i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
				     SCMP_A1(SCMP_CMP_EQ, (scmp_datum_t)commands[i]));
	return r;
}

static int allow_call(scmp_filter_ctx ctx, const struct assay_sandbox *s, int nr)
{
	const struct scmp_arg_cmp reads =
		SCMP_A2(SCMP_CMP_MASKED_EQ, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY);

	if (nr == SCMP_SYS(fcntl))
		return allow_fcntl(ctx);
	if (nr == SCMP_SYS(ioctl) && s->only_ioctl)
		return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 1,
					SCMP_A1(SCMP_CMP_EQ, s->only_ioctl));
	if (nr == SCMP_SYS(openat) && s->only_reads)
		return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 1, reads);
	return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0);
}

static int allow_all(scmp_filter_ctx ctx, const struct assay_sandbox *s, const char *const *names,
		     struct assay_err *err)
{
	for (; names && *names; names++) {
		int nr = seccomp_syscall_resolve_name(*names), r;

		if (nr == __NR_SCMP_ERROR)
			return assay_err_set(err, -EINVAL, "there is no system call '%s'", *names);
		r = allow_call(ctx, s, nr);
		if (r < 0)
			return failed(err, r, *names);
	}
	return 0;
}

/* Memory that is not executable; signals to ourselves, for abort(). */
static int allow_some(scmp_filter_ctx ctx)
{
	const struct scmp_arg_cmp no_exec = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
	const struct scmp_arg_cmp self = SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid());
	int r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, no_exec);

	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, no_exec);
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, self);
	return r;
}

/* The flags of clone3() are in memory, where a filter cannot see them: libc takes clone() instead.
 */
static int allow_threads(scmp_filter_ctx ctx)
{
	const struct scmp_arg_cmp thread = SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD);
	int r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, thread);

	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(set_robust_list), 0);
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(rseq), 0);
	return r;
}

static const int domains[] = { AF_UNIX, AF_INET, AF_INET6, AF_NETLINK };

static int allow_sockets(scmp_filter_ctx ctx, enum assay_sandbox_sockets which)
{
	size_t n = which == ASSAY_SANDBOX_ANY_SOCKETS ? 4 : which == ASSAY_SANDBOX_UNIX_SOCKETS;
	int r = n ? seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(connect), 0) : 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				     SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)domains[i]));
	return r;
}

static int filter_syscalls(const struct assay_sandbox *s, struct assay_err *err)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r = ctx ? 0 : failed(err, -ENOMEM, "seccomp");

	if (r == 0)
		r = allow_all(ctx, s, libc_needs, err);
	if (r == 0)
		r = allow_all(ctx, s, s->syscalls, err);
	if (r == 0) {
		r = allow_some(ctx);
		if (r == 0 && s->may_thread)
			r = allow_threads(ctx);
		if (r == 0)
			r = allow_sockets(ctx, s->sockets);
		if (r == 0)
			r = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
		if (r == 0) /* calls of another ABI: else they end one thread, with its locks */
			r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
		if (r == 0)
			r = seccomp_load(ctx);
		if (r < 0)
			failed(err, r, "seccomp");
	}
	seccomp_release(ctx);
	return r;
}

int assay_sandbox_enter(const struct assay_sandbox *s, struct assay_sandbox_report *ret,
			struct assay_err *err)
{
	struct assay_sandbox_report report = { 0 };
	int r = bound_caps(s->keep_caps, err);

	if (r == 0)
		r = change_ids(s, err);
	if (r == 0)
		r = keep_caps(s, err);
	if (r == 0)
		r = set_limits(s, err);
	if (r == 0)
		r = take_paths(s, &report.landlock, err);
	if (r == 0)
		r = filter_syscalls(s, err);
	if (r == 0 && ret)
		*ret = report;
	return r;
}

/* ---- who starts others ---------------------------------------------------------------------- */

/* Of those that it has: what a service manager took is no error. */
static int drop_caps(uint64_t keep, struct assay_err *err)
{
	cap_t caps = cap_get_proc();
	int r = caps && cap_clear_flag(caps, CAP_INHERITABLE) == 0 ? 0 : -ENOMEM;

	for (cap_value_t cap = 0; r == 0 && cap < 64 && CAP_IS_SUPPORTED(cap); cap++)
		if (!(keep & 1ull << cap) &&
		    (cap_set_flag(caps, CAP_PERMITTED, 1, &cap, CAP_CLEAR) < 0 ||
		     cap_set_flag(caps, CAP_EFFECTIVE, 1, &cap, CAP_CLEAR) < 0))
			r = -errno;
	if (r == 0 && cap_set_proc(caps) < 0)
		r = -errno;
	cap_free(caps);
	return r < 0 ? failed(err, r, "dropping capabilities") : 0;
}

#define MARK 0x61737361 /* an option of prctl() that no kernel has: the filter answers */

/* FNV-1a of what is refused. */
static uint32_t number_of(const struct assay_sandbox_bound *b)
{
	uint32_t n = 2166136261u;

	for (const char *const *name = b->calls; *name; name++)
		for (const char *c = *name; c == *name || c[-1]; c++)
			n = (n ^ (uint8_t)*c) * 16777619u;
	return n;
}

/* Who is started by an upgrade has its predecessor's filter, for as long as it runs; and the kernel
 * has no room for any number of them. */
static bool is_bounded(const struct assay_sandbox_bound *b)
{
	return prctl(MARK, (unsigned long)number_of(b), 0, 0, 0) < 0 && errno == EALREADY;
}

static int refuse_families(scmp_filter_ctx ctx)
{
	const int last = domains[ARRAY_LEN(domains) - 1];
	int r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 1,
				 SCMP_A0(SCMP_CMP_GT, (scmp_datum_t)last));

	for (int family = 0, next = 0; r == 0 && family <= last; family++)
		if (family == domains[next])
			next++;
		else
			r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 1,
					     SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)family));
	return r;
}

static int refuse_call(scmp_filter_ctx ctx, const char *name)
{
	int nr = seccomp_syscall_resolve_name(name);

	if (nr == __NR_SCMP_ERROR)
		return 0;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	/* Their look for leaks traces the process's own threads. */
	if (nr == SCMP_SYS(ptrace)) {
		int r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), nr, 1,
					 SCMP_A0(SCMP_CMP_EQ, PTRACE_SEIZE));

		return r < 0 ? r
			     : seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), nr, 1,
						SCMP_A0(SCMP_CMP_EQ, PTRACE_TRACEME));
	}
#endif
	return seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), nr, 0);
}

static int refuse_all(const struct assay_sandbox_bound *b, struct assay_err *err)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int r = ctx ? 0 : -ENOMEM;

	for (const char *const *name = b->calls; r == 0 && *name; name++)
		r = refuse_call(ctx, *name);
	if (r == 0)
		r = refuse_families(ctx);
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EALREADY), SCMP_SYS(prctl), 2,
				     SCMP_A0(SCMP_CMP_EQ, MARK),
				     SCMP_A1(SCMP_CMP_EQ, number_of(b)));
	if (r == 0)
		r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (r == 0)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r < 0 ? failed(err, r, "seccomp") : 0;
}

int assay_sandbox_bound(const struct assay_sandbox_bound *b, struct assay_err *err)
{
	int r = bound_caps(b->keep_caps, err);

	if (r == 0)
		r = drop_caps(b->keep_caps, err);
	if (r == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		r = failed(err, -errno, "no new privileges");
	if (r == 0 && !is_bounded(b))
		r = refuse_all(b, err);
	return r;
}
