/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The thread that gives audit records to the journal, or to the kernel's audit log. */
#pragma once

#include <pthread.h>

#include "programs/assayd/audit/audit.h"

struct audit_sink {
	struct audit *audit;
	enum audit_sink_kind kind;
	int stop_fd;	  /* readable once it is time to stop */
	const char *path; /* of the journal */
	pthread_t thread;
	bool runs;
	_Atomic uint64_t sent, lost;
};

/* Errors: -ENOMEM, or of pthread_create(). */
int audit_sink_start(struct audit_sink *s);
void audit_sink_join(struct audit_sink *s);
