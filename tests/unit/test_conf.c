/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "unit/test.h"

#include <errno.h>

#include "formats/conf.h"

static int parse(const char *text, struct assay_conf *ret, struct assay_err *err)
{
	size_t len = strlen(text);
	char *copy = malloc(len + 1); /* exact size: a read past the end is found */
	int r;

	memcpy(copy, text, len);
	r = assay_conf_parse(assay_bytes(copy, len), ret, err);
	free(copy);
	return r;
}

static void empty_is_defaults(void **state)
{
	struct assay_conf c, defaults;

	assay_conf_init(&defaults);
	assert_int_equal(parse("", &c, NULL), 0);
	assert_memory_equal(&c, &defaults, sizeof(c));
	assert_int_equal(parse("\n  # policy = x\n\t\n", &c, NULL), 0);
	assert_memory_equal(&c, &defaults, sizeof(c));
	assert_string_equal(c.policy, "tcb");
	assert_int_equal(c.anchor_mode, ASSAY_CONF_MODE_GROUP);
	assert_int_equal(c.pcr, 10);
	assert_int_equal(c.mount.n, 0);
}

static void values_of_each_kind(void **state)
{
	struct assay_conf c;

	assert_int_equal(parse("policy=/etc/a = b#c\r\nanchor\t= none\n pcr = 11 \nmount = /a\n"
			       "mount = /b c\nexempt_pid = 1\nexempt_pid = 4194304",
			       &c, NULL),
			 0);
	assert_string_equal(c.policy, "/etc/a = b#c");
	assert_int_equal(c.anchor, ASSAY_CONF_ANCHOR_NONE);
	assert_int_equal(c.pcr, 11);
	assert_int_equal(c.mount.n, 2);
	assert_string_equal(c.mount.value[1], "/b c");
	assert_int_equal(c.exempt_pid.n, 2);
	assert_int_equal(c.exempt_pid.value[1], 4194304);
}

static void refused_with_the_place(void **state)
{
	static const struct {
		const char *text;
		uint32_t line, column;
		const char *says;
	} cases[] = {
		{ "\n polic = x\n", 2, 2, "unknown key 'polic'" },
		{ "= x\n", 1, 1, "unknown key ''" },
		{ "pcr 10\n", 1, 7, "no '=' after 'pcr 10'" },
		{ "pcr =  24\n", 1, 8, "'pcr' takes a number from 0 to 23, not '24'" },
		{ "pcr = 0x1\n", 1, 7, "not '0x1'" },
		{ "pcr = -1\n", 1, 7, "not '-1'" },
		{ "exempt_pid = 0\n", 1, 14, "from 1 to 4194304" },
		{ "anchor = tpm\n", 1, 10,
		  "'anchor' takes one of: tpm2 soft none auto; not 'tpm'" },
		{ "anchor = tpm2 soft\n", 1, 10, "not 'tpm2 soft'" },
		{ "policy =  \n", 1, 11, "'policy' has no value" },
		{ "policy = a\x01z\n", 1, 10, "control character" },
		{ "#\npcr = 1\npcr = 1\n", 3, 1, "'pcr' is given twice" },
		{ "hash = md5\n", 1, 8,
		  "'hash' takes one of: sha1 sha256 sha384 sha512 sm3 "
		  "sha3-256 sha3-384 sha3-512; not 'md5'" },
		{ "hash = sha-256\n", 1, 8, "not 'sha-256'" },
		{ "#\ntcti = foo:bar\n", 2, 8,
		  "'tcti' begins with one of: device tabrmd swtpm mssim; not 'foo'" },
		{ "tcti = devices\n", 1, 8, "not 'devices'" },
		{ "tcti = :x\n", 1, 8, "not ''" },
		{ "kernel_list = foo\n", 1, 15,
		  "'kernel_list' takes auto, none, or a path that begins with '/'; not 'foo'" },
		{ "mount = srv\n", 1, 9, "'mount' takes a path that begins with '/'; not 'srv'" },
		{ "list_dir = ./l\n", 1, 12, "not './l'" },
		{ "soft_anchor_dir = a\n", 1, 19, "not 'a'" },
		{ "control_socket = none\n", 1, 18, "not 'none'" },
		{ "public_socket = no\n", 1, 17, "takes none, or a path" },
		{ "audit_journal = journal\n", 1, 17, "not 'journal'" },
		{ "view_dir = ima\n", 1, 12, "takes none, or a path" },
		{ "template = ima_ng\n", 1, 12, "'template': unknown template or field 'ima_ng'" },
	};
	struct assay_conf c, before;
	struct assay_err err;

	assay_conf_init(&c);
	before = c;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(parse(cases[i].text, &c, &err), -EINVAL);
		assert_int_equal(err.line, cases[i].line);
		assert_int_equal(err.column, cases[i].column);
		if (!strstr(err.text, cases[i].says))
			fail_msg("'%s' is not in '%s'", cases[i].says, err.text);
	}
	assert_memory_equal(&c, &before, sizeof(c));
}

static void what_can_be_told_from_the_text(void **state)
{
	static const char *const good[] = {
		"tcti = device\n",
		"tcti = device:/dev/tpm0\n",
		"tcti = tabrmd:bus_type=system\n",
		"tcti = swtpm:path=a\n",
		"tcti = mssim:host=localhost,port=2321\n",
		"kernel_list = none\nview_dir = none\npublic_socket = none\naudit_journal = none\n",
		"kernel_list = /sys/x\n",
	};
	struct assay_conf c;

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_int_equal(parse(good[i], &c, NULL), 0);
}

static void places_of_values(void **state)
{
	struct assay_bytes text = assay_bytes_str("# policy = a\n\n  policy  =\tb\nmount = /a\n"
						  " mount= /b = c");
	uint32_t line = 7, column = 8;

	assert_true(assay_conf_place(text, "policy", &line, &column));
	assert_int_equal(line, 3);
	assert_int_equal(column, 13);
	assert_true(assay_conf_place(text, "mount", &line, &column));
	assert_int_equal(line, 5);
	assert_int_equal(column, 9);
	assert_false(assay_conf_place(text, "template", &line, &column));
	assert_false(assay_conf_place(assay_bytes_str(""), "policy", &line, &column));
	assert_int_equal(line, 5);
}

static void limits(void **state)
{
	static char text[ASSAY_CONF_SIZE_MAX + 2];
	struct assay_conf c;
	struct assay_err err;

	memset(text, 'a', 9 + ASSAY_CONF_STRING_MAX);
	memcpy(text, "policy = ", 9);
	assert_int_equal(parse(text, &c, &err), -E2BIG);
	text[9 + ASSAY_CONF_STRING_MAX - 1] = '\0';
	assert_int_equal(parse(text, &c, &err), 0);
	assert_int_equal(strlen(c.policy), ASSAY_CONF_STRING_MAX - 1);
	text[0] = '\0';
	for (size_t i = 0; i <= ASSAY_CONF_LIST_MAX; i++)
		strcat(text, "mount = /\n");
	assert_int_equal(parse(text, &c, &err), -E2BIG);
	assert_int_equal(err.line, ASSAY_CONF_LIST_MAX + 1);
	memset(text, 'a', 17 + 108);
	memcpy(text, "control_socket = ", 17);
	text[17] = '/';
	text[17 + 108] = '\0';
	assert_int_equal(parse(text, &c, &err), -E2BIG);
	assert_int_equal(err.column, 18);
	text[17 + 107] = '\0';
	assert_int_equal(parse(text, &c, &err), 0);
	memset(text, '\n', ASSAY_CONF_SIZE_MAX + 1);
	text[ASSAY_CONF_SIZE_MAX + 1] = '\0';
	assert_int_equal(parse(text, &c, &err), -E2BIG);
	assert_int_equal(assay_conf_parse(assay_bytes("policy = a\0b", 12), &c, &err), -EINVAL);
}

static void printing_is_a_fixed_point(void **state)
{
	static char text[ASSAY_CONF_SIZE_MAX];
	struct assay_wr w = assay_wr(text, sizeof(text) - 1);
	struct assay_conf c, again;

	assert_int_equal(parse("first_sight = eager\nmount = /x y\nmount = /z\nworkers = 256\n"
			       "exempt_pid = 7\nlock_memory = yes\n",
			       &c, NULL),
			 0);
	assay_conf_print(&c, &w);
	assert_true(assay_wr_ok(&w));
	text[w.len] = '\0';
	assert_non_null(strstr(text, "\nlock_memory = yes\n"));
	assert_int_equal(parse(text, &again, NULL), 0);
	assert_memory_equal(&c, &again, sizeof(c));
}

static void hashes_and_templates(void **state)
{
	struct assay_conf c;

	assert_int_equal(parse("hash = sha1\ntemplate = ima\n", &c, NULL), 0);
	assert_string_equal(c.template, "ima");
	assert_int_equal(parse("hash = sha3-512\ntemplate = d-ngv2|n-ng|iuid\n", &c, NULL), 0);
	assert_string_equal(c.template, "d-ngv2|n-ng|iuid");
}

/* Refused with its place; or a text that, printed, says the same. */
static void refused_or_means_something(const char *text, size_t len)
{
	static char printed[ASSAY_CONF_SIZE_MAX];
	struct assay_wr w = assay_wr(printed, sizeof(printed));
	static struct assay_conf c, again;
	char *copy = malloc(len + 1);
	struct assay_err err;

	memcpy(copy, text, len);
	if (assay_conf_parse(assay_bytes(copy, len), &c, &err) < 0) {
		assert_true(err.line > 0 && err.column > 0 && err.text[0]);
	} else {
		assay_conf_print(&c, &w);
		assert_int_equal(assay_conf_parse(assay_wr_done(&w), &again, NULL), 0);
		assert_memory_equal(&c, &again, sizeof(c));
	}
	free(copy);
}

static void flips_and_cuts(void **state)
{
	char text[] = "# one of each kind\npolicy = /etc/a = b#c\nanchor\t= none\npcr = 11\n"
		      "mount = /a\nmount = /b c\nexempt_pid = 1\ntemplate = d-ng|n-ng\n"
		      "hash = sha3-512\npublic_socket = none\r\n";

	for (size_t cut = 0; cut < sizeof(text); cut++)
		refused_or_means_something(text, cut);
	for (size_t bit = 0; bit < 8 * (sizeof(text) - 1); bit++) {
		text[bit / 8] ^= (char)(1u << bit % 8);
		refused_or_means_something(text, sizeof(text) - 1);
		text[bit / 8] ^= (char)(1u << bit % 8);
	}
}

static void one_key_by_name(void **state)
{
	struct assay_conf c, before;
	struct assay_err err;

	assay_conf_init(&c);
	assert_int_equal(assay_conf_set(&c, "anchor", assay_bytes_str("soft"), &err), 0);
	assert_int_equal(c.anchor, ASSAY_CONF_ANCHOR_SOFT);
	assert_int_equal(assay_conf_set(&c, "policy", assay_bytes_str("longer-than-tcb"), &err), 0);
	assert_int_equal(assay_conf_set(&c, "policy", assay_bytes_str("x"), &err), 0);
	assert_string_equal(c.policy, "x");
	before = c;
	assert_int_equal(assay_conf_set(&c, "anchors", assay_bytes_str("soft"), &err), -EINVAL);
	assert_int_equal(assay_conf_set(&c, "anchor", assay_bytes_str(""), &err), -EINVAL);
	assert_int_equal(assay_conf_set(&c, "exempt_pid", assay_bytes_str("x"), &err), -EINVAL);
	assert_memory_equal(&c, &before, sizeof(c));
}

static void differences_are_named(void **state)
{
	struct assay_conf a, b;
	uint64_t bits;
	unsigned n = 0;

	assay_conf_init(&a);
	b = a;
	assert_int_equal(assay_conf_differ(&a, &b), 0);
	assert_int_equal(assay_conf_set(&b, "policy", assay_bytes_str("secure_boot"), NULL), 0);
	assert_int_equal(assay_conf_set(&b, "pcr", assay_bytes_str("11"), NULL), 0);
	assert_int_equal(assay_conf_set(&b, "anchor", assay_bytes_str("soft"), NULL), 0);
	assert_int_equal(assay_conf_set(&b, "mount", assay_bytes_str("/srv"), NULL), 0);
	assert_int_equal(assay_conf_set(&b, "exempt_pid", assay_bytes_str("7"), NULL), 0);
	bits = assay_conf_differ(&a, &b);
	for (unsigned i = 0; assay_conf_key(i); i++) {
		if (!(bits & 1ull << i))
			continue;
		assay_conf_copy(&a, &b, assay_conf_key(i));
		assert_int_equal(assay_conf_differ(&a, &b) & 1ull << i, 0);
		n++;
	}
	assert_int_equal(n, 5);
	assert_memory_equal(&a, &b, sizeof(a));
	/* A shorter value leaves nothing of the longer one behind. */
	assert_int_equal(assay_conf_set(&b, "policy", assay_bytes_str("tcb"), NULL), 0);
	assert_int_equal(assay_conf_set(&a, "policy", assay_bytes_str("tcb"), NULL), 0);
	assert_int_equal(assay_conf_differ(&a, &b), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_is_defaults),
		cmocka_unit_test(values_of_each_kind),
		cmocka_unit_test(refused_with_the_place),
		cmocka_unit_test(limits),
		cmocka_unit_test(printing_is_a_fixed_point),
		cmocka_unit_test(flips_and_cuts),
		cmocka_unit_test(one_key_by_name),
		cmocka_unit_test(hashes_and_templates),
		cmocka_unit_test(differences_are_named),
		cmocka_unit_test(places_of_values),
		cmocka_unit_test(what_can_be_told_from_the_text),
	};

	return cmocka_run_group_tests_name("conf", tests, NULL, NULL);
}
