/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Finds the processes that assayd, or somebody it waits for, may wait for. By what nobody but root
 * can bring about: the cgroup that the service manager puts a service into, or who holds the socket
 * that is connected to. Names of processes are anybody's. Exempts nobody.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* The process that the service manager started for @unit, as "auditd.service", of the system's; 0:
 * there is none. @root: it must be root's. */
pid_t needed_find_service(const char *unit, bool root);
/* Whether @pid is that. */
bool needed_is_service(pid_t pid, const char *unit, bool root);

/* The process of root's that listens where @tcti leads to, on this machine; 0: there is none. Looks
 * at all descriptors of all processes: not for every second. */
pid_t needed_find_listener(const char *tcti);
