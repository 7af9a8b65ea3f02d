/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What fanotify can do here. Groups are made and closed; the only thing that is ever marked is a
 * memfd of our own, which nobody else can open.
 */
#include <errno.h>
#include <stdio.h>
#include <fcntl.h>
#include <sys/fanotify.h>
#include <sys/mman.h>

#include "base/macros.h"
#include "programs/assay/doctor.h"

/* Of kernels newer than the headers. */
#define REPORT_PIDFD	0x80	 /* 5.15 */
#define MARK_EVICTABLE	0x200	 /* 5.19 */
#define PRE_ACCESS	0x100000 /* 6.14 */
#define REPORT_FD_ERROR 0x2000	 /* 6.13 */
#define REPORT_MNT	0x4000	 /* 6.15 */
#define MFD_NOEXEC	0x8	 /* 6.3 */

#define CONTENT		(FAN_CLASS_CONTENT | FAN_UNLIMITED_QUEUE | FAN_UNLIMITED_MARKS)

/* 0, or the errno of making a group, and of marking @fd if it is one. */
static int try_fanotify(unsigned group, unsigned mark, uint64_t mask, int fd)
{
	AUTO(fd)
	int g = fanotify_init(group | FAN_CLOEXEC | FAN_NONBLOCK, O_RDONLY | O_CLOEXEC);

	if (g < 0)
		return errno;
	if (mask && fanotify_mark(g, FAN_MARK_ADD | mark, mask, fd, NULL) < 0)
		return errno;
	return 0;
}

static int make_memfd(void)
{
	int fd = memfd_create("assay-doctor", MFD_CLOEXEC | MFD_NOEXEC);

	return fd >= 0 || errno != EINVAL ? fd : memfd_create("assay-doctor", MFD_CLOEXEC);
}

static void look_at_permission(struct doctor *d, int error)
{
	struct doctor_advice a = {
		.check = "fanotify-permission",
		.subject = "fanotify permission events",
		.needed = true,
	};

	if (error == EPERM && !d->is_root) {
		doctor_unseen(d, a.check, a.subject, true, "fanotify_init(2)", error);
		return;
	}
	if (error == 0) {
		doctor_add(d, &a, "there, with unlimited queue and marks");
		return;
	}
	a.state = DOCTOR_BAD;
	a.means = "assayd cannot start: nothing is measured.";
	a.todo = error == EPERM ? "Run it outside of containers: it needs CAP_SYS_ADMIN of the "
				  "machine itself."
				: "Boot a kernel with CONFIG_FANOTIFY_ACCESS_PERMISSIONS.";
	doctor_add(d, &a, "not to be had: %s", strerror(error));
}

static void look_at_ignore_marks(struct doctor *d, int fd)
{
	struct doctor_advice a = { .check = "fanotify-ignore", .subject = "fanotify ignore marks" };
	int evictable =
		try_fanotify(CONTENT, FAN_MARK_IGNORED_MASK | MARK_EVICTABLE, FAN_OPEN_PERM, fd);
	int plain = try_fanotify(CONTENT, FAN_MARK_IGNORED_MASK, FAN_OPEN_PERM, fd);

	if (plain) {
		a.state = DOCTOR_WARN;
		a.means = "Every open of every file waits for a round trip to assayd.";
	} else if (evictable) {
		a.state = DOCTOR_NOTE;
		a.means = "The kernel keeps the inode of every known file in memory.";
		a.todo = "From 5.19 on it can drop such marks when memory is short.";
	}
	doctor_facts(doctor_add(d, &a, "%s",
				plain	    ? strerror(plain)
				: evictable ? "there, not evictable"
					    : "there, and evictable"),
		     json_pack("{s:b, s:b}", "there", !plain, "evictable", !evictable));
}

/* What newer kernels have, and what it is without. */
static const struct extra {
	const char *name, *key; /* of the report's text: with what assayd uses */
	unsigned group, mark;
	uint64_t mask;
} extras[] = {
	{ "the opener as pidfd", "pidfd", FAN_CLASS_CONTENT | REPORT_PIDFD, 0, 0 },
	{ "errors of single events (used)", "fd_error", FAN_CLASS_CONTENT | REPORT_FD_ERROR, 0, 0 },
	{ "mount events (used)", "mount_events", FAN_CLASS_NOTIF | REPORT_MNT, 0, 0 },
	{ "pre-content events", "pre_content", FAN_CLASS_PRE_CONTENT, 0, PRE_ACCESS },
};

static void look_at_extras(struct doctor *d, int fd)
{
	static const struct doctor_advice advice = {
		.check = "fanotify-extras",
		.subject = "fanotify of newer kernels",
	};
	char there[256] = "", not_there[256] = "";
	json_t *facts = json_object();

	for (size_t i = 0; i < ARRAY_LEN(extras); i++) {
		const struct extra *e = &extras[i];
		int error = try_fanotify(e->group, e->mark, e->mask, fd);
		bool has = error != EINVAL; /* of a memfd it may be refused otherwise */
		char *to = has ? there : not_there;
		size_t n = strlen(to);

		snprintf(to + n, sizeof(there) - n, "%s%s", n ? ", " : "", e->name);
		json_object_set_new(facts, e->key, json_boolean(has));
	}
	doctor_facts(doctor_add(d, &advice, "has: %s; has not: %s", there[0] ? there : "nothing",
				not_there[0] ? not_there : "nothing"),
		     facts);
}

void doctor_fanotify(struct doctor *d)
{
	AUTO(fd) int fd = make_memfd();
	int error =
		fd < 0 ? errno : try_fanotify(CONTENT, 0, FAN_OPEN_PERM | FAN_OPEN_EXEC_PERM, fd);

	look_at_permission(d, error);
	if (error)
		return;
	look_at_ignore_marks(d, fd);
	look_at_extras(d, fd);
}
