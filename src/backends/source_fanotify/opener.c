/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "backends/source_fanotify/opener.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "base/fmt.h"
#include "base/macros.h"
#include "base/num.h"

/* 65,536 groups of ten digits, and the rest. */
#define STATUS_MAX (1u << 20)

static bool take_line(struct assay_bytes *text, struct assay_bytes *ret)
{
	const uint8_t *end;

	if (!text->len)
		return false;
	end = memchr(text->data, '\n', text->len);
	*ret = assay_bytes(text->data, end ? (size_t)(end - text->data) : text->len);
	*text = assay_bytes(text->data + ret->len, text->len - ret->len);
	if (end)
		*text = assay_bytes(text->data + 1, text->len - 1);
	return true;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

static bool take_word(struct assay_bytes *line, struct assay_bytes *ret)
{
	size_t from = 0, to;

	while (from < line->len && is_blank(line->data[from]))
		from++;
	for (to = from; to < line->len && !is_blank(line->data[to]);)
		to++;
	if (from == to)
		return false;
	*ret = assay_bytes(line->data + from, to - from);
	*line = assay_bytes(line->data + to, line->len - to);
	return true;
}

static bool take_number(struct assay_bytes *line, unsigned base, uint64_t max, uint64_t *ret)
{
	struct assay_bytes word;

	return take_word(line, &word) && assay_num_parse(word, base, max, ret) == 0;
}

/* "Uid: real effective saved filesystem" */
static bool take_ids(struct assay_bytes line, uint32_t *real, uint32_t *effective, uint32_t *saved)
{
	uint64_t id[3];

	for (size_t i = 0; i < 3; i++)
		if (!take_number(&line, 10, UINT32_MAX, &id[i]))
			return false;
	*real = (uint32_t)id[0];
	*effective = (uint32_t)id[1];
	*saved = (uint32_t)id[2];
	return true;
}

/* What was found in the lines of a status so far. */
struct status {
	struct assay_subject subject;
	unsigned have;
};
enum { HAVE_UID = 1, HAVE_GID = 2, HAVE_CAP = 4, HAVE_ALL = 7 };

static void take_status(struct assay_bytes line, struct status *ret)
{
	struct assay_subject *s = &ret->subject;
	struct assay_bytes key;
	uint64_t caps;

	if (!take_word(&line, &key))
		return;
	if (assay_bytes_is(key, "Uid:") && take_ids(line, &s->uid, &s->euid, &s->suid))
		ret->have |= HAVE_UID;
	if (assay_bytes_is(key, "Gid:") && take_ids(line, &s->gid, &s->egid, &s->sgid))
		ret->have |= HAVE_GID;
	if (assay_bytes_is(key, "CapEff:") && take_number(&line, 16, UINT64_MAX, &caps)) {
		s->cap_setuid = caps >> CAP_SETUID & 1;
		s->cap_setgid = caps >> CAP_SETGID & 1;
		ret->have |= HAVE_CAP;
	}
}

static int end_status(const struct status *s, struct assay_subject *ret)
{
	if (s->have != HAVE_ALL)
		return -EBADMSG;
	*ret = s->subject;
	return 0;
}

int assay_opener_parse_status(struct assay_bytes text, struct assay_subject *ret)
{
	struct status s = { 0 };
	struct assay_bytes line;

	while (take_line(&text, &line))
		take_status(line, &s);
	return end_status(&s, ret);
}

/* Whole lines at the begin of @buf; returns how many bytes they take. @within: of a line that is
 * longer than any that counts. */
static size_t take_lines(const char *buf, size_t len, bool *within, struct status *ret)
{
	struct assay_bytes text = assay_bytes(buf, len), line;

	while (text.len && memchr(text.data, '\n', text.len) && take_line(&text, &line)) {
		if (!*within)
			take_status(line, ret);
		*within = false;
	}
	return len - text.len;
}

int assay_opener_read_status(int fd, struct assay_subject *ret)
{
	struct status s = { 0 };
	size_t len = 0, sum = 0, taken;
	bool within = false;
	char buf[8192];
	ssize_t n;

	while (s.have != HAVE_ALL && sum < STATUS_MAX) {
		n = read(fd, buf + len, sizeof(buf) - len);
		if (n < 0)
			return -ESRCH;
		if (n == 0)
			break;
		len += (size_t)n;
		sum += (size_t)n;
		taken = take_lines(buf, len, &within, &s);
		len -= taken;
		memmove(buf, buf + taken, len);
		if (len == sizeof(buf)) { /* the groups */
			within = true;
			len = 0;
		}
	}
	return end_status(&s, ret);
}

static uint32_t access_of_flags(uint64_t flags)
{
	switch (flags & O_ACCMODE) {
	case O_RDONLY:
		return ASSAY_MAY_READ;
	case O_WRONLY:
		return ASSAY_MAY_WRITE;
	case O_RDWR:
		return ASSAY_MAY_READ | ASSAY_MAY_WRITE;
	}
	return 0;
}

static uint32_t access_of_syscall(uint64_t number, const uint64_t arg[3])
{
	switch (number) {
#ifdef SYS_open
	case SYS_open:
		return access_of_flags(arg[1]);
	case SYS_creat:
		return ASSAY_MAY_WRITE;
#endif
	case SYS_openat:
	case SYS_open_by_handle_at:
		return access_of_flags(arg[2]);
	case SYS_execve:
	case SYS_execveat:
		return ASSAY_MAY_EXEC;
	}
	return 0;
}

/* "NUMBER 0xARG0 ... 0xARG5 0xSP 0xPC", or "running". The numbers of a 32-bit program's open calls
 * are those of calls that open nothing here, so they are not mistaken for others. */
uint32_t assay_opener_parse_syscall(struct assay_bytes text)
{
	struct assay_bytes line;
	uint64_t number, arg[3];

	if (!take_line(&text, &line) || !take_number(&line, 10, UINT32_MAX, &number))
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(arg); i++)
		if (!take_number(&line, 16, UINT64_MAX, &arg[i]))
			return 0;
	return access_of_syscall(number, arg);
}

static int open_proc(int32_t tid, const char *what)
{
	char path[64];
	int fd;

	if (tid <= 0)
		return -ESRCH;
	assay_fmt(path, sizeof(path), "/proc/%d/%s", (int)tid, what);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -ESRCH : fd;
}

int assay_opener_subject(int32_t tid, struct assay_subject *ret)
{
	AUTO(fd) int fd = open_proc(tid, "status");

	return fd < 0 ? fd : assay_opener_read_status(fd, ret);
}

uint32_t assay_opener_access(int32_t tid)
{
	AUTO(fd) int fd = open_proc(tid, "syscall");
	char buf[256];
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf));

	return n < 0 ? 0 : assay_opener_parse_syscall(assay_bytes(buf, (size_t)n));
}

uint32_t assay_opener_user(int32_t tid)
{
	struct stat st;
	char path[32];

	assay_fmt(path, sizeof(path), "/proc/%d", (int)tid);
	return tid > 0 && stat(path, &st) == 0 ? st.st_uid : ASSAY_NO_USER;
}
