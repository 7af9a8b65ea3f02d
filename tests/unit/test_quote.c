/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Quotes that tpm2-tools made over real lists: all must be accepted, no changed one may be. */
#include "unit/crypto_fixture.h"

#include <errno.h>
#include <fcntl.h>

#include "base/file.h"
#include "base/hex.h"
#include "engine/quote.h"

static const uint8_t nonce[] = { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef };
static const char *const dirs[] = {
	"6.1.0-plain-no-boot-policy", "6.1.0-rich-sha256-ima-sig",   "6.1.0-sha1-ima",
	"6.1.0-sha1-ima-ng",	      "6.12.95-rich-sha256-ima-sig", "6.12.95-sha512-ima-ng",
	"7.2.13-rich-sha256-ima-sig", "7.2.13-sha384-evm-sig",
};
static const char *const names[] = { "quote", "quote256", "quote512" };

static struct assay_file read_vector(const char *dir, const char *name, const char *suffix)
{
	struct assay_file f = { 0 };
	struct assay_err err;
	char path[512];

	snprintf(path, sizeof(path), VECTORS "/quotes/%s/%s.%s", dir, name, suffix);
	if (assay_file_read(AT_FDCWD, path, 65536, &f, &err) < 0)
		fail_msg("%s", err.text);
	return f;
}

struct vector {
	struct assay_file msg, sig, pcrs, pem, tpmt;
	struct assay_tpm_public public;
	struct assay_key *key, *tpm_key;
	struct assay_quote quote;
};

static void vector_open(const char *dir, const char *name, struct vector *v)
{
	uint8_t spki[ASSAY_TPM_SPKI_MAX];
	struct assay_wr w = assay_wr(spki, sizeof(spki));
	struct assay_attest a;

	v->msg = read_vector(dir, name, "msg");
	v->sig = read_vector(dir, name, "sig");
	v->pcrs = read_vector(dir, name, "pcrs");
	v->pem = read_vector(dir, "ak", "pub");
	v->tpmt = read_vector(dir, "ak", "tpmt");
	assert_int_equal(assay_crypto_openssl_key_any(crypto_backend, v->pem.bytes, &v->key, NULL),
			 0);
	assert_int_equal(assay_tpm_public_parse(v->tpmt.bytes, &v->public, NULL), 0);
	assay_tpm_public_spki(&v->public, &w);
	assert_true(assay_wr_ok(&w));
	assert_int_equal(crypto.ops->key_from_spki(crypto.ctx, assay_wr_done(&w), &v->tpm_key), 0);
	assert_int_equal(assay_attest_parse(v->msg.bytes, &a, NULL), 0);
	v->quote.attest = v->msg.bytes;
	v->quote.signature = v->sig.bytes;
	assert_int_equal(assay_quote_parse_tools(v->pcrs.bytes, &a.selection, &v->quote.pcrs, NULL),
			 0);
}

static void vector_done(struct vector *v)
{
	assay_file_free(&v->msg);
	assay_file_free(&v->sig);
	assay_file_free(&v->pcrs);
	assay_file_free(&v->pem);
	assay_file_free(&v->tpmt);
	crypto.ops->key_free(v->key);
	crypto.ops->key_free(v->tpm_key);
}

static struct assay_quote_verdict judge(const struct vector *v, const struct assay_quote *q,
					struct assay_bytes n)
{
	struct assay_quote_question question = { .key = v->tpm_key,
						 .public = &v->public,
						 .nonce = n };
	struct assay_quote_verdict verdict = { 0 };

	assert_int_equal(assay_quote_judge(&crypto, q, &question, &verdict, NULL), 0);
	return verdict;
}

static void test_accepts_all(void **state)
{
	struct assay_quote_verdict verdict;

	for (size_t i = 0; i < ARRAY_LEN(dirs) * ARRAY_LEN(names); i++) {
		struct assay_quote_question question = { .nonce = assay_bytes(nonce, 8) };
		struct vector v;

		vector_open(dirs[i / 3], names[i % 3], &v);
		verdict = judge(&v, &v.quote, assay_bytes(nonce, 8));
		assert_string_equal(verdict.why, "");
		assert_true(verdict.holds && verdict.has_values);
		assert_false(verdict.attest.soft);
		question.key = v.key; /* the PEM's, which tells no attributes */
		assert_int_equal(assay_quote_judge(&crypto, &v.quote, &question, &verdict, NULL),
				 0);
		assert_true(verdict.holds);
		vector_done(&v);
	}
}

/* The values are those that the kernel showed in sysfs at the same time. */
static void test_values_are_sysfs(void **state)
{
	struct assay_file f = { 0 };
	struct vector v;
	char line[300], hex[129];
	int seen = 0;

	vector_open(dirs[2], "quote", &v);
	assert_int_equal(assay_file_read(AT_FDCWD, VECTORS "/kernel/6.1.0/sha1-ima/pcrs.txt", 65536,
					 &f, NULL),
			 0);
	for (uint32_t i = 0; i < v.quote.pcrs.n; i++) {
		const struct assay_quote_pcr *p = &v.quote.pcrs.v[i];

		assay_hex_encode(assay_bytes(p->value, assay_hash_size(p->bank)), hex);
		for (char *c = hex; *c; c++)
			*c = *c >= 'a' && *c <= 'f' ? (char)(*c - 32) : *c;
		snprintf(line, sizeof(line), "%s %u %s", assay_hash_name(p->bank), p->pcr, hex);
		seen += memmem(f.bytes.data, f.bytes.len, line, strlen(line)) != NULL;
	}
	assert_int_equal(seen, 4);
	assay_file_free(&f);
	vector_done(&v);
}

static void check_flips(struct vector *v, struct assay_bytes *field)
{
	uint8_t copy[4096];
	struct assay_bytes whole = *field;

	memcpy(copy, whole.data, whole.len);
	for (size_t bit = 0; bit < 8 * whole.len; bit++) {
		copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
		*field = assay_bytes(copy, whole.len);
		assert_false(judge(v, &v->quote, assay_bytes(nonce, 8)).holds);
		copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t cut = 0; cut < whole.len; cut++) {
		*field = assay_bytes(copy, cut);
		assert_false(judge(v, &v->quote, assay_bytes(nonce, 8)).holds);
	}
	copy[whole.len] = 0;
	*field = assay_bytes(copy, whole.len + 1);
	assert_false(judge(v, &v->quote, assay_bytes(nonce, 8)).holds);
	*field = whole;
}

static void test_rejects_changes(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		uint8_t other[sizeof(nonce)];
		struct vector v;

		vector_open(dirs[0], names[i], &v);
		check_flips(&v, &v.quote.attest);
		check_flips(&v, &v.quote.signature);
		for (size_t bit = 0; bit < 8 * sizeof(nonce); bit++) {
			memcpy(other, nonce, sizeof(nonce));
			other[bit / 8] ^= (uint8_t)(1u << bit % 8);
			assert_int_equal(judge(&v, &v.quote, assay_bytes(other, 8)).failed,
					 ASSAY_QUOTE_CHECK_NONCE);
		}
		assert_false(judge(&v, &v.quote, assay_bytes(nonce, 7)).holds);
		for (uint32_t p = 0; p < v.quote.pcrs.n; p++) {
			struct assay_quote_pcr *pcr = &v.quote.pcrs.v[p];

			for (size_t bit = 0; bit < 8 * assay_hash_size(pcr->bank); bit++) {
				pcr->value[bit / 8] ^= (uint8_t)(1u << bit % 8);
				assert_int_equal(judge(&v, &v.quote, assay_bytes(nonce, 8)).failed,
						 ASSAY_QUOTE_CHECK_PCRS);
				pcr->value[bit / 8] ^= (uint8_t)(1u << bit % 8);
			}
			pcr->pcr ^= 1;
			assert_int_equal(judge(&v, &v.quote, assay_bytes(nonce, 8)).failed,
					 ASSAY_QUOTE_CHECK_SELECTION);
			pcr->pcr ^= 1;
		}
		assert_true(judge(&v, &v.quote, assay_bytes(nonce, 8)).holds);
		vector_done(&v);
	}
}

static void test_other_key(void **state)
{
	struct vector v, w;

	vector_open(dirs[0], "quote", &v);
	vector_open(dirs[1], "quote", &w);
	v.quote.signature = w.quote.signature;
	assert_int_equal(judge(&v, &v.quote, assay_bytes(nonce, 8)).failed,
			 ASSAY_QUOTE_CHECK_SIGNATURE);
	vector_done(&v);
	vector_done(&w);
}

/* A key that is not an attestation key signs what it is given; each attribute counts. */
static void test_attributes(void **state)
{
	static const uint32_t bits[] = {
		ASSAY_TPMA_FIXED_TPM,  ASSAY_TPMA_FIXED_PARENT, ASSAY_TPMA_SENSITIVE_DATA_ORIGIN,
		ASSAY_TPMA_RESTRICTED, ASSAY_TPMA_SIGN,		ASSAY_TPMA_DECRYPT
	};
	struct vector v;

	vector_open(dirs[0], "quote", &v);
	for (size_t i = 0; i < ARRAY_LEN(bits); i++) {
		v.public.attributes ^= bits[i];
		assert_int_equal(judge(&v, &v.quote, assay_bytes(nonce, 8)).failed,
				 ASSAY_QUOTE_CHECK_KEY);
		v.public.attributes ^= bits[i];
	}
	vector_done(&v);
}

/* The name that tpm2-tools computed is nameAlg and the digest of the area. */
static void test_public_name(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
		struct assay_file name = read_vector(dirs[i], "ak", "name");
		uint8_t mine[34] = { 0x00, 0x0b };
		struct vector v;

		vector_open(dirs[i], "quote", &v);
		crypto.ops->hash(crypto.ctx, v.public.name_alg, v.public.area, mine + 2);
		assert_true(assay_bytes_equal(name.bytes, assay_bytes(mine, sizeof(mine))));
		assay_file_free(&name);
		vector_done(&v);
	}
}

/* ---- forms ---------------------------------------------------------------------------------- */

static void test_round_trips(void **state)
{
	uint8_t buf[16384], again[16384];
	struct assay_wr w;

	for (size_t i = 0; i < ARRAY_LEN(dirs) * ARRAY_LEN(names); i++) {
		struct assay_tpm_signature s;
		struct assay_attest a;
		struct assay_quote q = { 0 };
		struct vector v;

		vector_open(dirs[i / 3], names[i % 3], &v);
		assay_attest_parse(v.msg.bytes, &a, NULL);
		w = assay_wr(buf, sizeof(buf));
		assay_attest_encode(&a, &w);
		assert_true(assay_bytes_equal(assay_wr_done(&w), v.msg.bytes));
		assert_int_equal(assay_tpm_signature_parse(v.sig.bytes, &s, NULL), 0);
		w = assay_wr(buf, sizeof(buf));
		assay_tpm_signature_encode(&s, &w);
		assert_true(assay_bytes_equal(assay_wr_done(&w), v.sig.bytes));
		w = assay_wr(buf, sizeof(buf));
		assay_quote_encode(&v.quote, &w);
		assert_int_equal(assay_quote_parse(assay_wr_done(&w), &q, NULL), 0);
		assert_true(judge(&v, &q, assay_bytes(nonce, 8)).holds);
		for (size_t cut = 0; cut < w.len; cut++)
			assert_true(assay_quote_parse(assay_bytes(buf, cut), &q, NULL) < 0);
		/* Each changed bit: refused, or the same file again, which then does not hold. */
		for (size_t bit = 0; i == 0 && bit < 8 * w.len; bit++) {
			struct assay_wr back = assay_wr(again, sizeof(again));

			buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
			if (assay_quote_parse(assay_wr_done(&w), &q, NULL) == 0) {
				assay_quote_encode(&q, &back);
				assert_true(
					assay_bytes_equal(assay_wr_done(&back), assay_wr_done(&w)));
				assert_false(judge(&v, &q, assay_bytes(nonce, 8)).holds);
			}
			buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
		vector_done(&v);
	}
}

static void test_tools_values(void **state)
{
	uint8_t bare[4096];
	struct assay_attest a;
	struct vector v;
	size_t len = 0;

	vector_open(dirs[0], "quote", &v);
	assay_attest_parse(v.msg.bytes, &a, NULL);
	for (uint32_t i = 0; i < v.quote.pcrs.n; i++) {
		size_t n = assay_hash_size(v.quote.pcrs.v[i].bank);

		memcpy(bare + len, v.quote.pcrs.v[i].value, n);
		len += n;
	}
	assert_int_equal(assay_quote_parse_tools(assay_bytes(bare, len), &a.selection,
						 &v.quote.pcrs, NULL),
			 0);
	assert_true(judge(&v, &v.quote, assay_bytes(nonce, 8)).holds);
	for (size_t cut = 0; cut < v.pcrs.bytes.len; cut++)
		if (cut != len)
			assert_true(assay_quote_parse_tools(assay_bytes(v.pcrs.bytes.data, cut),
							    &a.selection, &v.quote.pcrs, NULL) < 0);
	vector_done(&v);
}

static void test_selection_text(void **state)
{
	static const char *const good[] = { "sha256:10", "sha1:0,1,23+sha512:10", "sm3:5" };
	static const char *const bad[] = { "",		"sha256",     "sha256:", "sha256:24",
					   "sha256:1,", "sha256:1,1", "md5:1",	 "sha1:1+sha1:2",
					   "sha1:1+",	"+sha1:1",    "sha1:-1", "sha1:1 " };
	struct assay_selection s;
	char text[256];

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct assay_wr w = assay_wr(text, sizeof(text));

		assert_int_equal(assay_selection_parse_text(assay_bytes_str(good[i]), &s, NULL), 0);
		assay_selection_print(&s, &w);
		assert_true(assay_bytes_is(assay_wr_done(&w), good[i]));
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_true(assay_selection_parse_text(assay_bytes_str(bad[i]), &s, NULL) < 0);
	assert_int_equal(assay_selection_parse_text(assay_bytes_str("sha1:all"), &s, NULL), 0);
	assert_int_equal(s.bank[0].mask, 0xffffff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepts_all),	cmocka_unit_test(test_values_are_sysfs),
		cmocka_unit_test(test_rejects_changes), cmocka_unit_test(test_other_key),
		cmocka_unit_test(test_attributes),	cmocka_unit_test(test_public_name),
		cmocka_unit_test(test_round_trips),	cmocka_unit_test(test_tools_values),
		cmocka_unit_test(test_selection_text),
	};

	return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
