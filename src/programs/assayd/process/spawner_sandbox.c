/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What no process of assayd needs (decision 0040): all are started by this one, a successor too. */
#include <sys/capability.h>

#include "base/sandbox.h"
#include "programs/assayd/process/log.h"
#include "programs/assayd/process/spawner_process.h"

/* Libc's headers of some systems are older than the kernel. */
#ifndef CAP_CHECKPOINT_RESTORE
#define CAP_CHECKPOINT_RESTORE 40
#endif

#define BIT(cap) (1ull << (cap))

/* As the unit's CapabilityBoundingSet=. */
#define KEPT                                                                                       \
	(BIT(CAP_SYS_ADMIN) | BIT(CAP_DAC_READ_SEARCH) | BIT(CAP_DAC_OVERRIDE) |                   \
	 BIT(CAP_SYS_PTRACE) | BIT(CAP_LEASE) | BIT(CAP_SYS_RESOURCE) | BIT(CAP_IPC_LOCK) |        \
	 BIT(CAP_KILL) | BIT(CAP_SYS_NICE) | BIT(CAP_SETUID) | BIT(CAP_SETGID) |                   \
	 BIT(CAP_SETPCAP) | BIT(CAP_AUDIT_WRITE) | BIT(CAP_CHECKPOINT_RESTORE))

int spawner_sandbox(void)
{
	static const char *const calls[] = {
		/* other kernels, and code in this one */
		"init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load",
		"reboot", "bpf", "perf_event_open", "userfaultfd", "io_uring_setup",
		"io_uring_enter", "io_uring_register",
		/* other processes' memory and descriptors */
		"ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "pidfd_getfd",
		"kcmp",
		/* keys */
		"add_key", "request_key", "keyctl",
		/* the machine's settings */
		"acct", "adjtimex", "clock_adjtime", "clock_settime", "settimeofday", "iopl",
		"ioperm", "modify_ldt", "quotactl", "sethostname", "setdomainname", "swapon",
		"swapoff", "syslog", "vhangup",
		/* to be elsewhere: unshare() and mount() are needed */
		"chroot", "pivot_root", "setns", NULL
	};
	const struct assay_sandbox_bound bound = { .keep_caps = KEPT, .calls = calls };
	struct assay_err err;
	int r = assay_sandbox_bound(&bound, &err);

	if (r < 0)
		log_line(LOG_ERR, "spawner: %s", err.text);
	return r;
}
