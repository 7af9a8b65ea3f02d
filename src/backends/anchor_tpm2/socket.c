/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A TCTI of our own for "swtpm:path=P" and "swtpm:host=H,port=N": commands and replies bare on a
 * stream socket. tpm2-tss has one too, which ignores every time-out (3.2, 4.0), so that a stopped
 * TPM stops the daemon; this one keeps them. The control channel is not used.
 */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "backends/anchor_tpm2/private.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/rd.h"

#define SOCKET_MAGIC 0x617373617973776bu
#define SOCKET_PORT  "2321"
#define REPLY_HEAD   10u /* tag, size, response code */
#define REPLY_MAX    4096u

/* Begins like every TCTI context, so that tpm2-tss can take it for one. */
struct tpm2_socket {
	TSS2_TCTI_CONTEXT_COMMON_V2 common;
	int fd;
	bool pending; /* a command was sent, its reply was not taken */
	size_t have;  /* bytes of @reply */
	uint8_t reply[REPLY_MAX];
};

static TSS2_RC transmit(TSS2_TCTI_CONTEXT *context, size_t size, const uint8_t *command)
{
	struct tpm2_socket *s = (struct tpm2_socket *)context;

	if (s->pending)
		return TSS2_TCTI_RC_BAD_SEQUENCE;
	for (size_t at = 0; at < size;) {
		ssize_t n = send(s->fd, command + at, size - at, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return TSS2_TCTI_RC_IO_ERROR;
		at += (size_t)n;
	}
	s->pending = true;
	s->have = 0;
	return TSS2_RC_SUCCESS;
}

/* The reply's length, as its head says; the head's until that is there. 0: nonsense. */
static size_t reply_size(const struct tpm2_socket *s)
{
	struct assay_rd in = assay_rd(assay_bytes(s->reply, s->have));
	uint16_t tag;
	uint32_t size;

	in.big = true;
	if (s->have < REPLY_HEAD)
		return REPLY_HEAD;
	if (!assay_rd_u16(&in, &tag) || !assay_rd_u32(&in, &size))
		return 0;
	return size < REPLY_HEAD || size > REPLY_MAX ? 0 : size;
}

/* Reads what is there. False: the other side is gone. */
static bool read_some(struct tpm2_socket *s, size_t want)
{
	ssize_t n = recv(s->fd, s->reply + s->have, want - s->have, MSG_DONTWAIT);

	if (n < 0)
		return errno == EINTR || errno == EAGAIN;
	s->have += (size_t)n;
	return n > 0;
}

static TSS2_RC gather(struct tpm2_socket *s, int32_t timeout_ms)
{
	int32_t left = timeout_ms;
	uint64_t now = assay_clock_ms(), until = now + (left > 0 ? (uint32_t)left : 0);
	size_t want;

	while (want = reply_size(s), want > s->have) {
		struct pollfd p = { .fd = s->fd, .events = POLLIN };
		int n = poll(&p, 1, left);

		if (n == 0)
			return TSS2_TCTI_RC_TRY_AGAIN;
		if (n < 0 ? errno != EINTR : !read_some(s, want))
			return TSS2_TCTI_RC_IO_ERROR;
		now = assay_clock_ms();
		if (timeout_ms >= 0)
			left = until > now ? (int32_t)(until - now) : 0;
	}
	return want ? TSS2_RC_SUCCESS : TSS2_TCTI_RC_MALFORMED_RESPONSE;
}

static TSS2_RC receive(TSS2_TCTI_CONTEXT *context, size_t *size, uint8_t *response,
		       int32_t timeout_ms)
{
	struct tpm2_socket *s = (struct tpm2_socket *)context;
	TSS2_RC rc;

	if (!s->pending)
		return TSS2_TCTI_RC_BAD_SEQUENCE;
	rc = gather(s, timeout_ms);
	if (rc != TSS2_RC_SUCCESS)
		return rc;
	if (response && *size < s->have)
		return TSS2_TCTI_RC_INSUFFICIENT_BUFFER;
	*size = s->have;
	if (!response)
		return TSS2_RC_SUCCESS;
	memcpy(response, s->reply, s->have);
	s->pending = false;
	return TSS2_RC_SUCCESS;
}

static TSS2_RC cancel(TSS2_TCTI_CONTEXT *context)
{
	(void)context;
	return TSS2_TCTI_RC_NOT_IMPLEMENTED;
}

static TSS2_RC get_poll_handles(TSS2_TCTI_CONTEXT *context, TSS2_TCTI_POLL_HANDLE *handles,
				size_t *n)
{
	struct tpm2_socket *s = (struct tpm2_socket *)context;

	if (handles && *n < 1)
		return TSS2_TCTI_RC_INSUFFICIENT_BUFFER;
	if (handles)
		*handles = (TSS2_TCTI_POLL_HANDLE){ .fd = s->fd, .events = POLLIN };
	*n = 1;
	return TSS2_RC_SUCCESS;
}

static TSS2_RC set_locality(TSS2_TCTI_CONTEXT *context, uint8_t locality)
{
	(void)context;
	(void)locality;
	return TSS2_TCTI_RC_NOT_IMPLEMENTED;
}

static void finalize(TSS2_TCTI_CONTEXT *context)
{
	close(((struct tpm2_socket *)context)->fd);
}

static TSS2_TCTI_CONTEXT *socket_new(int fd)
{
	struct tpm2_socket *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->common.v1 = (TSS2_TCTI_CONTEXT_COMMON_V1){
		.magic = SOCKET_MAGIC,
		.version = 2,
		.transmit = transmit,
		.receive = receive,
		.finalize = finalize,
		.cancel = cancel,
		.getPollHandles = get_poll_handles,
		.setLocality = set_locality,
	};
	s->fd = fd;
	return (TSS2_TCTI_CONTEXT *)s;
}

/* A blocking connect() or send() obeys SO_SNDTIMEO. */
static void limit(int fd, uint32_t timeout_ms)
{
	struct timeval t = { .tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000 };

	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
}

static int connect_unix(const char *path, uint32_t timeout_ms)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	AUTO(fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r;

	if (strlen(path) >= sizeof(at.sun_path))
		return -ENAMETOOLONG;
	if (fd < 0)
		return -errno;
	memcpy(at.sun_path, path, strlen(path) + 1);
	limit(fd, timeout_ms);
	do
		r = connect(fd, (struct sockaddr *)&at, sizeof(at));
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : TAKE_FD(fd);
}

static int connect_tcp(const char *host, const char *port, uint32_t timeout_ms)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *all = NULL;
	int r = -ENODEV;

	if (getaddrinfo(host, port, &hints, &all) != 0)
		return -ENODEV;
	for (struct addrinfo *i = all; i && r < 0; i = i->ai_next) {
		AUTO(fd) int fd = socket(i->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (fd >= 0)
			limit(fd, timeout_ms);
		if (fd >= 0 && connect(fd, i->ai_addr, i->ai_addrlen) == 0)
			r = TAKE_FD(fd);
		else
			r = -errno;
	}
	freeaddrinfo(all);
	return r;
}

/* Where the TPM listens: at a path, or else at a port of a host. */
struct place {
	char path[256], host[256], port[16];
};

/* "KEY=VALUE" of @len bytes. A value that was cut, or a key that was passed over, would lead to
 * another TPM. */
static int take_option(const char *option, size_t len, struct place *p)
{
	const struct {
		const char *key;
		char *to;
		size_t size;
	} keys[] = {
		{ "path=", p->path, sizeof(p->path) },
		{ "host=", p->host, sizeof(p->host) },
		{ "port=", p->port, sizeof(p->port) },
	};

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		size_t skip = strlen(keys[i].key);

		if (len <= skip || strncmp(option, keys[i].key, skip) != 0)
			continue;
		if (len - skip >= keys[i].size)
			return -ENAMETOOLONG;
		memcpy(keys[i].to, option + skip, len - skip);
		keys[i].to[len - skip] = '\0';
		return 0;
	}
	return -EINVAL;
}

static int parse_place(const char *options, struct place *ret)
{
	struct place p = { .host = "localhost", .port = SOCKET_PORT };
	int r = 0;

	for (size_t len; *options && r == 0; options += len + (options[len] == ',')) {
		len = strcspn(options, ",");
		r = take_option(options, len, &p);
	}
	if (r == 0)
		*ret = p;
	return r;
}

bool assay_tpm2_socket_is(const char *tcti)
{
	return tcti && (strcmp(tcti, "swtpm") == 0 || strncmp(tcti, "swtpm:", 6) == 0);
}

int assay_tpm2_socket_open(const char *tcti, uint32_t timeout_ms, TSS2_TCTI_CONTEXT **ret)
{
	struct place p;
	AUTO(fd) int fd = -1;
	int r = parse_place(tcti[5] == ':' ? tcti + 6 : "", &p);

	if (r < 0)
		return r;
	fd = p.path[0] ? connect_unix(p.path, timeout_ms) : connect_tcp(p.host, p.port, timeout_ms);
	if (fd < 0)
		return fd;
	*ret = socket_new(fd);
	if (!*ret)
		return -ENOMEM;
	(void)TAKE_FD(fd);
	return 0;
}

void assay_tpm2_socket_free(TSS2_TCTI_CONTEXT *tcti)
{
	if (!tcti)
		return;
	finalize(tcti);
	free(tcti);
}
