/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What of the fanotify source needs no fanotify: facts from /proc, the table of inodes, leases. */
#include "unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/crypto_openssl/crypto_openssl.h"
#include "backends/source_fanotify/content.h"
#include "backends/source_fanotify/inflight.h"
#include "backends/source_fanotify/lease.h"
#include "backends/source_fanotify/mark_list.h"
#include "backends/source_fanotify/object.h"
#include "backends/source_fanotify/opener.h"
#include "backends/source_fanotify/readahead.h"
#include "base/hex.h"

static const char status_text[] = "Name:\tsh Uid:\t7\nUmask:\t0022\nUid:\t1000\t0\t2\t3\n"
				  "Gid:\t5\t6\t7\t8\nCapPrm:\t0000000000000000\n"
				  "CapEff:\t0000000000000080\n";

static void subject_from_status(void **state)
{
	struct assay_subject s = { 0 };

	assert_int_equal(assay_opener_parse_status(assay_bytes_str(status_text), &s), 0);
	assert_int_equal(s.uid, 1000);
	assert_int_equal(s.euid, 0);
	assert_int_equal(s.suid, 2);
	assert_int_equal(s.gid, 5);
	assert_int_equal(s.egid, 6);
	assert_int_equal(s.sgid, 7);
	assert_true(s.cap_setuid);
	assert_false(s.cap_setgid);
}

/* Cut anywhere before the last line is whole, it is no subject; nothing is read past the end. */
static void cut_status_is_refused(void **state)
{
	const size_t whole = sizeof(status_text) - 1;
	struct assay_subject s;

	for (size_t len = 0; len < whole - 20; len++) {
		char *copy = malloc(len + 1);

		memcpy(copy, status_text, len);
		assert_int_equal(assay_opener_parse_status(assay_bytes(copy, len), &s), -EBADMSG);
		free(copy);
	}
}

/* However many groups there are, and wherever reads end. */
static void groups_hide_nothing(void **state)
{
	static const unsigned counts[] = { 0, 1, 300, 700, 1170, 65536 };
	static char text[1 << 20];

	for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
		struct assay_subject s = { 0 };
		size_t at = 0;
		FILE *file = tmpfile();
		int fd = fileno(file);

		at += (size_t)sprintf(text, "Name:\tsh\nUid:\t1000\t0\t2\t3\nGid:\t5\t6\t7\t8\n"
					    "Groups:\t");
		for (unsigned g = 0; g < counts[i]; g++)
			at += (size_t)sprintf(text + at, "%u ", 100000 + g);
		at += (size_t)sprintf(text + at, "\nCapEff:\t0000000000000080\nX:\n");
		assert_int_equal(write(fd, text, at), at);
		assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
		assert_int_equal(assay_opener_read_status(fd, &s), 0);
		assert_int_equal(s.uid, 1000);
		assert_true(s.cap_setuid);
		fclose(file);
	}
}

static void subject_of_ourselves(void **state)
{
	struct assay_subject s;

	assert_int_equal(assay_opener_subject((int32_t)gettid(), &s), 0);
	assert_int_equal(s.uid, getuid());
	assert_int_equal(s.euid, geteuid());
	assert_int_equal(s.egid, getegid());
	assert_int_equal(assay_opener_subject(0, &s), -ESRCH);
}

static void access_from_syscall(void **state)
{
	static const struct {
		const char *text;
		uint32_t want;
	} cases[] = {
		{ "257 0xffffff9c 0x7ffc 0x0 0x0 0x0 0x0 0x7f 0x7f\n", ASSAY_MAY_READ },
		{ "257 0xffffff9c 0x7ffc 0x80241 0x1b6 0x0 0x0 0x7f 0x7f\n", ASSAY_MAY_WRITE },
		{ "257 0xffffff9c 0x7ffc 0x2 0x0 0x0 0x0 0x7f 0x7f\n",
		  ASSAY_MAY_READ | ASSAY_MAY_WRITE },
		{ "2 0x7ffc 0x1 0x0 0x0 0x0 0x0 0x7f 0x7f\n", ASSAY_MAY_WRITE },
		{ "85 0x7ffc 0x1b6 0x0 0x0 0x0 0x0 0x7f 0x7f\n", ASSAY_MAY_WRITE },
		{ "59 0x1 0x2 0x3 0x0 0x0 0x0 0x7f 0x7f\n", ASSAY_MAY_EXEC },
		{ "322 0x1 0x2 0x3 0x0 0x0 0x0 0x7f 0x7f\n", ASSAY_MAY_EXEC },
		/* openat2, io_uring_enter, i386 openat; open with both access bits */
		{ "437 0x1 0x2 0x3 0x18 0x0 0x0 0x7f 0x7f\n", 0 },
		{ "426 0x1 0x2 0x3 0x0 0x0 0x0 0x7f 0x7f\n", 0 },
		{ "295 0xffffff9c 0x1 0x1 0x0 0x0 0x0 0x7f 0x7f\n", 0 },
		{ "257 0x1 0x2 0x3 0x0 0x0 0x0 0x7f 0x7f\n", 0 },
		{ "running\n", 0 },
		{ "-1 0x7ffc 0x7f\n", 0 },
		{ "257 0xffffff9c", 0 },
		{ "", 0 },
	};

#ifndef __x86_64__
	skip();
#endif
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(assay_opener_parse_syscall(assay_bytes_str(cases[i].text)),
				 cases[i].want);
}

static void mounts_by_line(void **state)
{
	static const char text[] = "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
				   "garbage\n"
				   "23 22 0:44 /x /a\\040b\\011c\\134d rw - fuse.sshfs host: rw\n"
				   "24 22 0:45 / /m rw master:1 propagate_from:2 - tmpfs none rw";
	struct assay_bytes rest = assay_bytes_str(text);
	unsigned skipped = 0;
	struct assay_mount m;

	assert_true(assay_mountinfo_next(&rest, &m, &skipped));
	assert_int_equal(m.dev, makedev(254, 0));
	assert_int_equal(m.id, 22);
	assert_string_equal(m.point, "/");
	assert_string_equal(m.type, "ext4");
	assert_string_equal(m.subtype, "");
	assert_true(assay_mountinfo_next(&rest, &m, &skipped));
	assert_string_equal(m.point, "/a b\tc\\d");
	assert_string_equal(m.type, "fuse");
	assert_string_equal(m.subtype, "sshfs");
	assert_true(assay_mountinfo_next(&rest, &m, &skipped));
	assert_string_equal(m.type, "tmpfs");
	assert_false(assay_mountinfo_next(&rest, &m, &skipped));
	assert_int_equal(skipped, 1);
}

static void who_answers_for_a_type(void **state)
{
	static const char *const remote[] = {
		"fuse", "fuseblk", "virtiofs", "9p",	 "vboxsf", "nfs",  "nfs4",    "cifs",
		"smb3", "ceph",	   "afs",      "coda",	 "pvfs2",  "gfs2", "ocfs2",   "lustre",
		"gpfs", "beegfs",  "orangefs", "vmhgfs", "prl_fs", "aufs", "shiftfs", "ecryptfs",
	};
	static const char *const local[] = {
		"ext2",	   "ext3",	"ext4",	 "xfs",	   "btrfs",    "f2fs",	  "bcachefs",
		"zfs",	   "vfat",	"exfat", "ntfs3",  "udf",      "iso9660", "squashfs",
		"erofs",   "tmpfs",	"ramfs", "nilfs2", "devtmpfs", "jfs",	  "ubifs",
		"overlay", "hugetlbfs", "proc",	 "",	   "fus",      "fused",	  "autofs",
	};
	/* As statfs() gives them: FUSE, NFS, 9p, eCryptfs, GFS2, OCFS2, OrangeFS, vboxsf */
	static const uint64_t remote_magic[] = { 0x65735546, 0x6969,	 0x01021997, 0xf15f,
						 0x01161970, 0x7461636f, 0x20030528, 0x786f4256 };
	/* ext4, XFS, btrfs, tmpfs, overlay */
	static const uint64_t local_magic[] = { 0xef53, 0x58465342, 0x9123683e, 0x01021994,
						0x794c7630 };

	for (size_t i = 0; i < ARRAY_LEN(remote); i++)
		assert_true(assay_mount_is_remote(remote[i]));
	for (size_t i = 0; i < ARRAY_LEN(local); i++)
		assert_false(assay_mount_is_remote(local[i]));
	for (size_t i = 0; i < ARRAY_LEN(remote_magic); i++)
		assert_true(assay_magic_is_remote(remote_magic[i]));
	for (size_t i = 0; i < ARRAY_LEN(local_magic); i++)
		assert_false(assay_magic_is_remote(local_magic[i]));
}

/* The options as mountinfo has them, of overlays as container engines mount them. */
static void layers_by_word(void **state)
{
	static const struct {
		const char *options;
		bool below; /* of /mnt/far */
	} cases[] = {
		{ "rw,lowerdir=/a:/b,upperdir=/c,workdir=/d,xino=off", false },
		{ "ro,lowerdir=/a:/mnt/far", true },
		{ "ro,lowerdir=/mnt/far/x:/a", true },
		{ "ro,lowerdir=/mnt/farther:/a", false },
		{ "rw,lowerdir=/a,upperdir=/mnt/far/up,workdir=/mnt/far/work", true },
		{ "ro,lowerdir+=/a,lowerdir+=/mnt/far", true },
		{ "ro,lowerdir=/a::/mnt/far/data", true },
		{ "ro,lowerdir=/a,datadir+=/mnt/far", true },
		/* A colon, a comma and a blank of the path. */
		{ "ro,lowerdir=/a\\134:/mnt/far:/b", false },
		{ "ro,lowerdir=/a\\054lowerdir\\075/mnt/far:/b", false },
		{ "ro,lowerdir=/mnt/far/a\\040b", true },
		/* What cannot be told. */
		{ "ro,lowerdir=l/ABC:l/DEF", true },
		{ "ro,lowerdir=/a/../mnt/far", true },
		{ "ro,lowerdir=/mnt//far", true },
		{ "ro,lowerdir=/a/.", true },
		{ "rw,xino=off", false },
		{ "", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (assay_mount_layers_below(assay_bytes_str(cases[i].options), "/mnt/far") !=
		    cases[i].below)
			fail_msg("'%s'", cases[i].options);
	assert_true(assay_mount_layers_below(assay_bytes_str("lowerdir=/a"), "/"));
}

static void fuse_that_root_cannot_enter(void **state)
{
	static const struct {
		const char *line;
		bool admits;
	} cases[] = {
		{ "1 2 0:3 / /a rw - fuse.sshfs me:/ rw,user_id=1000,group_id=1000", false },
		{ "1 2 0:3 / /a rw - fuseblk /dev/sdb rw,user_id=1000,group_id=0,blksize=4096",
		  false },
		{ "1 2 0:3 / /a rw - fuse a rw,user_id=1000,group_id=1000,allow_other", true },
		{ "1 2 0:3 / /a rw - fuse a rw,user_id=1000,default_permissions,allow_other",
		  true },
		{ "1 2 0:3 / /a rw - fuse a rw,user_id=0,group_id=0", true },
		{ "1 2 0:3 / /a rw - fuse a rw,user_id=00", false },
		/* What does not say it. */
		{ "1 2 0:3 / /a rw - fuse a rw,group_id=0", true },
		{ "1 2 0:3 / /a rw - fuse a", true },
		{ "1 2 0:3 / /a rw - nfs4 a:/ rw,user_id=1000", true },
	};
	static struct assay_mount m;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct assay_bytes text = assay_bytes_str(cases[i].line);
		unsigned skipped = 0;

		assert_true(assay_mountinfo_next(&text, &m, &skipped));
		if (assay_mount_admits_root(&m) != cases[i].admits)
			fail_msg("'%s'", cases[i].line);
	}
}

/* A path or a list that is longer than any is: not told, and nothing written behind the end. */
static void layers_that_are_long(void **state)
{
	char *text = malloc(ASSAY_MOUNT_LAYERS_MAX + 64);

	for (size_t n = ASSAY_MOUNT_PATH_MAX - 8; n < ASSAY_MOUNT_LAYERS_MAX + 16; n++) {
		memset(text, 'a', n + 10);
		memcpy(text, "lowerdir=/", 10);
		assert_int_equal(assay_mount_layers_below(assay_bytes(text, n + 10), "/mnt"),
				 n + 2 >= ASSAY_MOUNT_PATH_MAX);
	}
	free(text);
}

/* As Linux 6.18 prints it, of a btrfs. */
static const char mark_line[] = "fanotify ino:8d0 sdev:700001 mflags:200 mask:10000 "
				"ignored_mask:50000 fhandle-bytes:14 fhandle-type:4d "
				"f_handle:d008000000000000050000000000000007000000";

static bool parse_mark(const char *text, size_t len, struct assay_inode_mark *ret)
{
	char *copy = malloc(len + 1); /* of just this size: nothing is read behind it */
	bool is_mark;

	memcpy(copy, text, len);
	is_mark = assay_mark_parse(assay_bytes(copy, len), ret);
	free(copy);
	return is_mark;
}

static void marks_by_line(void **state)
{
	static const char *const others[] = {
		"pos:\t0",
		"",
		"fanotify flags:36 event-flags:8000",
		"fanotify sdev:2a mflags:0 mask:50000 ignored_mask:0",
		"fanotify mnt_id:1 mflags:0 mask:50000 ignored_mask:0",
	};
	struct assay_inode_mark m;

	assert_true(parse_mark(mark_line, sizeof(mark_line) - 1, &m));
	assert_int_equal(m.dev, makedev(7, 1));
	assert_int_equal(m.ignored, 0x50000);
	assert_int_equal(m.handle_type, 0x4d);
	assert_int_equal(m.handle_len, 20);
	assert_int_equal(m.handle[0], 0xd0);
	assert_int_equal(m.handle[8], 5);
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		assert_false(parse_mark(others[i], strlen(others[i]), &m));
}

/* A line that is cut is a mark that cannot be reached, not half a handle. */
static void cut_marks_have_no_handle(void **state)
{
	const size_t whole = sizeof(mark_line) - 1;
	struct assay_inode_mark m;

	for (size_t len = strlen("fanotify ino:"); len < whole; len++) {
		assert_true(parse_mark(mark_line, len, &m));
		assert_int_equal(m.handle_len, 0);
		if (len <
		    strlen("fanotify ino:8d0 sdev:700001 mflags:200 mask:10000 ignored_mask:"))
			assert_int_equal(m.ignored, UINT32_MAX);
	}
}

static void changed_marks_stay_in_bounds(void **state)
{
	char changed[sizeof(mark_line)];
	struct assay_inode_mark m;

	for (size_t bit = 0; bit < 8 * (sizeof(mark_line) - 1); bit++) {
		memcpy(changed, mark_line, sizeof(changed));
		changed[bit / 8] ^= (char)(1u << bit % 8);
		if (parse_mark(changed, sizeof(mark_line) - 1, &m))
			assert_true(m.handle_len == 0 || m.handle_len == 20);
	}
}

static int scratch_file(char path[static 64], const char *content)
{
	int fd;

	strcpy(path, "/tmp/assay-unit.XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, strlen(content)), strlen(content));
	close(fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static void path_of_deleted_and_of_badly_named(void **state)
{
	char path[64], got[ASSAY_OBJECT_PATH_MAX], named[96];
	int fd = scratch_file(path, "x");
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(assay_object_path(fd, &st, got), strlen(path));
	assert_string_equal(got, path);
	snprintf(named, sizeof(named), "%s (deleted)", path);
	assert_int_equal(rename(path, named), 0);
	assay_object_path(fd, &st, got);
	assert_string_equal(got, named);
	assert_int_equal(unlink(named), 0);
	assay_object_path(fd, &st, got);
	assert_string_equal(got, named);
	close(fd);
}

static void filesystem_of_proc(void **state)
{
	AUTO(fs_table) struct assay_fs_table *t = NULL;
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	struct assay_fs fs;
	struct stat st;

	assert_int_equal(assay_fs_table_new(&t), 0);
	assert_int_equal(fstat(fd, &st), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(assay_fs_table_get(t, fd, &st, &fs), 0);
		assert_int_equal(fs.magic, 0x9fa0);
		assert_string_equal(fs.name, "proc");
	}
	close(fd);
}

/* The lease knows of every writer: before it, while it is held, and of truncation by name. */
static void lease_sees_writers(void **state)
{
	char path[64];
	int fd = scratch_file(path, "content"), writer;

	signal(SIGIO, SIG_IGN);
	writer = open(path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(assay_lease_take(fd), -EAGAIN);
	close(writer);
	assert_int_equal(assay_lease_take(fd), 0);
	assert_true(assay_lease_intact(fd));
	close(open(path, O_RDONLY | O_CLOEXEC));
	assert_true(assay_lease_intact(fd));
	assert_int_equal(open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC), -1);
	assert_int_equal(errno, EWOULDBLOCK);
	assert_false(assay_lease_intact(fd));
	assay_lease_drop(fd);
	assert_false(assay_lease_intact(fd));
	unlink(path);
	close(fd);
}

static bool never(void *ctx)
{
	++*(unsigned *)ctx;
	return false;
}

static void digests_in_one_pass(void **state)
{
	static const enum assay_hash algs[] = { ASSAY_HASH_SHA256, ASSAY_HASH_SHA1 };
	AUTO(crypto_openssl) struct assay_crypto_openssl *openssl = NULL;
	AUTO(content) struct assay_content *content = NULL;
	struct assay_digest got[2];
	struct assay_crypto crypto;
	char path[64], hex[129];
	unsigned asked = 0;
	uint64_t bytes = 0;
	int fd = scratch_file(path, "abc");

	assert_int_equal(assay_crypto_openssl_new(&openssl, NULL), 0);
	crypto = assay_crypto_openssl_port(openssl);
	assert_int_equal(assay_content_new(&crypto, algs, 2, &content, NULL), 0);
	for (int i = 0; i < 2; i++) { /* a digester is used again */
		assert_int_equal(assay_content_digest(content, fd, NULL, NULL, got, &bytes), 0);
		assert_int_equal(bytes, 3);
		assay_hex_encode(assay_digest_bytes(&got[0]), hex); /* FIPS 180-4 examples */
		assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f"
					 "20015ad");
		assay_hex_encode(assay_digest_bytes(&got[1]), hex);
		assert_string_equal(hex, "a9993e364706816aba3e25717850c26c9cd0d89d");
	}
	assert_int_equal(assay_content_digest(content, fd, never, &asked, got, &bytes), -ECANCELED);
	assert_int_equal(asked, 1);
	unlink(path);
	close(fd);
}

static bool count_down(void *ctx)
{
	return --*(int *)ctx > 0;
}

/* Big files are read by a second thread: the same digest, also after one that was given up. */
static void big_files_are_read_ahead(void **state)
{
	static const enum assay_hash alg = ASSAY_HASH_SHA256;
	static uint8_t zeros[1 << 20];
	AUTO(crypto_openssl) struct assay_crypto_openssl *openssl = NULL;
	AUTO(content) struct assay_content *content = NULL;
	AUTO(readahead) struct assay_readahead *ahead = NULL;
	const size_t sizes[] = { (4 << 20) - 1, 4 << 20, (9 << 20) + 12345, 300000 };
	uint8_t want[ASSAY_HASH_SIZE_MAX];
	struct assay_crypto crypto;
	struct assay_digest got;
	uint64_t bytes = 0;
	char path[64];
	int slices;

	assert_int_equal(assay_crypto_openssl_new(&openssl, NULL), 0);
	crypto = assay_crypto_openssl_port(openssl);
	assert_int_equal(assay_content_new(&crypto, &alg, 1, &content, NULL), 0);
	assert_int_equal(assay_readahead_new(&ahead), 0);
	assay_content_read_ahead(content, ahead);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		int fd = scratch_file(path, "begins");
		struct assay_hash_ctx *h = NULL;

		assert_int_equal(truncate(path, (off_t)sizes[i]), 0);
		crypto.ops->hash_new(crypto.ctx, alg, &h);
		crypto.ops->hash_init(h);
		crypto.ops->hash_update(h, assay_bytes("begins", 6));
		for (size_t left = sizes[i] - 6; left > 0;) {
			size_t n = left < sizeof(zeros) ? left : sizeof(zeros);

			crypto.ops->hash_update(h, assay_bytes(zeros, n));
			left -= n;
		}
		crypto.ops->hash_final(h, want);
		crypto.ops->hash_free(h);
		slices = 2;
		assert_int_equal(assay_content_digest(content, fd, count_down, &slices, &got,
						      &bytes),
				 -ECANCELED);
		assert_int_equal(assay_content_digest(content, fd, NULL, NULL, &got, &bytes), 0);
		assert_int_equal(bytes, sizes[i]);
		assert_memory_equal(got.data, want, 32);
		assay_content_rest(content);
		unlink(path);
		close(fd);
	}
}

#define INODES 8
#define EVENTS 80000

/* Events begin and end in any order, those of one inode one at a time, and each of them comes. */
static void one_at_a_time_and_none_is_lost(void **state)
{
	struct assay_inflight_node *node = calloc(EVENTS, sizeof(*node)), *at, *next;
	struct assay_inflight_node *first[INODES] = { NULL };
	unsigned begun = 0, served = 0, r = 1;
	struct assay_inflight *table;

	assert_int_equal(assay_inflight_new(&table), 0);
	while (served < EVENTS) {
		r = r * 1664525u + 1013904223u;
		if (begun < EVENTS && r >> 31) {
			at = &node[begun++];
			at->dev = 1;
			at->ino = r >> 28 & (INODES - 1);
			if (!assay_inflight_enter(table, at))
				continue;
			assert_null(first[at->ino]);
			first[at->ino] = at;
		} else if ((at = first[r >> 28 & (INODES - 1)])) {
			served++;
			first[at->ino] = NULL;
			/* As main does: each enters again, and the first of them works. */
			for (next = assay_inflight_leave(table, at); (at = next);) {
				next = at->next_waiter;
				if (!assay_inflight_enter(table, at))
					continue;
				assert_null(first[at->ino]);
				first[at->ino] = at;
			}
		}
	}
	assay_inflight_free(table);
	free(node);
}

static void waiters_come_in_order(void **state)
{
	struct assay_inflight_node n[4] = { 0 };
	struct assay_inflight *table;

	assert_int_equal(assay_inflight_new(&table), 0);
	assert_true(assay_inflight_enter(table, &n[0]));
	assert_false(assay_inflight_enter(table, &n[1]));
	n[2].ino = 1;
	assert_true(assay_inflight_enter(table, &n[2]));
	assert_false(assay_inflight_enter(table, &n[3]));
	assert_ptr_equal(assay_inflight_leave(table, &n[0]), &n[1]);
	assert_ptr_equal(n[1].next_waiter, &n[3]);
	assert_null(n[3].next_waiter);
	assert_null(assay_inflight_leave(table, &n[2]));
	assay_inflight_free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(subject_from_status),
		cmocka_unit_test(cut_status_is_refused),
		cmocka_unit_test(groups_hide_nothing),
		cmocka_unit_test(subject_of_ourselves),
		cmocka_unit_test(access_from_syscall),
		cmocka_unit_test(layers_by_word),
		cmocka_unit_test(fuse_that_root_cannot_enter),
		cmocka_unit_test(layers_that_are_long),
		cmocka_unit_test(mounts_by_line),
		cmocka_unit_test(who_answers_for_a_type),
		cmocka_unit_test(marks_by_line),
		cmocka_unit_test(cut_marks_have_no_handle),
		cmocka_unit_test(changed_marks_stay_in_bounds),
		cmocka_unit_test(path_of_deleted_and_of_badly_named),
		cmocka_unit_test(filesystem_of_proc),
		cmocka_unit_test(lease_sees_writers),
		cmocka_unit_test(digests_in_one_pass),
		cmocka_unit_test(big_files_are_read_ahead),
		cmocka_unit_test(one_at_a_time_and_none_is_lost),
		cmocka_unit_test(waiters_come_in_order),
	};

	return cmocka_run_group_tests_name("source_fanotify", tests, NULL, NULL);
}
