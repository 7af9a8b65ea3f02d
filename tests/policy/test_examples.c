/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The example policies, exercised with events that must and must not match. */
#include "unit/policy_fixture.h"

#include <dirent.h>
#include <fcntl.h>

#include "base/file.h"

#define EXT4	 0xef53
#define TMPFS	 0x01021994
#define PROC	 0x9fa0
#define OVERLAY	 0x794c7630

#define R	 ASSAY_MAY_READ
#define W	 ASSAY_MAY_WRITE
#define X	 ASSAY_MAY_EXEC

#define NOTHING	 0
#define MEASURE	 ASSAY_ACTION_MEASURE
#define APPRAISE ASSAY_ACTION_APPRAISE
#define AUDIT	 ASSAY_ACTION_AUDIT

/* One event on one policy, and what must come of it. */
struct example {
	const char *policy;
	enum assay_hook hook;
	uint32_t mask, uid, fowner;
	uint64_t magic;
	const char *fsname, *label;
	uint32_t actions, pcr; /* pcr 0: the default */
	uint32_t opts;	       /* among others */
};

#define HOOK(name) ASSAY_HOOK_##name

static const struct example examples[] = {
	{ "server", HOOK(BPRM_CHECK), X, 1000, 0, EXT4, "ext4", "", MEASURE, 0, 0 },
	{ "server", HOOK(MMAP_CHECK), X, 1000, 0, EXT4, "ext4", "", MEASURE, 0, 0 },
	{ "server", HOOK(BPRM_CHECK), X, 1000, 1000, TMPFS, "tmpfs", "", MEASURE, 0, 0 },
	{ "server", HOOK(FILE_CHECK), R, 0, 0, EXT4, "ext4", "", MEASURE, 0, 0 },
	{ "server", HOOK(FILE_CHECK), R | W, 0, 0, EXT4, "ext4", "", MEASURE, 0, 0 },
	{ "server", HOOK(FILE_CHECK), W, 0, 0, EXT4, "ext4", "", NOTHING, 0, 0 },
	{ "server", HOOK(FILE_CHECK), R, 0, 100, EXT4, "ext4", "", NOTHING, 0, 0 },
	{ "server", HOOK(FILE_CHECK), R, 1000, 0, EXT4, "ext4", "", NOTHING, 0, 0 },
	{ "server", HOOK(FILE_CHECK), R, 0, 0, TMPFS, "tmpfs", "", NOTHING, 0, 0 },
	{ "server", HOOK(FILE_CHECK), R, 0, 0, PROC, "proc", "", NOTHING, 0, 0 },
	{ "server", HOOK(MODULE_CHECK), R, 0, 0, EXT4, "ext4", "", MEASURE, 0, 0 },
	{ "server", HOOK(KEY_CHECK), 0, 0, 0, 0, "", ".ima", MEASURE, 0, 0 },
	{ "server", HOOK(KEY_CHECK), 0, 0, 0, 0, "", "_ses", NOTHING, 0, 0 },
	{ "server", HOOK(CRITICAL_DATA), 0, 0, 0, 0, "", "selinux", NOTHING, 0, 0 },

	{ "workstation", HOOK(BPRM_CHECK), X, 1000, 1000, EXT4, "ext4", "", MEASURE, 0, 0 },
	{ "workstation", HOOK(BPRM_CHECK), X, 1000, 1000, TMPFS, "tmpfs", "", MEASURE | AUDIT, 0,
	  0 },
	{ "workstation", HOOK(BPRM_CHECK), X, 0, 0, TMPFS, "tmpfs", "", MEASURE, 0, 0 },
	{ "workstation", HOOK(BPRM_CHECK), X, 0, 0, 0x4d44, "vfat", "", MEASURE | AUDIT, 0, 0 },
	{ "workstation", HOOK(FILE_CHECK), R, 1000, 1000, EXT4, "ext4", "", NOTHING, 0, 0 },
	{ "workstation", HOOK(FILE_CHECK), R, 0, 1000, EXT4, "ext4", "", NOTHING, 0, 0 },
	{ "workstation", HOOK(FILE_CHECK), R, 0, 0, EXT4, "ext4", "", MEASURE, 0, 0 },
	{ "workstation", HOOK(FIRMWARE_CHECK), R, 0, 0, EXT4, "ext4", "", MEASURE, 0, 0 },

	{ "container-host", HOOK(BPRM_CHECK), X, 1000, 1000, OVERLAY, "overlay", "", MEASURE, 11,
	  ASSAY_OPT_PCR },
	{ "container-host", HOOK(BPRM_CHECK), X, 1000, 0, EXT4, "ext4", "", MEASURE, 0, 0 },
	{ "container-host", HOOK(FILE_CHECK), R, 0, 0, OVERLAY, "overlay", "", NOTHING, 0, 0 },
	{ "container-host", HOOK(FILE_CHECK), R, 0, 0, EXT4, "ext4", "", MEASURE, 0, 0 },
	{ "container-host", HOOK(BPRM_CHECK), X, 0, 0, TMPFS, "tmpfs", "", MEASURE | AUDIT, 0, 0 },
	{ "container-host", HOOK(KEY_CHECK), 0, 0, 0, 0, "", "any", MEASURE, 0, 0 },

	{ "appliance", HOOK(BPRM_CHECK), X, 1000, 1000, EXT4, "ext4", "", MEASURE | APPRAISE, 0,
	  ASSAY_OPT_DIGSIG_REQUIRED | ASSAY_OPT_ALGOS | ASSAY_OPT_TEMPLATE },
	{ "appliance", HOOK(MMAP_CHECK), X, 0, 0, TMPFS, "tmpfs", "", MEASURE | APPRAISE, 0,
	  ASSAY_OPT_DIGSIG_REQUIRED | ASSAY_OPT_CHECK_BLACKLIST },
	{ "appliance", HOOK(MODULE_CHECK), R, 0, 0, EXT4, "ext4", "", MEASURE | APPRAISE, 0,
	  ASSAY_OPT_MODSIG_ALLOWED },
	{ "appliance", HOOK(FIRMWARE_CHECK), R, 0, 0, EXT4, "ext4", "", MEASURE | APPRAISE, 0,
	  ASSAY_OPT_DIGSIG_REQUIRED },
	{ "appliance", HOOK(FILE_CHECK), R, 1000, 1000, EXT4, "ext4", "", NOTHING, 0, 0 },
	{ "appliance", HOOK(FILE_CHECK), R, 0, 0, EXT4, "ext4", "", MEASURE, 0,
	  ASSAY_OPT_TEMPLATE },
	{ "appliance", HOOK(BPRM_CHECK), X, 0, 0, PROC, "proc", "", NOTHING, 0, 0 },

	{ "build-machine", HOOK(FILE_CHECK), R, 1500, 1500, EXT4, "ext4", "", NOTHING, 0, 0 },
	{ "build-machine", HOOK(FILE_CHECK), R, 1500, 0, EXT4, "ext4", "", MEASURE, 0, 0 },
	{ "build-machine", HOOK(FILE_CHECK), R | W, 1500, 0, EXT4, "ext4", "", NOTHING, 0, 0 },
	{ "build-machine", HOOK(FILE_CHECK), R, 0, 1500, EXT4, "ext4", "", NOTHING, 0, 0 },
	{ "build-machine", HOOK(FILE_CHECK), R, 0, 0, EXT4, "ext4", "", MEASURE, 0, 0 },
	{ "build-machine", HOOK(BPRM_CHECK), X, 1500, 1500, TMPFS, "tmpfs", "", MEASURE, 0, 0 },

	{ "everything", HOOK(FILE_CHECK), W, 1000, 1000, EXT4, "ext4", "", MEASURE, 0,
	  ASSAY_OPT_TEMPLATE },
	{ "everything", HOOK(FILE_CHECK), R, 1000, 990, EXT4, "ext4", "", MEASURE, 0,
	  ASSAY_OPT_VERITY_REQUIRED },
	{ "everything", HOOK(BPRM_CHECK), X, 1000, 0, TMPFS, "tmpfs", "", MEASURE | AUDIT, 0, 0 },
	{ "everything", HOOK(CRITICAL_DATA), 0, 0, 0, 0, "", "selinux", MEASURE, 0, 0 },
	{ "everything", HOOK(FILE_CHECK), R, 0, 0, PROC, "proc", "", NOTHING, 0, 0 },
};

static void read_example(const char *name, struct assay_file *ret)
{
	char path[256];
	struct assay_err err;

	snprintf(path, sizeof(path), "%s/%s", EXAMPLES, name);
	*ret = (struct assay_file){ 0 };
	if (assay_file_read(AT_FDCWD, path, ASSAY_POLICY_SIZE_MAX, ret, &err) != 0)
		fail_msg("%s", err.text);
}

static bool is_exercised(const char *file)
{
	bool yes = false, no = false;

	for (size_t i = 0; i < ARRAY_LEN(examples); i++) {
		size_t len = strlen(examples[i].policy);

		if (strncmp(file, examples[i].policy, len) != 0 ||
		    strcmp(file + len, ".policy") != 0)
			continue;
		yes |= examples[i].actions != NOTHING;
		no |= examples[i].actions == NOTHING;
	}
	return yes && no;
}

/* Begins with "# NAME:", has no warning, is a fixed point, and has events in the table. */
static void assert_example(const char *file)
{
	struct assay_file content;
	struct fixture f, again;
	char *once, *twice;

	read_example(file, &content);
	if (fixture_parse(&f, content.bytes) != 0)
		fail_msg("%s:%u:%u: %s", file, f.err.line, f.err.column, f.err.text);
	assert_int_equal(f.warnings, 0);
	assert_true(content.bytes.data[0] == '#' && content.bytes.data[1] == ' ');
	assert_memory_equal(content.bytes.data + 2, file, strcspn(file, "."));
	once = fixture_print(&f.text);
	assert_int_equal(fixture_parse(&again, assay_bytes_str(once)), 0);
	twice = fixture_print(&again.text);
	assert_string_equal(once, twice);
	if (!is_exercised(file))
		fail_msg("%s has no events that must and must not match", file);
	free(once);
	free(twice);
	fixture_done(&f);
	fixture_done(&again);
	assay_file_free(&content);
}

static void every_example_is_sound(void **state)
{
	DIR *dir = opendir(EXAMPLES);
	struct dirent *entry;
	unsigned n = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		assert_example(entry->d_name);
		n++;
	}
	closedir(dir);
	assert_int_equal(n, 6);
}

static void assert_event(const struct example *e, size_t row)
{
	struct assay_match_facts facts = {
		.hook = e->hook,
		.mask = e->mask,
		.subject = { .uid = e->uid, .euid = e->uid, .suid = e->uid },
		.fs = { .magic = e->magic, .name = assay_bytes_str(e->fsname) },
		.fowner = e->fowner,
		.fgroup = e->fowner,
		.label = assay_bytes_str(e->label),
	};
	struct assay_file content;
	struct assay_match m;
	struct fixture f;
	char file[64];

	snprintf(file, sizeof(file), "%s.policy", e->policy);
	read_example(file, &content);
	assert_int_equal(fixture_parse(&f, content.bytes), 0);
	assay_policy_match(f.policy, &facts, &m);
	if (m.actions != e->actions || m.pcr != e->pcr || (m.opts & e->opts) != e->opts)
		fail_msg("row %zu, %s: actions %#x, pcr %u, options %#x", row, e->policy, m.actions,
			 m.pcr, m.opts);
	fixture_done(&f);
	assay_file_free(&content);
}

static void events_get_what_the_comments_promise(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(examples); i++)
		assert_event(&examples[i], i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_example_is_sound),
		cmocka_unit_test(events_get_what_the_comments_promise),
	};

	return cmocka_run_group_tests_name("examples", tests, NULL, NULL);
}
