/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "unit/test.h"

#include "formats/cmdline.h"
#include "programs/assayd/main/cmdline.h"

/* What "assay=" says in @line; NULL: nothing. */
static const char *get(const char *line)
{
	static char value[64];
	size_t len = strlen(line);
	char *copy = malloc(len + 1); /* exact size: a read past the end is found */
	struct assay_bytes v;
	bool found;

	memcpy(copy, line, len);
	found = assay_cmdline_get(assay_bytes(copy, len), "assay", &v);
	if (found) {
		assert_true(v.len < sizeof(value));
		memcpy(value, v.data, v.len);
		value[v.len] = '\0';
	}
	free(copy);
	return found ? value : NULL;
}

static void words_as_the_kernel_cuts_them(void **state)
{
	static const struct {
		const char *line, *value;
	} cases[] = {
		{ "", NULL },
		{ "\n", NULL },
		{ "assay=off", "off" },
		{ "assay=off\n", "off" },
		{ "root=/dev/sda1 ro\tassay=log  quiet\n", "log" },
		{ "assay=off assay=log", "log" },
		{ "assay=", "" },
		{ "assay", NULL },
		{ "assay off", NULL },
		{ "noassay=off assay.x=off Assay=off assay =off", NULL },
		{ "x=assay=off", NULL },
		{ "assay=off=1", "off=1" },
		/* what is quoted is one word */
		{ "dyndbg=\"file a.c +p assay=off\"", NULL },
		{ "x=\"a\" assay=off", "off" },
		{ "assay=\"off\"", "off" },
		{ "assay=\"off now\" x", "off now" },
		{ "\"assay=off now\" x", "off now" },
		{ "\"assay=off", "off" },
		{ "assay=\"", "" },
		{ "\"", NULL },
		{ "assay=o\"f\"f", "o\"f\"f" },
		/* the first process's */
		{ "quiet -- assay=off", NULL },
		{ "assay=log -- assay=off", "log" },
		{ "--- assay=off", "off" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *value = get(cases[i].line);

		if (!value != !cases[i].value || (value && strcmp(value, cases[i].value) != 0))
			fail_msg("'%s' has '%s'", cases[i].line, value ? value : "nothing");
	}
}

static void longer_than_any_is_not_read(void **state)
{
	static char line[ASSAY_CMDLINE_SIZE_MAX + 1];
	struct assay_bytes v;

	memset(line, ' ', sizeof(line));
	memcpy(line, "assay=off", 9);
	assert_true(assay_cmdline_get(assay_bytes(line, sizeof(line) - 1), "assay", &v));
	assert_false(assay_cmdline_get(assay_bytes(line, sizeof(line)), "assay", &v));
}

/* What assayd makes of a line under a configuration. */
static struct cmdline judged(const char *line, uint32_t rule, struct assay_conf *conf)
{
	struct cmdline c;

	assay_conf_init(conf);
	conf->kernel_cmdline = rule;
	conf->deadline_answer = ASSAY_CONF_ANSWER_DENY;
	conf->too_large = ASSAY_CONF_TOO_LARGE_DENY;
	cmdline_parse(assay_bytes_str(line), conf, &c);
	cmdline_apply(&c, conf);
	return c;
}

static void log_denies_nobody(void **state)
{
	struct assay_conf conf;
	struct cmdline c = judged("assay=log", ASSAY_CONF_CMDLINE_OBEY, &conf);

	assert_int_equal(c.order, CMDLINE_LOG);
	assert_true(c.obeyed);
	assert_int_equal(conf.deadline_answer, ASSAY_CONF_ANSWER_ALLOW);
	assert_int_equal(conf.too_large, ASSAY_CONF_TOO_LARGE_ALLOW);
}

/* It refuses nobody by itself. */
static void log_leaves_what_is_measured_late(void **state)
{
	struct assay_conf conf;
	struct cmdline c = judged("assay=log", ASSAY_CONF_CMDLINE_OBEY, &conf);

	conf.too_large = ASSAY_CONF_TOO_LARGE_LATER;
	cmdline_apply(&c, &conf);
	assert_int_equal(conf.too_large, ASSAY_CONF_TOO_LARGE_LATER);
}

static void off_is_an_order_and_no_setting(void **state)
{
	struct assay_conf conf;
	struct cmdline c = judged("assay=log assay=off", ASSAY_CONF_CMDLINE_OBEY, &conf);

	assert_int_equal(c.order, CMDLINE_OFF);
	assert_true(c.obeyed);
	assert_string_equal(c.value, "off");
}

static void what_is_forbidden_or_unknown_changes_nothing(void **state)
{
	static const struct {
		const char *line;
		uint32_t rule;
		enum cmdline_order order;
		const char *value;
	} cases[] = {
		{ "assay=off", ASSAY_CONF_CMDLINE_IGNORE, CMDLINE_OFF, "off" },
		{ "assay=log", ASSAY_CONF_CMDLINE_IGNORE, CMDLINE_LOG, "log" },
		{ "assay=OFF", ASSAY_CONF_CMDLINE_OBEY, CMDLINE_UNKNOWN, "OFF" },
		{ "assay=", ASSAY_CONF_CMDLINE_OBEY, CMDLINE_UNKNOWN, "" },
		{ "quiet", ASSAY_CONF_CMDLINE_OBEY, CMDLINE_NONE, "" },
	};
	struct assay_conf conf;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct cmdline c = judged(cases[i].line, cases[i].rule, &conf);

		assert_int_equal(c.order, cases[i].order);
		assert_false(c.obeyed);
		assert_string_equal(c.value, cases[i].value);
		assert_int_equal(conf.deadline_answer, ASSAY_CONF_ANSWER_DENY);
		assert_int_equal(conf.too_large, ASSAY_CONF_TOO_LARGE_DENY);
	}
}

static void a_long_value_is_cut(void **state)
{
	struct assay_conf conf;
	char line[256] = "assay=off";

	memset(line + 9, 'f', sizeof(line) - 10);
	line[sizeof(line) - 1] = '\0';
	assert_int_equal(judged(line, ASSAY_CONF_CMDLINE_OBEY, &conf).order, CMDLINE_UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_as_the_kernel_cuts_them),
		cmocka_unit_test(longer_than_any_is_not_read),
		cmocka_unit_test(log_denies_nobody),
		cmocka_unit_test(log_leaves_what_is_measured_late),
		cmocka_unit_test(off_is_an_order_and_no_setting),
		cmocka_unit_test(what_is_forbidden_or_unknown_changes_nothing),
		cmocka_unit_test(a_long_value_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
