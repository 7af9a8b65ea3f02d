/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "backends/audit_linux/kernel_log.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/macros.h"

#define AUDIT_TRUSTED_APP 1121 /* libaudit.h: "Trusted app msg - freestyle text" */
#define ANSWER_MS	  5000

struct assay_kernel_log {
	int fd;
	uint32_t sequence;
	struct {
		struct nlmsghdr head;
		uint8_t text[ASSAY_AUDIT_MESSAGE_MAX + 1];
	} message;
};

int assay_kernel_log_new(struct assay_kernel_log **ret)
{
	struct assay_kernel_log *k = calloc(1, sizeof(*k));
	int r;

	if (!k)
		return -ENOMEM;
	k->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_AUDIT);
	if (k->fd < 0) {
		r = -errno;
		free(k);
		return r;
	}
	*ret = k;
	return 0;
}

void assay_kernel_log_free(struct assay_kernel_log *k)
{
	if (!k)
		return;
	close(k->fd);
	free(k);
}

void assay_kernel_log_encode(const struct assay_audit *r, struct assay_wr *w)
{
	static const enum assay_audit_field least[] = { ASSAY_AUDIT_CGROUP, ASSAY_AUDIT_POLICY,
							ASSAY_AUDIT_EXE };
	struct assay_audit shorter = *r;
	struct assay_wr begin = *w;

	for (size_t i = 0;; i++) {
		/* The kernel's type is not ours to send, so it is said here. */
		if (!assay_audit_has(r, ASSAY_AUDIT_OP))
			assay_wr_fmt(w, "op=%s ", assay_audit_type_name(r->type));
		assay_audit_print(&shorter, true, w);
		if (assay_wr_ok(w) || i == ARRAY_LEN(least))
			return;
		if (assay_audit_has(r, least[i]))
			assay_audit_set_text(&shorter, least[i], assay_bytes_str("<too_long>"));
		*w = begin;
	}
}

/* 0 once the kernel has said so of this message. */
static int take_answer(struct assay_kernel_log *k)
{
	struct {
		struct nlmsghdr head;
		struct nlmsgerr error;
		uint8_t rest[sizeof(k->message)]; /* it repeats what was sent */
	} answer;
	struct pollfd p = { .fd = k->fd, .events = POLLIN };
	ssize_t n;

	for (;;) {
		if (poll(&p, 1, ANSWER_MS) == 0)
			return -ETIMEDOUT;
		n = recv(k->fd, &answer, sizeof(answer), MSG_DONTWAIT);
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
		if (n >= (ssize_t)(sizeof(answer.head) + sizeof(int)) &&
		    answer.head.nlmsg_type == NLMSG_ERROR && answer.head.nlmsg_seq == k->sequence)
			return answer.error.error;
	}
}

int assay_kernel_log_send(struct assay_kernel_log *k, const struct assay_audit *r)
{
	const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	struct assay_wr w = assay_wr(k->message.text, ASSAY_AUDIT_MESSAGE_MAX);

	assay_kernel_log_encode(r, &w);
	if (!assay_wr_ok(&w))
		return -E2BIG;
	k->message.text[w.len] = '\0';
	k->message.head = (struct nlmsghdr){
		.nlmsg_len = (uint32_t)NLMSG_LENGTH(w.len + 1),
		.nlmsg_type = AUDIT_TRUSTED_APP,
		.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
		.nlmsg_seq = ++k->sequence,
	};
	if (sendto(k->fd, &k->message, k->message.head.nlmsg_len, MSG_NOSIGNAL,
		   (const struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		return -errno;
	return take_answer(k);
}
