/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/process/ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/rd.h"
#include "base/wr.h"

/* From Linux 6.3 on; older headers lack it. */
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008u
#endif

#define ON_THE_WAY_TRIES 3000u /* of a millisecond */

#define SEALS		 (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/* Room for the descriptors of one packet. */
union ancillary {
	struct cmsghdr align;
	uint8_t data[CMSG_SPACE(sizeof(int) * IPC_FDS_MAX)];
};

int ipc_pair(int ret[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret) < 0 ? -errno : 0;
}

static void attach_fds(struct msghdr *h, union ancillary *space, const struct ipc_message *m)
{
	struct cmsghdr *c;

	if (m->n_fds == 0)
		return;
	memset(space, 0, sizeof(*space));
	h->msg_control = space;
	h->msg_controllen = CMSG_SPACE(sizeof(int) * m->n_fds);
	c = CMSG_FIRSTHDR(h);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * m->n_fds);
	memcpy(CMSG_DATA(c), m->fd, sizeof(int) * m->n_fds);
}

/*
 * Who has no capabilities may not send a descriptor while more than his own limit are on their way,
 * of all processes of his user: of root's, these are main's events and whatever else. It gets less
 * as they are taken.
 */
static ssize_t send_patiently(int socket, const struct msghdr *h)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	ssize_t n;

	for (unsigned tries = 0;; tries++) {
		n = sendmsg(socket, h, MSG_NOSIGNAL);
		if (n < 0 && errno == ETOOMANYREFS && tries < ON_THE_WAY_TRIES)
			nanosleep(&pause, NULL);
		else if (n >= 0 || errno != EINTR)
			return n;
	}
}

int ipc_send(int socket, const struct ipc_message *m)
{
	uint8_t head[IPC_HEAD_SIZE];
	struct assay_wr w = assay_wr(head, sizeof(head));
	struct iovec io[] = {
		{ .iov_base = head, .iov_len = sizeof(head) },
		{ .iov_base = (void *)m->body.data, .iov_len = m->body.len },
	};
	struct msghdr h = { .msg_iov = io, .msg_iovlen = m->body.len ? 2 : 1 };
	union ancillary space;
	ssize_t n;

	if (m->body.len > IPC_BODY_MAX || m->n_fds > IPC_FDS_MAX)
		return -E2BIG;
	assay_wr_u32(&w, m->type);
	assay_wr_u32(&w, (uint32_t)m->body.len);
	assay_wr_u64(&w, m->id);
	attach_fds(&h, &space, m);
	n = send_patiently(socket, &h);
	if (n >= 0)
		return 0;
	return errno == ECONNRESET ? -EPIPE : -errno;
}

/* All that came, whatever their number: what is not taken would stay open. */
static bool take_fds(struct msghdr *h, struct ipc_message *ret)
{
	bool fits = !(h->msg_flags & MSG_CTRUNC);

	ret->n_fds = 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (ret->n_fds < IPC_FDS_MAX)
				ret->fd[ret->n_fds++] = fd;
			else
				close(fd);
			fits &= i < IPC_FDS_MAX;
		}
	}
	return fits;
}

static bool parse(struct assay_bytes packet, struct ipc_message *ret)
{
	struct assay_rd in = assay_rd(packet);
	uint32_t len;

	return assay_rd_u32(&in, &ret->type) && assay_rd_u32(&in, &len) &&
	       assay_rd_u64(&in, &ret->id) && assay_rd_bytes(&in, len, &ret->body) &&
	       assay_rd_end(&in);
}

int ipc_receive(int socket, struct ipc_buffer *buffer, struct ipc_message *ret)
{
	union ancillary space;
	struct iovec io = { .iov_base = buffer->data, .iov_len = sizeof(buffer->data) };
	struct msghdr h = {
		.msg_iov = &io,
		.msg_iovlen = 1,
		.msg_control = &space,
		.msg_controllen = sizeof(space),
	};
	ssize_t n;

	do
		n = recvmsg(socket, &h, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	if (take_fds(&h, ret) && !(h.msg_flags & MSG_TRUNC) &&
	    parse(assay_bytes(buffer->data, (size_t)n), ret))
		return 0;
	ipc_close_fds(ret);
	/* A packet of no bytes cannot be told from the end, but for descriptors with it. */
	return n > 0 ? -EBADMSG : -EPIPE;
}

void ipc_close_fds(struct ipc_message *m)
{
	for (uint32_t i = 0; i < m->n_fds; i++)
		if (m->fd[i] >= 0)
			close(m->fd[i]);
	m->n_fds = 0;
}

int ipc_sealed(struct assay_bytes bytes)
{
	int fd = memfd_create("assayd", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL), r = 0;

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("assayd", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	for (size_t done = 0; r == 0 && done < bytes.len;) {
		ssize_t n = write(fd, bytes.data + done, bytes.len - done);

		if (n > 0)
			done += (size_t)n;
		else if (n == 0 || errno != EINTR)
			r = n == 0 ? -EIO : -errno;
	}
	if (r == 0 && fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		r = -errno;
	if (r == 0)
		return fd;
	close(fd);
	return r;
}

static bool is_sealed(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);

	return seals >= 0 && (seals & SEALS) == SEALS;
}

int ipc_read_sealed(int fd, size_t max, struct assay_file *ret)
{
	struct stat st;
	uint8_t *data;
	size_t size;

	if (!is_sealed(fd) || fstat(fd, &st) < 0 || st.st_size < 0)
		return -EBADMSG;
	size = (size_t)st.st_size;
	if (size > max)
		return -E2BIG;
	data = malloc(size + 1);
	if (!data)
		return -ENOMEM;
	/* Of memory, so it is all there at once. */
	if (pread(fd, data, size, 0) != (ssize_t)size) {
		free(data);
		return -EIO;
	}
	*ret = (struct assay_file){ .bytes = assay_bytes(data, size) };
	return 0;
}
