/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Filesystems by type. Whoever opens a file there may wait for another process or machine: that
 * must not be who reads events, as he opens each event's file. What is not in this list and should
 * be is the end of assayd (main/alive.c), so a type that cannot be tried here is rather named in
 * vain.
 */
#include "backends/source_fanotify/mountinfo.h"

#include <linux/magic.h>
#include <string.h>

#include "base/macros.h"

/* Those of the kernel that linux/magic.h does not have; of its own fs/NAME/, or the module's. */
#define BEEGFS_MAGIC   0x19830326
#define GFS2_MAGIC     0x01161970
#define GPFS_MAGIC     0x47504653
#define LUSTRE_MAGIC   0x0bd00bd0
#define ORANGEFS_MAGIC 0x20030528
#define SHIFTFS_MAGIC  0x6a656a62
#define VBOXSF_MAGIC   0x786f4256
#define AUFS_MAGIC     0x61756673

static const char *const remote_types[] = {
	/* A process answers; virtiofs is FUSE whose server is the host. */
	"fuse", "fuseblk", "virtiofs",
	/* The host of a virtual machine does. */
	"9p", "vboxsf", "vmhgfs", "prl_fs",
	/* A server in the network; of coda, and of orangefs, which says "pvfs2", it is a process
	 * here that asks it. */
	"nfs", "nfs4", "cifs", "smb3", "ceph", "afs", "coda", "pvfs2", "orangefs", "lustre",
	"beegfs",
	/* On a disk that several machines have: who opens takes a lock that another one must give.
	 */
	"gfs2", "ocfs2", "gpfs",
	/* To open a file is to open one of another filesystem, which may be any of these, and
	 * raises an event of its own there, which whoever reads the first one would wait for. An
	 * overlay does so, too; its layers stand in mountinfo, and the kernel is known (decision
	 * 46). */
	"ecryptfs", "aufs", "shiftfs", NULL
};

static const char *const made_types[] = { "proc",     "sysfs",	  "cgroup",	 "cgroup2",
					  "devpts",   "debugfs",  "tracefs",	 "securityfs",
					  "configfs", "fusectl",  "mqueue",	 "bpf",
					  "pstore",   "efivarfs", "selinuxfs",	 "nsfs",
					  "smackfs",  "autofs",	  "binfmt_misc", "rpc_pipefs",
					  "resctrl",  "nfsd",	  "pipefs",	 NULL };

static bool is_one_of(const char *type, const char *const *list)
{
	for (; *list; list++)
		if (strcmp(type, *list) == 0)
			return true;
	return false;
}

bool assay_mount_is_remote(const char *type)
{
	return is_one_of(type, remote_types);
}

bool assay_magic_is_remote(uint64_t magic)
{
	static const uint64_t remote[] = {
		FUSE_SUPER_MAGIC,     V9FS_MAGIC,	NFS_SUPER_MAGIC,   SMB_SUPER_MAGIC,
		CIFS_SUPER_MAGIC,     SMB2_SUPER_MAGIC, CEPH_SUPER_MAGIC,  AFS_SUPER_MAGIC,
		AFS_FS_MAGIC,	      CODA_SUPER_MAGIC, OCFS2_SUPER_MAGIC, GFS2_MAGIC,
		ECRYPTFS_SUPER_MAGIC, BEEGFS_MAGIC,	GPFS_MAGIC,	   LUSTRE_MAGIC,
		ORANGEFS_MAGIC,	      SHIFTFS_MAGIC,	VBOXSF_MAGIC,	   AUFS_MAGIC,
	};

	for (size_t i = 0; i < ARRAY_LEN(remote); i++)
		if (remote[i] == magic)
			return true;
	return false;
}

bool assay_mount_is_overlay(const char *type)
{
	return strcmp(type, "overlay") == 0;
}

bool assay_mount_is_made(const char *type)
{
	return is_one_of(type, made_types);
}
