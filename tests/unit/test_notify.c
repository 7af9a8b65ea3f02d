/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "unit/test.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/fmt.h"
#include "programs/assayd/main/notify.h"

struct manager {
	int fd;
	char name[100];
};

/* A socket as the manager's; @first: '/' for one with a path, '@' for an abstract one. */
static void start(struct manager *m, char first)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	socklen_t len;

	assay_fmt(m->name, sizeof(m->name), "/tmp/assay-notify.%d", (int)getpid());
	m->name[0] = first;
	memcpy(at.sun_path, m->name, strlen(m->name) + 1);
	if (first == '@')
		at.sun_path[0] = '\0';
	len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(m->name) +
			  (first == '/'));
	m->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(m->fd, (struct sockaddr *)&at, len), 0);
	setenv("NOTIFY_SOCKET", m->name, 1);
}

static void stop(struct manager *m)
{
	close(m->fd);
	if (m->name[0] == '/')
		unlink(m->name);
	unsetenv("NOTIFY_SOCKET");
}

static void the_manager_hears_each_message(void **state)
{
	struct manager m;
	char text[600];

	for (const char *first = "/@"; *first; first++) {
		start(&m, *first);
		notify_manager("READY=1\nMAINPID=%d", 7);
		notify_manager("WATCHDOG=1");
		assert_int_equal(recv(m.fd, text, sizeof(text), MSG_DONTWAIT), 17);
		assert_memory_equal(text, "READY=1\nMAINPID=7", 17);
		assert_int_equal(recv(m.fd, text, sizeof(text), MSG_DONTWAIT), 10);
		assert_true(recv(m.fd, text, sizeof(text), MSG_DONTWAIT) < 0);
		stop(&m);
	}
}

static void what_does_not_fit_is_not_sent_in_part(void **state)
{
	struct manager m;
	char text[600];

	memset(text, 'x', sizeof(text));
	start(&m, '@');
	text[512] = '\0';
	notify_manager("%s", text);
	assert_true(recv(m.fd, text, sizeof(text), MSG_DONTWAIT) < 0);
	text[511] = '\0';
	notify_manager("%s", text);
	assert_int_equal(recv(m.fd, text, sizeof(text), MSG_DONTWAIT), 511);
	stop(&m);
}

static void without_a_manager_nothing_happens(void **state)
{
	unsetenv("NOTIFY_SOCKET");
	assert_true(notify_manager("READY=1"));
	setenv("NOTIFY_SOCKET", "", 1);
	assert_true(notify_manager("READY=1"));
	setenv("NOTIFY_SOCKET", "/nowhere/socket", 1);
	assert_false(notify_manager("READY=1"));
	unsetenv("NOTIFY_SOCKET");
}

/* It may be waiting for us. */
static void a_manager_that_does_not_read_holds_nobody(void **state)
{
	struct timespec from, to;
	struct manager m;
	char text[600];
	bool all;
	int told = 0;

	start(&m, '@');
	clock_gettime(CLOCK_MONOTONIC, &from);
	do {
		all = notify_manager("WATCHDOG=1"); /* who waits for room waits for ever */
		clock_gettime(CLOCK_MONOTONIC, &to);
	} while (all && to.tv_sec <= from.tv_sec + 60);
	while (recv(m.fd, text, sizeof(text), MSG_DONTWAIT) > 0)
		told++;
	assert_in_range(told, 1, 100000);
	assert_false(all);
	assert_true(notify_manager("READY=1"));
	assert_int_equal(recv(m.fd, text, sizeof(text), MSG_DONTWAIT), 7);
	stop(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_manager_hears_each_message),
		cmocka_unit_test(what_does_not_fit_is_not_sent_in_part),
		cmocka_unit_test(without_a_manager_nothing_happens),
		cmocka_unit_test(a_manager_that_does_not_read_holds_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
