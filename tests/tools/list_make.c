/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writes lists as assayd does, for tests of who reads them:
 *   list_make DIR add FILE       the records of a kernel's binary list (sha1 column)
 *   list_make DIR grow N [TAG]   N records of made-up files, every 7th a violation
 *   list_make DIR segment        a new segment begins
 * The folder is there; a first segment with the banks sha1 to sha512 is made.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/crypto_openssl/crypto_openssl.h"
#include "backends/list_file/list_file.h"
#include "base/file.h"
#include "engine/core/digest.h"
#include "formats/mlist.h"

static const struct assay_list_form form = { .column = ASSAY_HASH_SHA1 };

static int trouble(const struct assay_err *err)
{
	fprintf(stderr, "list_make: %s\n", err->text);
	return 2;
}

static int begin(struct assay_list_file *l, enum assay_segment_start start, struct assay_err *err)
{
	static struct assay_segment_head head = {
		.banks = { { ASSAY_HASH_SHA1, ASSAY_HASH_SHA256, ASSAY_HASH_SHA384,
			     ASSAY_HASH_SHA512 },
			   4 },
	};
	int r;

	head.start = start;
	r = assay_list_file_begin(l, &head, err);
	return r < 0 ? r : assay_list_file_keep(l, err);
}

static int add(struct assay_list_file *l, const char *path, struct assay_err *err)
{
	struct assay_append port = assay_list_file_port(l);
	AUTO(file) struct assay_file file = { 0 };
	struct assay_record record;
	struct assay_rd in;
	int r = assay_file_read(AT_FDCWD, path, (size_t)1 << 30, &file, err);

	in = assay_rd(file.bytes);
	while (r == 0 && !assay_rd_end(&in)) {
		const uint8_t *at = in.at;

		r = assay_record_parse(&in, &form, &record, err);
		if (r == 0)
			r = port.ops->append(port.ctx, assay_bytes(at, record.size), false);
	}
	return r;
}

static int put(struct assay_list_file *l, const struct assay_crypto *crypto, const char *name,
	       bool violation)
{
	struct assay_append port = assay_list_file_port(l);
	uint8_t data[512], whole[1024], column[20] = { 0 };
	struct assay_wr d = assay_wr(data, sizeof(data)), w = assay_wr(whole, sizeof(whole));
	struct assay_digest digest = { .alg = ASSAY_HASH_SHA256 };
	struct assay_template_facts facts = { .violation_alg = ASSAY_HASH_SHA256,
					      .name = assay_bytes_str(name) };
	struct assay_record record = { .pcr = 10, .template_name = assay_bytes_str("ima-ng") };
	struct assay_template t;

	crypto->ops->hash(crypto->ctx, digest.alg, facts.name, digest.data);
	facts.digest = violation ? NULL : &digest;
	assay_template_parse(record.template_name, &t, NULL);
	if (assay_template_encode(&t, &facts, &d) < 0)
		return -EINVAL;
	record.data = assay_wr_done(&d);
	if (!violation)
		assay_template_digest(crypto, ASSAY_HASH_SHA1, &record, column);
	record.template_digest = assay_bytes(column, sizeof(column));
	assay_record_encode(&record, &w);
	return port.ops->append(port.ctx, assay_wr_done(&w), false);
}

static int grow(struct assay_list_file *l, const struct assay_crypto *crypto, unsigned long n,
		const char *tag)
{
	char name[200];
	int r = 0;

	for (unsigned long i = 0; r == 0 && i < n; i++) {
		snprintf(name, sizeof(name), "/usr/lib/%s/%lu", tag, i);
		r = put(l, crypto, name, i % 7 == 6);
	}
	return r;
}

static int work(struct assay_list_file *l, const struct assay_crypto *crypto, int argc, char **argv,
		struct assay_err *err)
{
	int r = assay_list_file_head(l) ? 0 : begin(l, ASSAY_SEGMENT_FIRST, err);

	if (r < 0)
		return r;
	if (argc == 4 && strcmp(argv[2], "add") == 0)
		return add(l, argv[3], err);
	if (argc >= 4 && strcmp(argv[2], "grow") == 0)
		return grow(l, crypto, strtoul(argv[3], NULL, 10), argc > 4 ? argv[4] : "x");
	if (argc == 3 && strcmp(argv[2], "segment") == 0)
		return begin(l, ASSAY_SEGMENT_RESET, err);
	return assay_err_set(err, -EINVAL, "see the head of list_make.c");
}

int main(int argc, char **argv)
{
	struct assay_list_file_config config = { .size = sizeof(config) };
	AUTO(crypto_openssl) struct assay_crypto_openssl *openssl = NULL;
	AUTO(list_file) struct assay_list_file *l = NULL;
	AUTO(fd) int dirfd = -1;
	struct assay_crypto crypto;
	struct assay_err err = { .text = "failed" };

	if (argc < 3 || assay_crypto_openssl_new(&openssl, &err) < 0)
		return 2;
	crypto = assay_crypto_openssl_port(openssl);
	dirfd = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (assay_list_file_open(dirfd, &config, &crypto, &l, &err) < 0 ||
	    work(l, &crypto, argc, argv, &err) < 0)
		return trouble(&err);
	return 0;
}
