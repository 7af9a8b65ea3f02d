/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How much memory a process of the daemon takes beside what it uses (decision 0049). */
#pragma once

/* First of all in a process: before its threads, and before it executes another. */
void memory_spare(void);
