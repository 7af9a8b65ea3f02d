/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A value of assayd's status: status_of SOCKET [KEY[.KEY]...]. Strings are printed as they are, all
 * else as JSON. Tests ask until something has become true, fifty times a second, so it costs
 * little.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#define REPLY_MAX 65536

static json_t *ask(const char *path)
{
	static const char request[] = "{\"op\": \"status\"}";
	const struct timeval patience = { .tv_sec = 60 };
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	static char reply[REPLY_MAX];
	ssize_t n;

	if (fd < 0 || strlen(path) >= sizeof(at.sun_path))
		return NULL;
	memcpy(at.sun_path, path, strlen(path) + 1);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) < 0)
		return NULL;
	n = recv(fd, reply, sizeof(reply), 0);
	return n > 0 ? json_loadb(reply, (size_t)n, 0, NULL) : NULL;
}

int main(int argc, char **argv)
{
	json_t *value = argc >= 2 ? ask(argv[1]) : NULL;

	if (!value) {
		fprintf(stderr, "status_of: no answer\n");
		return 1;
	}
	for (char *key = argc > 2 ? strtok(argv[2], ".") : NULL; key; key = strtok(NULL, ".")) {
		value = json_object_get(value, key);
		if (!value) {
			fprintf(stderr, "status_of: there is no '%s'\n", key);
			return 1;
		}
	}
	if (json_is_string(value))
		puts(json_string_value(value));
	else
		puts(json_dumps(value, JSON_ENCODE_ANY | JSON_ENSURE_ASCII));
	return 0;
}
