/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who listens where the TPM is reached. Looks at what its owner can keep it waiting for: for a
 * process that can be killed. */
#pragma once

#include <sys/types.h>

/* The process of root's that listens where @tcti leads to, on this machine; 0: there is none, or
 * there are several. Looks at all descriptors of all of root's processes: not for every second. */
pid_t vouch_find_listener(const char *tcti);
