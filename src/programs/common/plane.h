/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What assayd does of the policy language, through fanotify: for itself, and for who explains it.
 */
#pragma once

#include <string.h>

#include "formats/policy.h"

/* Rules with others have no effect. */
#define PLANE_ACTIONS                                                                              \
	((uint32_t)(ASSAY_ACTION_MEASURE | ASSAY_ACTION_DONT_MEASURE | ASSAY_ACTION_AUDIT |        \
		    ASSAY_ACTION_DONT_AUDIT))

/* What "policy" is: built-in ones, or the path of a file. Nothing is guessed from what is there. */
static inline bool plane_policy_is_file(const char *name)
{
	return strchr(name, '/') != NULL;
}
#define PLANE_POLICY_HINT "the path of a file has a '/'"
