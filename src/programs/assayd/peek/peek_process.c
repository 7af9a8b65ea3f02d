/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/peek/peek_process.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/capability.h>
#include <sys/resource.h>
#include <unistd.h>

#include "backends/audit_linux/subject.h"
#include "backends/source_fanotify/opener.h"
#include "programs/assayd/peek/peek_msg.h"
#include "programs/assayd/process/confine.h"
#include "programs/assayd/process/ipc.h"
#include "programs/assayd/process/spawner.h"

static int answer(const struct ipc_message *asked)
{
	static uint8_t body[ASSAY_AUDIT_SLOW_SPACE];
	char space[ASSAY_AUDIT_SLOW_SPACE];
	struct assay_wr w = assay_wr(body, sizeof(body));
	struct ipc_message m = { .type = PEEK_TOLD, .id = asked->id };
	struct assay_audit r = { 0 };
	struct peek_opener o = { 0 };

	if (asked->body.len || asked->id == 0 || asked->id > INT32_MAX)
		return -EBADMSG;
	switch (asked->type) {
	case PEEK_OPENER:
		o.access = assay_opener_access((int32_t)asked->id);
		o.seen = assay_opener_subject((int32_t)asked->id, &o.subject) == 0;
		peek_opener_encode(&o, &w);
		break;
	case PEEK_AUDIT:
		assay_audit_subject_slow((int32_t)asked->id, space, &r);
		peek_audit_encode(&r, &w);
		break;
	default:
		return -EBADMSG;
	}
	m.body = assay_wr_done(&w);
	return ipc_send(CHILD_SOCKET, &m);
}

int peek_sandbox(void)
{
	static const char *const calls[] = { "openat", "readlinkat", "recvmsg", "sendmsg", NULL };
	const struct assay_sandbox sandbox = {
		.uid = ASSAY_SANDBOX_SAME_ID,
		.keep_caps = 1ull << CAP_SYS_PTRACE | 1ull << CAP_DAC_READ_SEARCH,
		.max_files = 16,
		.all_paths = true,
		.only_reads = true,
		.syscalls = calls,
	};

	return confine_process("peek", &sandbox);
}

int peek_process(void)
{
	static struct ipc_buffer buffer;
	struct ipc_message m;
	int r;

	/* The loop waits for it, which comes first too. Nothing is lost if it is refused. */
	(void)setpriority(PRIO_PROCESS, 0, -20);
	if (peek_sandbox() < 0 ||
	    ipc_send(CHILD_SOCKET, &(struct ipc_message){ .type = PEEK_READY }) < 0)
		return EXIT_FAILURE;
	while ((r = ipc_receive(CHILD_SOCKET, &buffer, &m)) == 0) {
		ipc_close_fds(&m);
		if (answer(&m) < 0)
			break;
	}
	/* Not exit(): what others registered for it was not written for a sandbox. */
	_exit(r == -EPIPE ? EXIT_SUCCESS : EXIT_FAILURE);
}
