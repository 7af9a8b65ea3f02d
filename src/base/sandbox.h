/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Gives up, for good, what a process does not need: ids, capabilities, new privileges, files,
 * system calls. Knows nothing of what the process does.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct assay_sandbox {
	uid_t uid; /* (uid_t)-1: stays as it is */
	gid_t gid;
	uint64_t keep_caps;	   /* bit per capability that stays, permitted and effective */
	uint32_t max_files;	   /* RLIMIT_NOFILE; 0: stays */
	uint64_t max_file_size;	   /* RLIMIT_FSIZE, bytes; writes beyond fail with EFBIG */
	bool may_fork;		   /* else RLIMIT_NPROC is 0, too */
	bool keep_files;	   /* else Landlock takes every path, where the kernel has it */
	const char *const *syscalls; /* allowed by name, up to NULL; what libc itself needs to run and
				      * to end is added */
};

/* What could not be done on this kernel, though the process is bounded without it. */
struct assay_sandbox_report {
	bool landlock; /* paths are taken */
};

/*
 * In this order: groups and ids, bounding set and capabilities, no_new_privs, limits, not dumpable,
 * Landlock, seccomp. A system call that is not allowed kills the process (SIGSYS). Errors: as the
 * step that failed, named in @err; the process should end then. @ret may be NULL.
 */
int assay_sandbox_enter(const struct assay_sandbox *s, struct assay_sandbox_report *ret,
			struct assay_err *err);
