/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every subcommand, one line each. */
#pragma once

#include "programs/assay/cmd.h"

extern const struct command cmd_audit;
extern const struct command cmd_doctor;
extern const struct command cmd_log;
extern const struct command cmd_policy;
extern const struct command cmd_quote;
extern const struct command cmd_reload;
extern const struct command cmd_status;
extern const struct command cmd_tpm;
extern const struct command cmd_upgrade;
