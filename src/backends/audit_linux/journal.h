/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Audit records as entries of systemd's journal, by its native protocol (systemd.io,
 * JOURNAL_NATIVE_PROTOCOL): one datagram an entry. Never waits: journald may be waiting for us to
 * answer an open of its own. For one thread.
 */
#pragma once

#include "formats/audit.h"

struct assay_journal;

/* Connects at the first record. Errors: -ENOMEM, -ENAMETOOLONG. */
int assay_journal_new(const char *path, struct assay_journal **ret);
void assay_journal_free(struct assay_journal *j); /* NULL allowed */

/* Returns 0, -EAGAIN it takes nothing now (poll assay_journal_fd() for output), -E2BIG it will
 * never take this one, or another -errno: nobody is there, and the next call tries again. */
int assay_journal_send(struct assay_journal *j, const struct assay_audit *r);
int assay_journal_fd(const struct assay_journal *j); /* -1: not connected */

/* The datagram, for tests. */
void assay_journal_encode(const struct assay_audit *r, struct assay_wr *w);
