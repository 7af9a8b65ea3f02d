/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The end when a thread that openers wait for stands still: nothing else is tried. */
#pragma once

enum let_go_why {
	LET_GO_LOOP,
	LET_GO_READER, /* it may stand in a read of the group, which has that until it returns */
};

/* Closes the group @fd, whatever thread waits for what, and ends this process. Others of its
 * threads that hold the group for a call end with it, and let go of it by that; for a reader that
 * does not, who waits is answered before. */
_Noreturn void let_all_go(int fd, enum let_go_why why);
