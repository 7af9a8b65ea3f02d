/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Filesystems that are mounted in other mount namespaces alone: assayd has to search for them. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "backends/source_fanotify/mountinfo.h"
#include "base/macros.h"
#include "base/num.h"
#include "programs/assay/doctor.h"

#define NAMESPACES_MAX 512u
#define STRANGERS_MAX  4096u
#define MOUNTINFO_MAX  (16u << 20)

struct search {
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

static void walk(const struct doctor *d, struct search *s)
{
	DIR *dir = opendir("/proc");
	struct dirent *e;
	struct stat st;
	uint64_t pid;

	if (stat("/proc/self/ns/mnt", &st) == 0)
		was_seen(s, st.st_ino);
	while (dir && (e = readdir(dir))) {
		char path[64];

		if (assay_num_parse(assay_bytes_str(e->d_name), 10, INT32_MAX, &pid) < 0)
			continue;
		snprintf(path, sizeof(path), "/proc/%.16s/ns/mnt", e->d_name);
		if (stat(path, &st) < 0)
			s->unread += errno == EACCES || errno == EPERM;
		else if (!was_seen(s, st.st_ino))
			read_namespace(d, s, e->d_name);
	}
	if (dir)
		closedir(dir);
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
	}
	f = doctor_add(d, &a, "%u others, with %u filesystems that are not mounted here%s%s%s",
		       s->n_seen ? s->n_seen - 1 : 0, s->n_strangers,
		       s->n_strangers ? " (the first: " : "", s->first, s->n_strangers ? ")" : "");
	doctor_facts(f, json_pack("{s:i, s:i}", "namespaces", (int)s->n_seen, "filesystems",
				  (int)s->n_strangers));
}

void doctor_namespaces(struct doctor *d)
{
	struct search *s = calloc(1, sizeof(*s));

	if (!s)
		return;
	walk(d, s);
	report(d, s);
	free(s);
}
