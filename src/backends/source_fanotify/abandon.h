/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The end of a group that a thread stands in read() of. */
#pragma once

/*
 * Answers all who wait for the group @fd, but for those whose file keeps whoever opens it waiting,
 * and takes its marks away. A few seconds at most. After that the process is to end: threads are
 * left behind, and the numbers of events are nobody's any more.
 */
void assay_fanotify_abandon(int fd);
