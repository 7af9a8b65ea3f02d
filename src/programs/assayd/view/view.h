/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The process that serves the view (docs/formats/view.md). It mounts, starts those who unmount,
 * gives up all it has, and then only hears main and answers readers: the list it reads from the
 * segment itself.
 */
#pragma once

#include "base/err.h"

#define VIEW_NAME "ima" /* in the folder that it is given */

/* Messages (ipc.h). It is given, as CHILD_FDS: the folder to mount in, and a pidfd of main. */
enum view_message {
	/* From main. */
	VIEW_TEMPLATE = 0x500, /* body: name of the default template, that rules are held against */
	VIEW_SEGMENT,	       /* descriptor: the list's newest segment, to read; opens of before
				  keep theirs */
	VIEW_POLICY,	       /* descriptor: ipc_sealed() text of the policy in force */
	VIEW_LOADED,	       /* id of the request; body: u32 errno, 0: it is in force */
	/* To main. */
	VIEW_READY = 0x580, /* body: u32 major, u32 minor of its st_dev, never to be marked */
	VIEW_LOAD_TEXT,	    /* id; descriptor: ipc_sealed() rules, whose lines were checked */
	VIEW_LOAD_PATH,	    /* id; body: path of a file of rules, as root wrote it */
};

#define VIEW_LOAD_MS 30000 /* that a writer waits for VIEW_LOADED, then it gets ETIMEDOUT */

/* The child's main (child_fn of CHILD_VIEW). */
int view_process(void);
/* What it keeps: the descriptors that it has. For the tests. */
int view_sandbox(struct assay_err *err);
