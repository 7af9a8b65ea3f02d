/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/sandbox.h"
#include "formats/policy.h"
#include "programs/assayd/process/spawner.h"
#include "programs/assayd/view/view.h"

#define FILES_MAX 64u

int view_sandbox(struct assay_err *err)
{
	static const char *const syscalls[] = { "poll",		"ppoll",   "readv",	 "writev",
						"pread64",	"sendmsg", "recvmsg",	 "sendto",
						"fcntl",	"fstat",   "newfstatat", "lseek",
						"memfd_create", NULL };
	const struct assay_sandbox sandbox = {
		.uid = CHILD_ID_VIEW,
		.gid = CHILD_ID_VIEW,
		.max_files = FILES_MAX,
		.max_file_size = ASSAY_POLICY_SIZE_MAX, /* of what is handed to main */
		.syscalls = syscalls,
	};

	return assay_sandbox_enter(&sandbox, NULL, err);
}
