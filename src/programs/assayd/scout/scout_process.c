/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/scout/scout_process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/fmt.h"
#include "base/num.h"
#include "programs/assayd/process/confine.h"
#include "programs/assayd/process/ipc.h"
#include "programs/assayd/process/spawner.h"
#include "programs/assayd/process/threads.h"
#include "programs/assayd/scout/mount_table.h"
#include "programs/assayd/scout/scout_msg.h"

#define MOUNTINFO_MAX (64u << 20)
#define TASKS_A_WORD  1024u /* so many are looked at between two words */
#define USERS_MAX     4096u /* overlays of users that are told of in one pass */

/* Numbers that were met; few are asked for often, so it is kept sorted. */
struct numbers {
	uint64_t *v;
	size_t n, cap;
};

struct scout {
	int proc;
	struct numbers namespaces; /* looked at in this pass */
	struct numbers unsure;	   /* the same, and it may have been another's table */
	/* Told of in this pass; of namespaces of ours, main's own included, and of users' only. */
	struct numbers devs, users_devs;
	struct scout_place skip[SCOUT_SKIP_MAX];
	uint32_t n_skip;
	/* Users' overlays in this pass: another namespace may show the same one as root's. */
	struct scout_mount *users;
	size_t n_users;
	struct scout_summary summary;
	uint64_t user_ns; /* ours */
	uint64_t n_tasks;
	const char *process;   /* that is looked at: its number */
	bool tells_each;       /* process that it looks at; a pass before this one hung at one */
	struct scout_place at; /* that process; 0: none is told */
	int error;	       /* of the socket or of memory: the end */
};

/* The namespace that is looked at. */
struct place {
	uint64_t ns;
	int root;
	bool ours; /* its mounts were made with our own user namespace's rights */
	const struct mount_table *table;
	struct assay_bytes text; /* of the table */
};

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static bool has(const struct numbers *set, uint64_t number)
{
	return set->n && bsearch(&number, set->v, set->n, sizeof(number), compare);
}

static int add(struct numbers *set, uint64_t number)
{
	size_t at = set->n;

	if (set->n == set->cap) {
		size_t cap = set->cap ? 2 * set->cap : 256;
		uint64_t *v = realloc(set->v, cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		set->v = v;
		set->cap = cap;
	}
	while (at > 0 && set->v[at - 1] > number)
		at--;
	memmove(&set->v[at + 1], &set->v[at], (set->n++ - at) * sizeof(*set->v));
	set->v[at] = number;
	return 0;
}

/* ---- words to main -------------------------------------------------------------------------- */

static void tell(struct scout *s, enum scout_message type, struct assay_bytes body, int fd)
{
	struct ipc_message m = { .type = type, .body = body, .n_fds = fd >= 0 };

	m.fd[0] = fd;
	if (s->error == 0)
		s->error = ipc_send(CHILD_SOCKET, &m);
}

static void tell_mount(struct scout *s, enum scout_message type, const struct scout_mount *m,
		       int fd)
{
	uint8_t body[1024];
	struct assay_wr w = assay_wr(body, sizeof(body));

	scout_mount_encode(m, &w);
	tell(s, type, assay_wr_done(&w), fd);
}

static void tell_place(struct scout *s, const struct scout_place *place)
{
	uint8_t body[16];
	struct assay_wr w = assay_wr(body, sizeof(body));

	scout_place_encode(place, &w);
	tell(s, SCOUT_LOOKING, assay_wr_done(&w), -1);
}

/* ---- one mount ------------------------------------------------------------------------------ */

static bool is_skipped(const struct scout *s, const struct scout_place *place)
{
	for (uint32_t i = 0; i < s->n_skip; i++)
		if (s->skip[i].ns == place->ns && s->skip[i].id == place->id)
			return true;
	return false;
}

/* An id is given anew as soon as its mount is gone. A user's overlay over his FUSE filesystem in
 * the place of what the table said is not for main, who would wait for him. */
static bool is_still_local(int fd, const struct place *place, const struct assay_mount *mount)
{
	struct statfs fs;

	if (assay_mount_is_overlay(mount->type)) /* root's: users' are not opened */
		return mount_table_has_overlay(place->table, place->text, (uint32_t)mount->id);
	return fstatfs(fd, &fs) == 0 && fs.f_type != OVERLAYFS_SUPER_MAGIC &&
	       !assay_magic_is_remote((uint64_t)fs.f_type);
}

/* O_PATH: nobody is asked, no event is raised, no device is opened. No link is followed: one in
 * /proc leads into other namespaces. */
static int open_below(int root, const char *path)
{
	const int flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
	int at = openat(root, ".", flags | O_DIRECTORY);
	char name[ASSAY_MOUNT_PATH_MAX];

	for (path += strspn(path, "/"); at >= 0 && *path; path += strspn(path, "/")) {
		AUTO(fd) int above = at;
		size_t len = strcspn(path, "/");

		memcpy(name, path, len);
		name[len] = '\0';
		path += len;
		at = openat(above, name, *path ? flags | O_DIRECTORY : flags);
	}
	return at < 0 ? -errno : at;
}

/* The mount's root as the process sees it. */
static int open_point(const struct place *place, const struct assay_mount *mount)
{
	int fd = open_below(place->root, mount->point);
	struct statx st;

	if (fd < 0)
		return fd;
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, &st) == 0 &&
	    st.stx_mask & STATX_MNT_ID && st.stx_mnt_id == (uint32_t)mount->id &&
	    is_still_local(fd, place, mount))
		return fd;
	close(fd);
	return -EBUSY; /* something else is mounted over it, or there by now */
}

/* A user can lay an overlay over a FUSE filesystem of his: it asks his server, whatever its type
 * says. But he also has root's in his namespace: all that he does not unmount. */
static void keep_users(struct scout *s, const struct scout_mount *m)
{
	if (!s->users)
		s->users = calloc(USERS_MAX, sizeof(*s->users));
	if (!s->users)
		s->error = -ENOMEM;
	else if (s->n_users < USERS_MAX)
		s->users[s->n_users++] = *m;
}

static bool is_told(const struct scout *s, const struct place *place, uint64_t dev)
{
	return has(&s->devs, dev) || (!place->ours && has(&s->users_devs, dev));
}

static void note_told(struct scout *s, bool ours, uint64_t dev)
{
	s->summary.filesystems += !has(&s->users_devs, dev);
	if (add(ours ? &s->devs : &s->users_devs, dev) < 0)
		s->error = -ENOMEM;
}

/* What main may believe of it depends on where it was found. */
static uint32_t flags_of(const struct place *place, const struct assay_mount *mount)
{
	if (!place->ours)
		return 0;
	return assay_mount_is_remote(mount->type) && assay_mount_admits_root(mount)
		       ? SCOUT_OURS | SCOUT_LAYER
		       : SCOUT_OURS;
}

static void look_at(struct scout *s, const struct place *place, const struct assay_mount *mount)
{
	struct scout_mount m = { .place = { .ns = place->ns, .id = (uint32_t)mount->id },
				 .dev = mount->dev,
				 .flags = flags_of(place, mount) };
	AUTO(fd) int fd = -1;

	assay_fmt(m.point, sizeof(m.point), "%s", mount->point);
	assay_fmt(m.type, sizeof(m.type), "%s", mount->type);
	if (!place->ours && assay_mount_is_overlay(mount->type)) {
		keep_users(s, &m);
		return;
	}
	if (assay_mount_is_remote(mount->type)) {
		tell_mount(s, SCOUT_REMOTE, &m, -1);
	} else if (is_skipped(s, &m.place)) {
		m.error = ETIMEDOUT;
		tell_mount(s, SCOUT_FAILED, &m, -1);
		return; /* another mount of it may do */
	} else {
		tell_place(s, &m.place);
		fd = open_point(place, mount);
		m.error = fd < 0 ? (uint32_t)-fd : 0;
		tell_mount(s, fd < 0 ? SCOUT_FAILED : SCOUT_FOUND, &m, fd);
		if (fd < 0)
			return;
	}
	note_told(s, place->ours, mount->dev);
}

/* ---- a namespace ---------------------------------------------------------------------------- */

static void look_at_mounts(struct scout *s, const struct place *place)
{
	static struct assay_mount mount;
	struct assay_bytes text = place->text;
	unsigned skipped = 0;

	while (s->error == 0 && assay_mountinfo_next(&text, &mount, &skipped))
		if (!is_told(s, place, mount.dev) && !assay_mount_is_made(mount.type))
			look_at(s, place, &mount);
}

/* A user can make it longer than anybody reads: that is said, once a pass. */
static void tell_unread(struct scout *s, const struct place *place, int r)
{
	const struct scout_mount m = { .place.ns = place->ns,
				       .flags = place->ours ? SCOUT_OURS : 0,
				       .error = (uint32_t)-r,
				       .type = "unknown" };

	tell_mount(s, SCOUT_FAILED, &m, -1);
}

/* To read its table is to wait for who changes it; and who says nothing is taken for hung. */
static void look_at_table(struct scout *s, struct place *place)
{
	const struct scout_place at = { .ns = place->ns };
	AUTO(file) struct assay_file text = { 0 };
	int r = -ETIMEDOUT;

	if (!is_skipped(s, &at)) {
		tell_place(s, &at);
		r = mount_table_read(place->table, MOUNTINFO_MAX, &text);
	}
	place->text = text.bytes;
	if (r < 0)
		tell_unread(s, place, r);
	else
		look_at_mounts(s, place);
}

/* What is mounted there from now on the kernel tells main. */
static void tell_namespace(struct scout *s, const struct mount_table_task *task, uint64_t number)
{
	AUTO(fd) int ns = openat(task->dir, "ns/mnt", O_RDONLY | O_CLOEXEC);
	const struct scout_place place = { .ns = number };
	uint8_t body[16];
	struct assay_wr w = assay_wr(body, sizeof(body));
	struct stat st;

	if (ns < 0 || fstat(ns, &st) < 0 || st.st_ino != number)
		return; /* it has gone elsewhere */
	scout_place_encode(&place, &w);
	tell(s, SCOUT_NAMESPACE, assay_wr_done(&w), ns);
}

/* Where it is not sure whose table it is, a user may have put his own in the place of root's: it is
 * taken for his, and another task of that namespace may say more. */
static void look_at_namespace(struct scout *s, const struct mount_table_task *task)
{
	AUTO(mount_table) struct mount_table table = { .fd = -1 };
	AUTO(fd) int root = openat(task->dir, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct place place = { .root = root, .table = &table };

	if (root < 0 || mount_table_open(&table, task, s->user_ns) < 0)
		return; /* it has ended */
	place.ns = table.ns;
	place.ours = table.is_ours && table.is_sure;
	if (has(&s->namespaces, place.ns) || (!table.is_sure && has(&s->unsure, place.ns)))
		return;
	if (!has(&s->unsure, place.ns)) {
		s->summary.namespaces++;
		tell_namespace(s, task, place.ns);
	}
	if (add(table.is_sure ? &s->namespaces : &s->unsure, place.ns) < 0)
		s->error = -ENOMEM;
	look_at_table(s, &place);
}

/* Behind the namespace nobody is to think that it is looked at still: the next task may hang. */
static void look_at_task(struct scout *s, int dir, const char *name)
{
	struct mount_table_task of = { .leads = strcmp(name, s->process) == 0 };
	char path[64];
	struct stat st;
	AUTO(fd) int task = -1;

	if (s->n_tasks++ % TASKS_A_WORD == 0)
		tell_place(s, &s->at);
	assay_fmt(path, sizeof(path), "%s/ns/mnt", name);
	if (fstatat(dir, path, &st, 0) < 0 || has(&s->namespaces, st.st_ino))
		return;
	task = openat(dir, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (task < 0)
		return;
	of.dir = task;
	look_at_namespace(s, &of);
	tell_place(s, &s->at);
}

static bool is_number(const char *name)
{
	uint64_t unused;

	return assay_num_parse(assay_bytes_str(name), 10, INT32_MAX, &unused) == 0;
}

/* For each entry of @path that is a number. */
static void for_each_number(struct scout *s, const char *path,
			    void (*look)(struct scout *s, int dir, const char *name))
{
	int fd = openat(s->proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir && fd >= 0)
		close(fd);
	while (dir && s->error == 0 && (entry = readdir(dir)))
		if (is_number(entry->d_name))
			look(s, dirfd(dir), entry->d_name);
	if (dir)
		closedir(dir);
}

/* Its user can make whoever asks for its namespaces or its root wait: by an exec that waits for his
 * FUSE server. False: it is to be left out. */
static bool begin_process(struct scout *s, const char *name)
{
	uint64_t pid = 0;

	if (!s->tells_each)
		return true;
	(void)assay_num_parse(assay_bytes_str(name), 10, INT32_MAX, &pid);
	s->at = (struct scout_place){ .id = (uint32_t)pid };
	if (is_skipped(s, &s->at))
		return false;
	tell_place(s, &s->at);
	return true;
}

/* A thread may have a mount namespace of its own. */
static void look_at_process(struct scout *s, int dir, const char *name)
{
	char path[64];

	if (!begin_process(s, name))
		return;
	s->process = name;
	assay_fmt(path, sizeof(path), "%s/task", name);
	if (threads_count(dir, path) > 1)
		for_each_number(s, path, look_at_task);
	else
		look_at_task(s, dir, name);
}

/* ---- a pass --------------------------------------------------------------------------------- */

/* What is mounted in our own namespace is main's. */
static int know_ours(struct scout *s)
{
	static struct assay_mount mount;
	struct assay_file text = { 0 };
	struct assay_bytes rest;
	unsigned skipped = 0;
	struct stat st;
	int r = fstatat(s->proc, "self/ns/user", &st, 0) < 0 ? -errno : 0;

	s->namespaces.n = s->unsure.n = s->devs.n = s->users_devs.n = s->n_users = 0;
	s->user_ns = st.st_ino;
	if (r == 0)
		r = fstatat(s->proc, "self/ns/mnt", &st, 0) < 0 ? -errno : 0;
	if (r == 0)
		r = add(&s->namespaces, st.st_ino);
	if (r == 0)
		r = assay_file_read(s->proc, "self/mountinfo", MOUNTINFO_MAX, &text, NULL);
	for (rest = text.bytes; r == 0 && assay_mountinfo_next(&rest, &mount, &skipped);)
		if (!has(&s->devs, mount.dev))
			r = add(&s->devs, mount.dev);
	assay_file_free(&text);
	return r;
}

static void tell_users(struct scout *s)
{
	for (size_t i = 0; s->error == 0 && i < s->n_users; i++) {
		if (has(&s->devs, s->users[i].dev) || has(&s->users_devs, s->users[i].dev))
			continue;
		tell_mount(s, SCOUT_REMOTE, &s->users[i], -1);
		note_told(s, false, s->users[i].dev);
	}
}

static void scan(struct scout *s)
{
	uint8_t body[16];
	struct assay_wr w = assay_wr(body, sizeof(body));

	s->summary = (struct scout_summary){ 0 };
	s->at = (struct scout_place){ 0 };
	s->error = know_ours(s);
	if (s->error == 0)
		for_each_number(s, ".", look_at_process);
	tell_users(s);
	scout_summary_encode(&s->summary, &w);
	tell(s, SCOUT_DONE, assay_wr_done(&w), -1);
}

/* It follows paths of others, and reads what the kernel says of processes. With its rights it could
 * also write to their memory. */
int scout_sandbox(void)
{
	static const char *const calls[] = { "openat",	"statx",   "newfstatat", "fstat",
					     "fstatfs", "ioctl",   "getdents64", "lseek",
					     "fcntl",	"recvmsg", "sendmsg",	 "sendto",
					     "poll",	NULL };
	const struct assay_sandbox sandbox = {
		.uid = ASSAY_SANDBOX_SAME_ID,
		.keep_caps = 1ull << CAP_SYS_PTRACE | 1ull << CAP_DAC_READ_SEARCH,
		.max_files = IPC_SENDER_FILES,
		.all_paths = true,
		.only_reads = true,
		.only_ioctl = NS_GET_USERNS,
		.syscalls = calls,
	};

	return confine_process("scout", &sandbox);
}

int scout_process(void)
{
	static struct scout s;
	static struct ipc_buffer buffer;
	struct ipc_message m;

	s.proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s.proc < 0 || scout_sandbox() < 0)
		return 1;
	while (s.error == 0 && ipc_receive(CHILD_SOCKET, &buffer, &m) == 0) {
		ipc_close_fds(&m);
		s.tells_each = m.type == SCOUT_SCAN_EACH;
		if ((m.type != SCOUT_SCAN && !s.tells_each) ||
		    scout_skips_parse(m.body, s.skip, &s.n_skip) < 0)
			return 1;
		scan(&s);
	}
	return 0;
}
