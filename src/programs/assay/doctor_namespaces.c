/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Filesystems that are mounted in other mount namespaces alone: assayd has to search for them. To
 * look at a process of somebody else's may be to wait for him, so children look, a part each, and
 * write down what they find where we have it even if they hang.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "backends/source_fanotify/mountinfo.h"
#include "base/clock.h"
#include "base/macros.h"
#include "base/num.h"
#include "programs/assay/doctor.h"

#define NAMESPACES_MAX 512u
#define STRANGERS_MAX  4096u
#define MOUNTINFO_MAX  (16u << 20)
#define PART_MS	       300  /* that a child looks, and then another does */
#define LOOK_MS	       1500 /* then it hangs at the process that it is at */
#define HUNG_MAX       10u  /* and then no other is looked at */

/* Shared with the children. */
struct search {
	uint32_t at; /* the process that is looked at, or was the last one */
	bool is_over;
	unsigned hung;		    /* processes */
	ino_t seen[NAMESPACES_MAX]; /* the first is ours */
	unsigned n_seen, unread;
	uint64_t stranger[STRANGERS_MAX]; /* filesystems that we do not have */
	unsigned n_strangers;
	char first[128]; /* of them: type, pid, point */
	struct assay_mount mount;
};

static bool was_seen(struct search *s, ino_t ns)
{
	for (unsigned i = 0; i < s->n_seen; i++)
		if (s->seen[i] == ns)
			return true;
	if (s->n_seen < NAMESPACES_MAX)
		s->seen[s->n_seen++] = ns;
	return false;
}

static bool is_known(const struct doctor *d, const struct search *s, uint64_t dev)
{
	for (size_t i = 0; i < d->n_mounts; i++)
		if (d->mount[i].dev == dev)
			return true;
	for (unsigned i = 0; i < s->n_strangers; i++)
		if (s->stranger[i] == dev)
			return true;
	return false;
}

static void read_namespace(const struct doctor *d, struct search *s, const char *pid)
{
	AUTO(file) struct assay_file f = { 0 };
	struct assay_bytes rest;
	unsigned skipped = 0;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%.16s/mountinfo", pid);
	if (doctor_read(d, path, MOUNTINFO_MAX, &f) < 0)
		s->unread++;
	for (rest = f.bytes; assay_mountinfo_next(&rest, &s->mount, &skipped);) {
		if (assay_mount_is_made(s->mount.type) || is_known(d, s, s->mount.dev) ||
		    s->n_strangers == STRANGERS_MAX)
			continue;
		s->stranger[s->n_strangers++] = s->mount.dev;
		if (!s->first[0])
			snprintf(s->first, sizeof(s->first), "%.16s at %.64s, process %.16s",
				 s->mount.type, s->mount.point, pid);
	}
}

static void look_at_process(const struct doctor *d, struct search *s, const char *pid)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%.16s/ns/mnt", pid);
	if (stat(path, &st) < 0)
		s->unread += errno == EACCES || errno == EPERM;
	else if (!was_seen(s, st.st_ino))
		read_namespace(d, s, pid);
}

struct part {
	const struct doctor *doctor;
	struct search *search;
};

/* The kernel lists processes by their number, so who comes next goes on behind the last one. */
static void look_at_part(const void *what, void *ret)
{
	const struct part *part = what;
	struct search *s = part->search;
	uint64_t end_ms = assay_clock_ms() + PART_MS, pid;
	DIR *dir = opendir("/proc");
	struct dirent *e = NULL;
	struct stat st;

	if (s->at == 0 && stat("/proc/self/ns/mnt", &st) == 0)
		was_seen(s, st.st_ino);
	while (dir && (e = readdir(dir))) {
		if (assay_num_parse(assay_bytes_str(e->d_name), 10, INT32_MAX, &pid) < 0 ||
		    pid <= s->at)
			continue;
		s->at = (uint32_t)pid;
		look_at_process(part->doctor, s, e->d_name);
		if (assay_clock_ms() >= end_ms)
			break;
	}
	s->is_over = !dir || !e;
	if (dir)
		closedir(dir);
	*(char *)ret = 1;
}

static void walk(const struct doctor *d, struct search *s)
{
	const struct part part = { .doctor = d, .search = s };
	char unused;
	int r = 0;

	while (!s->is_over && s->hung < HUNG_MAX && (r == 0 || r == -ETIMEDOUT)) {
		r = doctor_child(look_at_part, &part, &unused, 1, LOOK_MS);
		s->hung += r == -ETIMEDOUT;
	}
}

static void report_hung(struct doctor *d, const struct search *s)
{
	const struct doctor_advice a = {
		.check = "held-processes",
		.subject = "processes",
		.state = DOCTOR_WARN,
		.means = "Whoever looks at them in /proc waits, as an exec of theirs waits for a "
			 "filesystem that does not answer: mount namespaces that only they are in "
			 "are not searched.",
		.todo = "Find the server that does not answer, mostly of FUSE or NFS, and end it.",
	};
	char rest[64] = "";
	struct doctor_finding *f;

	if (!s->is_over)
		snprintf(rest, sizeof(rest), "; behind process %u nobody was looked at", s->at);
	f = doctor_add(d, &a, "%u that keep who looks at them%s", s->hung, rest);
	doctor_facts(f, json_pack("{s:i, s:b}", "hung", (int)s->hung, "all", s->is_over));
}

static void report(struct doctor *d, const struct search *s)
{
	struct doctor_advice a = { .check = "other-namespaces", .subject = "mount namespaces" };
	struct doctor_finding *f;

	if (s->unread && !d->is_root) {
		doctor_unseen(d, a.check, a.subject, false, "/proc/PID/ns/mnt", EACCES);
		return;
	}
	if (s->n_strangers && d->conf.mount.n) {
		a.state = DOCTOR_WARN;
		a.means =
			"With mount= assayd watches what it names and no others: programs run from "
			"these unmeasured.";
		a.todo = "Name them, or take mount= out.";
	} else if (s->n_strangers) {
		a.state = DOCTOR_NOTE;
		a.means =
			"assayd searches for such ones: a new one goes unseen for the window that "
			"'assay status' states, and one of a namespace without a process for ever.";
		a.todo = "Nothing, where they are those of containers and services; else look at "
			 "what the first one is.";
	}
	f = doctor_add(d, &a, "%u others, with %u filesystems that are not mounted here%s%s%s",
		       s->n_seen ? s->n_seen - 1 : 0, s->n_strangers,
		       s->n_strangers ? " (the first: " : "", s->first, s->n_strangers ? ")" : "");
	doctor_facts(f, json_pack("{s:i, s:i}", "namespaces", (int)s->n_seen, "filesystems",
				  (int)s->n_strangers));
	if (s->hung)
		report_hung(d, s);
	else if (!s->is_over)
		doctor_unseen(d, a.check, a.subject, false, "/proc", EIO);
}

void doctor_namespaces(struct doctor *d)
{
	struct search *s =
		mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (s == MAP_FAILED)
		return;
	walk(d, s);
	report(d, s);
	munmap(s, sizeof(*s));
}
