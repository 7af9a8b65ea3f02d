/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/vouch/vouch_process.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "backends/source_fanotify/mountinfo.h"
#include "base/file.h"
#include "base/fmt.h"
#include "programs/assayd/process/confine.h"
#include "programs/assayd/process/ipc.h"
#include "programs/assayd/process/spawner.h"
#include "programs/assayd/vouch/vouch_listener.h"
#include "programs/assayd/vouch/vouch_msg.h"

#define PROGRAM_MAX (256 << 20) /* bytes: nothing that takes longer is a service's program */

struct vouch_state {
	const struct vouch_digester *digester; /* NULL: none */
	uint32_t root_major, root_minor;       /* where "/" is */
};

/* ---- one program ---------------------------------------------------------------------------- */

/* Asks no server: what it knows already will do. */
static int look_at_file(int fd, struct vouch_program *ret)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_INO | STATX_BTIME, &st) < 0)
		return -errno;
	*ret = (struct vouch_program){ .major = st.stx_dev_major,
				       .minor = st.stx_dev_minor,
				       .ino = st.stx_ino };
	if (st.stx_mask & STATX_BTIME) {
		ret->born_s = (uint64_t)st.stx_btime.tv_sec;
		ret->born_ns = st.stx_btime.tv_nsec;
	}
	return 0;
}

/* An O_PATH descriptor of what the process runs. Waits for who executes. */
static int open_program(pid_t pid, struct vouch_program *ret)
{
	AUTO(fd) int fd = -1;
	char link[64];
	int r;

	assay_fmt(link, sizeof(link), "/proc/%d/exe", (int)pid);
	fd = open(link, O_PATH | O_CLOEXEC);
	r = fd < 0 ? -errno : look_at_file(fd, ret);
	return r < 0 ? r : TAKE_FD(fd);
}

static void name_program(pid_t pid, char ret[static PATH_MAX])
{
	char link[64];
	ssize_t len;

	assay_fmt(link, sizeof(link), "/proc/%d/exe", (int)pid);
	len = readlinkat(AT_FDCWD, link, ret, PATH_MAX - 1);
	ret[len < 0 ? 0 : len] = '\0';
}

/* That some user's server answers for it is reason enough not to open it; where "/" is, nobody
 * would be here without that server. */
static int may_be_read(const struct vouch_state *s, int fd, const struct vouch_program *p)
{
	bool is_at_root = p->major == s->root_major && p->minor == s->root_minor;
	struct statfs fs;
	struct stat st;

	if (fstatfs(fd, &fs) < 0)
		return -errno;
	if (!is_at_root && assay_magic_is_remote((uint64_t)fs.f_type))
		return -EREMOTE;
	if (fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) && st.st_size <= PROGRAM_MAX ? 0 : -EFBIG;
}

static int digest_of(const struct vouch_state *s, int path_fd, enum assay_hash alg,
		     struct assay_digest *ret)
{
	AUTO(fd) int fd = -1;
	char link[64];

	assay_fmt(link, sizeof(link), "/proc/self/fd/%d", path_fd);
	fd = open(link, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	return fd < 0 ? -errno : s->digester->digest(s->digester->ctx, fd, alg, ret);
}

static int look(pid_t pid, struct vouch_told *ret)
{
	AUTO(fd) int fd = open_program(pid, &ret->program);

	if (fd < 0)
		return fd;
	name_program(pid, ret->path);
	return 0;
}

/* The digest is of what it ran before and behind. */
static int record(const struct vouch_state *s, pid_t pid, enum assay_hash alg,
		  struct vouch_told *ret)
{
	AUTO(fd) int fd = s->digester ? open_program(pid, &ret->program) : -EOPNOTSUPP;
	AUTO(fd) int behind = -1;
	struct vouch_program now;
	int r = fd < 0 ? fd : may_be_read(s, fd, &ret->program);

	if (r == 0) {
		name_program(pid, ret->path);
		r = digest_of(s, fd, alg, &ret->digest);
	}
	if (r == 0)
		r = behind = open_program(pid, &now);
	if (r < 0)
		return r;
	return vouch_program_is(&now, &ret->program) ? 0 : -ESTALE;
}

/* ---- the process ---------------------------------------------------------------------------- */

static int find_listener(const struct ipc_message *asked, pid_t *ret)
{
	char tcti[1024];

	if (asked->body.len == 0 || asked->body.len >= sizeof(tcti))
		return -EINVAL;
	memcpy(tcti, asked->body.data, asked->body.len);
	tcti[asked->body.len] = '\0';
	*ret = vouch_find_listener(tcti);
	return 0;
}

static int find_alg(const struct ipc_message *asked, enum assay_hash *ret)
{
	struct assay_rd in = assay_rd(asked->body);
	uint32_t alg;

	if (!assay_rd_u32(&in, &alg) || !assay_rd_end(&in) || alg >= ASSAY_HASH_COUNT)
		return -EINVAL;
	*ret = (enum assay_hash)alg;
	return 0;
}

static int answer(const struct vouch_state *s, const struct ipc_message *asked)
{
	static uint8_t body[PATH_MAX + 256];
	static struct vouch_told told;
	struct assay_wr w = assay_wr(body, sizeof(body));
	struct ipc_message m = { .type = VOUCH_TOLD, .id = asked->id };
	const pid_t pid = (pid_t)asked->id;
	enum assay_hash alg;

	told = (struct vouch_told){ 0 };
	if (asked->id == 0 || asked->id > INT32_MAX)
		return -EBADMSG;
	if (asked->type == VOUCH_PROGRAM)
		told.error = look(pid, &told);
	else if (asked->type == VOUCH_RECORD && (told.error = find_alg(asked, &alg)) == 0)
		told.error = record(s, pid, alg, &told);
	else if (asked->type == VOUCH_LISTENER)
		told.error = find_listener(asked, &told.listener);
	else if (asked->type != VOUCH_RECORD)
		return -EBADMSG;
	vouch_told_encode((enum vouch_message)asked->type, &told, &w);
	m.body = assay_wr_done(&w);
	return ipc_send(CHILD_SOCKET, &m);
}

/* It reads what the kernel says of processes, and what they run. */
int vouch_sandbox(void)
{
	static const char *const calls[] = { "openat",	"newfstatat", "fstat",	    "statx",
					     "fstatfs", "getdents64", "readlinkat", "lseek",
					     "fcntl",	"pread64",    "fadvise64",  "recvmsg",
					     "sendmsg", NULL };
	const struct assay_sandbox sandbox = {
		.uid = ASSAY_SANDBOX_SAME_ID,
		.keep_caps = 1ull << CAP_SYS_PTRACE | 1ull << CAP_DAC_READ_SEARCH,
		.max_files = 32,
		.all_paths = true,
		.only_reads = true,
		.syscalls = calls,
	};

	return confine_process("vouch", &sandbox);
}

int vouch_serve(const struct vouch_digester *digester)
{
	static struct ipc_buffer buffer;
	struct vouch_state s = { .digester = digester };
	struct ipc_message m;
	struct statx st;
	int r;

	if (statx(AT_FDCWD, "/", AT_STATX_DONT_SYNC, STATX_INO, &st) == 0) {
		s.root_major = st.stx_dev_major;
		s.root_minor = st.stx_dev_minor;
	}
	if (vouch_sandbox() < 0)
		return 1;
	while ((r = ipc_receive(CHILD_SOCKET, &buffer, &m)) == 0) {
		ipc_close_fds(&m);
		if (answer(&s, &m) < 0)
			break;
	}
	/* Not exit(): what others registered for it was not written for a sandbox. */
	_exit(r != -EPIPE);
}

int vouch_process(void)
{
	return vouch_serve(NULL);
}
