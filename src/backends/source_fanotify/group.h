/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What group.c and marks.c share. */
#pragma once

#include <stdatomic.h>

#include "backends/source_fanotify/source_fanotify.h"

struct exempt_process {
	pid_t pid;
	int pidfd; /* while it is open the kernel tells whether @pid is still this process */
};

struct assay_fanotify {
	int fd;
	atomic_bool evictable;
	struct exempt_process exempt[ASSAY_FANOTIFY_EXEMPT_MAX];
	size_t n_exempt;
	pid_t self;
	_Atomic uint64_t events, n_exempted, refused, overflows;
};
