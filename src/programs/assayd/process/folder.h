/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The folders that are assayd's own. */
#pragma once

#include "base/err.h"

/* Makes the folder @path (0700) if it is not there, but not those above it, and opens it. @key is
 * the configuration's word for it, for the message. Returns a descriptor, or -errno. */
int folder_open(const char *path, const char *key, struct assay_err *err);
