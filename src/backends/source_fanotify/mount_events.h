/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Mount namespaces that the kernel tells of when something is mounted in them (FAN_MNT_ATTACH, from
 * 6.15 on). In which, and what, it does not say: whoever is woken looks at all. A group of its own
 * for which nobody waits; a mark does not keep its namespace, and goes with it. For one thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define ASSAY_MOUNT_EVENTS_MAX 4096u /* namespaces that are marked in one pass */

struct assay_mount_events;

/* Where the kernel has none it marks nothing. Errors: -ENOMEM. */
int assay_mount_events_new(struct assay_mount_events **ret);
void assay_mount_events_free(struct assay_mount_events *e); /* NULL allowed */

/* Readable: something has been mounted. -1: the kernel has none. */
int assay_mount_events_fd(const struct assay_mount_events *e);
/* A pass begins: what was told until now is what it is for. */
void assay_mount_events_begin(struct assay_mount_events *e);
/* @fd: a descriptor of the mount namespace of number @ns. What cannot be marked, is not. */
void assay_mount_events_mark(struct assay_mount_events *e, uint64_t ns, int fd);
/* The pass has ended as a whole. True: it met namespaces that had no mark before: what was mounted
 * between its look at them and the mark is told of by nobody. */
bool assay_mount_events_end(struct assay_mount_events *e);
/* Of the last whole pass. */
uint32_t assay_mount_events_marked(const struct assay_mount_events *e);
