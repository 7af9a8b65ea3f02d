/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Looks at what is there without asking it (O_PATH), and opens that, if it is a regular file. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fmt.h"
#include "base/wr.h"
#include "programs/assayd/fetch/fetch.h"
#include "programs/assayd/process/confine.h"
#include "programs/assayd/process/ipc.h"

/*
 * A descriptor of the sealed content. The file stays open until the process ends, when this has
 * been told: to close a file of FUSE waits for who writes to it, which on kernels like 6.1 is who
 * waits for us, if it is the view's own.
 */
static int fetch(const char *path, size_t max)
{
	AUTO(fd) int place = open(path, O_PATH | O_CLOEXEC);
	AUTO(file) struct assay_file file = { 0 };
	struct stat st;
	char link[64];
	int fd, r;

	if (place < 0 || fstat(place, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	assay_fmt(link, sizeof(link), "/proc/self/fd/%d", place);
	fd = open(link, O_RDONLY | O_CLOEXEC);
	r = fd < 0 ? -errno : assay_file_read_fd(fd, path, max, &file, NULL);
	return r < 0 ? r : ipc_sealed(file.bytes);
}

static int reply(int r)
{
	uint8_t body[4];
	struct assay_wr w = assay_wr(body, sizeof(body));
	struct ipc_message m = { .type = r < 0 ? FETCH_FAILED : FETCH_DONE, .n_fds = r >= 0 };

	m.fd[0] = r;
	if (r < 0)
		assay_wr_u32(&w, (uint32_t)-r);
	m.body = assay_wr_done(&w);
	return ipc_send(CHILD_SOCKET, &m);
}

/* Any path, as root would read it; and nothing but to read. */
int fetch_sandbox(void)
{
	static const char *const calls[] = { "openat",	"fstat",   "newfstatat",   "lseek", "fcntl",
					     "recvmsg", "sendmsg", "memfd_create", NULL };
	const struct assay_sandbox sandbox = {
		.uid = ASSAY_SANDBOX_SAME_ID,
		.keep_caps = 1ull << CAP_DAC_READ_SEARCH,
		.max_files = IPC_SENDER_FILES,
		.max_file_size = 64u << 20,
		.all_paths = true,
		.only_reads = true,
		.syscalls = calls,
	};

	return confine_process("fetch", &sandbox);
}

int fetch_process(void)
{
	static struct ipc_buffer buffer;
	struct ipc_message m;
	char path[PATH_MAX];

	if (fetch_sandbox() < 0 || ipc_receive(CHILD_SOCKET, &buffer, &m) < 0)
		return EXIT_FAILURE;
	if (m.type != FETCH_FILE || m.n_fds || m.body.len == 0 || m.body.len >= sizeof(path))
		return EXIT_FAILURE;
	memcpy(path, m.body.data, m.body.len);
	path[m.body.len] = '\0';
	/* Not exit(): what others registered for it was not written for a sandbox. */
	_exit(reply(fetch(path, m.id)) < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}
