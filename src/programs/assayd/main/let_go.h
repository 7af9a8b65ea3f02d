/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The end when the loop stands still: nothing else is tried. */
#pragma once

/* Closes the group @fd, whatever thread waits for what, and ends this process. Others of its
 * threads that hold the group for a call end with it, and let go of it by that. */
_Noreturn void let_all_go(int fd);
