/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Messages between the daemon's processes (docs/formats/ipc.md): one packet of a SOCK_SEQPACKET
 * socket each. Carries bytes and descriptors; knows nothing of what they mean. Whoever receives
 * checks every field, as the other side may be in an enemy's hands.
 */
#pragma once

#include "base/bytes.h"
#include "base/file.h"
#include "base/macros.h"

#define IPC_MESSAGE_MAX 16384u /* bytes, head included */
#define IPC_HEAD_SIZE	16u    /* u32 type, u32 length of the body, u64 id; native byte order */
#define IPC_BODY_MAX	(IPC_MESSAGE_MAX - IPC_HEAD_SIZE)
#define IPC_FDS_MAX	32u
/* RLIMIT_NOFILE of who sends descriptors as root, but without capabilities: the kernel holds it
 * against those on their way of all of root's processes. */
#define IPC_SENDER_FILES 65536u

struct ipc_message {
	uint32_t type;
	uint64_t id; /* of the request that this is, or that this answers; else 0 */
	struct assay_bytes body;
	int fd[IPC_FDS_MAX];
	uint32_t n_fds;
};

/* Room for one message that is received; the message borrows from it. */
struct ipc_buffer {
	_Alignas(8) uint8_t data[IPC_MESSAGE_MAX];
};

/* Two connected ends, close-on-exec. Returns 0 or -errno. */
int ipc_pair(int ret[2]);

/*
 * Blocks only if the socket does. The descriptors stay the caller's. Errors: -E2BIG, -EAGAIN the
 * other side has not read what was sent, -EPIPE it is gone.
 */
int ipc_send(int socket, const struct ipc_message *m) ASSAY_MUST_CHECK;

/*
 * Blocks only if the socket does. ret->fd are the caller's to close (ipc_close_fds()). Errors:
 * -EAGAIN nothing is there, -EPIPE the other side is gone, -EBADMSG not a message or more
 * descriptors than may be (those that came are closed).
 */
int ipc_receive(int socket, struct ipc_buffer *buffer, struct ipc_message *ret) ASSAY_MUST_CHECK;

/* Closes the descriptors of a message that was received and are still in it. */
void ipc_close_fds(struct ipc_message *m);

/* A memfd that holds @bytes and cannot be changed any more. Returns it, or -errno. */
int ipc_sealed(struct assay_bytes bytes);
/* What is in @fd, if it is such a one, so that the sender cannot change or shrink it while it is
 * read. Errors: -EBADMSG it is not; -E2BIG more than @max bytes; -ENOMEM, -EIO. */
int ipc_read_sealed(int fd, size_t max, struct assay_file *ret) ASSAY_MUST_CHECK;
