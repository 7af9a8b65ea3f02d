/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Ownership that can be seen in the function one is reading: AUTO() frees on every return,
 * TAKE() is the one way out. Knows nothing of integrity.
 */
#pragma once

#include <stddef.h>

/*
 * AUTO_DEFINE(name) makes AUTO(name) usable for "struct assay_name *" freed by assay_name_free().
 * The free function must accept NULL.
 */
#define AUTO_DEFINE(name)                                                                          \
	static inline void assay_auto_##name(struct assay_##name **p)                              \
	{                                                                                          \
		assay_##name##_free(*p);                                                           \
	}                                                                                          \
	_Static_assert(1, "")

#define AUTO(name) __attribute__((cleanup(assay_auto_##name)))

/* The value of @p, which no longer owns it. */
#define TAKE(p)                                                                                    \
	__extension__({                                                                            \
		__typeof__(p) taken_ = (p);                                                        \
		(p) = NULL;                                                                        \
		taken_;                                                                            \
	})

/* The same for file descriptors, whose nothing is -1. */
#define TAKE_FD(fd)                                                                                \
	__extension__({                                                                            \
		int taken_ = (fd);                                                                 \
		(fd) = -1;                                                                         \
		taken_;                                                                            \
	})

#define ARRAY_LEN(a)		 (sizeof(a) / sizeof((a)[0]))

#define ASSAY_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#define ASSAY_MUST_CHECK	 __attribute__((warn_unused_result))
