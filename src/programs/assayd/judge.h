/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One file, opened or mapped: gathers the facts that the policy needs, puts them to the recorder
 * once per hook, and says which events the kernel may answer from now on.
 */
#pragma once

#include <sys/stat.h>

#include "backends/source_fanotify/content.h"
#include "programs/assayd/daemon.h"

/* A thread's own. */
struct judge {
	struct daemon *daemon;
	struct assay_content *content;
	char path[ASSAY_OBJECT_PATH_MAX];
};

int judge_init(struct judge *j, struct daemon *d, struct assay_err *err);
void judge_done(struct judge *j);

struct judge_case {
	int fd;
	int32_t tid; /* who opened, or has it mapped */
	bool exec;   /* opened for exec; else opened, or (late) mapped */
	bool late;   /* it runs already: nobody waits, no lease is taken */
	struct stat st;
	/* Whether somebody still waits for the outcome; NULL: yes. */
	const atomic_bool *answered;
};

/* Fills @f (what is in it already, a digest, is used). Returns 0, -ECANCELED nobody waits any more,
 * or the recorder's error. The lease is the caller's to drop, whatever is returned. */
int judge_file(struct judge *j, const struct judge_case *c, struct findings *f,
	       struct assay_err *err);
