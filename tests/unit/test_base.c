/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/file.h"
#include "base/fmt.h"
#include "base/hex.h"
#include "base/num.h"
#include "base/rd.h"
#include "base/wr.h"

/* The C library is the reference. */
#define SAME_AS_PRINTF(...)                                                                        \
	do {                                                                                       \
		char ours[64], theirs[64];                                                         \
		size_t n = assay_fmt(ours, sizeof(ours), __VA_ARGS__);                             \
		assert_int_equal(n, snprintf(theirs, sizeof(theirs), __VA_ARGS__));                \
		assert_string_equal(ours, theirs);                                                 \
	} while (0)

static void fmt_is_printf(void **state)
{
	SAME_AS_PRINTF("plain %% %s|%5s|%.*s|%.3s", "abc", "de", 2, "xyz", "longer");
	SAME_AS_PRINTF("%d %i %05d %5d", -1, INT32_MIN, -42, -42);
	SAME_AS_PRINTF("%u %x %02x %08x %10u", 0u, 255u, 5u, 0xdeadbeefu, 7u);
	SAME_AS_PRINTF("%lu %llu %zu %lld %ld", 1ul, ~0ull, (size_t)9, -5ll, -6l);
	SAME_AS_PRINTF("%c%c", 'a', 'b');
}

static void fmt_cuts_and_ends(void **state)
{
	char buf[4];

	assert_int_equal(assay_fmt(buf, sizeof(buf), "%s", "abcdef"), 6);
	assert_string_equal(buf, "abc");
}

static void err_has_place_and_prefix(void **state)
{
	struct assay_err err;

	assert_int_equal(assay_err_at(&err, -EBADMSG, 7, "bad %s", "thing"), -EBADMSG);
	assert_true(err.has_offset && err.offset == 7);
	assay_err_prefix(&err, "entry %d", 3);
	assert_string_equal(err.text, "entry 3: bad thing");
	assert_int_equal(assay_err_at_line(NULL, -EINVAL, 1, 2, "x"), -EINVAL);
}

static void quotes_are_printable_and_short(void **state)
{
	static const char in[] = "a \x1b[2J\xff\n";
	char many[100];

	memset(many, 'x', sizeof(many));
	assert_string_equal(assay_err_quote(assay_bytes(in, sizeof(in) - 1)).text,
			    "a \\x1b[2J\\xff\\x0a");
	assert_string_equal(assay_err_quote(assay_bytes(many, 40)).text,
			    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
	assert_string_equal(assay_err_quote(assay_bytes(many, 41)).text,
			    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...");
	assert_string_equal(assay_err_quote(assay_bytes(in, 0)).text, "");
}

static void reader_never_passes_the_end(void **state)
{
	static const uint8_t in[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };
	struct assay_rd r = assay_rd(assay_bytes(in, sizeof(in))), sub;
	uint8_t u8;
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;

	assert_true(assay_rd_u16(&r, &u16) && u16 == 0x0201);
	r.big = true;
	assert_true(assay_rd_u16(&r, &u16) && u16 == 0x0304);
	assert_false(assay_rd_u64(&r, &u64));
	assert_int_equal(assay_rd_offset(&r), 4);
	assert_true(assay_rd_take(&r, 4, &sub));
	assert_true(sub.big && assay_rd_u32(&sub, &u32) && u32 == 0x05060708);
	assert_true(assay_rd_end(&sub) && !assay_rd_u8(&sub, &u8));
	assert_true(assay_rd_u8(&r, &u8) && u8 == 9 && assay_rd_end(&r));
}

static void writer_is_the_readers_twin(void **state)
{
	uint8_t buf[20];
	struct assay_wr w = assay_wr(buf, sizeof(buf));
	struct assay_rd r;
	uint32_t u32;
	uint64_t u64;

	assay_wr_u32(&w, 0x01020304);
	w.big = true;
	assay_wr_u64(&w, 0x0102030405060708);
	assay_wr_field(&w, assay_bytes_str("abcd"));
	assert_true(assay_wr_ok(&w) && w.len == 20);
	r = assay_rd(assay_wr_done(&w));
	assert_true(assay_rd_u32(&r, &u32) && u32 == 0x01020304);
	r.big = true;
	assert_true(assay_rd_u64(&r, &u64) && u64 == 0x0102030405060708);
	assay_wr_u8(&w, 1);
	assert_false(assay_wr_ok(&w));
	assert_int_equal(w.len, 20);
}

static void hex_both_ways(void **state)
{
	uint8_t out[4];
	char text[9];

	assert_int_equal(assay_hex_decode(assay_bytes_str("00fFa5"), out, 4), 3);
	assay_hex_encode(assay_bytes(out, 3), text);
	assert_string_equal(text, "00ffa5");
	assert_int_equal(assay_hex_decode(assay_bytes_str("0"), out, 4), -EBADMSG);
	assert_int_equal(assay_hex_decode(assay_bytes_str("0g"), out, 4), -EBADMSG);
	assert_int_equal(assay_hex_decode(assay_bytes_str("0011223344"), out, 4), -E2BIG);
}

static void numbers_are_whole_and_fit(void **state)
{
	uint64_t v = 7;

	assert_int_equal(assay_num_parse(assay_bytes_str("4294967295"), 10, UINT32_MAX, &v), 0);
	assert_int_equal(v, UINT32_MAX);
	assert_int_equal(assay_num_parse(assay_bytes_str("4294967296"), 10, UINT32_MAX, &v),
			 -ERANGE);
	assert_int_equal(assay_num_parse(assay_bytes_str("18446744073709551616"), 10, UINT64_MAX,
					 &v),
			 -ERANGE);
	assert_int_equal(assay_num_parse(assay_bytes_str("0xEF53"), 16, UINT64_MAX, &v), 0);
	assert_int_equal(v, 0xef53);
	assert_int_equal(assay_num_parse(assay_bytes_str("12a"), 10, 100, &v), -EBADMSG);
	assert_int_equal(assay_num_parse(assay_bytes_str(""), 10, 100, &v), -EBADMSG);
	assert_int_equal(assay_num_parse(assay_bytes_str("-1"), 10, 100, &v), -EBADMSG);
}

static void write_fifo(const char *path)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	_exit(fd < 0 || write(fd, "text", 4) != 4);
}

/* One who writes a FIFO and goes is read by the one open that he waited for. */
static void a_fifo_is_opened_once(void **state)
{
	char dir[] = "/tmp/assay-base.XXXXXX", path[64];

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/fifo", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	alarm(120);
	for (unsigned i = 0; i < 50; i++) {
		AUTO(file) struct assay_file f = { 0 };
		pid_t child = fork();

		if (child == 0)
			write_fifo(path);
		assert_int_equal(assay_file_map(-1, path, 64, &f, NULL), 0);
		assert_true(assay_bytes_is(f.bytes, "text"));
		assert_int_equal(waitpid(child, NULL, 0), child);
	}
	alarm(0);
	unlink(path);
	rmdir(dir);
}

static void arena_is_bounded(void **state)
{
	uint8_t memory[64] __attribute__((aligned(16)));
	struct assay_arena a;
	uint8_t *p;

	memset(memory, 0xff, sizeof(memory));
	assay_arena_init(&a, memory, sizeof(memory));
	p = assay_arena_alloc(&a, 3, 5);
	assert_non_null(p);
	assert_true(assay_bytes_all(assay_bytes(p, 15), 0));
	assert_int_equal((uintptr_t)assay_arena_alloc(&a, 1, 1) & 15, 0);
	assert_null(assay_arena_alloc(&a, 1, 33));
	assert_null(assay_arena_alloc(&a, SIZE_MAX, 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fmt_is_printf),
		cmocka_unit_test(fmt_cuts_and_ends),
		cmocka_unit_test(err_has_place_and_prefix),
		cmocka_unit_test(quotes_are_printable_and_short),
		cmocka_unit_test(reader_never_passes_the_end),
		cmocka_unit_test(writer_is_the_readers_twin),
		cmocka_unit_test(hex_both_ways),
		cmocka_unit_test(numbers_are_whole_and_fit),
		cmocka_unit_test(a_fifo_is_opened_once),
		cmocka_unit_test(arena_is_bounded),
	};

	return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
