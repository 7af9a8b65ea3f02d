/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Looks for filesystems that are mounted in other mount namespaces only. A process of its own: a
 * path in another namespace may lead through a filesystem whose server never answers, and then it
 * is killed.
 */
#pragma once

/* Serves until its socket ends. */
int scout_process(void);
/* What it keeps: to read. For the tests. */
int scout_sandbox(void);
