/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/process/log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static _Atomic uint64_t dropped;

/* A socket takes it without waiting or not at all; a pipe that polls writable takes PIPE_BUF. */
static void write_line(const char *line, size_t len)
{
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };
	ssize_t n = send(STDERR_FILENO, line, len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && errno == ENOTSOCK && poll(&p, 1, 0) == 1 && p.revents & POLLOUT)
		n = write(STDERR_FILENO, line, len);
	if (n < 0)
		atomic_fetch_add(&dropped, 1);
}

/* Paths are chosen by users: none begins a line of its own, or steers a terminal. */
static void replace_control(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			text[i] = '?';
		else if (i > 0 && (unsigned char)text[i - 1] == 0xc2 &&
			 (unsigned char)text[i] >= 0x80 && (unsigned char)text[i] < 0xa0)
			text[i - 1] = text[i] = '?'; /* U+0080 to U+009F in UTF-8 */
}

void log_line(int priority, const char *fmt, ...)
{
	char line[1024];
	size_t len = 0;
	va_list ap;
	int n;

	/* journald and others read the priority from the line (sd-daemon(3)). */
	if (getenv("JOURNAL_STREAM"))
		len = (size_t)snprintf(line, sizeof(line), "<%d>", priority);
	else
		len = (size_t)snprintf(line, sizeof(line), "assayd: ");
	va_start(ap, fmt);
	n = vsnprintf(line + len, sizeof(line) - len - 1, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	len += (size_t)n;
	if (len > sizeof(line) - 2)
		len = sizeof(line) - 2;
	replace_control(line, len);
	line[len++] = '\n';
	write_line(line, len);
}

uint64_t log_dropped(void)
{
	return atomic_load(&dropped);
}
