/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What assayd does of the policy language, through fanotify: for itself, and for who explains it.
 */
#pragma once

#include "formats/policy.h"

/* Rules with others have no effect. */
#define PLANE_ACTIONS                                                                              \
	((uint32_t)(ASSAY_ACTION_MEASURE | ASSAY_ACTION_DONT_MEASURE | ASSAY_ACTION_AUDIT |        \
		    ASSAY_ACTION_DONT_AUDIT))
