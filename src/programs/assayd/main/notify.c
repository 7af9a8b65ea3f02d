/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/notify.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"

#define PATIENCE_MS 100

/* A path, or the name of an abstract socket after '@'. */
static bool address_of(const char *name, struct sockaddr_un *ret, socklen_t *ret_len)
{
	size_t len = strlen(name);

	if ((name[0] != '/' && name[0] != '@') || len < 2 || len >= sizeof(ret->sun_path))
		return false;
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(ret->sun_path, name, len);
	if (name[0] == '@')
		ret->sun_path[0] = '\0';
	*ret_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (name[0] == '/'));
	return true;
}

static bool tell(int fd, const char *text, size_t len)
{
	return send(fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

bool notify_manager(const char *fmt, ...)
{
	const char *name = getenv("NOTIFY_SOCKET");
	struct pollfd p = { .events = POLLOUT };
	struct sockaddr_un at;
	char text[512];
	socklen_t at_len;
	va_list ap;
	int len;

	if (!name || !name[0])
		return true;
	if (!address_of(name, &at, &at_len))
		return false;
	va_start(ap, fmt);
	len = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	AUTO(fd) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (len < 0 || (size_t)len >= sizeof(text) || fd < 0 ||
	    connect(fd, (struct sockaddr *)&at, at_len) < 0)
		return false;
	p.fd = fd;
	return tell(fd, text, (size_t)len) ||
	       (errno == EAGAIN && poll(&p, 1, PATIENCE_MS) == 1 && tell(fd, text, (size_t)len));
}
