/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "unit/test.h"

#include <errno.h>

#include "base/hex.h"
#include "formats/audit.h"

/* Exactly as much memory as there is text: a read or a write past the end is found. */
static int parse(struct assay_bytes text, struct assay_audit *ret, struct assay_err *err)
{
	static uint8_t *space; /* of the last one, which @ret borrows */
	uint8_t *copy = malloc(text.len + 1);
	int r;

	free(space);
	space = malloc(text.len + 1);
	memcpy(copy, text.data, text.len);
	r = assay_audit_parse(assay_bytes(copy, text.len), space, text.len, ret, err);
	free(copy);
	return r;
}

static int parse_text(const char *text, struct assay_audit *ret, struct assay_err *err)
{
	return parse(assay_bytes_str(text), ret, err);
}

static void set_text(struct assay_audit *r, enum assay_audit_field field, const char *text)
{
	assay_audit_set_text(r, field, assay_bytes_str(text));
}

static const char *encode(const struct assay_audit *r)
{
	static char text[ASSAY_AUDIT_LINE_MAX + 1];
	struct assay_wr w = assay_wr(text, sizeof(text) - 1);

	assay_audit_encode(r, &w);
	assert_true(assay_wr_ok(&w));
	text[w.len] = '\0';
	return text;
}

static const char *print(const struct assay_audit *r, bool quoted)
{
	static char text[4 * ASSAY_AUDIT_LINE_MAX];
	struct assay_wr w = assay_wr(text, sizeof(text) - 1);

	assay_audit_print(r, quoted, &w);
	assert_true(assay_wr_ok(&w));
	text[w.len] = '\0';
	return text;
}

static const char hash[] =
	"sha256:c79bf44242829108e323378531f4ac839513ca1fba45efd6583643526e1e9fd2";

static struct assay_audit rule_record(const char *file)
{
	struct assay_audit r = { .type = ASSAY_AUDIT_TYPE_RULE, .time_us = 1763806473207041 };
	static const struct {
		enum assay_audit_field field;
		uint64_t number;
	} numbers[] = {
		{ ASSAY_AUDIT_PPID, 185 },	  { ASSAY_AUDIT_PID, 221 },
		{ ASSAY_AUDIT_AUID, UINT32_MAX }, { ASSAY_AUDIT_UID, 0 },
		{ ASSAY_AUDIT_GID, 0 },		  { ASSAY_AUDIT_EUID, 0 },
		{ ASSAY_AUDIT_SUID, 0 },	  { ASSAY_AUDIT_FSUID, 0 },
		{ ASSAY_AUDIT_EGID, 0 },	  { ASSAY_AUDIT_SGID, 0 },
		{ ASSAY_AUDIT_FSGID, 0 },	  { ASSAY_AUDIT_SES, UINT32_MAX },
	};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		assay_audit_set_number(&r, numbers[i].field, numbers[i].number);
	set_text(&r, ASSAY_AUDIT_FILE, file);
	set_text(&r, ASSAY_AUDIT_HASH, hash);
	set_text(&r, ASSAY_AUDIT_TTY, "(none)");
	set_text(&r, ASSAY_AUDIT_COMM, "start");
	set_text(&r, ASSAY_AUDIT_EXE, "/usr/bin/bash");
	return r;
}

static void json_of_a_rule(void **state)
{
	struct assay_audit r = rule_record("/srv/p/quote\"x"), back;

	assay_audit_set_number(&r, ASSAY_AUDIT_SEQ, 7);
	assert_string_equal(
		encode(&r),
		"{\"v\":1,\"type\":\"INTEGRITY_RULE\",\"time\":\"2025-11-22T10:14:33.207041Z\","
		"\"seq\":7,\"file\":\"/srv/p/quote\\\"x\",\"hash\":\"sha256:"
		"c79bf44242829108e323378531f4ac839513ca1fba45efd6583643526e1e9fd2\",\"ppid\":185,"
		"\"pid\":221,\"auid\":4294967295,\"uid\":0,\"gid\":0,\"euid\":0,\"suid\":0,"
		"\"fsuid\":0,\"egid\":0,\"sgid\":0,\"fsgid\":0,\"tty\":\"(none)\","
		"\"ses\":4294967295,\"comm\":\"start\",\"exe\":\"/usr/bin/bash\"}");
	assert_int_equal(parse_text(encode(&r), &back, NULL), 0);
	assert_int_equal(back.have, r.have);
	assert_int_equal(back.time_us, r.time_us);
	assert_true(assay_bytes_is(back.value[ASSAY_AUDIT_FILE].text, "/srv/p/quote\"x"));
}

static void every_byte_comes_back(void **state)
{
	struct assay_audit r = { .type = ASSAY_AUDIT_TYPE_RULE }, back;
	uint8_t all[256];

	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = (uint8_t)i;
	assay_audit_set_text(&r, ASSAY_AUDIT_FILE, assay_bytes(all, sizeof(all)));
	assert_int_equal(parse_text(encode(&r), &back, NULL), 0);
	assert_true(assay_bytes_equal(back.value[ASSAY_AUDIT_FILE].text,
				      assay_bytes(all, sizeof(all))));
	assert_non_null(strstr(encode(&r), "\\\\x0a"));
	assert_non_null(strstr(encode(&r), "\\\\xff\""));
	for (const char *c = encode(&r); *c; c++)
		assert_in_range(*c, 0x20, 0x7e);
}

static void the_longest_fits(void **state)
{
	struct assay_audit r = { .type = ASSAY_AUDIT_TYPE_STATUS,
				 .time_us = ASSAY_AUDIT_TIME_MAX - 1 },
			   back;
	uint8_t ones[ASSAY_AUDIT_PATH_MAX];

	memset(ones, 1, sizeof(ones));
	for (unsigned i = 0; i < ASSAY_AUDIT_FIELD_COUNT; i++) {
		if (i == ASSAY_AUDIT_NAME)
			continue;
		if (assay_audit_field_kind(i) == ASSAY_AUDIT_KIND_NUMBER)
			assay_audit_set_number(&r, i, INT64_MAX);
		else /* cut to what the field takes */
			assay_audit_set_text(&r, i, assay_bytes(ones, sizeof(ones)));
	}
	assert_int_equal(parse_text(encode(&r), &back, NULL), 0);
	assert_non_null(strstr(encode(&r), "\"9999-12-31T23:59:59.999999Z\""));
	assay_audit_set_number(&back, ASSAY_AUDIT_INO, UINT64_MAX); /* left as it was */
	assert_int_equal(back.value[ASSAY_AUDIT_INO].number, INT64_MAX);
}

static void times(void **state)
{
	static const struct {
		uint64_t s;
		const char *text;
	} cases[] = {
		{ 0, "1970-01-01T00:00:00" },	       { 951782399, "2000-02-28T23:59:59" },
		{ 951782400, "2000-02-29T00:00:00" },  { 951868800, "2000-03-01T00:00:00" },
		{ 4107542400, "2100-03-01T00:00:00" }, { 4107542399, "2100-02-28T23:59:59" },
		{ 1709164800, "2024-02-29T00:00:00" }, { 13574563200, "2400-02-29T00:00:00" },
	};
	struct assay_audit r = { .type = ASSAY_AUDIT_TYPE_RULE }, back;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		r.time_us = cases[i].s * 1000000 + 5;
		assert_non_null(strstr(encode(&r), cases[i].text));
		assert_int_equal(parse_text(encode(&r), &back, NULL), 0);
		assert_int_equal(back.time_us, r.time_us);
	}
}

static void refused(void **state)
{
	static const struct {
		const char *text;
		int code;
	} cases[] = {
#define HEAD "{\"v\":1,\"type\":\"INTEGRITY_RULE\",\"time\":\"2025-11-22T10:14:33.207041Z\""
		{ "", -EBADMSG },
		{ "{}", -EBADMSG },
		{ HEAD, -EBADMSG },
		{ HEAD "} ", -EBADMSG },
		{ HEAD "}{", -EBADMSG },
		{ HEAD ", \"pid\":1}", -EBADMSG },
		{ HEAD ",\"pid\":01}", -EBADMSG },
		{ HEAD ",\"pid\":-1}", -EBADMSG },
		{ HEAD ",\"pid\":1.0}", -EBADMSG },
		{ HEAD ",\"pid\":\"1\"}", -EBADMSG },
		{ HEAD ",\"pid\":9223372036854775808}", -EBADMSG },
		{ HEAD ",\"pid\":1,\"pid\":1}", -EBADMSG },
		{ HEAD ",\"pid\":1,\"ppid\":1}", -EBADMSG },
		{ HEAD ",\"colour\":1}", -EBADMSG },
		{ HEAD ",\"file\":1}", -EBADMSG },
		{ HEAD ",\"file\":\"\\u0041\"}", -EBADMSG },
		{ HEAD ",\"file\":\"\\\\x41\"}", -EBADMSG },
		{ HEAD ",\"file\":\"\\\\x0A\"}", -EBADMSG },
		{ HEAD ",\"file\":\"\\\\n\"}", -EBADMSG },
		{ HEAD ",\"file\":\"\n\"}", -EBADMSG },
		{ HEAD ",\"file\":\"\xc3\xa4\"}", -EBADMSG },
		{ HEAD ",\"func\":\"0123456789abcdef0123456789abcdef0\"}", -E2BIG },
		{ "{\"v\":2,\"type\":\"INTEGRITY_RULE\"}", -EOPNOTSUPP },
		{ "{\"v\":1,\"type\":\"SYSCALL\",\"time\":\"2025-11-22T10:14:33.207041Z\"}",
		  -EBADMSG },
#undef HEAD
#define AT(time) { "{\"v\":1,\"type\":\"INTEGRITY_RULE\",\"time\":\"" time "\"}", -EBADMSG }
		AT("2025-02-29T00:00:00.000000Z"),
		AT("2025-13-01T00:00:00.000000Z"),
		AT("2025-00-01T00:00:00.000000Z"),
		AT("2025-01-00T00:00:00.000000Z"),
		AT("2025-01-01T24:00:00.000000Z"),
		AT("2025-01-01T00:60:00.000000Z"),
		AT("2025-01-01T00:00:60.000000Z"),
		AT("1969-12-31T23:59:59.000000Z"),
		AT("2025-01-01T00:00:00.000000z"),
		AT("2025-01-01T00:00:00.00000Z"),
#undef AT
	};
	struct assay_audit r = { .have = 42 };
	struct assay_err err;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		err.text[0] = '\0';
		assert_int_equal(parse_text(cases[i].text, &r, &err), cases[i].code);
		assert_true(err.text[0]);
		assert_int_equal(r.have, 42);
	}
}

/* Whatever is taken is the one writing of what it means. */
static void flips_and_cuts(void **state)
{
	struct assay_audit r = rule_record("/srv/\xff\"\\\n name"), back;
	char text[4096], changed[4096];
	size_t len;

	assay_audit_set_number(&r, ASSAY_AUDIT_SEQ, 1234567);
	len = strlen(encode(&r));
	memcpy(text, encode(&r), len);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(parse(assay_bytes(text, i), &back, NULL), -EBADMSG);
	for (size_t i = 0; i < 8 * len; i++) {
		memcpy(changed, text, len);
		changed[i / 8] = (char)(changed[i / 8] ^ 1 << i % 8);
		if (parse(assay_bytes(changed, len), &back, NULL) == 0) {
			assert_int_equal(strlen(encode(&back)), len);
			assert_memory_equal(encode(&back), changed, len);
		}
	}
}

/* ---- the kernel's text ---------------------------------------------------------------------- */

#define TASK                                                                                       \
	" ppid=185 pid=221 auid=4294967295 uid=0 gid=0 euid=0 suid=0 fsuid=0 egid=0 sgid=0 "       \
	"fsgid=0 tty=(none) ses=4294967295 comm=\"start\" exe=\"/usr/bin/bash\""

static void text_of_a_rule(void **state)
{
	static const struct {
		const char *file, *text;
		bool quoted;
	} cases[] = {
		{ "/srv/p/plain", "\"/srv/p/plain\"", false },
		{ "/srv/p/blank name", "2F7372762F702F626C616E6B206E616D65", false },
		{ "/srv/p/quote\"x", "2F7372762F702F71756F74652278", false },
		{ "/srv/p/line\nfeed", "2F7372762F702F6C696E650A66656564", false },
		{ "/srv/p/\xff\xc3\xa4", "2F7372762F702FFFC3A4", false },
		{ "/srv/p/back\\slash", "\"/srv/p/back\\slash\"", false },
		{ "/srv/p/apos'x", "\"/srv/p/apos'x\"", false },
		{ "/srv/p/apos'x", "2F7372762F702F61706F732778", true },
	};
	char want[1024];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct assay_audit r = rule_record(cases[i].file);

		snprintf(want, sizeof(want), "file=%s hash=\"%s\"" TASK, cases[i].text, hash);
		assert_string_equal(print(&r, cases[i].quoted), want);
	}
}

/* What the kernel does not say comes after what it does. */
static void text_of_more(void **state)
{
	struct assay_audit r = rule_record("/srv/p/plain");
	char want[1024];

	set_text(&r, ASSAY_AUDIT_SUBJ, "docker-default (enforce)");
	set_text(&r, ASSAY_AUDIT_FUNC, "BPRM_CHECK");
	set_text(&r, ASSAY_AUDIT_CGROUP, "/a b");
	assay_audit_set_number(&r, ASSAY_AUDIT_SEQ, 9);
	assay_audit_set_number(&r, ASSAY_AUDIT_RULE, 3);
	snprintf(want, sizeof(want),
		 "file=\"/srv/p/plain\" hash=\"%s\"" TASK " "
		 "subj=646F636B65722D64656661756C742028656E666F72636529 func=BPRM_CHECK rule=3 "
		 "cgroup=2F612062",
		 hash);
	assert_string_equal(print(&r, false), want);
	r = (struct assay_audit){ .type = ASSAY_AUDIT_TYPE_RULE };
	set_text(&r, ASSAY_AUDIT_COMM, "");
	assert_string_equal(print(&r, false), "comm=\"\" exe=(null)");
}

static void text_of_a_status(void **state)
{
	struct assay_audit r = { .type = ASSAY_AUDIT_TYPE_STATUS };

	set_text(&r, ASSAY_AUDIT_OP, "policy_update");
	set_text(&r, ASSAY_AUDIT_CAUSE, "completed");
	set_text(&r, ASSAY_AUDIT_COMM, "start");
	set_text(&r, ASSAY_AUDIT_SUBJ, "unconfined");
	assay_audit_set_number(&r, ASSAY_AUDIT_PID, 184);
	assay_audit_set_number(&r, ASSAY_AUDIT_UID, 0);
	assay_audit_set_number(&r, ASSAY_AUDIT_AUID, UINT32_MAX);
	assay_audit_set_number(&r, ASSAY_AUDIT_SES, UINT32_MAX);
	assay_audit_set_number(&r, ASSAY_AUDIT_RES, 1);
	assay_audit_set_number(&r, ASSAY_AUDIT_ERRNO, 0);
	assert_string_equal(print(&r, false),
			    "pid=184 uid=0 auid=4294967295 ses=4294967295 subj=unconfined "
			    "op=policy_update cause=completed comm=\"start\" res=1 errno=0");
}

/* ---- what a kernel has printed (tests/vectors/audit) -------------------------------------------
 */

static size_t take_token(const char *text, char *key, char *value)
{
	size_t n = strcspn(text, "=");

	memcpy(key, text, n);
	key[n] = '\0';
	text += n + 1;
	strcpy(value, text);
	value[strcspn(value, " \n")] = '\0';
	return n + 1 + strlen(value);
}

/* A token of the kernel's back to the field: quoted, hexadecimal or bare. */
static void set_token(struct assay_audit *r, const char *key, char *value)
{
	static char space[32][256];
	static unsigned used;
	char *copy = space[used++ % 32];
	size_t len = strlen(value);
	unsigned i = 0;

	while (i < ASSAY_AUDIT_FIELD_COUNT && strcmp(assay_audit_field_key(i), key) != 0)
		i++;
	assert_int_not_equal(i, ASSAY_AUDIT_FIELD_COUNT);
	if (assay_audit_field_kind(i) == ASSAY_AUDIT_KIND_NUMBER) {
		assay_audit_set_number(r, i, strtoull(value, NULL, 10));
	} else if (value[0] == '"') {
		memcpy(copy, value + 1, len - 2);
		assay_audit_set_text(r, i, assay_bytes(copy, len - 2));
	} else if (assay_audit_field_kind(i) == ASSAY_AUDIT_KIND_TEXT) {
		long n = assay_hex_decode(assay_bytes(value, len), (uint8_t *)copy, 256);

		assert_true(n > 0);
		assay_audit_set_text(r, i, assay_bytes(copy, (size_t)n));
	} else {
		memcpy(copy, value, len);
		assay_audit_set_text(r, i, assay_bytes(copy, len));
	}
}

static void text_of_a_kernel(void **state)
{
	static const unsigned numbers[] = {
#define X(id, number, name) number,
		ASSAY_AUDIT_TYPE_LIST(X)
#undef X
	};
	FILE *f = fopen(VECTORS "/audit/linux-6.1.txt", "r");
	char line[2048], key[2048], value[2048];
	unsigned lines = 0, type;
	struct assay_audit back;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		struct assay_audit r = { 0 };
		char *text = strstr(line, "): ") + 3;

		line[strcspn(line, "\n")] = '\0';
		assert_int_equal(sscanf(line, "type=%u ", &type), 1);
		while (numbers[r.type] != type)
			r.type++;
		for (const char *at = text; *at; at += *at == ' ') {
			at += take_token(at, key, value);
			set_token(&r, key, value);
		}
		assert_string_equal(print(&r, false), text);
		assert_int_equal(parse_text(encode(&r), &back, NULL), 0);
		assert_string_equal(print(&back, false), text);
		lines++;
	}
	fclose(f);
	assert_int_equal(lines, 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_of_a_rule),   cmocka_unit_test(every_byte_comes_back),
		cmocka_unit_test(the_longest_fits), cmocka_unit_test(times),
		cmocka_unit_test(refused),	    cmocka_unit_test(flips_and_cuts),
		cmocka_unit_test(text_of_a_rule),   cmocka_unit_test(text_of_more),
		cmocka_unit_test(text_of_a_status), cmocka_unit_test(text_of_a_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
