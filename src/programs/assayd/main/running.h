/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What lives from start to stop, for who brings parts up and takes them down: daemon.c,
 * ending.c, and handover.c, which does some of it while the others run. */
#pragma once

#include "programs/assayd/main/daemon.h"
#include "programs/assayd/main/gaps.h"
#include "programs/assayd/main/staff.h"

struct reader;

struct running {
	struct daemon *daemon;
	struct reader *reader;
	struct staff staff;
	struct gaps gaps;
	struct control *control;
	int signal_fd, wake_fd;
};

/* The anchor process, and the policy that it judges by. @wait: as in struct anchor_config. */
int daemon_start_anchor(struct daemon *d, const struct anchor_wait *wait, struct assay_err *err);
/* @held: as reader_hold(), NULL: nobody is held back. */
int daemon_start_reader(struct running *r, struct held *held, struct assay_err *err);
/* After the staff, before the loop. */
int daemon_start_peek(struct running *r, struct assay_err *err);
int daemon_lock_memory(const struct daemon *d, struct assay_err *err);
/* The first pass over the other mount namespaces, if there is to be one. */
int daemon_search_elsewhere(struct daemon *d, struct assay_err *err);
/* What has come of that search, and what is due. @mounted: scout_events_fd() is readable. Returns
 * milliseconds until the next time, @ms at most. */
int daemon_tend_elsewhere(struct daemon *d, bool mounted, int ms);
/* For spawner_start(): a child that others wait for is exempt, at whoever reads events now. */
int daemon_admit(void *ctx, pid_t pid, int pidfd);
void daemon_dismiss(void *ctx, pid_t pid); /* no more */
/* All that is known of what went unseen is said in the list. */
void daemon_record_all(struct running *r);
/* What a policy has audited must be somewhere: what did not get where it should is in the list. */
void daemon_record_audit_lost(struct daemon *d);
/* Takes all parts down. @why: for the record of it. */
void daemon_stop(struct running *r, const char *why);
