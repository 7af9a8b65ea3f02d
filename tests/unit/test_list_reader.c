/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading a segment that somebody else writes. */
#include "unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "backends/crypto_openssl/crypto_openssl.h"
#include "backends/list_file/list_file.h"
#include "backends/list_file/reader.h"
#include "base/file.h"
#include "base/fmt.h"

struct fixture {
	char dir[64];
	int dirfd;
	struct assay_crypto_openssl *openssl;
	struct assay_crypto crypto;
	struct assay_list_file *list;
	struct assay_list_reader *reader;
};

static int setup(void **state)
{
	struct assay_list_file_config config = { .size = sizeof(config),
						 .prealloc = 4096,
						 .reserve = 4096 };
	struct assay_segment_head head = { .banks = { .alg = { ASSAY_HASH_SHA256 }, .n = 1 } };
	struct fixture *f = calloc(1, sizeof(*f));

	assay_fmt(f->dir, sizeof(f->dir), "%s/assay-reader-XXXXXX",
		  access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(f->dir));
	f->dirfd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(assay_crypto_openssl_new(&f->openssl, NULL), 0);
	f->crypto = assay_crypto_openssl_port(f->openssl);
	assert_int_equal(assay_list_file_open(f->dirfd, &config, &f->crypto, &f->list, NULL), 0);
	assert_int_equal(assay_list_file_begin(f->list, &head, NULL), 0);
	assert_int_equal(assay_list_file_keep(f->list, NULL), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	static const char *const names[] = { "lock", "segment-00000001", "segment-00000002" };
	struct fixture *f = *state;

	assay_list_reader_unref(f->reader);
	assay_list_file_free(f->list);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		(void)unlinkat(f->dirfd, names[i], 0);
	rmdir(f->dir);
	close(f->dirfd);
	assay_crypto_openssl_free(f->openssl);
	free(f);
	return 0;
}

static void open_newest(struct fixture *f, uint64_t size_max)
{
	int fd;

	assay_list_reader_unref(TAKE(f->reader));
	assert_int_equal(assay_list_reader_newest(f->dirfd, &fd, NULL), 0);
	assert_int_equal(assay_list_reader_new(fd, size_max, &f->crypto, &f->reader, NULL), 0);
}

static void append(struct fixture *f, uint8_t byte, size_t len)
{
	struct assay_append port = assay_list_file_port(f->list);
	uint8_t bytes[4096];

	memset(bytes, byte, len);
	assert_int_equal(port.ops->append(port.ctx, assay_bytes(bytes, len), false), 0);
}

static void it_sees_what_is_written_and_stays_in_place(void **state)
{
	struct fixture *f = *state;
	struct assay_bytes first, records;

	open_newest(f, 0);
	assert_int_equal(assay_list_reader_head(f->reader)->number, 1);
	assert_int_equal(assay_list_reader_records(f->reader, &first, NULL), 0);
	assert_int_equal(first.len, 0);
	for (unsigned i = 1; i <= 100; i++) { /* the file grows a hundred times */
		append(f, (uint8_t)i, 4000);
		assert_int_equal(assay_list_reader_records(f->reader, &records, NULL), 0);
		assert_ptr_equal(records.data, first.data);
		assert_int_equal(records.len, 4000 * i);
		assert_int_equal(records.data[4000 * i - 1], i);
		if (i % 10 == 0)
			assay_list_reader_relax(f->reader);
	}
}

static void an_older_segment_stays_what_it_is(void **state)
{
	struct fixture *f = *state;
	struct assay_segment_head head = { .banks = { .alg = { ASSAY_HASH_SHA256 }, .n = 1 } };
	struct assay_list_reader *old;
	struct assay_bytes records;

	append(f, 7, 100);
	open_newest(f, 0);
	old = assay_list_reader_ref(f->reader);
	head.start = ASSAY_SEGMENT_RESET;
	assert_int_equal(assay_list_file_begin(f->list, &head, NULL), 0);
	assert_int_equal(assay_list_file_keep(f->list, NULL), 0);
	append(f, 8, 50);
	open_newest(f, 0);
	assert_int_equal(assay_list_reader_head(f->reader)->number, 2);
	assert_int_equal(assay_list_reader_records(f->reader, &records, NULL), 0);
	assert_int_equal(records.len, 50);
	assert_int_equal(assay_list_reader_records(old, &records, NULL), 0);
	assert_int_equal(records.len, 100);
	assay_list_reader_unref(old);
}

/* What is not there is not touched. */
static void a_segment_that_lies_is_refused(void **state)
{
	struct fixture *f = *state;
	struct assay_bytes records;
	uint64_t word = 1000000;
	int fd = openat(f->dirfd, "segment-00000001", O_RDWR | O_CLOEXEC);

	append(f, 1, 100);
	open_newest(f, 0);
	assert_int_equal(assay_list_reader_records(f->reader, &records, NULL), 0);
	assert_int_equal(pwrite(fd, &word, 8, ASSAY_SEGMENT_COMMIT), 8);
	assert_int_equal(assay_list_reader_records(f->reader, &records, NULL), -EBADMSG);
	word = 99;
	assert_int_equal(pwrite(fd, &word, 8, ASSAY_SEGMENT_COMMIT), 8);
	assert_int_equal(assay_list_reader_records(f->reader, &records, NULL), -EBADMSG);
	word = 100;
	assert_int_equal(pwrite(fd, &word, 8, ASSAY_SEGMENT_COMMIT), 8);
	assert_int_equal(assay_list_reader_records(f->reader, &records, NULL), 0);
	open_newest(f, ASSAY_SEGMENT_RECORDS + 64);
	for (unsigned i = 0; i < 3; i++)
		append(f, 2, 4000);
	assert_int_equal(assay_list_reader_records(f->reader, &records, NULL), -E2BIG);
	close(fd);
}

static void what_is_no_segment_is_refused(void **state)
{
	struct fixture *f = *state;
	struct assay_list_reader *r;
	int fd = openat(f->dirfd, "lock", O_RDONLY | O_CLOEXEC);

	assert_true(assay_list_reader_new(fd, 0, &f->crypto, &r, NULL) < 0);
	assert_int_equal(close(fd), 0); /* it stayed ours */
	assay_list_file_free(TAKE(f->list));
	assert_int_equal(unlinkat(f->dirfd, "segment-00000001", 0), 0);
	assert_int_equal(assay_list_reader_newest(f->dirfd, &fd, NULL), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_sees_what_is_written_and_stays_in_place, setup,
						teardown),
		cmocka_unit_test_setup_teardown(an_older_segment_stays_what_it_is, setup, teardown),
		cmocka_unit_test_setup_teardown(a_segment_that_lies_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_no_segment_is_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
