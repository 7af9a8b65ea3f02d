/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the anchor process keeps: the list's folder, the way to the TPM, the kernel's list, threads.
 * Not the right to execute, to trace, to mount, to open anything else.
 */
#pragma once

#include "base/sandbox.h"
#include "formats/conf.h"

/* Loads first what cannot be loaded from inside. @conf->kernel_list: a path or "none". Errors:
 * -EOPNOTSUPP a TCTI that would need more; as assay_sandbox_enter(). */
int anchor_sandbox_enter(const struct assay_conf *conf, int list_dirfd,
			 struct assay_sandbox_report *ret, struct assay_err *err);
