/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the process that reads files for main gives and refuses: this program plays both. */
#include "unit/sandbox_attempts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "programs/assayd/fetch/fetch.h"

static const child_fn roles[CHILD_ROLE_COUNT] = { [CHILD_FETCH] = fetch_process };
static char dir[] = "/tmp/assay-fetch-XXXXXX";
static struct fetch by;

static int fetch(const char *name, size_t max, struct assay_file *ret)
{
	struct assay_err err = { 0 };
	char path[128];
	int r;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	r = fetch_file(&by, path, max, ret, &err);
	if (r < 0)
		assert_non_null(strstr(err.text, name));
	return r;
}

static void gives_content(void **state)
{
	struct assay_file file = { 0 };

	assert_int_equal(fetch("file", 16, &file), 0);
	assert_true(assay_bytes_is(file.bytes, "content\n"));
	assay_file_free(&file);
	assert_int_equal(fetch("empty", 16, &file), 0);
	assert_int_equal(file.bytes.len, 0);
	assay_file_free(&file);
	assert_int_equal(fetch("link", 16, &file), 0);
	assay_file_free(&file);
}

static void refuses(void **state)
{
	struct assay_file file = { 0 };

	assert_int_equal(fetch("file", 7, &file), -E2BIG);
	assert_int_equal(fetch("fifo", 16, &file), -EINVAL);
	assert_int_equal(fetch(".", 16, &file), -EINVAL);
	assert_int_equal(fetch("nowhere", 16, &file), -ENOENT);
	assert_null(file.bytes.data);
}

/* ---- what it can do no more ----------------------------------------------------------------- */

static int enter(struct assay_err *err)
{
	(void)err;
	return fetch_sandbox();
}

static int write_file(void)
{
	return open("file", O_WRONLY | O_CLOEXEC) >= 0 ? 0 : -1;
}

static int make_file(void)
{
	return open("file", O_RDONLY | O_CREAT | O_CLOEXEC, 0600) >= 0 ? 0 : -1;
}

static void reads_and_nothing_else(void **state)
{
	static int (*const attempts[])(void) = { write_file,	make_file,     open_socket,
						 fork_process,	signal_parent, trace_parent,
						 map_executable };

	assert_each_is_stopped(attempts, ARRAY_LEN(attempts), enter);
}

static int set_up(void **state)
{
	return mkdtemp(dir) && chdir(dir) == 0 && system("echo content >file; >empty") == 0 &&
			       symlink("file", "link") == 0 && mkfifo("fifo", 0600) == 0
		       ? spawner_new(NULL, &by.spawner, NULL)
		       : -1;
}

static int tear_down(void **state)
{
	spawner_free(by.spawner);
	return unlink("file") | unlink("empty") | unlink("link") | unlink("fifo") | rmdir(dir);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_content),
		cmocka_unit_test(refuses),
		cmocka_unit_test(reads_and_nothing_else),
	};

	child_main(argc, argv, roles);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
