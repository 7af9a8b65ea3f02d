/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The process that listens (decision 0040): who asks gets his answer from main or from the anchor,
 * as far as he may. */
#pragma once

int control_process(void); /* child_fn */
