/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How probes look: files below a root, and a child for what may hang. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "base/fmt.h"
#include "base/num.h"
#include "programs/assay/doctor.h"

bool doctor_path(const struct doctor *d, const char *path, char ret[static 4096])
{
	return assay_fmt(ret, 4096, "%s%s", d->root, path) < 4096;
}

int doctor_read(const struct doctor *d, const char *path, size_t max, struct assay_file *ret)
{
	char whole[4096];

	if (!doctor_path(d, path, whole))
		return -ENAMETOOLONG;
	return assay_file_read(AT_FDCWD, whole, max, ret, NULL);
}

int doctor_read_line(const struct doctor *d, const char *path, char *ret, size_t size)
{
	AUTO(file) struct assay_file f = { 0 };
	int r = doctor_read(d, path, 65536, &f);
	size_t len = 0;

	if (r < 0)
		return r;
	while (len < f.bytes.len && f.bytes.data[len] != '\n')
		len++;
	return assay_fmt(ret, size, "%.*s", (int)len, (const char *)f.bytes.data) < size ? 0
											 : -E2BIG;
}

int doctor_read_number(const struct doctor *d, const char *path, uint64_t *ret)
{
	char line[64];
	int r = doctor_read_line(d, path, line, sizeof(line));

	return r < 0 ? r : assay_num_parse(assay_bytes_str(line), 10, UINT64_MAX, ret);
}

bool doctor_has(const struct doctor *d, const char *path)
{
	char whole[4096];

	return doctor_path(d, path, whole) && access(whole, F_OK) == 0;
}

/* ---- a child -------------------------------------------------------------------------------- */

/* Nothing of ours may stay open in it: who reads our output would wait for a child that hangs. */
static void leave_only(int fd)
{
	if (fd > 0)
		close_range(0, (unsigned)fd - 1, 0);
	close_range((unsigned)fd + 1, ~0u, 0);
}

static void be_child(void (*look)(const void *what, void *ret), const void *what, size_t size,
		     int fd)
{
	char answer[DOCTOR_ANSWER_MAX] = { 0 };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	leave_only(fd);
	look(what, answer);
	_exit(write(fd, answer, size) == (ssize_t)size ? 0 : 1);
}

/* Killed, it may still sleep in the kernel, for ever. */
static void end_child(pid_t pid)
{
	const struct timespec nap = { .tv_nsec = 5000000 };

	kill(pid, SIGKILL);
	for (int i = 0; i < 20 && waitpid(pid, NULL, WNOHANG) == 0; i++)
		nanosleep(&nap, NULL);
}

int doctor_child(void (*look)(const void *what, void *ret), const void *what, void *ret,
		 size_t size, unsigned limit_ms)
{
	char answer[DOCTOR_ANSWER_MAX];
	struct pollfd p = { .events = POLLIN };
	int fds[2], r = -EIO;
	pid_t pid;

	if (size > sizeof(answer))
		return -E2BIG;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		be_child(look, what, size, fds[1]);
	if (pid < 0)
		r = -errno;
	close(fds[1]);
	p.fd = fds[0];
	if (pid > 0 && poll(&p, 1, (int)limit_ms) == 0)
		r = -ETIMEDOUT;
	else if (pid > 0 && read(fds[0], answer, size) == (ssize_t)size)
		r = 0;
	close(fds[0]);
	if (pid > 0)
		end_child(pid);
	if (r == 0)
		memcpy(ret, answer, size);
	return r;
}
