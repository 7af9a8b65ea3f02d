/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Stands between a client and swtpm's command socket: makes extends as slow as a real TPM's, and
 * loses commands and replies as a bad bus does. One connection at a time, like swtpm.
 *
 *   tpm_delay [--extend-us N] [--control FIFO] [--log FILE] LISTEN TARGET
 *
 * LISTEN and TARGET: a path, or host:port. The FIFO (made here) takes a line each, obeyed before
 * the next command is looked at; K counts extends from now, 1 is the next:
 *   delay US     from now on
 *   drop K       executed; the reply is never sent
 *   cut K        executed; the connection is closed instead of a reply
 *   refuse K     not executed; the connection is closed
 *   hold K       not executed, never answered
 *   late K       never answered; executed when the client has gone
 *   retry K N    N times TPM_RC_RETRY, not executed
 *   tamper K     executed with the last bit of the last digest changed
 *   lie K        not executed; "done" is answered, as to a password session
 * The log gets a line a command: "CODE FATE", the code in hexadecimal.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE_MAX   4096u
#define HEAD	      10u
#define CC_PCR_EXTEND 0x182u

enum fate { PASS, DROP, CUT, REFUSE, HOLD, LATE, RETRY, TAMPER, LIE, FATES };
static const char *const fate_names[FATES] = { "pass", "drop",	"cut",	  "refuse", "hold",
					       "late", "retry", "tamper", "lie" };

static struct {
	unsigned long extend_us;
	int control;
	FILE *log;
	enum fate fate;
	unsigned long in, times; /* the fate is met after in-1 extends, this often */
} g = { .control = -1 };

static void die(const char *what)
{
	perror(what);
	exit(2);
}

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void sleep_until(uint64_t us)
{
	struct timespec t = { .tv_sec = (time_t)(us / 1000000),
			      .tv_nsec = (long)(us % 1000000) * 1000 };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* ---- sockets -------------------------------------------------------------------------------- */

/* The name appears when it can be connected to. */
static int listen_unix(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (snprintf(at.sun_path, sizeof(at.sun_path), "%s.new", path) >= (int)sizeof(at.sun_path))
		die(path);
	unlink(at.sun_path);
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 8) ||
	    rename(at.sun_path, path))
		die(path);
	return fd;
}

static int connect_unix(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(at.sun_path))
		die(path);
	strcpy(at.sun_path, path);
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0)
		return fd;
	close(fd);
	return -1;
}

static int open_tcp(const char *address, bool server)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_family = AF_INET }, *a;
	char host[128];
	const char *colon = strrchr(address, ':');
	int fd, on = 1;

	snprintf(host, sizeof(host), "%.*s", (int)(colon - address), address);
	if (getaddrinfo(host, colon + 1, &hints, &a) != 0)
		die(address);
	fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (server && (bind(fd, a->ai_addr, a->ai_addrlen) || listen(fd, 8)))
		die(address);
	if (!server && connect(fd, a->ai_addr, a->ai_addrlen) < 0) {
		close(fd);
		fd = -1;
	}
	freeaddrinfo(a);
	return fd;
}

static int open_socket(const char *address, bool server)
{
	if (!strchr(address, '/'))
		return open_tcp(address, server);
	return server ? listen_unix(address) : connect_unix(address);
}

/* One whole message; its size, 0 if the other side is gone. */
static size_t read_message(int fd, uint8_t *to)
{
	size_t have = 0, want = HEAD;

	while (have < want) {
		ssize_t n = read(fd, to + have, want - have);

		if (n <= 0)
			return 0;
		have += (size_t)n;
		if (have == HEAD)
			want = be32(to + 2);
		if (want > MESSAGE_MAX || want < HEAD)
			return 0;
	}
	return have;
}

static bool write_message(int fd, const uint8_t *from, size_t len)
{
	return send(fd, from, len, MSG_NOSIGNAL) == (ssize_t)len;
}

/* ---- fates ---------------------------------------------------------------------------------- */

static void obey(const char *line)
{
	char word[16];
	unsigned long a = 1, b = 1;

	if (sscanf(line, "%15s %lu %lu", word, &a, &b) < 1)
		return;
	if (strcmp(word, "delay") == 0)
		g.extend_us = a;
	for (unsigned i = DROP; i < FATES; i++) {
		if (strcmp(word, fate_names[i]) != 0)
			continue;
		g.fate = (enum fate)i;
		g.in = a;
		g.times = b;
	}
}

static void read_control(void)
{
	char buf[1024], *rest = buf, *line;
	ssize_t n = g.control < 0 ? 0 : read(g.control, buf, sizeof(buf) - 1);

	if (n <= 0)
		return;
	buf[n] = '\0';
	while ((line = strsep(&rest, "\n")))
		obey(line);
}

static enum fate fate_of_extend(void)
{
	if (g.in > 1) {
		g.in--;
		return PASS;
	}
	if (g.in == 0 || g.times == 0)
		return PASS;
	g.times--;
	return g.fate;
}

static void wait_gone(int client)
{
	uint8_t byte;

	while (recv(client, &byte, 1, 0) > 0)
		;
}

/* The command at work: sent on, its reply in @m. False: the TPM is gone. */
static bool execute(int target, uint8_t *m, size_t *len)
{
	if (!write_message(target, m, *len))
		return false;
	*len = read_message(target, m);
	return *len > 0;
}

/* False: the connection is over. */
static bool pass_on(int client, int target, uint8_t *m, size_t len, enum fate fate, bool extend)
{
	static const uint8_t retry[HEAD] = { 0x80, 0x01, 0, 0, 0, HEAD, 0, 0, 0x09, 0x22 };
	/* Tag with sessions, size, success; no parameters; an empty nonce, continue, an empty HMAC.
	 */
	static const uint8_t done[19] = { 0x80, 0x02, 0, 0, 0, 19, [16] = 1 };
	uint64_t ready = now_us() + (extend ? g.extend_us : 0);

	if (fate == REFUSE)
		return false;
	if (fate == RETRY)
		return write_message(client, retry, HEAD);
	if (fate == LIE)
		return write_message(client, done, sizeof(done));
	if (fate == TAMPER)
		m[len - 1] ^= 1;
	if (fate == HOLD || fate == LATE)
		wait_gone(client);
	if (fate == HOLD || !execute(target, m, &len))
		return false;
	if (extend)
		sleep_until(ready);
	if (fate == DROP)
		wait_gone(client);
	return (fate == PASS || fate == TAMPER) && write_message(client, m, len);
}

static void serve(int client, int target)
{
	uint8_t m[MESSAGE_MAX];
	size_t len;
	bool more = true;

	while (more && (len = read_message(client, m)) > 0) {
		uint32_t code = be32(m + 6);
		enum fate fate;

		read_control();
		fate = code == CC_PCR_EXTEND ? fate_of_extend() : PASS;
		if (g.log)
			fprintf(g.log, "%x %s\n", code, fate_names[fate]);
		more = pass_on(client, target, m, len, fate, code == CC_PCR_EXTEND);
	}
}

int main(int argc, char **argv)
{
	int i = 1, server;

	for (; i + 1 < argc && argv[i][0] == '-'; i += 2) {
		if (strcmp(argv[i], "--extend-us") == 0)
			g.extend_us = strtoul(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--log") == 0)
			g.log = fopen(argv[i + 1], "ae");
		else if (strcmp(argv[i], "--control") == 0) {
			if (mkfifo(argv[i + 1], 0600) < 0)
				die(argv[i + 1]);
			g.control = open(argv[i + 1], O_RDWR | O_NONBLOCK | O_CLOEXEC);
		}
	}
	if (argc - i != 2) {
		fputs("usage: tpm_delay [--extend-us N] [--control FIFO] [--log FILE] LISTEN "
		      "TARGET\n",
		      stderr);
		return 2;
	}
	if (g.log)
		setlinebuf(g.log);
	signal(SIGPIPE, SIG_IGN);
	server = open_socket(argv[i], true);
	for (;;) {
		int client = accept4(server, NULL, NULL, SOCK_CLOEXEC), target;

		if (client < 0)
			die("accept");
		target = open_socket(argv[i + 1], false);
		if (target >= 0) {
			serve(client, target);
			close(target);
		}
		close(client);
	}
}
