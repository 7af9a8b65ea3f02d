/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/process/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

int folder_open(const char *path, const char *key, struct assay_err *err)
{
	int fd;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return assay_err_set(err, -errno, "cannot make '%s': %s%s%s", path, strerror(errno),
				     errno == ENOENT ? "; make the folder above it, or set " : "",
				     errno == ENOENT ? key : "");
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? assay_err_set(err, -errno, "cannot open '%s': %s", path, strerror(errno))
		      : fd;
}
