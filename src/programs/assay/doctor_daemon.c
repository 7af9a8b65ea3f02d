/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* assayd: its configuration, whether it runs and is well, and where its list lies. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <linux/magic.h>

#include "base/macros.h"
#include "formats/cmdline.h"
#include "programs/assay/doctor.h"
#include "programs/common/control_msg.h"

#define CONF_PATH  "/etc/assay/assayd.conf"
#define STATE_DIR  "/var/lib/assay/"
#define TIMEOUT_MS 3000
#define FREE_MIN   (256u << 20) /* bytes: some months of a busy server's list */
#define LOOK_MS	   2000

/* ---- configuration -------------------------------------------------------------------------- */

static void read_config(struct doctor *d)
{
	struct doctor_advice a = { .check = "configuration", .subject = "configuration" };
	const char *path = d->config ? d->config : CONF_PATH;
	AUTO(file) struct assay_file f = { 0 };
	struct assay_err err = { 0 };
	int r;

	assay_conf_init(&d->conf);
	r = d->config ? assay_file_read(AT_FDCWD, path, ASSAY_CONF_SIZE_MAX, &f, &err)
		      : doctor_read(d, path, ASSAY_CONF_SIZE_MAX, &f);
	if (r == -ENOENT && !d->config) {
		doctor_add(d, &a, "there is no %s: the defaults hold", path);
		return;
	}
	if (r < 0) {
		doctor_unseen(d, a.check, a.subject, true, path, -r);
		return;
	}
	if (assay_conf_parse(f.bytes, &d->conf, &err) == 0) {
		doctor_add(d, &a, "%s", path);
		return;
	}
	a.state = DOCTOR_BAD;
	a.means = "assayd does not start with it. What follows goes by the defaults.";
	a.todo = "Correct the line; 'assayd --check-config' says whether it is right then.";
	doctor_add(d, &a, "%s:%u:%u: %s", path, err.line, err.column, err.text);
}

/* "assay=" of assayd(8). */
static void look_at_order(struct doctor *d)
{
	struct doctor_advice a = { .check = "assay-order", .subject = "assay=" };
	AUTO(file) struct assay_file line = { 0 };
	struct assay_bytes value;
	bool obeyed = d->conf.kernel_cmdline == ASSAY_CONF_CMDLINE_OBEY, off;

	if (doctor_read(d, "/proc/cmdline", ASSAY_CMDLINE_SIZE_MAX, &line) < 0 ||
	    !assay_cmdline_get(line.bytes, "assay", &value))
		return;
	off = assay_bytes_is(value, "off");
	if (obeyed && (off || assay_bytes_is(value, "log"))) {
		a.state = off ? DOCTOR_BAD : DOCTOR_WARN;
		a.means = off ? "assayd watches nothing."
			      : "assayd denies nothing, and holds nobody.";
		a.todo = "Take it off the kernel's command line, or: kernel_cmdline = ignore.";
	}
	doctor_add(d, &a, "'%.*s' on the kernel's command line, %s", (int)value.len,
		   (const char *)value.data, obeyed ? "obeyed" : "ignored");
}

/* ---- the running one ------------------------------------------------------------------------ */

int doctor_ask(const struct doctor *d, const struct control_request *request, json_t **ret,
	       struct assay_err *err)
{
	return control_ask(d->control ? d->control : d->conf.control_socket, request, TIMEOUT_MS,
			   ret, err);
}

static void look_at_health(struct doctor *d)
{
	static const struct doctor_advice lost = {
		.state = DOCTOR_BAD,
		.check = "assayd-tpm",
		.subject = "assayd's TPM",
		.means =
			"Openers wait for it until their deadline, or go on with a gap in the list "
			"(on_tpm_loss).",
		.todo = "See assayd's log, and dmesg.",
	};
	static const struct doctor_advice full = {
		.state = DOCTOR_BAD,
		.check = "assayd-list",
		.subject = "assayd's list",
		.means = "What happens from now on is lost; the list will say that it was.",
		.todo = "Make room where list_dir is.",
	};
	static const struct doctor_advice uncovered = {
		.state = DOCTOR_WARN,
		.check = "assayd-uncovered",
		.subject = "assayd's coverage",
		.means = "Files there are opened and run unmeasured; the list says so.",
		.todo = "See 'assay status', and below.",
	};
	size_t n = json_array_size(json_object_get(d->status, "uncovered"));

	if (json_is_true(json_object_get(json_object_get(d->status, "anchor"), "tpm_lost")))
		doctor_add(d, &lost, "it is lost");
	if (json_is_true(json_object_get(json_object_get(d->status, "list"), "full")))
		doctor_add(d, &full, "it cannot grow");
	if (n)
		doctor_add(d, &uncovered,
			   "%zu filesystems are not watched, though the policy "
			   "could match there",
			   n);
}

static void look_at_daemon(struct doctor *d)
{
	struct doctor_advice a = { .check = "assayd", .subject = "assayd" };
	struct control_request request = { .op = CONTROL_STATUS };
	const char *version;
	struct assay_err err = { 0 };
	int r = doctor_ask(d, &request, &d->status, &err);

	if (r == 0) {
		version = json_string_value(json_object_get(d->status, "version"));
		doctor_add(d, &a, "running, version %s", version ? version : "unknown");
		look_at_health(d);
		return;
	}
	if (r == -EACCES) {
		doctor_unseen(d, a.check, a.subject, false, "the control socket", EACCES);
		return;
	}
	a.state = DOCTOR_WARN;
	a.means = r == -ENOENT || r == -ECONNREFUSED ? "Nothing is measured now." : NULL;
	a.todo = r == -ENOENT || r == -ECONNREFUSED ? "systemctl enable --now assayd"
						    : "See assayd's log.";
	doctor_add(d, &a, "%s", r == -ENOENT ? "not running" : err.text);
}

/* ---- its list ------------------------------------------------------------------------------- */

struct list_place {
	int error;
	bool above; /* it is about the folder above */
	uint64_t magic, free_bytes;
};

static void look_at_folder(const void *what, void *ret)
{
	const char *path = what, *slash = strrchr(path, '/');
	struct list_place *p = ret;
	char above[ASSAY_CONF_STRING_MAX];
	struct statfs s;

	p->error = statfs(path, &s) < 0 ? errno : 0;
	if (p->error == ENOENT && slash && slash != path) {
		snprintf(above, sizeof(above), "%.*s", (int)(slash - path), path);
		p->above = true;
		p->error = statfs(above, &s) < 0 ? errno : 0;
	}
	if (p->error)
		return;
	p->magic = (uint64_t)s.f_type;
	p->free_bytes = (uint64_t)s.f_bavail * (uint64_t)s.f_bsize;
}

static void judge_place(const char *dir, const struct list_place *p, struct doctor_advice *a)
{
	if (p->error == ENOENT && strncmp(dir, STATE_DIR, sizeof(STATE_DIR) - 1) == 0) {
		a->state = DOCTOR_NOTE;
		a->means = "assayd.service makes it; an assayd that is started otherwise does not.";
		a->todo = "Start it by its unit, or make the folder.";
	} else if (p->error == ENOENT) {
		a->state = DOCTOR_BAD;
		a->means = "assayd makes the folder of its list, but not the one above it.";
		a->todo = "Make it.";
	} else if (p->magic == TMPFS_MAGIC || p->magic == RAMFS_MAGIC) {
		a->state = DOCTOR_WARN;
		a->means = "The list is gone after a reboot, and nobody can tell what ran before.";
		a->todo = "Put list_dir on a disk.";
	} else if (p->free_bytes < FREE_MIN) {
		a->state = DOCTOR_WARN;
		a->means = "Once it is full nothing is recorded any more.";
		a->todo = "Make room.";
	}
}

static void look_at_list(struct doctor *d)
{
	struct doctor_advice a = { .check = "list-folder", .subject = "the list" };
	const char *dir = d->conf.list_dir;
	struct list_place p = { 0 };
	int r = doctor_child(look_at_folder, dir, &p, sizeof(p), LOOK_MS);

	if (r < 0 || (p.error && p.error != ENOENT)) {
		doctor_unseen(d, a.check, a.subject, true, dir, r < 0 ? -r : p.error);
		return;
	}
	judge_place(dir, &p, &a);
	if (p.error)
		doctor_add(d, &a, "%s: there is no folder for it", dir);
	else
		doctor_add(d, &a, "%s%s, %llu MiB free", dir, p.above ? " (not made yet)" : "",
			   (unsigned long long)(p.free_bytes >> 20));
}

/* ---- mount= --------------------------------------------------------------------------------- */

static void try_stat(const void *what, void *ret)
{
	struct stat st;

	*(int *)ret = stat(what, &st) < 0 ? errno : 0;
}

static void look_at_given(struct doctor *d)
{
	static const struct doctor_advice advice = {
		.state = DOCTOR_BAD,
		.check = "given-mount",
		.subject = "mount=",
		.means = "assayd does not start if a path of mount= is not there.",
		.todo = "Mount it first, or take the line out of the configuration.",
	};

	for (uint32_t i = 0; i < d->conf.mount.n; i++) {
		const char *path = d->conf.mount.value[i];
		int error = 0, r = doctor_child(try_stat, path, &error, sizeof(error), LOOK_MS);

		if (r < 0 || error)
			doctor_add(d, &advice, "%s: %s", path, strerror(r < 0 ? -r : error));
	}
}

void doctor_daemon(struct doctor *d)
{
	static doctor_probe *const probes[] = {
		read_config, look_at_order, look_at_daemon, look_at_list, look_at_given,
	};

	for (size_t i = 0; i < ARRAY_LEN(probes); i++)
		probes[i](d);
}
