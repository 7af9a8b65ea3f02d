/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The software anchor: the arithmetic of a TPM, kept over processes, never said to be one. */
#include "unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "backends/anchor_soft/anchor_soft.h"
#include "backends/crypto_openssl/crypto_openssl.h"
#include "backends/fake/fake_anchor.h"
#include "base/file.h"
#include "engine/quote.h"

static struct assay_crypto_openssl *openssl;
static struct assay_crypto crypto;
static char dir[64];
static int dirfd_ = -1;

static int setup(void **state)
{
	if (assay_crypto_openssl_new(&openssl, NULL) < 0)
		return -1;
	crypto = assay_crypto_openssl_port(openssl);
	snprintf(dir, sizeof(dir), "/tmp/assay-soft.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	dirfd_ = open(dir, O_RDONLY | O_DIRECTORY);
	return dirfd_ < 0;
}

static int teardown(void **state)
{
	unlinkat(dirfd_, "soft-anchor", 0);
	unlinkat(dirfd_, "soft-anchor.key", 0);
	unlinkat(dirfd_, "soft-anchor.pem", 0);
	close(dirfd_);
	assay_crypto_openssl_free(openssl);
	return rmdir(dir);
}

static struct assay_anchor_soft *open_soft(void)
{
	struct assay_anchor_soft *a = NULL;

	assert_int_equal(assay_anchor_soft_new(dirfd_, &crypto, &a, NULL), 0);
	return a;
}

static struct assay_pcr_value read_10(struct assay_anchor port)
{
	struct assay_pcr_value values[ASSAY_PCRS] = { 0 };
	struct assay_tpm_clock clock;

	assert_int_equal(port.ops->read(port.ctx, 1u << 10, values, &clock, NULL), 0);
	assert_int_equal(clock.reset_count, 1);
	return values[10];
}

/* Beside the fake TPM, and after each process's end. */
static void test_extend(void **state)
{
	struct assay_fake_anchor *fake = NULL;
	struct assay_banks banks;

	for (int i = 0; i < 5; i++) {
		struct assay_anchor_soft *a = open_soft();
		struct assay_anchor port = assay_anchor_soft_port(a), model;
		struct assay_pcr_value digests, mine, want;

		assert_int_equal(port.ops->kind, ASSAY_ANCHOR_SOFT);
		port.ops->banks(port.ctx, &banks, NULL);
		assert_int_equal(banks.n, 4);
		if (!fake)
			assert_int_equal(assay_fake_anchor_new(&crypto, &banks, &fake), 0);
		model = assay_fake_anchor_port(fake);
		memset(&digests, i, sizeof(digests));
		assert_int_equal(port.ops->extend(port.ctx, 10, &digests, NULL), 0);
		model.ops->extend(model.ctx, 10, &digests, NULL);
		assay_anchor_soft_free(a);
		a = open_soft();
		mine = read_10(assay_anchor_soft_port(a));
		assay_fake_anchor_pcr(fake, 10, &want);
		for (uint32_t b = 0; b < banks.n; b++)
			assert_memory_equal(mine.value[b], want.value[b],
					    assay_hash_size(banks.alg[b]));
		assay_anchor_soft_free(a);
	}
	assay_fake_anchor_free(fake);
}

static void test_quote(void **state)
{
	struct assay_anchor_soft *a = open_soft();
	struct assay_anchor port = assay_anchor_soft_port(a);
	struct assay_quote_request request = { .pcr_mask = 1u << 10,
					       .bank_mask = 2,
					       .nonce = assay_bytes_str("n") };
	struct assay_quote_question question = { .nonce = request.nonce, .software = true };
	struct assay_quote_verdict v = { 0 };
	struct assay_quote_reply reply;
	struct assay_quote q = { 0 };
	struct assay_key *key = NULL;
	struct assay_file pem = { 0 };

	assert_int_equal(assay_file_read(dirfd_, "soft-anchor.pem", 4096, &pem, NULL), 0);
	assert_int_equal(assay_crypto_openssl_key_any(openssl, pem.bytes, &key, NULL), 0);
	assert_int_equal(port.ops->quote(port.ctx, &request, &reply, NULL), 0);
	q.attest = assay_bytes(reply.attest, reply.attest_len);
	q.signature = assay_bytes(reply.signature, reply.signature_len);
	q.pcrs.n = 1;
	q.pcrs.v[0] = (struct assay_quote_pcr){ .bank = ASSAY_HASH_SHA256, .pcr = 10 };
	memcpy(q.pcrs.v[0].value, read_10(port).value[1], 32);
	question.key = key;
	assert_int_equal(assay_quote_judge(&crypto, &q, &question, &v, NULL), 0);
	assert_string_equal(v.why, "");
	assert_true(v.holds && v.attest.soft);
	/* Dressed up as a TPM's it does not verify. */
	memcpy(reply.attest, "\xff\x54\x43\x47", 4);
	assert_int_equal(assay_quote_judge(&crypto, &q, &question, &v, NULL), 0);
	assert_false(v.holds);
	crypto.ops->key_free(key);
	assay_file_free(&pem);
	assay_anchor_soft_free(a);
}

/* The public half is made of the key: it comes back, as a crash may have been between the two. */
static void test_public_is_made_again(void **state)
{
	struct assay_file was = { 0 }, is = { 0 };

	assay_anchor_soft_free(open_soft());
	assert_int_equal(assay_file_read(dirfd_, "soft-anchor.pem", 4096, &was, NULL), 0);
	assert_int_equal(unlinkat(dirfd_, "soft-anchor.pem", 0), 0);
	assay_anchor_soft_free(open_soft());
	assert_int_equal(assay_file_read(dirfd_, "soft-anchor.pem", 4096, &is, NULL), 0);
	assert_int_equal(is.bytes.len, was.bytes.len);
	assert_memory_equal(is.bytes.data, was.bytes.data, was.bytes.len);
	assay_file_free(&was);
	assay_file_free(&is);
}

/* Any changed bit and any cut of the state is found, and the file stays as it is. */
static void test_damaged(void **state)
{
	struct assay_anchor_soft *a = open_soft();
	struct assay_file f = { 0 };
	uint8_t copy[8192];

	assay_anchor_soft_free(a);
	a = NULL;
	assert_int_equal(assay_file_read(dirfd_, "soft-anchor", sizeof(copy), &f, NULL), 0);
	for (size_t at = 0; at < f.bytes.len; at += 37) {
		memcpy(copy, f.bytes.data, f.bytes.len);
		copy[at] ^= (uint8_t)(1u << at % 8);
		assay_file_replace(dirfd_, "soft-anchor", 0600, assay_bytes(copy, f.bytes.len),
				   NULL);
		assert_int_equal(assay_anchor_soft_new(dirfd_, &crypto, &a, NULL), -EBADMSG);
		assay_file_replace(dirfd_, "soft-anchor", 0600, assay_bytes(copy, at), NULL);
		assert_int_equal(assay_anchor_soft_new(dirfd_, &crypto, &a, NULL), -EBADMSG);
	}
	assay_file_replace(dirfd_, "soft-anchor", 0600, f.bytes, NULL);
	assay_file_free(&f);
	assay_anchor_soft_free(open_soft());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_extend),
		cmocka_unit_test(test_quote),
		cmocka_unit_test(test_public_is_made_again),
		cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
