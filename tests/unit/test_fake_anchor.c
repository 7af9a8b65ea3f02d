/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The TPM in memory must do what it was told to, or the tests over it prove nothing. */
#include "unit/crypto_fixture.h"

#include <errno.h>
#include <pthread.h>

#include "backends/fake/fake_anchor.h"

static struct assay_fake_anchor *fake;
static struct assay_anchor port;

static int begin(void **state)
{
	int r = assay_fake_anchor_new(&crypto, NULL, &fake);

	port = assay_fake_anchor_port(fake);
	return r;
}

static int end(void **state)
{
	assay_fake_anchor_free(fake);
	return 0;
}

static int extend(uint8_t byte)
{
	struct assay_pcr_value digests;

	memset(&digests, byte, sizeof(digests));
	return port.ops->extend(port.ctx, 10, &digests, NULL);
}

static int read_10(struct assay_pcr_value *ret, struct assay_tpm_clock *ret_clock)
{
	struct assay_pcr_value values[ASSAY_PCRS];
	int r = port.ops->read(port.ctx, 1u << 10, values, ret_clock, NULL);

	if (r == 0)
		*ret = values[10];
	return r;
}

/* sha256(32 x 00 | 32 x 11), by Python hashlib. */
static void test_arithmetic(void **state)
{
	static const uint8_t want[] = { 0x88, 0x78, 0xb1, 0x5a };
	struct assay_pcr_value v;
	struct assay_tpm_clock clock;

	assert_int_equal(extend(0x11), 0);
	assert_int_equal(read_10(&v, &clock), 0);
	assert_memory_equal(v.value[1], want, sizeof(want));
	assert_int_equal(assay_fake_anchor_extends(fake, 10), 1);
}

static void test_faults(void **state)
{
	static const struct {
		enum assay_fake_fault fault;
		int code;
		uint64_t at_once, after_reopen;
	} rows[] = {
		{ ASSAY_FAKE_AGAIN, -EAGAIN, 0, 0 },
		{ ASSAY_FAKE_LOCKOUT, -EPERM, 0, 0 },
		{ ASSAY_FAKE_TIMEOUT_BEFORE, -ETIMEDOUT, 0, 0 },
		{ ASSAY_FAKE_TIMEOUT_AFTER, -ETIMEDOUT, 1, 1 },
		{ ASSAY_FAKE_TIMEOUT_LATE, -ETIMEDOUT, 0, 1 },
		{ ASSAY_FAKE_IO_BEFORE, -EIO, 0, 0 },
		{ ASSAY_FAKE_IO_AFTER, -EIO, 1, 1 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		uint64_t before = assay_fake_anchor_extends(fake, 10);

		assay_fake_anchor_fault(fake, ASSAY_FAKE_EXTEND, rows[i].fault, 1, 1);
		assert_int_equal(extend(1), 0);
		assert_int_equal(extend(2), rows[i].code);
		assert_int_equal(assay_fake_anchor_extends(fake, 10), before + 1 + rows[i].at_once);
		if (i >= 2)
			assert_int_equal(extend(3), -EIO);
		assert_int_equal(port.ops->reopen(port.ctx, NULL), 0);
		assert_int_equal(assay_fake_anchor_extends(fake, 10),
				 before + 1 + rows[i].after_reopen);
		assert_int_equal(extend(3), 0);
	}
}

static void test_gone(void **state)
{
	assay_fake_anchor_fault(fake, ASSAY_FAKE_EXTEND, ASSAY_FAKE_GONE, 0, 1);
	assert_int_equal(extend(1), -ENODEV);
	assert_int_equal(port.ops->reopen(port.ctx, NULL), -ENODEV);
	assay_fake_anchor_back(fake);
	assert_int_equal(extend(1), -EIO);
	assert_int_equal(port.ops->reopen(port.ctx, NULL), 0);
	assert_int_equal(extend(1), 0);
}

static void test_power(void **state)
{
	struct assay_pcr_value v, kept;
	struct assay_tpm_clock clock;

	extend(1);
	read_10(&kept, &clock);
	assay_fake_anchor_resume(fake);
	assert_int_equal(read_10(&v, &clock), -EIO);
	port.ops->reopen(port.ctx, NULL);
	assert_int_equal(read_10(&v, &clock), 0);
	assert_memory_equal(&v, &kept, sizeof(v));
	assert_true(clock.reset_count == 1 && clock.restart_count == 1);
	assay_fake_anchor_restart(fake);
	port.ops->reopen(port.ctx, NULL);
	read_10(&v, &clock);
	assert_true(assay_bytes_all(assay_bytes(&v, sizeof(v)), 0));
	assert_true(clock.reset_count == 1 && clock.restart_count == 2);
	assay_fake_anchor_reset(fake);
	port.ops->reopen(port.ctx, NULL);
	read_10(&v, &clock);
	assert_true(clock.reset_count == 2 && clock.restart_count == 0);
}

static void *extend_in_thread(void *arg)
{
	extend(1);
	return NULL;
}

static void test_block(void **state)
{
	pthread_t t;

	assay_fake_anchor_fault(fake, ASSAY_FAKE_EXTEND, ASSAY_FAKE_BLOCK, 0, 1);
	pthread_create(&t, NULL, extend_in_thread, NULL);
	assay_fake_anchor_await_blocked(fake);
	assert_int_equal(assay_fake_anchor_extends(fake, 10), 0);
	assay_fake_anchor_release(fake);
	pthread_join(t, NULL);
	assert_int_equal(assay_fake_anchor_extends(fake, 10), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_arithmetic, begin, end),
		cmocka_unit_test_setup_teardown(test_faults, begin, end),
		cmocka_unit_test_setup_teardown(test_gone, begin, end),
		cmocka_unit_test_setup_teardown(test_power, begin, end),
		cmocka_unit_test_setup_teardown(test_block, begin, end),
	};

	return cmocka_run_group_tests(tests, crypto_setup, crypto_teardown);
}
