/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* It has two listening sockets, its ends to main and to the anchor, and no way to anything else. */
#include "programs/assayd/control/control_sandbox.h"

#include <jansson.h>
#include <stddef.h>

#include "programs/assayd/process/spawner.h"

int control_sandbox_enter(struct assay_sandbox_report *ret, struct assay_err *err)
{
	static const char *const calls[] = { "accept4", "fcntl",      "fstat",	 "getsockopt",
					     "lseek",	"newfstatat", "poll",	 "ppoll",
					     "pread64", "recvfrom",   "recvmsg", "sendmsg",
					     "sendto",	NULL };
	const struct assay_sandbox sandbox = {
		.uid = CHILD_ID_CONTROL,
		.gid = CHILD_ID_CONTROL,
		.max_files = CONTROL_FILES_MAX,
		.syscalls = calls,
	};

	json_object_seed(0); /* it would open a file for that */
	return assay_sandbox_enter(&sandbox, ret, err);
}
