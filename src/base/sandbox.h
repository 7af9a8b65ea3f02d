/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Gives up, for good, what a process does not need: ids, capabilities, new privileges, files,
 * system calls. Knows nothing of what the process does.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

#define ASSAY_SANDBOX_SAME_ID ((uid_t)-1)

/* A path that stays reachable, with all below it. */
struct assay_sandbox_path {
	int fd; /* of the file or folder, O_PATH will do; borrowed */
	bool writable;
};

enum assay_sandbox_sockets {
	ASSAY_SANDBOX_NO_SOCKETS,   /* but those it has */
	ASSAY_SANDBOX_UNIX_SOCKETS, /* of this machine */
	ASSAY_SANDBOX_ANY_SOCKETS,  /* of the network too */
};

struct assay_sandbox {
	uid_t uid; /* or ASSAY_SANDBOX_SAME_ID: user, group and groups stay */
	gid_t gid;
	uint64_t keep_caps;	/* bit per capability that stays, permitted and effective */
	uint32_t max_files;	/* RLIMIT_NOFILE, if it is not lower; 0: stays */
	uint64_t max_file_size; /* RLIMIT_FSIZE, bytes */
	bool may_thread;	/* else it starts no thread; it starts no process either way */
	enum assay_sandbox_sockets sockets;	/* that it may open and connect */
	const struct assay_sandbox_path *paths; /* that Landlock leaves; no others */
	size_t n_paths;
	bool all_paths; /* no Landlock at all: with it nobody may look into other processes either
			 */
	/* openat() opens for reading alone. Who needs that must not name the others, nor openat2(),
	 * whose flags are in memory, where a filter cannot see them. */
	bool only_reads;
	uint32_t only_ioctl; /* ioctl() is for this request alone; 0: for any */
	/* Allowed by name, up to NULL (fcntl() without what sends signals). What libc itself needs
	 * to compute, to use memory and locks and to end is added; memory is never made executable.
	 */
	const char *const *syscalls;
};

/* What this kernel could do. */
struct assay_sandbox_report {
	bool landlock; /* paths are taken, not only the system calls to reach them */
};

/*
 * In this order: bounding set, groups and ids, capabilities, no_new_privs, limits, not dumpable,
 * Landlock, seccomp (all threads). A system call that is not allowed kills the process (SIGSYS).
 * Errors: as the step that failed, named in @err; the process should end then. @ret may be NULL.
 */
int assay_sandbox_enter(const struct assay_sandbox *s, struct assay_sandbox_report *ret,
			struct assay_err *err);

/* For who starts others that need more than it does: what none of them needs is given up by all. */
struct assay_sandbox_bound {
	uint64_t keep_caps; /* bit per capability: of those that it has, and of what is executed */
	const char *const *calls; /* that are refused (EPERM), up to NULL */
};

/*
 * Bounding set and capabilities, no_new_privs, and a filter, which is not stacked if who started
 * this process was bounded to the same. It also refuses sockets of any family but AF_UNIX, AF_INET,
 * AF_INET6 and AF_NETLINK, and ends who makes calls of another ABI. One thread. Calls that
 * libseccomp does not know are left out. Errors: as assay_sandbox_enter().
 */
int assay_sandbox_bound(const struct assay_sandbox_bound *b, struct assay_err *err);
