/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shared by the loop's files: loop.c waits and keeps the time, loop_file.c has what becomes of one
 * file, loop_settle.c how it ends, loop_table.c which there are. */
#pragma once

#include <pthread.h>

#include "backends/source_fanotify/inflight.h"
#include "programs/assayd/main/closer.h"
#include "programs/assayd/main/fair.h"
#include "programs/assayd/main/judge.h"
#include "programs/assayd/main/loop.h"
#include "programs/assayd/main/recording.h"

#define LATER_MAX 16u /* files that are measured later, as they are too large */

enum file_state {
	FILE_NEW,
	FILE_BEHIND,   /* another event of its inode is worked on */
	FILE_QUEUED,   /* for a worker that has room */
	FILE_READ,     /* a worker has it */
	FILE_RECORDED, /* the recorder has its facts */
	FILE_WAITS,    /* until its record is anchored */
	FILE_READY,    /* to be settled, and answered with others */
};

struct file {
	struct assay_inflight_node node; /* first: waiters come back as nodes */
	struct fair_node queued;
	struct assay_fanotify_event event;
	enum file_state state;
	bool late;     /* it runs already: nobody waits */
	bool answered; /* before it is settled: no mark any more */
	bool refused;  /* what the answer was */
	bool goes_on;  /* all the same */
	bool owns_inode, on_way, leased, has_known;
	struct fair *line; /* that it is queued in */
	uint8_t died;	   /* workers that had it */
	uint8_t again;	   /* how often the recorder's policy was another */
	uint32_t slot, generation;
	uint64_t arrived_ns;
	int64_t size;		    /* before the lease was taken */
	uint64_t size_max;	    /* bytes; it is not read further */
	struct hearing *hearing;    /* while its content is looked for */
	struct content_facts known; /* by @has_known; of the content while the opener waited */
	uint32_t asked;		    /* bit per record that the recorder has not answered for */
	bool ask_again;
	int error;
	uint64_t wait_for; /* record, or ASSAY_NO_RECORD */
	uint32_t ignore_bits;
	uint64_t epoch;
	struct file *older, *newer; /* of those that are not answered */
	struct file *next, *before; /* of those that are read, wait, or are ready */
	struct assay_inflight_node *settled_waiters;
};

struct file_list {
	struct file *first, *last;
};

struct loop {
	struct loop_config config;
	struct daemon *daemon;
	struct recording *recording;
	struct crew *crew;
	struct closer *closer;
	pthread_t thread;
	bool has_thread, closed;
	int epoll_fd, signal_fd, late_fd, recording_fd;
	bool wants_to_write; /* the epoll knows that */
	/* Files by slot, for ids that come back. */
	struct file **slot;
	uint32_t n_slots, cap_slots, free_slot, generation;
	uint32_t n_files;
	struct assay_inflight *inflight;
	struct file *oldest, *newest; /* not answered */
	struct fair small, big, idle; /* queued; idle: nobody waits for it */
	struct file_list reads;	      /* with workers */
	struct file_list waits;	      /* by wait_for */
	struct file_list ready;
	struct file *later[LATER_MAX]; /* read though nobody waits */
	uint32_t n_later;
	uint64_t size_max;
	uint64_t anchored;
	bool room; /* a worker may have some again */
	char path[ASSAY_OBJECT_PATH_MAX];
	_Atomic bool segment, failed, leaving, turning;
	_Atomic uint64_t turns;
	_Atomic uint32_t idle_left; /* files that are measured and nobody waits for */
	_Atomic uint32_t late_left;
	_Atomic int late_error;
};

/* ---- loop.c */
/* @n files that run already are looked at no more: who waits for that is told. */
void loop_late_done(struct loop *l, uint32_t n);
/* The same of those that are not measured: whoever waits for them is told so. */
void loop_late_left_out(struct loop *l, uint32_t n);

/* ---- loop_table.c */
/* NULL: no memory. */
struct file *loop_file_new(struct loop *l, const struct assay_fanotify_event *event);
/* With its descriptor. */
void loop_file_free(struct loop *l, struct file *f);
/* NULL: that slot is free. */
struct file *loop_file_at(const struct loop *l, uint32_t slot);
/* Ids of the file: @part 0 for a worker, else of a record. */
uint64_t loop_file_id(const struct file *f, uint32_t part);
struct file *loop_file_find(const struct loop *l, uint64_t id, uint32_t *ret_part);
/* Not one of those any more that wait for an answer. */
void loop_file_unlink(struct loop *l, struct file *f);

void file_list_add(struct file_list *list, struct file *f);
/* In the order of wait_for; later ones behind equal ones. */
void file_list_insert(struct file_list *list, struct file *f);
void file_list_remove(struct file_list *list, struct file *f);

/* ---- loop_file.c */
/* A new one, or one again that has to begin anew. */
void loop_file_begin(struct loop *l, struct file *f);
/* Files that were queued, as far as workers have room. */
void loop_file_give(struct loop *l);
/* Lets the opener go on or not, once. */
void loop_file_answer(struct loop *l, struct file *f, bool allow);
void loop_file_drop_lease(struct file *f);
/* Lets the opener go on as the deadline has it, for @why. */
void loop_file_answer_early(struct loop *l, struct file *f, enum ledger_why why);
/* Answered early: it is given up wherever it is, as far as that can be. */
void loop_file_give_up(struct loop *l, struct file *f);
/* Leases that somebody waits for, of files that are read. */
void loop_file_look_at_leases(struct loop *l);

/* ---- loop_settle.c */
/* Answers all that are ready. */
void loop_file_settle(struct loop *l);
/* They begin anew. @of: what they saw was found out for it; NULL: it is to be found out. */
void loop_file_release(struct loop *l, struct assay_inflight_node *waiter, const struct file *of);

extern const struct crew_ops loop_crew_ops;
extern const struct recording_ops loop_recording_ops;
