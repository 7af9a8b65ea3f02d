/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Openers that were answered before their file was measured: kept for the thread that may wait for
 * the list, which writes the gap entries. Thread-safe; the lock is held over no call that could
 * wait.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define LEDGER_NAMED_MAX 64u /* files that are named between two looks; more are counted */

enum ledger_why {
	LEDGER_DEADLINE,  /* it took too long */
	LEDGER_STOP,	  /* assayd ends */
	LEDGER_FULL,	  /* no room or no memory to keep the event */
	LEDGER_WORKER,	  /* the processes that read it died */
	LEDGER_TOO_LARGE, /* by the configuration */
	LEDGER_WHY_COUNT,
};

struct ledger_entry {
	struct ledger_entry *next;
	enum ledger_why why;
	bool allowed; /* what the opener got: he went on */
	uint64_t waited_ms;
	uint64_t size; /* of the file; 0: not known */
	char path[];   /* "": not known */
};

/* Named or not. */
struct ledger_counts {
	uint64_t n[LEDGER_WHY_COUNT];
	uint64_t refused[LEDGER_WHY_COUNT]; /* of these */
};

struct ledger {
	pthread_mutex_t lock;
	struct ledger_entry *first, **last;
	uint32_t n_named;
	struct ledger_counts counts;
	int wake_fd; /* eventfd, written with each entry; borrowed */
};

void ledger_init(struct ledger *l, int wake_fd);
void ledger_done(struct ledger *l);

/* @path may be NULL. */
void ledger_add(struct ledger *l, enum ledger_why why, bool allowed, const char *path,
		uint64_t waited_ms, uint64_t size);

/* Since the last call: how many of each, and a chain of those that are named, which the caller
 * frees. */
struct ledger_entry *ledger_take(struct ledger *l, struct ledger_counts *ret);
