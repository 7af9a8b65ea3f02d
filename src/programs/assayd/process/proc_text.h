/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Small texts of /proc and of cgroups. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* NULL: it is not there, or longer than @max bytes. The caller frees it. */
char *proc_text_read(const char *path, size_t max);

/* The file @name of a process; 64 KiB at most. */
char *proc_text_read_of(pid_t pid, const char *name);

/* Each line in turn, cut out of *@text; NULL: there is none left. */
char *proc_text_line(char **text);

/* The number of a process: above zero, and nothing else in @text. */
bool proc_text_pid(const char *text, pid_t *ret);
