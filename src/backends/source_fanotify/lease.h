/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The read lease that makes a digest and a mark belong together. Between take and drop no writer
 * gets in unseen: a lease is only given while nobody has the file open for writing, and whoever
 * opens it so (or truncates it) afterwards waits for us and breaks the lease. Hence the one order:
 *
 *   take; digest; wait until it is anchored; ignore mark; intact? else remove the mark; answer;
 *   drop
 *
 * A writer before the take makes it fail (no mark is set); one between take and the last look
 * breaks the lease (the mark is removed before it goes on); one after it changes the file, on which
 * the kernel drops the mark. SIGIO must be ignored by the process; CAP_LEASE is needed.
 */
#pragma once

#include <stdbool.h>

/* Errors: -EAGAIN somebody has the file open for writing, the opener that waits included; others:
 * leases do not work here (-EINVAL, -EACCES...). */
int assay_lease_take(int fd);

/* Nobody asked for the file since assay_lease_take(). */
bool assay_lease_intact(int fd);

void assay_lease_drop(int fd);
