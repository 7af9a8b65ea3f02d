/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Looks at one task after the other, as it is told to. Whoever it looks at may make it hang. */
#pragma once

int peek_process(void);
/* What it keeps: to read what the kernel says of processes. For the tests. */
int peek_sandbox(void);
