/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "unit/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/crypto_openssl/crypto_openssl.h"
#include "backends/list_file/list_file.h"
#include "base/fmt.h"
#include "engine/core/digest.h"

struct fixture {
	char dir[64];
	int dirfd;
	struct assay_crypto_openssl *openssl;
	struct assay_crypto crypto;
	struct assay_list_file_config config;
	struct assay_list_file *list;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assay_fmt(f->dir, sizeof(f->dir), "%s/assay-list-XXXXXX",
		  access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(f->dir));
	f->dirfd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(assay_crypto_openssl_new(&f->openssl, NULL), 0);
	f->crypto = assay_crypto_openssl_port(f->openssl);
	f->config = (struct assay_list_file_config){
		.size = sizeof(f->config),
		.boot_id = { 1 },
		.prealloc = 8192,
		.reserve = 4096,
	};
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	DIR *dir = fdopendir(dup(f->dirfd));
	struct dirent *e;

	assay_list_file_free(f->list);
	while ((e = readdir(dir)))
		unlinkat(f->dirfd, e->d_name, 0);
	closedir(dir);
	rmdir(f->dir);
	close(f->dirfd);
	assay_crypto_openssl_free(f->openssl);
	free(f);
	return 0;
}

static int reopen(struct fixture *f, struct assay_err *err)
{
	assay_list_file_free(TAKE(f->list));
	return assay_list_file_open(f->dirfd, &f->config, &f->crypto, &f->list, err);
}

static void begin(struct fixture *f)
{
	struct assay_segment_head head = { .banks = { .alg = { ASSAY_HASH_SHA256 }, .n = 1 } };

	if (!f->list)
		assert_int_equal(reopen(f, NULL), 0);
	assert_int_equal(assay_list_file_begin(f->list, &head, NULL), 0);
	assert_int_equal(assay_list_file_keep(f->list, NULL), 0);
}

/* A whole record of "ima-ng" for file number @i. */
static struct assay_bytes record_of(struct fixture *f, uint32_t i, uint8_t buf[static 256])
{
	struct assay_record r = { .pcr = 10, .template_name = assay_bytes_str("ima-ng") };
	struct assay_digest digest = { .alg = ASSAY_HASH_SHA256 };
	struct assay_template_facts facts = { .digest = &digest };
	struct assay_template t;
	struct assay_wr w, out = assay_wr(buf, 256);
	uint8_t data[200], sha1[20];
	char name[32];

	assay_fmt(name, sizeof(name), "/file/%u", i);
	facts.name = assay_bytes_str(name);
	memcpy(digest.data, &i, sizeof(i));
	w = assay_wr(data, sizeof(data));
	assert_int_equal(assay_template_parse(r.template_name, &t, NULL), 0);
	assert_int_equal(assay_template_encode(&t, &facts, &w), 0);
	r.data = assay_wr_done(&w);
	assert_int_equal(assay_template_digest(&f->crypto, ASSAY_HASH_SHA1, &r, sha1), 0);
	r.template_digest = assay_bytes(sha1, 20);
	assay_record_encode(&r, &out);
	assert_true(assay_wr_ok(&out));
	return assay_wr_done(&out);
}

static int append(struct fixture *f, uint32_t i, bool reserve)
{
	struct assay_append port = assay_list_file_port(f->list);
	uint8_t buf[256];

	return port.ops->append(port.ctx, record_of(f, i, buf), reserve);
}

static void append_many(struct fixture *f, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(append(f, i, false), 0);
}

/* Overwrites bytes of the current segment's records. */
static void poke(struct fixture *f, const char *name, uint64_t at, const void *bytes, size_t len)
{
	int fd = openat(f->dirfd, name, O_RDWR);

	assert_int_equal(pwrite(fd, bytes, len, (off_t)at), (ssize_t)len);
	close(fd);
}

#define FIRST "segment-00000001"

static void records_come_back(void **state)
{
	struct fixture *f = *state;
	struct assay_bytes records;
	const uint8_t *address;
	uint8_t buf[256], *copy;

	begin(f);
	address = assay_list_file_records(f->list).data;
	append_many(f, 1000); /* past several preallocated pieces */
	records = assay_list_file_records(f->list);
	assert_ptr_equal(records.data, address);
	copy = malloc(records.len);
	memcpy(copy, records.data, records.len);
	assert_memory_equal(copy, record_of(f, 0, buf).data, record_of(f, 0, buf).len);
	assert_int_equal(reopen(f, NULL), 0);
	assert_int_equal(assay_list_file_records(f->list).len, records.len);
	assert_memory_equal(assay_list_file_records(f->list).data, copy, records.len);
	assert_int_equal(assay_list_file_cut(f->list), 0);
	free(copy);
}

static void segments_are_chained(void **state)
{
	struct fixture *f = *state;
	struct assay_bytes records;
	uint8_t sum[32];

	begin(f);
	append_many(f, 10);
	records = assay_list_file_records(f->list);
	f->crypto.ops->hash(f->crypto.ctx, ASSAY_HASH_SHA256, records, sum);
	begin(f);
	assert_int_equal(assay_list_file_head(f->list)->number, 2);
	assert_int_equal(assay_list_file_head(f->list)->previous_len, records.len);
	assert_memory_equal(assay_list_file_head(f->list)->previous, sum, 32);
	assert_int_equal(assay_list_file_records(f->list).len, 0);
	assert_int_equal(reopen(f, NULL), 0);
	assert_int_equal(assay_list_file_head(f->list)->number, 2);
}

/* What begins is not there for others, and ends nothing, until it is kept. */
static void begun_is_not_kept(void **state)
{
	struct fixture *f = *state;
	struct assay_segment_head head = { .banks = { .alg = { ASSAY_HASH_SHA256 }, .n = 1 } };
	uint64_t len;

	assert_int_equal(reopen(f, NULL), 0);
	assert_int_equal(assay_list_file_begin(f->list, &head, NULL), 0);
	append_many(f, 3);
	assert_int_equal(reopen(f, NULL), 0);
	assert_null(assay_list_file_head(f->list));
	begin(f);
	append_many(f, 10);
	len = assay_list_file_records(f->list).len;
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(assay_list_file_begin(f->list, &head, NULL), 0);
		assert_int_equal(assay_list_file_head(f->list)->number, 2);
		append_many(f, 3);
		if (i == 0)
			assert_true(assay_list_file_drop(f->list));
		else
			assert_int_equal(reopen(f, NULL), 0);
		assert_int_equal(assay_list_file_head(f->list)->number, 1);
		assert_int_equal(assay_list_file_records(f->list).len, len);
		assert_false(assay_list_file_drop(f->list));
	}
	append_many(f, 10);
	assert_int_equal(assay_list_file_begin(f->list, &head, NULL), 0);
	append_many(f, 10);
	assert_int_equal(assay_list_file_keep(f->list, NULL), 0);
	append_many(f, 10);
	assert_int_equal(reopen(f, NULL), 0);
	assert_int_equal(assay_list_file_head(f->list)->number, 2);
	assert_int_equal(assay_list_file_head(f->list)->previous_len, 2 * len);
	assert_int_equal(assay_list_file_records(f->list).len, 2 * len);
}

/* What comes between prepare and begin belongs to the closed segment; what is prepared is not there
 * for others. */
static void begun_as_prepared(void **state)
{
	struct fixture *f = *state;
	struct assay_segment_head head = { .banks = { .alg = { ASSAY_HASH_SHA256 }, .n = 1 } };
	const struct assay_segment_head *now;
	uint8_t want[32];

	begin(f);
	append_many(f, 500); /* more than what is not worth a second look */
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(assay_list_file_prepare(f->list, NULL), 0);
		append_many(f, 7);
		assert_int_equal(assay_list_file_head(f->list)->number, 1);
		if (i == 1) {
			assert_int_equal(reopen(f, NULL), 0);
			assert_int_equal(faccessat(f->dirfd, "segment.new", F_OK, 0), -1);
		}
	}
	assert_int_equal(f->crypto.ops->hash(f->crypto.ctx, ASSAY_HASH_SHA256,
					     assay_list_file_records(f->list), want),
			 0);
	assert_int_equal(assay_list_file_begin(f->list, &head, NULL), 0);
	append_many(f, 3);
	assert_int_equal(assay_list_file_keep(f->list, NULL), 0);
	assert_int_equal(reopen(f, NULL), 0);
	now = assay_list_file_head(f->list);
	assert_int_equal(now->number, 2);
	assert_memory_equal(now->previous, want, 32);
}

/* Bytes that were written and not counted were promised to nobody. */
static void uncounted_bytes_are_not_there(void **state)
{
	struct fixture *f = *state;
	uint64_t len;

	begin(f);
	append_many(f, 3);
	len = assay_list_file_records(f->list).len;
	poke(f, FIRST, ASSAY_SEGMENT_RECORDS + len, "half a record", 13);
	assert_int_equal(reopen(f, NULL), 0);
	assert_int_equal(assay_list_file_records(f->list).len, len);
	append_many(f, 3);
	assert_int_equal(reopen(f, NULL), 0);
	assert_int_equal(assay_list_file_records(f->list).len, 2 * len);
}

/* A kernel that crashed loses pages that were not synced: the end is cut there. */
static void crashed_kernel_loses_the_end(void **state)
{
	static const uint8_t zeros[2000];
	struct fixture *f = *state;
	uint64_t sound, len;
	struct assay_err err;

	begin(f);
	append_many(f, 10);
	assert_int_equal(assay_list_file_sync(f->list), 0);
	append_many(f, 10);
	len = assay_list_file_records(f->list).len;
	sound = len * 3 / 4;
	/* Within the data: the record's shape stays, its digest is wrong. */
	poke(f, FIRST, ASSAY_SEGMENT_RECORDS + sound + 50, "page", 4);
	f->config.boot_id[0] = 2;
	assert_int_equal(reopen(f, NULL), 0);
	assert_int_equal(assay_list_file_records(f->list).len, sound);
	assert_int_equal(assay_list_file_cut(f->list), len - sound);
	append_many(f, 5);
	assert_int_equal(reopen(f, NULL), 0);
	/* Nor has the boot that goes on lost anything: that is damage. */
	poke(f, FIRST, ASSAY_SEGMENT_RECORDS + sound + 24, zeros, 4);
	assert_int_equal(reopen(f, &err), -EBADMSG);
	assert_true(err.has_offset && err.offset >= ASSAY_SEGMENT_RECORDS + sound);
	/* What was synced cannot have been lost. */
	poke(f, FIRST, ASSAY_SEGMENT_RECORDS + 30, zeros, 100);
	f->config.boot_id[0] = 3;
	assert_int_equal(reopen(f, &err), -EBADMSG);
	assert_true(err.has_offset && err.offset < ASSAY_SEGMENT_RECORDS + sound);
}

/* A damaged list is refused, and left as it is. */
static void damage_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct stat before, after;
	struct assay_err err;

	begin(f);
	append_many(f, 10);
	poke(f, FIRST, ASSAY_SEGMENT_RECORDS + 24, "\xff\xff\xff\xff", 4);
	assert_int_equal(fstatat(f->dirfd, FIRST, &before, 0), 0);
	assert_int_equal(reopen(f, &err), -EBADMSG);
	assert_non_null(strstr(err.text, FIRST));
	assert_int_equal(fstatat(f->dirfd, FIRST, &after, 0), 0);
	assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
	assert_int_equal(before.st_size, after.st_size);
	poke(f, FIRST, 40, "x", 1); /* the head */
	assert_int_equal(reopen(f, &err), -EBADMSG);
}

static void lock_names_its_holder(void **state)
{
	struct assay_list_file *second = NULL;
	struct fixture *f = *state;
	struct assay_err err;
	char pid[32];

	begin(f);
	assert_int_equal(assay_list_file_open(f->dirfd, &f->config, &f->crypto, &second, &err),
			 -EWOULDBLOCK);
	assay_fmt(pid, sizeof(pid), "process %d ", (int)getpid());
	assert_non_null(strstr(err.text, pid));
	assert_int_equal(reopen(f, NULL), 0);
}

/* KiB of this process that are of the file @name. */
static unsigned resident_of(const char *name)
{
	FILE *maps = fopen("/proc/self/smaps", "re");
	unsigned sum = 0, kib;
	bool is_it = false;
	char line[512];

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps)) {
		if (strchr(line, '-') && strtoul(line, NULL, 16))
			is_it = strstr(line, name);
		if (is_it && sscanf(line, "Rss: %u", &kib) == 1)
			sum += kib;
	}
	fclose(maps);
	return sum;
}

/* Locked memory too: as it is in the daemon, where that is permitted. */
static void what_is_synced_is_not_resident(void **state)
{
	struct fixture *f = *state;
	uint8_t expected[256];
	unsigned all;

	if (getuid() == 0)
		assert_int_equal(mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT), 0);
	begin(f);
	for (uint32_t i = 0; i < 20000; i++)
		assert_int_equal(append(f, i, false), 0);
	assert_int_equal(assay_list_file_prepare(f->list, NULL), 0); /* reads them all */
	assert_int_equal(assay_list_file_sync(f->list), 0);
	all = (unsigned)(assay_list_file_records(f->list).len >> 10);
	assert_in_range(all, 1500, 4096);
	assert_in_range(resident_of("segment-00000001"), 0, 512);
	assert_memory_equal(assay_list_file_records(f->list).data, record_of(f, 0, expected).data,
			    record_of(f, 0, expected).len);
	munlockall();
}

static void full_segment_keeps_its_reserve(void **state)
{
	struct fixture *f = *state;
	uint32_t n = 0, gaps = 0;

	f->config.size_max = ASSAY_SEGMENT_RECORDS + 16384;
	begin(f);
	while (append(f, n, false) == 0)
		n++;
	assert_int_equal(append(f, n, false), -ENOSPC);
	while (append(f, n, true) == 0)
		gaps++;
	assert_true(gaps * 150 > 4000);
	assert_true(assay_list_file_records(f->list).len <= 16384);
	assert_int_equal(reopen(f, NULL), 0);
	assert_int_equal(append(f, n, true), -ENOSPC);
}

/* The filesystem has no more room (here: the process may not make files larger): nothing of what
 * is there is lost, and there is still the reserve. */
static void full_disk_is_reported(void **state)
{
	struct fixture *f = *state;
	struct rlimit limit = { ASSAY_SEGMENT_RECORDS + 12288, RLIM_INFINITY };
	pid_t child;
	int status;

	begin(f);
	append_many(f, 10);
	child = fork();
	if (child == 0) {
		uint32_t n = 10;

		signal(SIGXFSZ, SIG_IGN);
		setrlimit(RLIMIT_FSIZE, &limit);
		while (append(f, n, false) == 0)
			n++;
		if (append(f, n, false) != -ENOSPC)
			_exit(2);
		_exit(append(f, n, true) == 0 ? 0 : 3);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(reopen(f, NULL), 0);
	assert_true(assay_list_file_records(f->list).len > 1500);
	assert_int_equal(append(f, 0, false), 0);
}

/* A process that is killed loses nothing that append returned for. */
static void killed_process_loses_nothing(void **state)
{
	struct fixture *f = *state;
	uint64_t records[2];
	int fds[2], status;
	pid_t child;

	begin(f);
	assert_int_equal(pipe(fds), 0);
	child = fork();
	if (child == 0) {
		for (uint64_t i = 0;; i++)
			if (append(f, (uint32_t)i, false) < 0 ||
			    write(fds[1], &i, sizeof(i)) != sizeof(i))
				_exit(1);
	}
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(read(fds[0], records, 8), 8);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, &status, 0), child);
	close(fds[1]);
	while (read(fds[0], records, 8) == 8)
		;
	close(fds[0]);
	assert_int_equal(reopen(f, NULL), 0);
	{
		static const struct assay_list_form form = { .column = ASSAY_HASH_SHA1 };
		struct assay_rd in = assay_rd(assay_list_file_records(f->list));
		struct assay_record r;
		uint64_t n = 0;

		for (; !assay_rd_end(&in); n++)
			assert_int_equal(assay_record_parse(&in, &form, &r, NULL), 0);
		assert_true(n > records[0]);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(records_come_back),
		TEST(begun_is_not_kept),
		TEST(begun_as_prepared),
		TEST(segments_are_chained),
		TEST(uncounted_bytes_are_not_there),
		TEST(crashed_kernel_loses_the_end),
		TEST(damage_changes_nothing),
		TEST(lock_names_its_holder),
		TEST(what_is_synced_is_not_resident),
		TEST(full_segment_keeps_its_reserve),
		TEST(full_disk_is_reported),
		TEST(killed_process_loses_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
