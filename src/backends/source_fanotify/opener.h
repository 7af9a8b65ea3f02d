/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who opens, and for what. fanotify tells a thread and no more; the rest is read from /proc while
 * the opener is held, so that its number cannot be another's. Opens files: not for the reader; and
 * what takes locks or the memory of the task (decision 61) not for the loop, but for
 * assay_opener_user().
 */
#pragma once

#include "engine/core/policy.h"

/* The opener's ids and capabilities at this moment, whatever number of groups it has. The kernel
 * holds the task's memory meanwhile: if it is killed by then, who reads frees that memory, and
 * waits for whatever server has files that it maps; he cannot be killed. Errors: -ESRCH it is gone
 * or not to be seen, -EBADMSG. */
int assay_opener_subject(int32_t tid, struct assay_subject *ret);

/* Its effective user, which is what /proc/TID belongs to; ASSAY_NO_USER: it is gone. Waits for
 * nothing and holds nothing of the task. */
#define ASSAY_NO_USER UINT32_MAX
uint32_t assay_opener_user(int32_t tid);

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
int assay_opener_read_status(int fd, struct assay_subject *ret);
uint32_t assay_opener_parse_syscall(struct assay_bytes text);
