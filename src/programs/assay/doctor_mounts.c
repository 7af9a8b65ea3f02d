/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The filesystems that are mounted: each superblock once, what it can do, and which holes its type
 * is known for (docs/compatibility.md).
 */
#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sysmacros.h>

#include "backends/source_fanotify/mountinfo.h"
#include "base/hex.h"
#include "base/macros.h"
#include "engine/core/policy.h"
#include "programs/assay/doctor.h"
#include "programs/assay/doctor_fs.h"

#define MOUNTINFO_MAX (64u << 20)
#define MOUNTS_MAX    4096u /* filesystems */
#define TRY	      "Try it with scratch files."
#define LOOK_MS	      1500
#define WAIT_MS_MAX   15000 /* for all that do not answer */

/* What is known of a type. */
static const struct kind {
	const char *type;
	bool tested; /* permission events, ignore marks and leases work: tests/daemon */
	bool any_dev, memory;
	uint64_t magic; /* for one that cannot be looked at */
	const char *hole, *todo;
} kinds[] = {
	{ "ext4", .tested = true },
	{ "xfs", .tested = true },
	{ "btrfs", .tested = true, .any_dev = true },
	{ "tmpfs", .tested = true, .memory = true, .magic = TMPFS_MAGIC },
	{ "ramfs", .memory = true, .magic = RAMFS_MAGIC },
	{ "overlay", .tested = true, .any_dev = true,
	  .hole = "Its files are opened in the layers below too. On kernels that raise an event "
		  "for "
		  "whoever reads the overlay's (seen from 6.18 on) it is not watched, and they are "
		  "measured in the layers that are, by their names there; on others under both "
		  "names.",
	  .todo = "Nothing, if the policy means the layers too; assay status says whether it is "
		  "watched." },
	{ "vfat", .hole = "Files have no owner and no attributes, and all can be executed.",
	  .todo = "Mount it noexec." },
	{ "exfat", .hole = "Files have no owner and no attributes, and all can be executed.",
	  .todo = "Mount it noexec." },
	{ "ntfs3", .hole = "It is written by other systems too.", .todo = "Mount it noexec." },
	{ "zfs", .hole = "assayd was never tried on it.", .todo = TRY },
	{ "bcachefs", .hole = "assayd was never tried on it.", .todo = TRY },
};

static const struct kind *find_kind(const char *type)
{
	static const struct kind unknown = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (strcmp(kinds[i].type, type) == 0)
			return &kinds[i];
	return &unknown;
}

/* ---- gathering ------------------------------------------------------------------------------ */

static struct doctor_mount *find(struct doctor *d, uint64_t dev)
{
	for (size_t i = 0; i < d->n_mounts; i++)
		if (d->mount[i].dev == dev)
			return &d->mount[i];
	return NULL;
}

static void keep(struct doctor *d, const struct assay_mount *m)
{
	struct doctor_mount *at = find(d, m->dev), *more;

	if (at) {
		if (at->n_points < DOCTOR_POINTS)
			at->point[at->n_points++] = strdup(m->point);
		at->mounts++;
		return;
	}
	if (d->n_mounts % 64 == 0) {
		more = reallocarray(d->mount, d->n_mounts + 64, sizeof(*more));
		if (!more)
			return;
		d->mount = more;
	}
	at = &d->mount[d->n_mounts++];
	*at = (struct doctor_mount){ .dev = m->dev, .mounts = 1, .n_points = 1 };
	at->point[0] = strdup(m->point);
	snprintf(at->type, sizeof(at->type), "%s", m->type);
	snprintf(at->subtype, sizeof(at->subtype), "%s", m->subtype);
}

static int gather(struct doctor *d)
{
	AUTO(file) struct assay_file f = { 0 };
	struct assay_mount *m = malloc(sizeof(*m));
	struct assay_bytes rest;
	unsigned skipped = 0;
	int r = m ? doctor_read(d, "/proc/self/mountinfo", MOUNTINFO_MAX, &f) : -ENOMEM;

	for (rest = f.bytes;
	     r == 0 && d->n_mounts < MOUNTS_MAX && assay_mountinfo_next(&rest, m, &skipped);)
		keep(d, m);
	free(m);
	return r;
}

void doctor_mounts_done(struct doctor *d)
{
	for (size_t i = 0; i < d->n_mounts; i++)
		for (unsigned p = 0; p < d->mount[i].n_points; p++)
			free(d->mount[i].point[p]);
	free(d->mount);
	d->mount = NULL;
	d->n_mounts = 0;
}

/* ---- one ------------------------------------------------------------------------------------ */

static void look_at(struct doctor *d, struct doctor_mount *m, struct fs_look *ret)
{
	const struct kind *k = find_kind(m->type);
	struct fs_look_at what = {
		.n_points = m->n_points,
		.dev = m->dev,
		.any_dev = k->any_dev,
		.memory = k->memory && d->is_root,
		.far_away = assay_mount_is_remote(m->type),
	};
	int r;

	for (unsigned i = 0; i < m->n_points; i++)
		what.point[i] = m->point[i];
	*ret = fs_look_nothing(EBUSY);
	if (d->waited_ms >= WAIT_MS_MAX)
		return;
	r = doctor_child(fs_look, &what, ret, sizeof(*ret), LOOK_MS);
	if (r == 0)
		return;
	*ret = fs_look_nothing(-r);
	if (r == -ETIMEDOUT)
		d->waited_ms += LOOK_MS;
}

/* What the policy may match on. Of one that could not be looked at its type alone is known. */
static void judge_policy(const struct doctor *d, struct doctor_mount *m)
{
	struct assay_fs_facts facts = {
		.magic = m->magic,
		.name = assay_bytes_str(m->type),
		.subtype = assay_bytes_str(m->subtype),
	};

	memcpy(facts.uuid, m->uuid, sizeof(m->uuid));
	m->wanted = d->compiled && assay_policy_wants_fs(d->compiled, &facts);
}

static const char *word(int what)
{
	return what < 0 ? "not tried" : what == 0 ? "yes" : "no";
}

static json_t *tri(int what)
{
	return what < 0 ? json_null() : json_boolean(what == 0);
}

/* An overlay's is known to assayd alone, which has tried whether its kernel lets it. */
static json_t *watched(const struct doctor_mount *m)
{
	return m->watched && assay_mount_is_overlay(m->type) ? json_null()
							     : json_boolean(m->watched);
}

static json_t *facts_of(const struct doctor_mount *m, const struct fs_look *l)
{
	char device[32], uuid[33];

	snprintf(device, sizeof(device), "%u:%u", major(m->dev), minor(m->dev));
	assay_hex_encode(assay_bytes(l->uuid, 16), uuid);
	return json_pack("{s:s, s:s, s:s, s:i, s:b, s:o, s:s*, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
			 "type", m->type, "subtype", m->subtype, "device", device, "mounts",
			 (int)m->mounts, "wanted", m->wanted, "watched", watched(m), "uuid",
			 l->has_uuid ? uuid : NULL, "security_xattrs", tri(l->xattrs), "fs_verity",
			 tri(l->verity), "file_handles", tri(l->handles), "fanotify",
			 tri(l->notify), "permission_events", tri(l->permission), "ignore_marks",
			 tri(l->ignore), "leases", tri(l->lease));
}

/* Where only root may mount; anybody can call his own so. */
static bool is_view(const struct doctor_mount *m)
{
	return strcmp(m->type, "fuse") == 0 && strcmp(m->subtype, "assay") == 0 &&
	       strncmp(m->point[0], "/run/assay/", 11) == 0;
}

static void judge_view(const struct fs_look *l, struct doctor_advice *a)
{
	a->state = l->error ? DOCTOR_WARN : DOCTOR_OK;
	a->means = l->error ? "Nobody serves assayd's view." : NULL;
	a->todo = l->error ? "umount -l, and start assayd again." : NULL;
}

static void judge_far_away(const struct doctor_mount *m, const struct fs_look *l,
			   struct doctor_advice *a)
{
	a->state = m->wanted || l->error == ETIMEDOUT ? DOCTOR_WARN : DOCTOR_NOTE;
	a->means = "Another process or machine answers for its files, and may give others each "
		   "time they are read. assayd does not watch it; the list says so.";
	a->todo = l->error == ETIMEDOUT ? "Unmount it (umount -l), or bring its server back: who "
					  "opens a file there waits for it."
		  : m->wanted ? "Run nothing from there that must be measured; or a dont_measure "
				"rule for it, so that it is no gap."
			      : "Nothing, unless what is there must be measured.";
}

static void judge_closely(const struct doctor_mount *m, const struct fs_look *l,
			  struct doctor_advice *a)
{
	const struct kind *k = find_kind(m->type);

	if (l->notify > 0 || l->permission > 0) {
		a->state = m->wanted ? DOCTOR_WARN : DOCTOR_NOTE;
		a->means = "fanotify cannot mark it: assayd does not see what happens there.";
		a->todo = "Run nothing from there that must be measured; or a dont_measure rule "
			  "for it, so that it is no gap.";
	} else if (l->ignore > 0 || l->lease > 0) {
		a->state = m->wanted ? DOCTOR_WARN : DOCTOR_NOTE;
		a->means = "Every open there waits for a round trip to assayd.";
		a->todo = "Keep what is opened often on ext4, xfs or btrfs.";
	} else if (l->handles > 0 && m->wanted && assay_mount_is_overlay(m->type)) {
		a->state = DOCTOR_NOTE;
		a->means = k->hole;
		a->todo =
			"Mount it with index=on,nfs_export=on: where it is watched, its files are "
			"then forgotten one by one at a change of the policy.";
	} else if (l->handles > 0 && m->wanted) {
		a->state = DOCTOR_NOTE;
		a->means = "Without file handles assayd cannot forget its files one by one: at a "
			   "change of the policy an open may pass unasked.";
		a->todo = "Change the policy when nothing runs from there.";
	} else if (k->hole) {
		a->state = DOCTOR_NOTE;
		a->means = k->hole;
		a->todo = k->todo;
	}
}

static void say_error(struct doctor *d, const struct doctor_mount *m, const struct fs_look *l,
		      struct doctor_advice *a)
{
	a->state = l->error == ETIMEDOUT ? DOCTOR_WARN : DOCTOR_UNSEEN;
	if (l->covered) {
		a->state = m->wanted ? DOCTOR_WARN : DOCTOR_NOTE;
		a->means = "assayd cannot reach it to watch it; who has a file open there can.";
		a->todo = "Unmount one of the two.";
	} else if (l->error != ETIMEDOUT && !d->is_root) {
		a->todo = "Run it as root.";
	} else if (l->error == ETIMEDOUT) {
		a->means = "Who opens a file there waits, and whoever waits for that one.";
		a->todo = "Unmount it (umount -l), or bring its server back.";
	}
}

static const char *error_text(const struct fs_look *l)
{
	return l->covered	       ? "another filesystem is mounted over it"
	       : l->error == ETIMEDOUT ? "it does not answer"
	       : l->error == EBUSY     ? "not looked at: too many others do not answer"
				       : strerror(l->error);
}

static void report(struct doctor *d, struct doctor_mount *m, const struct fs_look *l)
{
	struct doctor_advice a = { .check = "filesystem", .subject = m->point[0] };
	const struct kind *k = find_kind(m->type);
	bool far_away = assay_mount_is_remote(m->type);
	struct doctor_finding *f;
	char tried[128] = "";

	if (is_view(m))
		judge_view(l, &a);
	else if (far_away)
		judge_far_away(m, l, &a);
	else if (l->error || l->covered)
		say_error(d, m, l, &a);
	else
		judge_closely(m, l, &a);
	if (l->permission >= 0)
		snprintf(tried, sizeof(tried), "permission events %s, ignore marks %s, leases %s",
			 word(l->permission), word(l->ignore), word(l->lease));
	else
		snprintf(
			tried, sizeof(tried),
			"permission events, ignore marks, leases: not tried, as that would write%s",
			k->tested ? "; they work on this type" : "");
	if (l->error || l->covered)
		f = doctor_add(d, &a, "%s: %s", m->type, error_text(l));
	else if (far_away)
		f = doctor_add(d, &a, "%s%s%s: it answers", m->type, *m->subtype ? "." : "",
			       m->subtype);
	else
		f = doctor_add(d, &a,
			       "%s%s, %u mount%s, %s; security attributes %s, fs-verity %s, file "
			       "handles %s, fanotify %s; %s",
			       m->type, l->read_only ? " (read-only)" : "", m->mounts,
			       m->mounts == 1 ? "" : "s",
			       m->wanted ? "the policy matches there" : "the policy passes it over",
			       word(l->xattrs), word(l->verity), word(l->handles), word(l->notify),
			       tried);
	doctor_facts(f, facts_of(m, l));
}

static void look_at_one(struct doctor *d, struct doctor_mount *m)
{
	struct fs_look l;

	look_at(d, m, &l);
	m->looked = !l.error && !l.covered;
	m->verity = m->looked && l.verity == 0;
	m->magic = l.magic ? l.magic : find_kind(m->type)->magic;
	if (l.has_uuid)
		memcpy(m->uuid, l.uuid, sizeof(m->uuid));
	m->watched = m->looked && !assay_mount_is_remote(m->type) && l.notify <= 0;
	judge_policy(d, m);
	report(d, m, &l);
}

/* ---- all ------------------------------------------------------------------------------------ */

static void report_made(struct doctor *d)
{
	static const struct doctor_advice advice = {
		.check = "made-filesystems",
		.subject = "filesystems made by the kernel",
	};
	char types[512] = "";
	unsigned n = 0;

	for (size_t i = 0; i < d->n_mounts; i++) {
		size_t len = strlen(types);

		if (!assay_mount_is_made(d->mount[i].type))
			continue;
		n++;
		if (!strstr(types, d->mount[i].type))
			snprintf(types + len, sizeof(types) - len, "%s%s", len ? ", " : "",
				 d->mount[i].type);
	}
	if (n)
		doctor_add(d, &advice, "%u (%s): not watched, their content is made as it is read",
			   n, types);
}

static void report_holes(struct doctor *d)
{
	static const struct doctor_advice advice = {
		.state = DOCTOR_NOTE,
		.check = "known-holes",
		.subject = "all filesystems",
		.means = "Not seen: a change through a shared mapping after a file was measured, "
			 "until it is written otherwise; and who writes to the disk underneath.",
		.todo = "fs-verity or dm-verity under what must not change.",
	};

	doctor_add(d, &advice, "what fanotify does not tell of any");
}

void doctor_mounts(struct doctor *d)
{
	int r = gather(d);

	if (r < 0) {
		doctor_unseen(d, "filesystem", "mounts", true, "/proc/self/mountinfo", -r);
		return;
	}
	if (*d->root) { /* they are not mounted here */
		doctor_mounts_done(d);
		return;
	}
	for (size_t i = 0; i < d->n_mounts; i++)
		if (!assay_mount_is_made(d->mount[i].type))
			look_at_one(d, &d->mount[i]);
	report_made(d);
	report_holes(d);
	doctor_namespaces(d);
}
