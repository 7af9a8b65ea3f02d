/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "backends/source_fanotify/lease.h"

#include <errno.h>
#include <fcntl.h>

int assay_lease_take(int fd)
{
	return fcntl(fd, F_SETLEASE, F_RDLCK) < 0 ? -errno : 0;
}

bool assay_lease_intact(int fd)
{
	return fcntl(fd, F_GETLEASE) == F_RDLCK;
}

void assay_lease_drop(int fd)
{
	(void)fcntl(fd, F_SETLEASE, F_UNLCK);
}
