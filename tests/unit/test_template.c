/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Templates: the vectors were computed with Python's hashlib from the kernel's rules. */
#include "unit/test.h"

#include <errno.h>

#include <openssl/evp.h>

#include "base/hex.h"
#include "formats/template.h"

#define B(s) assay_bytes((s), sizeof(s) - 1)

static void assert_hash(const char *alg, struct assay_bytes in, const char *want)
{
	uint8_t digest[64];
	char hex[129];
	unsigned len;

	assert_true(EVP_Digest(in.data, in.len, digest, &len, EVP_get_digestbyname(alg), NULL));
	assay_hex_encode(assay_bytes(digest, len), hex);
	assert_string_equal(hex, want);
}

static struct assay_digest counting(enum assay_hash alg)
{
	struct assay_digest d = { .alg = alg };

	for (size_t i = 0; i < assay_hash_size(alg); i++)
		d.data[i] = (uint8_t)i;
	return d;
}

static struct assay_template parse(const char *name)
{
	struct assay_template t;

	assert_int_equal(assay_template_parse(assay_bytes_str(name), &t, NULL), 0);
	return t;
}

static void test_parse_knows_every_builtin(void **state)
{
	unsigned n = 0;

	for (; assay_template_builtin_name(n); n++)
		assert_true(parse(assay_template_builtin_name(n)).n_fields >= 2);
	assert_int_equal(n, 8);
	assert_true(parse("ima").legacy);
	assert_false(parse("d|n").legacy);
	assert_int_equal(parse("evm-sig").n_fields, 9);
	assert_int_equal(parse("d-ng|n-ng|iuid").fields[2], ASSAY_FIELD_IUID);
}

static void test_parse_refuses(void **state)
{
	static const char *const bad[] = { "",		"|",	   "d-ng|",	"|n-ng",
					   "ima-sigv3", "d-ng||n", "d-ng n-ng", "d-ng|n-ngx" };
	struct assay_template t;
	struct assay_err err;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(assay_template_parse(assay_bytes_str(bad[i]), &t, &err),
				 -EOPNOTSUPP);
	assert_int_equal(assay_template_parse(B("d|d|d|d|d|d|d|d|d|d|d|d|d|d|d|d"), &t, &err),
			 -E2BIG);
	assert_int_equal(parse("d|d|d|d|d|d|d|d|d|d|d|d|d|d|d").n_fields, 15);
}

static struct assay_bytes encode(const char *name, const struct assay_template_facts *f,
				 uint8_t buf[static 8192])
{
	struct assay_template t = parse(name);
	struct assay_wr w = assay_wr(buf, 8192);

	assert_int_equal(assay_template_encode(&t, f, &w), 0);
	return assay_wr_done(&w);
}

static void test_vectors_of_the_sheet(void **state)
{
	struct assay_digest d = counting(ASSAY_HASH_SHA256), sha1 = counting(ASSAY_HASH_SHA1);
	struct assay_template_facts f = { .digest = &d, .name = B("/usr/bin/true") };
	uint8_t buf[8192], old[20 + 256] = { 0 };
	struct assay_bytes out = encode("ima-ng", &f, buf);

	assert_int_equal(out.len, 62);
	assert_hash("sha1", out, "fd40698858d9983431a4b261febc281d4e2fa076");
	assert_hash("sha256", out,
		    "b9dd3c053700d61c01ce4cfb31ef72322678df5432620d8c8c8d807e365c0901");
	assert_hash("sha384", out,
		    "8a76cd6923864ea34d4c8c5c8bd0409306a420eabe4c9cd5bb5df8a6e6ef2e8bf8f67e86f3f075"
		    "e799dd5893dfc0ca74");

	f.digest = &sha1;
	out = encode("ima", &f, buf);
	assert_int_equal(out.len, 20 + 4 + 13);
	memcpy(old, out.data, 20);
	memcpy(old + 20, out.data + 24, 13);
	assert_hash("sha1", assay_bytes(old, sizeof(old)),
		    "cb67c4abb2db4c81f9540f746b77558c7f21bfd8");
}

static void test_vector_of_a_buffer(void **state)
{
	struct assay_digest d = { .alg = ASSAY_HASH_SHA256 };
	struct assay_template_facts f = { .digest = &d,
					  .name = B("selinux-state"),
					  .buf = B("enforcing=1;") };
	uint8_t buf[8192];
	struct assay_bytes out;

	assert_true(EVP_Digest(f.buf.data, f.buf.len, d.data, NULL, EVP_sha256(), NULL));
	out = encode("ima-buf", &f, buf);
	assert_hash("sha256", out,
		    "0af0a003c21e44fc303e3d46397143b9242955afc2c1ad05c39ff71bbd82c17a");
	assert_hash("sha1", out, "4acd0829f613e135a238d21dd262ad8e53c080a7");
}

static const struct assay_template_facts *rich(void)
{
	static struct assay_digest d, m;
	static struct assay_template_facts f;

	d = counting(ASSAY_HASH_SHA1);
	m = counting(ASSAY_HASH_SHA512);
	f = (struct assay_template_facts){
		.digest = &d,
		.verity = true,
		.name = B("/a name/x"),
		.buf = B("buffer"),
		.sig = B("\3\2sig"),
		.evmsig = B("\5\2evm"),
		.modsig = B("0modsig"),
		.modsig_digest = &m,
		.uid = 0x01020304,
		.gid = 5,
		.mode = 0100755,
		.xattr_names = B("security.selinux|security.ima"),
		.xattr_lengths = B("\1\0\0\0\2\0\0\0"),
		.xattr_values = B("abc"),
		.has_owner = true,
	};
	return &f;
}

static const char all_fields[] = "d|n|d-ng|d-ngv2|n-ng|sig|buf|d-modsig|modsig|evmsig|iuid|igid|"
				 "imode|xattrnames|xattrlengths";

static void test_cut_gives_back_what_was_written(void **state)
{
	const struct assay_template_facts *f = rich();
	struct assay_template t = parse(all_fields);
	struct assay_template_data cut;
	struct assay_digest d;
	uint8_t buf[8192];
	struct assay_bytes out = encode(all_fields, f, buf);
	bool verity = false;

	assert_int_equal(assay_template_cut(&t, out, false, &cut, NULL), 0);
	assert_true(assay_bytes_is(assay_field_text(cut.field[1]), "/a_name/x"));
	assert_int_equal(assay_field_digest(ASSAY_FIELD_D_NGV2, cut.field[3], &d, &verity), 0);
	assert_true(verity);
	assert_int_equal(d.alg, ASSAY_HASH_SHA1);
	assert_memory_equal(d.data, f->digest->data, 20);
	assert_true(assay_bytes_equal(assay_template_field(&cut, ASSAY_FIELD_SIG), f->sig));
	assert_int_equal(assay_field_uint(ASSAY_FIELD_IUID, cut.field[10], false), 0x01020304);
	assert_int_equal(assay_field_uint(ASSAY_FIELD_IMODE, cut.field[12], false), 0100755);
	assert_int_equal(assay_field_uint(ASSAY_FIELD_IUID, cut.field[10], true), 0x04030201);
	assert_null(assay_template_field(&cut, ASSAY_FIELD_XATTRVALUES).data);
}

/* Shorter by any number of bytes, or longer by one, is no template data. */
static void test_cut_wants_the_end(void **state)
{
	struct assay_template t = parse(all_fields);
	struct assay_template_data cut;
	uint8_t buf[8192];
	struct assay_bytes out = encode(all_fields, rich(), buf);

	for (size_t len = 0; len < out.len; len++)
		assert_int_equal(assay_template_cut(&t, assay_bytes(buf, len), false, &cut, NULL),
				 -EBADMSG);
	buf[out.len] = 0;
	assert_int_equal(assay_template_cut(&t, assay_bytes(buf, out.len + 1), false, &cut, NULL),
			 -EBADMSG);
}

static void assert_cut(const char *name, struct assay_bytes data, int want)
{
	struct assay_template t = parse(name);
	struct assay_template_data cut;

	assert_int_equal(assay_template_cut(&t, data, false, &cut, NULL), want);
}

static void test_cut_checks_shapes(void **state)
{
	assert_cut("n-ng", B("\2\0\0\0x\0"), 0);
	assert_cut("n-ng", B("\0\0\0\0"), 0);
	assert_cut("n-ng", B("\2\0\0\0xy"), -EBADMSG);
	assert_cut("n-ng", B("\2\0\0\0\0\0"), -EBADMSG);
	assert_cut("imode", B("\2\0\0\0xy"), 0);
	assert_cut("imode", B("\4\0\0\0xyzw"), -EBADMSG);
	assert_cut("iuid", B("\2\0\0\0xy"), -EBADMSG);
	assert_cut("xattrlengths", B("\3\0\0\0xyz"), -EBADMSG);
	assert_cut("d", B("\3\0\0\0xyz"), -EBADMSG);
	assert_cut("d", B("\x10\0\0\0yyyyyyyyyyyyyyyy"), 0);
	assert_cut("d-ng", B("\x15\0\0\0md5:\0yyyyyyyyyyyyyyyy"), 0);
	assert_cut("d-ng", B("\x15\0\0\0md6:\0yyyyyyyyyyyyyyyy"), -EOPNOTSUPP);
	assert_cut("d-ng", B("\x15\0\0\0md5:yyyyyyyyyyyyyyyyy"), -EBADMSG);
	assert_cut("d-ng", B("\x14\0\0\0md5:\0yyyyyyyyyyyyyyy"), -EBADMSG);
	assert_cut("d-ngv2", B("\x19\0\0\0ima:md5:\0yyyyyyyyyyyyyyyy"), 0);
	assert_cut("d-ngv2", B("\x19\0\0\0imb:md5:\0yyyyyyyyyyyyyyyy"), -EOPNOTSUPP);
	assert_cut("ima", B("dddddddddddddddddddd\2\0\0\0/x"), 0);
	assert_cut("ima", B("dddddddddddddddddddd\2\0\0\0x\0"), -EBADMSG);
	assert_cut("ima", B("dddddddddddddddddddd\2\0\0\0/xy"), -EBADMSG);
}

static void test_encode_keeps_only_signatures(void **state)
{
	struct assay_template_facts f = *rich();
	struct assay_template t = parse("sig|evmsig");
	struct assay_template_data cut;
	uint8_t buf[8192];

	f.sig = B("\4\4a digest");
	assert_int_equal(assay_template_cut(&t, encode("sig|evmsig", &f, buf), false, &cut, NULL),
			 0);
	assert_true(assay_bytes_equal(cut.field[0], f.evmsig));
	f.evmsig = B("\2an hmac");
	assert_int_equal(assay_template_cut(&t, encode("sig|evmsig", &f, buf), false, &cut, NULL),
			 0);
	assert_int_equal(cut.field[0].len + cut.field[1].len, 0);
}

static void test_encode_violation_and_refusals(void **state)
{
	struct assay_template_facts f = { .violation_alg = ASSAY_HASH_SHA256, .name = B("/x") };
	struct assay_digest d = counting(ASSAY_HASH_SHA256);
	struct assay_template t = parse("ima-ng"), ima = parse("ima");
	struct assay_bytes out;
	uint8_t buf[8192];
	struct assay_wr w;

	out = encode("ima-ng", &f, buf);
	assert_int_equal(out.len, 4 + 40 + 4 + 3);
	assert_true(assay_bytes_all(assay_bytes(buf + 12, 32), 0));
	for (size_t cap = 0; cap < out.len; cap++) {
		w = assay_wr(buf, cap);
		assert_int_equal(assay_template_encode(&t, &f, &w), -ENOSPC);
	}
	f.digest = &d;
	w = assay_wr(buf, sizeof(buf));
	assert_int_equal(assay_template_encode(&ima, &f, &w), -EOPNOTSUPP);
	f.name = B("/x\0y");
	w = assay_wr(buf, sizeof(buf));
	assert_int_equal(assay_template_encode(&t, &f, &w), -EINVAL);
}

static void test_long_names(void **state)
{
	static char path[5000];
	struct assay_template_facts f = { .name = assay_bytes(path, 300) };
	struct assay_template ng = parse("n-ng");
	uint8_t buf[8192];
	struct assay_wr w = assay_wr(buf, sizeof(buf));

	memset(path, 'p', sizeof(path));
	assert_int_equal(encode("n", &f, buf).len, 4 + 255 + 1);
	path[0] = '/';
	path[200] = '/';
	assert_int_equal(encode("n", &f, buf).len, 4 + 99 + 1);
	assert_int_equal(encode("n-ng", &f, buf).len, 4 + 300 + 1);
	f.name.len = 4096;
	assert_int_equal(assay_template_encode(&ng, &f, &w), -ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_knows_every_builtin),
		cmocka_unit_test(test_parse_refuses),
		cmocka_unit_test(test_vectors_of_the_sheet),
		cmocka_unit_test(test_vector_of_a_buffer),
		cmocka_unit_test(test_cut_gives_back_what_was_written),
		cmocka_unit_test(test_cut_wants_the_end),
		cmocka_unit_test(test_cut_checks_shapes),
		cmocka_unit_test(test_encode_keeps_only_signatures),
		cmocka_unit_test(test_encode_violation_and_refusals),
		cmocka_unit_test(test_long_names),
	};
	return cmocka_run_group_tests_name("template", tests, NULL, NULL);
}
