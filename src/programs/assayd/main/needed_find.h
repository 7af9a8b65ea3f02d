/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Finds the services that assayd, or somebody it waits for, may wait for. By what nobody but root
 * can bring about: the cgroup that the service manager puts a service into. Names of processes are
 * anybody's. Reads only what the kernel says without a lock that the process can hold, and without
 * holding its memory: for main, which nobody may keep waiting. Exempts nobody.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* The process that the service manager started for @unit, as "auditd.service", of the system's; 0:
 * there is none. @root: its effective user must be root. */
pid_t needed_find_service(const char *unit, bool root);
/* Whether @pid is that. */
bool needed_is_service(pid_t pid, const char *unit, bool root);
/* Whether @pid is root's, by its effective user. */
bool needed_is_roots(pid_t pid);
