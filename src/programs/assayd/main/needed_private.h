/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What needed.c (who is to be exempt) and needed_held.c (who is, and whether it still runs the
 * same) share. */
#pragma once

#include <pthread.h>

#include "programs/assayd/main/needed.h"
#include "programs/assayd/main/needed_record.h"
#include "programs/assayd/process/rate.h"
#include "programs/assayd/vouch/vouch.h"

#define NEEDED_HELD_MAX (ASSAY_CONF_LIST_MAX + 8u)
#define NEEDED_OF_MAX	8u	       /* kinds of who is to be exempt */
#define NEEDED_AGAIN_NS 10000000000ull /* between two tries with one that keeps who looks */
#define NEEDED_LOOK_NS	1000000000ull  /* between two looks at what one runs */

struct needed_held {
	const char *name;
	pid_t pid;
	int pidfd;
	struct vouch_program program;
	uint64_t seen_ns, next_ns; /* when it was looked at last, and is to be next */
	bool has_hung, is_unseen;
};

/* Whom we have looked at in vain. */
struct needed_refusal {
	pid_t pid; /* 0: nobody */
	int why;
	uint64_t again_ns;
};

/* What is asked, one question at a time. */
enum needed_asked {
	ASKED_NOTHING,
	ASKED_HELD,	/* does one that is exempt still run that? */
	ASKED_LISTENER, /* who listens? */
	ASKED_AGAIN,	/* the same, now that a pidfd holds him */
	ASKED_NEW, /* what does one run that is to be exempt? Who cannot be looked at is told soon
		    */
	ASKED_RECORD, /* the same with its digest, now that it is exempt */
};

struct needed {
	struct daemon *daemon;
	struct vouch *vouch;
	pthread_mutex_t lock; /* guards these */
	struct needed_held held[NEEDED_HELD_MAX];
	size_t n;
	struct needed_refusal refused[NEEDED_OF_MAX]; /* of each kind the last */
	struct needed_refusal unrecorded;	      /* the last whose record was not written */
	uint64_t listener_ns;
	enum needed_asked asked;
	struct needed_held one; /* about whom; who is not exempt yet has his pidfd here */
	size_t of;		/* of what kind */
	bool one_is_exempt;
	bool only_given; /* nobody is looked for yet */
	struct vouch_told told;
	struct rate afterwards; /* the reader's */
	_Atomic uint64_t unmeasured;
	_Atomic uint32_t unseen;
};

/* ---- who is exempt (needed_held.c) ---------------------------------------------------------- */

bool needed_has_ended(int pidfd);
/* Takes what is in @h. */
void needed_hold(struct needed *n, const struct needed_held *h);
/* By one or the other. */
bool needed_is_held(const struct needed *n, const char *name, pid_t pid);
void needed_drop_ended(struct needed *n);
/* Its name; NULL: it is not exempt. */
const char *needed_drop(struct needed *n, pid_t pid);
/* Who was not looked at for longest, if it is time; NULL: nobody. */
struct needed_held *needed_find_due(struct needed *n, uint64_t now_ns);
/* What became of the question about n->one; @r: 0 or why there is no answer. */
void needed_take_look(struct needed *n, int r, uint64_t now_ns);
