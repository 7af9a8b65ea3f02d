/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Permission events of fanotify, and the marks that bring and silence them. Reads, answers, marks;
 * knows nothing of policies, digests or lists.
 *
 * One thread reads. Answering, marking and ignoring may be done by any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/macros.h"

struct assay_fanotify;

/* What a mark asks for, and what an ignore mark silences. */
enum assay_fanotify_bits {
	ASSAY_FANOTIFY_OPEN = 1u << 0, /* open for anything, exec's own open included */
	ASSAY_FANOTIFY_EXEC = 1u << 1, /* open for exec; comes before the OPEN of the same exec */
};

/* One opener waits until assay_fanotify_answer() or assay_fanotify_close(). */
struct assay_fanotify_event {
	int fd;	     /* the reader's now; read-only, raises no events itself */
	int32_t tid; /* of the opener's thread; 0: not in our PID namespace */
	bool exec;
	bool answered; /* already: nobody waits */
};

struct assay_fanotify_counts {
	uint64_t events;    /* all that were read */
	uint64_t exempt;    /* answered here, for an exempt process */
	uint64_t refused;   /* openers that the kernel refused, as it could not give us the file */
	uint64_t overflows; /* the kernel's queue overflowed: openers went on unseen */
};

#define ASSAY_FANOTIFY_EXEMPT_MAX 32u  /* processes */
#define ASSAY_FANOTIFY_READ_MAX	  128u /* events of one read */

/* Errors: -EPERM CAP_SYS_ADMIN is missing, -EOPNOTSUPP a kernel older than 5.0, others as
 * fanotify_init(). The calling process is exempt. */
int assay_fanotify_new(struct assay_fanotify **ret, struct assay_err *err);
/* One without a group yet: it exempts, and nothing else. The calling process is exempt. */
int assay_fanotify_await(struct assay_fanotify **ret, struct assay_err *err);
/* Takes @fd, the group of another process's @f (assay_fanotify_fd()), with its marks, whoever
 * waits, and what assay_fanotify_tells_errors() said there. Errors: -EBADMSG it is none. */
int assay_fanotify_adopt(struct assay_fanotify *f, int fd, bool tells_errors,
			 struct assay_err *err);
/* The kernel says of an event that it could not open the file for us. */
bool assay_fanotify_tells_errors(const struct assay_fanotify *f);
/* Waiting openers go on, all marks go. Nothing but assay_fanotify_forget() and counts from then on.
 * NULL allowed. */
void assay_fanotify_close(struct assay_fanotify *f);
void assay_fanotify_free(struct assay_fanotify *f); /* closes it first; NULL allowed */
AUTO_DEFINE(fanotify);

/* To poll for input. */
int assay_fanotify_fd(const struct assay_fanotify *f);

/* Opens by @pid are allowed at once, without anybody looking: a process that we wait for. It is
 * held, so that no later process inherits the number's standing. Thread-safe. Errors: -ESRCH,
 * -E2BIG too many. */
int assay_fanotify_exempt(struct assay_fanotify *f, pid_t pid, struct assay_err *err);
/* The same for a process that is not assayd's own: what it opens is told by
 * assay_fanotify_on_exempted(). */
int assay_fanotify_exempt_other(struct assay_fanotify *f, pid_t pid, struct assay_err *err);
/* @opened is called in assay_fanotify_read(), after the answer, and takes @fd. It is under the
 * same bounds as that. Before the first read. */
void assay_fanotify_on_exempted(struct assay_fanotify *f,
				void (*opened)(void *ctx, int fd, int32_t tid, bool exec),
				void *ctx);
/* No more; @pid is one that was exempted. */
void assay_fanotify_unexempt(struct assay_fanotify *f, pid_t pid);

/*
 * Reads at most @max events (and no more files than that are opened) without blocking. Opens no
 * file, writes no log, waits for no lock that is held over a call. Returns the number of events in
 * @ret (0: none that is for the caller), or -errno of a group that is broken.
 */
int assay_fanotify_read(struct assay_fanotify *f, struct assay_fanotify_event *ret, size_t max);

/* Lets the opener go on or not; the descriptor stays open. Returns 0 or -errno (-ENOENT: the
 * opener was killed). */
int assay_fanotify_answer(struct assay_fanotify *f, int fd, bool allow);

/* Marks the whole filesystem that @fd is on. @bits: ASSAY_FANOTIFY_. Errors: -errno of
 * fanotify_mark(). */
int assay_fanotify_mark(struct assay_fanotify *f, int fd, uint32_t bits);
int assay_fanotify_unmark(struct assay_fanotify *f, int fd, uint32_t bits);

/* Grows when verdicts of before no longer hold. */
uint64_t assay_fanotify_epoch(const struct assay_fanotify *f);

/*
 * From now on opens of @fd's inode raise no event of @bits, until its content changes or the
 * kernel needs the memory. Never done while somebody has it open for writing (returns 0 all the
 * same). Sound only between assay_lease_take() and assay_lease_intact(): see lease.h. Errors:
 * -ESTALE the verdict is not of this @epoch.
 */
int assay_fanotify_ignore(struct assay_fanotify *f, int fd, uint32_t bits, uint64_t epoch);
int assay_fanotify_unignore(struct assay_fanotify *f, int fd, uint32_t bits);

struct assay_fanotify_forgotten {
	uint64_t marks, cleared; /* of inodes; of these, were ignored and are asked for again */
	uint64_t unreached;	 /* on no mount that we see, or without file handles */
	bool flushed;		 /* because of those all marks were removed */
};

/*
 * The epoch grows, and every open raises events again: when it returns no ignore mark of an older
 * epoch is there. Only if some cannot be reached one by one, all are removed at once, by which the
 * kernel lets who opens a file while others wait for it pass unasked. Opens no watched file.
 * Errors: -errno of fanotify_mark().
 */
int assay_fanotify_forget(struct assay_fanotify *f, struct assay_fanotify_forgotten *ret);

/* Ignore marks can be dropped by the kernel when it needs memory (5.19 and later). */
bool assay_fanotify_has_evictable(const struct assay_fanotify *f);

void assay_fanotify_counts(const struct assay_fanotify *f, struct assay_fanotify_counts *ret);
