/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The process: an overlay of its own, watched with its layer, and somebody who opens a file of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/fanotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "programs/assayd/process/confine.h"
#include "programs/assayd/process/ipc.h"
#include "programs/assayd/scout/overlay_probe.h"

#define STAGE "/proc" /* a folder that is always there, to mount over */

static int make_folders(void)
{
	static const char *const folders[] = { "lower", "upper", "work", "both" };
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(folders); i++)
		r = mkdir(folders[i], 0700);
	if (r == 0)
		r = mknod("lower/file", S_IFREG | 0600, 0);
	return r;
}

/* An overlay of one file, that nobody else can see. */
static int make_overlay(void)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", STAGE, "tmpfs", 0, NULL) < 0 || chdir(STAGE) < 0 || make_folders() < 0)
		return -errno;
	if (mount("none", "both", "overlay", 0, "lowerdir=lower,upperdir=upper,workdir=work") < 0)
		return -errno;
	return 0;
}

static int watch_both(void)
{
	int group = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC, O_RDONLY | O_CLOEXEC);

	if (group < 0 ||
	    fanotify_mark(group, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_OPEN_PERM, AT_FDCWD,
			  "both") < 0 ||
	    fanotify_mark(group, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_OPEN_PERM, AT_FDCWD, ".") <
		    0)
		return -errno;
	return group;
}

static void *open_file(void *arg)
{
	int fd = open("both/file", O_RDONLY | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return arg;
}

/* Answers what comes until the opener is through. Does not return if the reader is asked. */
static int answer(int group, pthread_t opener)
{
	struct pollfd p = { .fd = group, .events = POLLIN };
	struct fanotify_event_metadata event[8];

	while (pthread_tryjoin_np(opener, NULL) != 0) {
		ssize_t n = poll(&p, 1, 1) == 1 ? read(group, event, sizeof(event)) : 0;

		for (ssize_t i = 0; i < n / (ssize_t)sizeof(event[0]); i++) {
			struct fanotify_response r = { .fd = event[i].fd, .response = FAN_ALLOW };

			if (write(group, &r, sizeof(r)) < 0)
				return -errno;
			close(event[i].fd);
		}
	}
	return 0;
}

static int tell(uint32_t type)
{
	return ipc_send(CHILD_SOCKET, &(struct ipc_message){ .type = type });
}

int overlay_probe_sandbox(void)
{
	static const char *const calls[] = { "openat", "poll", "ppoll", "sendmsg", NULL };
	const struct assay_sandbox sandbox = {
		.uid = ASSAY_SANDBOX_SAME_ID,
		.max_files = IPC_SENDER_FILES,
		.may_thread = true,
		.all_paths = true, /* the kernel opens the layer's file for who reads the event */
		.only_reads = true,
		.syscalls = calls,
	};

	return confine_process("overlay-probe", &sandbox);
}

int overlay_probe_process(void)
{
	AUTO(fd) int group = -1;
	pthread_t opener;

	if (make_overlay() < 0 || (group = watch_both()) < 0 || overlay_probe_sandbox() < 0 ||
	    tell(OVERLAY_PROBE_OPENS) < 0 || pthread_create(&opener, NULL, open_file, NULL) != 0 ||
	    answer(group, opener) < 0)
		return 1;
	/* Not exit(): what others registered for it was not written for a sandbox. */
	_exit(tell(OVERLAY_PROBE_DONE) < 0);
}
