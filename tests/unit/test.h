/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* cmocka with the includes that it needs before it. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* How often something random is tried. The thread sanitizer makes all ten times slower, and what it
 * looks for does not depend on what was damaged. */
#ifdef __SANITIZE_THREAD__
#define TRIES(n) ((n) / 5)
#else
#define TRIES(n) (n)
#endif
