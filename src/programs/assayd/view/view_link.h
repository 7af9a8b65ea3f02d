/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * main's side of the process that serves the view: starts it, tells it of segments and policies,
 * and hands on what is written into "policy". One that ends is replaced, after a pause that grows;
 * the daemon goes on without. For the main thread. NULL may be given for a view that there is not.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"
#include "programs/assayd/process/spawner.h"

struct view_link;

struct view_link_config {
	struct spawner *spawner;
	const char *folder; /* that it is mounted in, as VIEW_NAME; made if it is missing */
	const char *list_dir;
	const char *template;
	/* As spawner_start() has it. */
	int (*admit)(void *ctx, pid_t pid, int pidfd);
	/* Loads a policy: of the file @path, or, if that is NULL, @text. 0 or -errno, and then
	 * nothing has changed. */
	int (*load)(void *ctx, const char *path, struct assay_bytes text);
	void *ctx;
};

/* Strings are borrowed. Errors: errno of the file calls; as spawner_start(). */
int view_link_new(const struct view_link_config *config, struct view_link **ret,
		  struct assay_err *err);
/* Unmounted on return, or it took too long. */
void view_link_free(struct view_link *v);

int view_link_fd(const struct view_link *v); /* to poll; may change after each call below */
void view_link_receive(struct view_link *v); /* what has come */
void view_link_tick(struct view_link *v, uint64_t now_ns);

/* The list has a new segment. */
void view_link_segment(struct view_link *v);
/* This policy is in force; borrowed until the next. */
void view_link_policy(struct view_link *v, struct assay_bytes text);

/* Whether a mount of this type and place is the view's: never to be marked, nor to be missed. */
bool view_link_owns(const struct view_link *v, const char *type, const char *subtype,
		    const char *point);
