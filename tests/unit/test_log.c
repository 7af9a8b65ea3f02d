/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lines of assayd's log. */
#include "unit/test.h"

#include <unistd.h>

#include "programs/assayd/process/log.h"

/* Logs by @say() into a pipe; what came, with its length. */
static size_t logged(void (*say)(void), char ret[static 4096])
{
	int stderr_fd = dup(STDERR_FILENO), pipe_fds[2];
	ssize_t n;

	assert_int_equal(pipe(pipe_fds), 0);
	assert_true(dup2(pipe_fds[1], STDERR_FILENO) >= 0);
	say();
	assert_true(dup2(stderr_fd, STDERR_FILENO) >= 0);
	close(pipe_fds[1]);
	n = read(pipe_fds[0], ret, 4095);
	close(pipe_fds[0]);
	close(stderr_fd);
	assert_true(n > 0);
	ret[n] = '\0';
	return (size_t)n;
}

static void say_forged(void)
{
	log_line(LOG_NOTICE, "not watched: %s",
		 "/tmp/a\n<3>assayd: all is well\x1b[2J \xc2\x9b\xc2\xa0");
}

static void say_long(void)
{
	log_line(LOG_NOTICE, "%2000d", 1);
}

/* The name of a mount point is chosen by whoever mounts. */
static void a_name_makes_no_line(void **state)
{
	char text[4096];

	unsetenv("JOURNAL_STREAM");
	logged(say_forged, text);
	assert_string_equal(text,
			    "assayd: not watched: /tmp/a?<3>assayd: all is well?[2J ??\xc2\xa0\n");
}

static void a_long_line_is_cut(void **state)
{
	char text[4096];
	size_t n = logged(say_long, text);

	assert_true(n < 2000 && text[n - 1] == '\n');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_makes_no_line),
		cmocka_unit_test(a_long_line_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
