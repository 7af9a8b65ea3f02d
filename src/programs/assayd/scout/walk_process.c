/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/scout/walk_process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <stdlib.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fmt.h"
#include "base/num.h"
#include "programs/assayd/main/maps.h"
#include "programs/assayd/process/confine.h"
#include "programs/assayd/process/spawner.h"
#include "programs/assayd/scout/walk_judge.h"

#define SEEN_SLOTS 65536u /* a power of two; beyond it, files are told again, without harm */

/* Libc's headers of some systems are older than the kernel. */
#ifndef CAP_CHECKPOINT_RESTORE
#define CAP_CHECKPOINT_RESTORE 40
#endif

struct walker {
	struct walk_judge judge;
	struct walk_request request;
	uint32_t self;
	uint64_t mount_ns; /* ours */
	bool is_apart;	   /* the process that is looked at is in another one */
	uint64_t counted;
	struct walk_found admitted; /* last */
	struct ipc_message files;   /* that were found and not told */
	struct walk_file file[IPC_FDS_MAX];
	struct {
		uint64_t dev, ino;
	} seen[SEEN_SLOTS];
	int error; /* of the socket: the end */
};

/* ---- words to main -------------------------------------------------------------------------- */

static void tell(struct walker *w, enum walk_message type, uint64_t id, struct assay_bytes body)
{
	if (w->error == 0)
		w->error = ipc_send(CHILD_SOCKET,
				    &(struct ipc_message){ .type = type, .id = id, .body = body });
}

static int wait_for_more(void)
{
	static struct ipc_buffer buffer;
	struct ipc_message m;
	int r = ipc_receive(CHILD_SOCKET, &buffer, &m);

	if (r < 0)
		return r;
	ipc_close_fds(&m);
	return m.type == WALK_MORE ? 0 : -EBADMSG;
}

/* Few are on their way at a time: the kernel counts what root's processes have there. */
static void tell_files(struct walker *w)
{
	uint8_t body[IPC_FDS_MAX * 20];
	struct assay_wr out = assay_wr(body, sizeof(body));

	if (w->files.n_fds == 0)
		return;
	walk_files_encode(w->file, w->files.n_fds, &out);
	w->files.type = WALK_FILES;
	w->files.body = assay_wr_done(&out);
	if (w->error == 0)
		w->error = ipc_send(CHILD_SOCKET, &w->files);
	ipc_close_fds(&w->files);
	if (w->error == 0)
		w->error = wait_for_more();
}

/* ---- one process ---------------------------------------------------------------------------- */

static uint32_t slot_of(uint64_t dev, uint64_t ino)
{
	return (uint32_t)((ino ^ dev * 31) * 0x9e3779b97f4a7c15u >> 48);
}

/* In another process, and handed over. Most filesystems have the number there that maps shows: then
 * it is not opened again. */
static bool was_seen(const struct walker *w, uint64_t dev, uint64_t ino)
{
	uint32_t slot = slot_of(dev, ino);

	return w->seen[slot].dev == dev && w->seen[slot].ino == ino;
}

static void note_seen(struct walker *w, uint64_t dev, uint64_t ino)
{
	uint32_t slot = slot_of(dev, ino);

	w->seen[slot].dev = dev;
	w->seen[slot].ino = ino;
}

static void tell_failed(void *ctx, const struct maps_file *file, int error)
{
	struct walk_failure f = { .dev = file->dev, .ino = file->ino, .error = (uint32_t)error };
	uint8_t body[512];
	struct assay_wr out = assay_wr(body, sizeof(body));

	assay_fmt(f.path, sizeof(f.path), "%s", file->path);
	walk_failure_encode(&f, &out);
	tell(ctx, WALK_FAILED, 0, assay_wr_done(&out));
}

/* An overlay's file may show as its layer's: what it is is seen when it is open. What is mounted
 * nowhere is not asked what it is: that may be a server of a user's. */
static bool skip_file(void *ctx, const struct maps_file *file)
{
	struct walker *w = ctx;
	const uint64_t dev = file->dev, ino = file->ino;
	uint32_t flags = walk_judge_flags(&w->judge, dev);

	if (w->error || (w->request.ino && (ino != w->request.ino || dev != w->request.dev)))
		return true;
	if (w->request.unknown && !walk_judge_knows(&w->judge, dev)) {
		tell_failed(w, file, ENODEV);
		return true;
	}
	w->counted += (flags & WALK_COUNT) != 0;
	if (!(flags & WALK_OPEN))
		return !(flags & (w->is_apart ? WALK_LOOK | WALK_LOOK_HERE : WALK_LOOK_HERE));
	return was_seen(w, dev, ino);
}

static int admit_file(void *ctx, const struct maps_file *file)
{
	struct walker *w = ctx;

	switch (walk_judge_file(&w->judge, file->pid, file->fd, &w->admitted)) {
	case WALK_SAFE:
		w->admitted.file.is_exe = file->is_exe;
		return !was_seen(w, w->admitted.st_dev, w->admitted.file.ino);
	case WALK_REMOTE:
		w->counted++;
		return 0;
	case WALK_LEAVE:
		return 0;
	default: /* what was only looked at concerns nobody who did not ask for all */
		return w->request.unknown || walk_judge_flags(&w->judge, file->dev) & WALK_OPEN
			       ? -ESTALE
			       : 0;
	}
}

static int add_file(void *ctx, const struct maps_file *file)
{
	struct walker *w = ctx;
	int fd = fcntl(file->fd, F_DUPFD_CLOEXEC, 0);

	if (fd < 0) {
		tell_failed(w, file, errno);
		return w->error;
	}
	w->file[w->files.n_fds] = w->admitted.file;
	w->files.fd[w->files.n_fds++] = fd;
	/* As what it is: what maps shows may have been another file when it was opened. */
	note_seen(w, w->admitted.st_dev, w->admitted.file.ino);
	if (w->files.n_fds == IPC_FDS_MAX)
		tell_files(w);
	return w->error;
}

static uint64_t mount_ns_of(uint32_t pid)
{
	char path[64];
	struct stat st;

	assay_fmt(path, sizeof(path), "/proc/%u/ns/mnt", (unsigned)pid);
	return stat(path, &st) == 0 ? st.st_ino : 0;
}

static void look_at_process(struct walker *w, uint32_t pid)
{
	const struct maps_walk walk = { .pid = (pid_t)pid,
					.skip = skip_file,
					.admit = admit_file,
					.each = add_file,
					.unreadable = tell_failed,
					.ctx = w };
	int r;

	tell(w, WALK_LOOKING, pid, assay_bytes_str(""));
	w->is_apart = w->judge.any & WALK_LOOK && mount_ns_of(pid) != w->mount_ns;
	r = w->error ? w->error : maps_walk(&walk);
	if (r < 0 && w->error == 0)
		w->error = r;
	tell_files(w);
}

/* ---- all ------------------------------------------------------------------------------------ */

/* The kernel lists them by number. */
static void walk(struct walker *w)
{
	const struct walk_request *r = &w->request;
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	uint64_t pid;

	if (!proc)
		w->error = -errno;
	while (w->error == 0 && (entry = readdir(proc))) {
		if (assay_num_parse(assay_bytes_str(entry->d_name), 10, INT32_MAX, &pid) < 0 ||
		    pid < r->first || pid > r->last || pid == r->except || pid == w->self)
			continue;
		look_at_process(w, (uint32_t)pid);
	}
	if (proc)
		closedir(proc);
	tell(w, WALK_DONE, w->counted, assay_bytes_str(""));
}

/* True: it may begin. */
static bool take(struct walker *w, const struct ipc_message *m)
{
	if (m->type == WALK_DEVICES)
		w->error = walk_judge_add(&w->judge, m->body);
	else
		w->error = m->type == WALK_GO ? walk_request_parse(m->body, &w->request) : -EBADMSG;
	return w->error == 0 && m->type == WALK_GO;
}

/*
 * It reads what the kernel says of processes, and opens what they have mapped. Before
 * CAP_CHECKPOINT_RESTORE CAP_SYS_ADMIN was for that: who is started by a unit of then has no other.
 */
int walk_sandbox(void)
{
	static const char *const calls[] = { "openat",	   "newfstatat", "fstat", "statx",
					     "fstatfs",	   "getdents64", "ioctl", "poll",
					     "readlinkat", "lseek",	 "fcntl", "recvmsg",
					     "sendmsg",	   NULL };
	const bool is_new = prctl(PR_CAPBSET_READ, CAP_CHECKPOINT_RESTORE, 0, 0, 0) == 1;
	const int restore = is_new ? CAP_CHECKPOINT_RESTORE : CAP_SYS_ADMIN;
	const struct assay_sandbox sandbox = {
		.uid = ASSAY_SANDBOX_SAME_ID,
		.keep_caps = 1ull << CAP_SYS_PTRACE | 1ull << CAP_DAC_READ_SEARCH | 1ull << restore,
		.max_files = IPC_SENDER_FILES,
		.all_paths = true,
		.only_reads = true,
		.only_ioctl = NS_GET_USERNS,
		.syscalls = calls,
	};

	return confine_process("walker", &sandbox);
}

int walk_process(void)
{
	static struct ipc_buffer buffer;
	static struct walker w;
	struct ipc_message m;
	bool begins = false;

	w.self = (uint32_t)getpid();
	w.mount_ns = mount_ns_of(w.self);
	walk_judge_init(&w.judge);
	if (walk_sandbox() < 0)
		return 1;
	while (!begins && w.error == 0 && ipc_receive(CHILD_SOCKET, &buffer, &m) == 0) {
		ipc_close_fds(&m);
		begins = take(&w, &m);
	}
	if (begins)
		walk(&w);
	/* Not exit(): what others registered for it was not written for a sandbox. */
	_exit(w.error < 0 && w.error != -EPIPE);
}
