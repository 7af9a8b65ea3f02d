/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/fsuuid.h"

#include <dirent.h>
#include <linux/btrfs.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/hex.h"

#define BY_UUID "/dev/disk/by-uuid"

/* Linux 6.9; the headers of Debian 12 have neither this nor the next. */
struct fs_uuid {
	uint8_t len, uuid[16];
};
#define GET_FS_UUID _IOR(0x15, 0, struct fs_uuid)

/* Linux 5.19: a head, and room for as many bytes as it says. */
struct ext4_uuid {
	struct ext4_uuid_head {
		uint32_t len, flags;
	} head;
	uint8_t uuid[16];
};
#define EXT4_GET_UUID _IOR('f', 44, struct ext4_uuid_head)

static bool take(const uint8_t *uuid, uint8_t ret[static 16])
{
	if (assay_bytes_all(assay_bytes(uuid, 16), 0))
		return false;
	memcpy(ret, uuid, 16);
	return true;
}

/* The kernel's is of when the filesystem was mounted, and zero if it got its UUID since. */
static bool ask_kernel(int fd, uint8_t ret[static 16])
{
	struct fs_uuid got = { 0 };

	return ioctl(fd, GET_FS_UUID, &got) == 0 && got.len == sizeof(got.uuid) &&
	       take(got.uuid, ret);
}

/* Each number means something else to other filesystems. */
static bool ask_filesystem(int fd, uint8_t ret[static 16])
{
	struct ext4_uuid ext4 = { .head.len = sizeof(ext4.uuid) };
	struct btrfs_ioctl_fs_info_args btrfs;
	struct statfs s;

	if (fstatfs(fd, &s) < 0)
		return false;
	if (s.f_type == EXT4_SUPER_MAGIC)
		return ioctl(fd, EXT4_GET_UUID, &ext4) == 0 && ext4.head.len == sizeof(ext4.uuid) &&
		       take(ext4.uuid, ret);
	if (s.f_type != BTRFS_SUPER_MAGIC)
		return false;
	memset(&btrfs, 0, sizeof(btrfs));
	return ioctl(fd, BTRFS_IOC_FS_INFO, &btrfs) == 0 && take(btrfs.fsid, ret);
}

/* "0123abcd-..." to bytes; false for the short forms of other filesystems. */
static bool parse(const char *text, uint8_t ret[static 16])
{
	char digits[33];
	size_t n = 0;

	for (; *text && n < 32; text++)
		if (*text != '-')
			digits[n++] = *text;
	return n == 32 && !*text && assay_hex_decode(assay_bytes(digits, n), ret, 16) == 16;
}

static bool find_link(uint64_t dev, uint8_t ret[static 16])
{
	DIR *dir = opendir(BY_UUID);
	struct dirent *entry;
	bool found = false;
	struct stat st;

	while (dir && !found && (entry = readdir(dir)))
		found = fstatat(dirfd(dir), entry->d_name, &st, 0) == 0 && S_ISBLK(st.st_mode) &&
			st.st_rdev == dev && parse(entry->d_name, ret);
	if (dir)
		closedir(dir);
	return found;
}

bool assay_fsuuid_read(int fd, uint64_t dev, uint8_t ret[static 16])
{
	uint8_t uuid[16];

	if (!ask_kernel(fd, uuid) && !ask_filesystem(fd, uuid) && !find_link(dev, uuid))
		return false;
	memcpy(ret, uuid, sizeof(uuid));
	return true;
}
