/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "backends/audit_linux/subject.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/fmt.h"
#include "base/num.h"

/* ---- texts ---------------------------------------------------------------------------------- */

/* Up to @end, which is taken too; the rest if there is none. */
static struct assay_bytes take_until(struct assay_bytes *text, char end)
{
	const uint8_t *at = text->len ? memchr(text->data, end, text->len) : NULL;
	size_t len = at ? (size_t)(at - text->data) : text->len;
	struct assay_bytes taken = assay_bytes(text->data, len);

	len += at != NULL;
	*text = assay_bytes(text->data + len, text->len - len);
	return taken;
}

static bool starts_with(struct assay_bytes text, const char *with)
{
	return text.len >= strlen(with) && memcmp(text.data, with, strlen(with)) == 0;
}

static struct assay_bytes without(struct assay_bytes text, size_t n)
{
	return assay_bytes(text.data + n, text.len - n);
}

/* Numbers after tabs, one for each of @field. */
static void set_numbers(struct assay_bytes line, const enum assay_audit_field *field, size_t n,
			struct assay_audit *ret)
{
	uint64_t number;

	(void)take_until(&line, '\t');
	for (size_t i = 0; i < n; i++)
		if (assay_num_parse(take_until(&line, '\t'), 10, UINT32_MAX, &number) == 0)
			assay_audit_set_number(ret, field[i], number);
}

void assay_audit_parse_status(struct assay_bytes text, struct assay_audit *ret)
{
	static const enum assay_audit_field tgid[] = { ASSAY_AUDIT_PID };
	static const enum assay_audit_field ppid[] = { ASSAY_AUDIT_PPID };
	static const enum assay_audit_field uid[] = { ASSAY_AUDIT_UID, ASSAY_AUDIT_EUID,
						      ASSAY_AUDIT_SUID, ASSAY_AUDIT_FSUID };
	static const enum assay_audit_field gid[] = { ASSAY_AUDIT_GID, ASSAY_AUDIT_EGID,
						      ASSAY_AUDIT_SGID, ASSAY_AUDIT_FSGID };

	while (text.len) {
		struct assay_bytes line = take_until(&text, '\n');

		if (starts_with(line, "Tgid:\t"))
			set_numbers(line, tgid, 1, ret);
		else if (starts_with(line, "PPid:\t"))
			set_numbers(line, ppid, 1, ret);
		else if (starts_with(line, "Uid:\t"))
			set_numbers(line, uid, 4, ret);
		else if (starts_with(line, "Gid:\t"))
			set_numbers(line, gid, 4, ret);
	}
}

/* As tty_name() has them, for the drivers that people log in by. */
static void print_tty(uint64_t device, char *tty)
{
	uint32_t major = (uint32_t)(device >> 8 & 0xfff);
	uint32_t minor = (uint32_t)((device & 0xff) | (device >> 12 & 0xfff00));

	if (device == 0)
		assay_fmt(tty, 32, "(none)");
	else if (major >= 136 && major <= 143)
		assay_fmt(tty, 32, "pts%u", (major - 136) * 256 + minor);
	else if (major == 4 && minor < 64)
		assay_fmt(tty, 32, "tty%u", minor);
	else if (major == 4)
		assay_fmt(tty, 32, "ttyS%u", minor - 64);
	else
		assay_fmt(tty, 32, "%u:%u", major, minor);
}

/* "PID (COMM) STATE PPID PGRP SESSION TTY_NR ..."; the name may hold anything, parentheses too. */
void assay_audit_parse_stat(struct assay_bytes text, char *tty, struct assay_audit *ret)
{
	const uint8_t *end = text.len ? memrchr(text.data, ')', text.len) : NULL;
	struct assay_bytes word = { 0 };
	uint64_t device;

	if (!end)
		return;
	text = without(text, (size_t)(end - text.data) + 1);
	for (unsigned i = 0; i < 6; i++)
		word = take_until(&text, ' ');
	if (assay_num_parse(word, 10, UINT32_MAX, &device) < 0)
		return;
	print_tty(device, tty);
	assay_audit_set_text(ret, ASSAY_AUDIT_TTY, assay_bytes_str(tty));
}

/* Container runtimes name a container by 64 hexadecimal digits. */
static bool is_container_id(struct assay_bytes name)
{
	for (size_t i = 0; i < name.len; i++) {
		uint8_t c = name.data[i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return false;
	}
	return name.len == 64;
}

/* One component of a cgroup's path. */
static struct assay_bytes container_of_name(struct assay_bytes name)
{
	static const char *const prefixes[] = { "machine-", "lxc.payload." };
	static const char scope[] = ".scope";

	if (name.len > strlen(scope) &&
	    memcmp(name.data + name.len - strlen(scope), scope, strlen(scope)) == 0)
		name.len -= strlen(scope);
	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
		if (starts_with(name, prefixes[i]))
			return without(name, strlen(prefixes[i]));
	/* "docker-ID", "cri-containerd-ID", "crio-ID", "libpod-ID", "SLICE:cri-containerd:ID" */
	if (name.len > 65 && strchr("-:", name.data[name.len - 65]))
		name = without(name, name.len - 64);
	return is_container_id(name) ? name : assay_bytes(NULL, 0);
}

struct assay_bytes assay_audit_container(struct assay_bytes cgroup)
{
	struct assay_bytes found = { 0 };

	/* The innermost counts: containers run in containers. */
	while (cgroup.len) {
		struct assay_bytes one = container_of_name(take_until(&cgroup, '/'));

		if (one.len)
			found = one;
	}
	return found;
}

/* Lines "ID:CONTROLLERS:PATH". The unified hierarchy is 0 and has no controllers; on a machine of
 * the old kind, where it holds nobody, systemd's own or that of memory tells more. */
void assay_audit_parse_cgroup(struct assay_bytes text, struct assay_audit *ret)
{
	struct assay_bytes best = { 0 }, container;

	while (text.len) {
		struct assay_bytes line = take_until(&text, '\n');
		struct assay_bytes id = take_until(&line, ':');
		struct assay_bytes controllers = take_until(&line, ':');

		if (assay_bytes_is(id, "0") || assay_bytes_is(controllers, "name=systemd") ||
		    assay_bytes_is(controllers, "memory"))
			best = line.len > best.len ? line : best;
	}
	if (!best.len)
		return;
	assay_audit_set_text(ret, ASSAY_AUDIT_CGROUP, best);
	container = assay_audit_container(best);
	if (container.len)
		assay_audit_set_text(ret, ASSAY_AUDIT_CONTAINER, container);
}

/* ---- /proc ---------------------------------------------------------------------------------- */

/* Where texts go that the record borrows. */
struct space {
	char *at;
	size_t left;
};

static struct assay_bytes keep(struct space *s, size_t len)
{
	struct assay_bytes kept = assay_bytes(s->at, len);

	s->at += len;
	s->left -= len;
	return kept;
}

/* At most @max bytes, at the space's begin; what is not kept is overwritten by the next. */
static struct assay_bytes read_text(int dir, const char *name, size_t max, const struct space *s)
{
	AUTO(fd) int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, s->at, max < s->left ? max : s->left);

	return assay_bytes(s->at, n < 0 ? 0 : (size_t)n);
}

static struct assay_bytes read_link(int dir, const char *name, const struct space *s)
{
	ssize_t n = readlinkat(dir, name, s->at, s->left);

	return assay_bytes(s->at, n < 0 ? 0 : (size_t)n);
}

/* A line by itself; the line end does not count, nor a NUL that some LSMs put there. */
static struct assay_bytes first_line(struct assay_bytes text)
{
	text = take_until(&text, '\n');
	return take_until(&text, '\0');
}

static void set_line(int dir, const char *name, enum assay_audit_field field, struct space *s,
		     struct assay_audit *ret)
{
	struct assay_bytes line = first_line(read_text(dir, name, 256, s));

	if (line.len)
		assay_audit_set_text(ret, field, keep(s, line.len));
}

static void set_number(int dir, const char *name, enum assay_audit_field field,
		       const struct space *s, struct assay_audit *ret)
{
	uint64_t number;

	if (assay_num_parse(first_line(read_text(dir, name, 32, s)), 10, UINT32_MAX, &number) == 0)
		assay_audit_set_number(ret, field, number);
}

/* "mnt:[4026531841]" */
static void set_namespace(int dir, const char *name, enum assay_audit_field field,
			  const struct space *s, struct assay_audit *ret)
{
	struct assay_bytes link = read_link(dir, name, s);
	uint64_t number;

	(void)take_until(&link, '[');
	if (assay_num_parse(take_until(&link, ']'), 10, UINT32_MAX, &number) == 0)
		assay_audit_set_number(ret, field, number);
}

static int open_task(int32_t tid)
{
	char path[32];

	if (tid <= 0)
		return -1;
	assay_fmt(path, sizeof(path), "/proc/%d", (int)tid);
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

void assay_audit_subject(int32_t tid, char space[static ASSAY_AUDIT_SUBJECT_SPACE],
			 struct assay_audit *ret)
{
	struct space s = { .at = space, .left = ASSAY_AUDIT_SUBJECT_SPACE };
	AUTO(fd) int dir = open_task(tid);
	struct assay_bytes got;
	struct stat st;

	if (dir < 0)
		return;
	assay_audit_set_number(ret, ASSAY_AUDIT_TID, (uint64_t)tid);
	if (fstat(dir, &st) == 0) { /* the directory is of who it is, effectively */
		assay_audit_set_number(ret, ASSAY_AUDIT_EUID, st.st_uid);
		assay_audit_set_number(ret, ASSAY_AUDIT_EGID, st.st_gid);
	}
	set_number(dir, "loginuid", ASSAY_AUDIT_AUID, &s, ret);
	set_number(dir, "sessionid", ASSAY_AUDIT_SES, &s, ret);
	got = read_text(dir, "comm", 256, &s);
	if (got.len) /* the name may hold line ends; the last one is not its own */
		assay_audit_set_text(ret, ASSAY_AUDIT_COMM, keep(&s, got.len - 1));
	got = read_text(dir, "cgroup", s.left, &s);
	assay_audit_parse_cgroup(keep(&s, got.len), ret);
}

void assay_audit_subject_slow(int32_t tid, char space[static ASSAY_AUDIT_SLOW_SPACE],
			      struct assay_audit *ret)
{
	struct space s = { .at = space, .left = ASSAY_AUDIT_SLOW_SPACE };
	AUTO(fd) int dir = open_task(tid);
	struct assay_bytes got;
	char *tty;

	if (dir < 0)
		return;
	/* What counts stands before the groups, of which there can be many. */
	assay_audit_parse_status(read_text(dir, "status", 4096, &s), ret);
	tty = (char *)(uintptr_t)keep(&s, 32).data;
	assay_audit_parse_stat(read_text(dir, "stat", 1024, &s), tty, ret);
	set_namespace(dir, "ns/mnt", ASSAY_AUDIT_MNTNS, &s, ret);
	set_namespace(dir, "ns/pid", ASSAY_AUDIT_PIDNS, &s, ret);
	set_line(dir, "attr/current", ASSAY_AUDIT_SUBJ, &s, ret);
	got = read_link(dir, "exe", &s);
	if (got.len)
		assay_audit_set_text(ret, ASSAY_AUDIT_EXE, keep(&s, got.len));
}
