/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the clients of the benches share. Knows nothing of the daemon, nor of what is measured. */
#pragma once

#include <stddef.h>

/* Says why, by errno, and ends the program with status 2. */
_Noreturn void client_die(const char *what);

/* Runs the program at @path, with no argument, to its end, which must be 0. */
void client_execute(const char *path);

/* The regular files of @folder, by name. They are the caller's to free. */
size_t client_list(const char *folder, char ***ret);

/* For qsort() of uint64_t. */
int client_compare(const void *a, const void *b);
