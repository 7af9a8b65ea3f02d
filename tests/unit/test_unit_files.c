/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The files of assayd's unit, in a root folder of the test's own. */
#include "unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "programs/assayd/main/unit_files.h"

static char root[64];

static void run(const char *command)
{
	char text[4096];

	snprintf(text, sizeof(text), "cd '%s' && %s", root, command);
	assert_int_equal(system(text), 0);
}

/* A file that holds its own name. */
static void put(const char *path)
{
	char text[2048];

	snprintf(text, sizeof(text), "mkdir -p \"$(dirname '%s')\" && echo '%s' >'%s'", path, path,
		 path);
	run(text);
}

static int make_root(void **state)
{
	strcpy(root, "/tmp/assay-unit.XXXXXX");
	return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
	run("rm -rf -- \"$PWD\"");
	return 0;
}

/* "unit PATH\n" or "drop-in PATH\n" for each, and "=" behind one whose content is not what put()
 * writes. */
static int tell(void *ctx, const struct unit_file *file)
{
	char *to = ctx, content[512];
	ssize_t n = read(file->fd, content, sizeof(content) - 1);

	assert_true(n >= 0);
	content[n > 0 ? n - 1 : 0] = '\0';
	sprintf(to + strlen(to), "%s %s%s\n", file->is_drop_in ? "drop-in" : "unit", file->path,
		strcmp(content, file->path + 1) == 0 ? "" : "=");
	return strstr(file->path, "stop") ? -EINTR : 0;
}

static int walk(char ret[static 4096], struct assay_err *err)
{
	AUTO(fd) int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	ret[0] = '\0';
	return unit_files_walk(fd, tell, ret, err);
}

static void need(const char *want)
{
	struct assay_err err = { 0 };
	char found[4096];

	assert_int_equal(walk(found, &err), 0);
	assert_string_equal(found, want);
}

static void nothing_is_installed(void **state)
{
	need("");
}

static void the_first_unit_and_all_drop_ins(void **state)
{
	put("usr/lib/systemd/system/assayd.service");
	put("lib/systemd/system/assayd.service");
	need("unit /usr/lib/systemd/system/assayd.service\n");
	put("etc/systemd/system/assayd.service");
	put("usr/lib/systemd/system/assayd.service.d/10-vendor.conf");
	put("etc/systemd/system/assayd.service.d/b.conf");
	put("etc/systemd/system/assayd.service.d/a.conf");
	put("etc/systemd/system/assayd.service.d/10-vendor.conf");
	put("etc/systemd/system.control/assayd.service.d/50-MemoryMax.conf");
	put("run/systemd/system.control/assayd.service.d/50-CPUQuota.conf");
	put("run/systemd/transient/assayd.service.d/t.conf");
	put("run/systemd/generator.early/assayd.service.d/e.conf");
	put("run/systemd/generator/assayd.service.d/g.conf");
	put("run/systemd/generator.late/assayd.service.d/l.conf");
	put("run/systemd/system/assayd.service.d/r.conf");
	put("usr/local/lib/systemd/system/assayd.service.d/local.conf");
	put("usr/lib/systemd/system/service.d/every.conf");
	need("unit /etc/systemd/system/assayd.service\n"
	     "drop-in /etc/systemd/system.control/assayd.service.d/50-MemoryMax.conf\n"
	     "drop-in /run/systemd/system.control/assayd.service.d/50-CPUQuota.conf\n"
	     "drop-in /run/systemd/transient/assayd.service.d/t.conf\n"
	     "drop-in /run/systemd/generator.early/assayd.service.d/e.conf\n"
	     "drop-in /etc/systemd/system/assayd.service.d/10-vendor.conf\n"
	     "drop-in /etc/systemd/system/assayd.service.d/a.conf\n"
	     "drop-in /etc/systemd/system/assayd.service.d/b.conf\n"
	     "drop-in /run/systemd/system/assayd.service.d/r.conf\n"
	     "drop-in /run/systemd/generator/assayd.service.d/g.conf\n"
	     "drop-in /usr/local/lib/systemd/system/assayd.service.d/local.conf\n"
	     "drop-in /usr/lib/systemd/system/assayd.service.d/10-vendor.conf\n"
	     "drop-in /usr/lib/systemd/system/service.d/every.conf\n"
	     "drop-in /run/systemd/generator.late/assayd.service.d/l.conf\n");
}

/* systemd passes over them. */
static void others_are_passed_over(void **state)
{
	put("etc/systemd/system/assayd.service.d/readme");
	put("etc/systemd/system/assayd.service.d/.hidden.conf");
	put("etc/systemd/system/assayd.service.d/a.conf.dpkg-old");
	put("etc/systemd/system/other.service.d/a.conf");
	put("etc/systemd/system/assayd.service.d/folder.conf/x");
	run("cd etc/systemd/system/assayd.service.d && mkfifo fifo.conf && ln -s nowhere "
	    "gone.conf");
	need("");
}

/* A mask takes something away that was there: it is evidence, too. */
static void masks_and_links_are_there(void **state)
{
	put("etc/real.conf");
	run("mkdir -p etc/systemd/system/assayd.service.d && cd "
	    "etc/systemd/system/assayd.service.d "
	    "&& ln -s /dev/null 10-vendor.conf && ln -s ../../../real.conf link.conf");
	need("drop-in /etc/systemd/system/assayd.service.d/10-vendor.conf=\n"
	     "drop-in /etc/systemd/system/assayd.service.d/link.conf=\n");
}

static void one_folder_of_two_names_is_given_once(void **state)
{
	put("usr/lib/systemd/system/assayd.service.d/a.conf");
	run("ln -s usr/lib lib");
	need("drop-in /usr/lib/systemd/system/assayd.service.d/a.conf\n");
}

static void it_ends_with_the_first_error(void **state)
{
	struct assay_err err = { 0 };
	char found[4096];

	put("etc/systemd/system/assayd.service.d/a.conf");
	put("etc/systemd/system/assayd.service.d/stop.conf");
	put("etc/systemd/system/assayd.service.d/z.conf");
	assert_int_equal(walk(found, &err), -EINTR);
	assert_null(strstr(found, "z.conf"));
	run("cd etc/systemd/system/assayd.service.d && rm stop.conf && for i in $(seq 300); do "
	    "echo >$i.conf; done");
	assert_int_equal(walk(found, &err), -E2BIG);
	assert_non_null(strstr(err.text, "'/etc/systemd/system/assayd.service.d'"));
	assert_string_equal(found, "");
}

#define IN_ROOT(f) cmocka_unit_test_setup_teardown(f, make_root, remove_root)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_ROOT(nothing_is_installed),
		IN_ROOT(the_first_unit_and_all_drop_ins),
		IN_ROOT(others_are_passed_over),
		IN_ROOT(masks_and_links_are_there),
		IN_ROOT(one_folder_of_two_names_is_given_once),
		IN_ROOT(it_ends_with_the_first_error),
	};

	return cmocka_run_group_tests_name("unit_files", tests, NULL, NULL);
}
