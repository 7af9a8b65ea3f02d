/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What cmd_policy.c and cmd_policy_explain.c share. */
#pragma once

#include "programs/assay/options.h"

extern const struct option_row policy_explain_rows[];
int cmd_policy_explain(int argc, char **argv);
