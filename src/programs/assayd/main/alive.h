/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The service manager is told that assayd lives. */
#pragma once

struct daemon;

/* Each time that the main thread turns, which is once a second at least. Does not return if those
 * that openers wait for stand still for good (let_go.h). */
void alive_tell(struct daemon *d);
/* The same while there is no loop, and openers have nobody but the reader. */
void alive_tell_reader(struct daemon *d);
