/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Looks for what runs and is mapped already. A process of its own: the kernel lets who reads of a
 * process's memory wait for that process's execve(), which a user can hold up for ever, and then
 * this one is killed.
 */
#pragma once

/* Serves one request. */
int walk_process(void);
/* What it keeps: to read. For the tests. */
int walk_sandbox(void);
