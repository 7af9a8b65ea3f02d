/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Audit records in the kernel's audit log, as messages of user space (AUDIT_TRUSTED_APP): types
 * from 1800 on are for the kernel alone. A send may wait in the kernel for as long as a minute
 * while auditd takes nothing. For one thread.
 */
#pragma once

#include "formats/audit.h"

#define ASSAY_AUDIT_MESSAGE_MAX 8560u /* bytes; the kernel cuts what is longer */

struct assay_kernel_log;

/* Errors: -ENOMEM; -errno of socket(): the kernel has no audit. */
int assay_kernel_log_new(struct assay_kernel_log **ret);
void assay_kernel_log_free(struct assay_kernel_log *k); /* NULL allowed */

/* Returns 0 (also where audit is switched off, as the kernel does not say so), or -errno: -EPERM,
 * -ECONNREFUSED it takes nothing from us and never will, -ETIMEDOUT no answer. */
int assay_kernel_log_send(struct assay_kernel_log *k, const struct assay_audit *r);

/* The text, for tests: what does not fit is "<too_long>", from the least of the paths on. */
void assay_kernel_log_encode(const struct assay_audit *r, struct assay_wr *w);
