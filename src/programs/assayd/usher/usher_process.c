/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The process: it opens one path after the other, and may hang at each. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "backends/source_fanotify/mountinfo.h"
#include "base/wr.h"
#include "programs/assayd/process/confine.h"
#include "programs/assayd/process/ipc.h"
#include "programs/assayd/usher/usher.h"

/* What is there is looked at while it is held: main is not to ask a server for anything. */
static int open_local(const char *path)
{
	AUTO(fd) int fd = open(path, O_PATH | O_CLOEXEC);
	struct statfs fs;

	if (fd < 0 || fstatfs(fd, &fs) < 0)
		return -errno;
	return assay_magic_is_remote((uint64_t)fs.f_type) ? -EREMOTEIO : TAKE_FD(fd);
}

static int answer(const struct ipc_message *asked)
{
	uint8_t body[4];
	struct assay_wr w = assay_wr(body, sizeof(body));
	struct ipc_message m = { .type = USHER_OPENED, .id = asked->id };
	char path[PATH_MAX];
	int fd, r;

	if (asked->type != USHER_OPEN || asked->body.len == 0 || asked->body.len >= sizeof(path))
		return -EBADMSG;
	memcpy(path, asked->body.data, asked->body.len);
	path[asked->body.len] = '\0';
	fd = open_local(path);
	if (fd < 0) {
		m.type = USHER_FAILED;
		assay_wr_u32(&w, (uint32_t)-fd);
		m.body = assay_wr_done(&w);
		return ipc_send(CHILD_SOCKET, &m);
	}
	m.fd[m.n_fds++] = fd;
	r = ipc_send(CHILD_SOCKET, &m);
	close(fd);
	return r;
}

int usher_sandbox(void)
{
	static const char *const calls[] = { "openat", "fstatfs", "recvmsg", "sendmsg", NULL };
	const struct assay_sandbox sandbox = {
		.uid = ASSAY_SANDBOX_SAME_ID,
		.keep_caps = 1ull << CAP_DAC_READ_SEARCH,
		.max_files = IPC_SENDER_FILES,
		.all_paths = true,
		.only_reads = true,
		.syscalls = calls,
	};

	return confine_process("usher", &sandbox);
}

int usher_process(void)
{
	static struct ipc_buffer buffer;
	struct ipc_message m = { .type = USHER_READY };
	int r = usher_sandbox() < 0 ? -EPERM : ipc_send(CHILD_SOCKET, &m);

	while (r == 0 && (r = ipc_receive(CHILD_SOCKET, &buffer, &m)) == 0) {
		ipc_close_fds(&m);
		r = answer(&m);
	}
	/* Not exit(): what others registered for it was not written for a sandbox. */
	_exit(r != -EPIPE);
}
