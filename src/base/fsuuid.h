/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The UUID of a mounted filesystem, as blkid(8) and fstab(5) have it. Opens no device. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * Of the filesystem that @fd lies on, whose st_dev is @dev. In this order: what the kernel keeps of
 * it (Linux 6.9), what ext4 and btrfs have on the disk, and the link in /dev/disk/by-uuid to the
 * device. False: there is none, or nobody tells; a UUID of zeros is none.
 */
bool assay_fsuuid_read(int fd, uint64_t dev, uint8_t ret[static 16]);
