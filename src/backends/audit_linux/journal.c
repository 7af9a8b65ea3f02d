/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "backends/audit_linux/journal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>

#include "base/file.h"

/* Raw bytes of all texts, twice (MESSAGE names some again, at worst in hexadecimal), and keys. */
#define DATAGRAM_MAX (64u << 10)

struct assay_journal {
	struct sockaddr_un address;
	int fd;
	uint8_t datagram[DATAGRAM_MAX];
};

/* For "journalctl MESSAGE_ID=": a rule matched, and anything else. */
#define ID_RULE	  "8c2b7bd0a1f94f0e9be1f6a3c0d55a01"
#define ID_STATUS "8c2b7bd0a1f94f0e9be1f6a3c0d55a02"

int assay_journal_new(const char *path, struct assay_journal **ret)
{
	struct assay_journal *j;

	if (strlen(path) >= sizeof(j->address.sun_path))
		return -ENAMETOOLONG;
	j = calloc(1, sizeof(*j));
	if (!j)
		return -ENOMEM;
	j->fd = -1;
	j->address.sun_family = AF_UNIX;
	memcpy(j->address.sun_path, path, strlen(path) + 1);
	*ret = j;
	return 0;
}

void assay_journal_free(struct assay_journal *j)
{
	if (!j)
		return;
	if (j->fd >= 0)
		close(j->fd);
	free(j);
}

int assay_journal_fd(const struct assay_journal *j)
{
	return j->fd;
}

/* ---- the entry ------------------------------------------------------------------------------ */

/* With its length where a value could hold a line feed. */
static void put_bytes(struct assay_wr *w, const char *key, struct assay_bytes value)
{
	assay_wr_str(w, key);
	if (!memchr(value.data, '\n', value.len)) {
		assay_wr_str(w, "=");
	} else {
		assay_wr_str(w, "\n");
		assay_wr_u64(w, value.len); /* little-endian: w->big is not set */
	}
	assay_wr_bytes(w, value);
	assay_wr_str(w, "\n");
}

static void put_field(const struct assay_audit *r, enum assay_audit_field field, struct assay_wr *w)
{
	char name[32] = "ASSAY_";
	size_t n = strlen(name);

	for (const char *key = assay_audit_field_key(field); *key; key++)
		name[n++] = (char)(*key >= 'a' && *key <= 'z' ? *key - 'a' + 'A' : *key);
	name[n] = '\0';
	if (assay_audit_field_kind(field) == ASSAY_AUDIT_KIND_NUMBER)
		assay_wr_fmt(w, "%s=%llu\n", name, (unsigned long long)r->value[field].number);
	else if (r->value[field].text.len)
		put_bytes(w, name, r->value[field].text);
}

void assay_journal_encode(const struct assay_audit *r, struct assay_wr *w)
{
	bool rule = r->type == ASSAY_AUDIT_TYPE_RULE;
	bool bad = assay_audit_has(r, ASSAY_AUDIT_RES) && !r->value[ASSAY_AUDIT_RES].number;

	assay_wr_fmt(w, "MESSAGE_ID=%s\nPRIORITY=%d\nSYSLOG_IDENTIFIER=assayd\n",
		     rule ? ID_RULE : ID_STATUS, bad ? LOG_WARNING : LOG_INFO);
	/* The kernel's text has no line feed. */
	assay_wr_fmt(w, "MESSAGE=%s ", assay_audit_type_name(r->type));
	assay_audit_print(r, false, w);
	assay_wr_fmt(w, "\nASSAY_TYPE=%s\nASSAY_TIME=", assay_audit_type_name(r->type));
	assay_audit_time_print(r->time_us, w);
	assay_wr_str(w, "\n");
	for (unsigned i = 0; i < ASSAY_AUDIT_FIELD_COUNT; i++)
		if (assay_audit_has(r, (enum assay_audit_field)i))
			put_field(r, (enum assay_audit_field)i, w);
}

/* ---- the socket ----------------------------------------------------------------------------- */

static int reconnect(struct assay_journal *j)
{
	AUTO(fd) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const int size = 4 * (int)DATAGRAM_MAX;

	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (connect(fd, (struct sockaddr *)&j->address, sizeof(j->address)) < 0)
		return -errno;
	j->fd = TAKE_FD(fd);
	return 0;
}

int assay_journal_send(struct assay_journal *j, const struct assay_audit *r)
{
	struct assay_wr w = assay_wr(j->datagram, sizeof(j->datagram));
	int rc = j->fd < 0 ? reconnect(j) : 0;

	if (rc < 0)
		return rc;
	assay_journal_encode(r, &w);
	if (!assay_wr_ok(&w))
		return -E2BIG;
	if (send(j->fd, w.data, w.len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)w.len)
		return 0;
	rc = -errno;
	if (rc == -EAGAIN || rc == -ENOBUFS || rc == -EMSGSIZE)
		return rc == -EMSGSIZE ? -E2BIG : -EAGAIN;
	close(j->fd); /* who was there is gone; another may be */
	j->fd = -1;
	return rc;
}
