/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who opens, and for what. fanotify tells a thread and no more; the rest is read from /proc while
 * the opener is held, so that its number cannot be another's. Opens files: not for the reader.
 */
#pragma once

#include "engine/core/policy.h"

/* The opener's ids and capabilities at this moment. Errors: -ESRCH it is gone or not to be seen,
 * -EBADMSG. */
int assay_opener_subject(int32_t tid, struct assay_subject *ret);

/*
 * The access that the held system call asks for (ASSAY_MAY_ bits); 0: not known. Only what stands
 * in registers is believed: openat2() and io_uring pass it through memory that another thread can
 * change, and calls of a 32-bit program are not looked at. Waits for a lock that the task can hold
 * for as long as it likes (decision 61); who waits for it can be killed.
 */
uint32_t assay_opener_access(int32_t tid);

/* ---- for tests ------------------------------------------------------------------------------ */

/* The text of /proc/TID/status and /proc/TID/syscall. */
int assay_opener_parse_status(struct assay_bytes text, struct assay_subject *ret);
uint32_t assay_opener_parse_syscall(struct assay_bytes text);
