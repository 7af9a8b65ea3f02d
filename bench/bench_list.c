/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writes a measurement list as a kernel would have (ima-ng, every record extended by itself), of
 * any length, and prints the PCR values that it leads to: "BANK INDEX HEX" a line.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/crypto_openssl/crypto_openssl.h"
#include "base/hex.h"
#include "engine/checker.h"
#include "formats/mlist.h"

enum { PCR = 10, COUNT_MAX = 100000000 };

static const enum assay_hash banks[] = { ASSAY_HASH_SHA1, ASSAY_HASH_SHA256 };

struct maker {
	struct assay_crypto crypto;
	struct assay_template template;
	uint8_t pcr[ARRAY_LEN(banks)][ASSAY_HASH_SIZE_MAX];
	FILE *to;
};

static void check(int r, const char *what)
{
	if (r == 0)
		return;
	fprintf(stderr, "bench_list: %s: %s\n", what, strerror(-r));
	exit(2);
}

static void extend(struct maker *m, const struct assay_record *record)
{
	for (size_t i = 0; i < ARRAY_LEN(banks); i++) {
		size_t size = assay_hash_size(banks[i]);
		uint8_t both[2 * ASSAY_HASH_SIZE_MAX];

		memcpy(both, m->pcr[i], size);
		check(assay_template_digest(&m->crypto, banks[i], record, both + size), "digest");
		check(m->crypto.ops->hash(m->crypto.ctx, banks[i], assay_bytes(both, 2 * size),
					  m->pcr[i]),
		      "hash");
	}
}

/* The @i-th record: a file with a name as long as names are, whose digest is that of the name. */
static void add(struct maker *m, unsigned i)
{
	struct assay_record r = { .pcr = PCR, .template_name = assay_bytes_str("ima-ng") };
	struct assay_digest digest = { .alg = ASSAY_HASH_SHA256 };
	uint8_t data[512], encoded[1024], sha1[20];
	struct assay_wr w = assay_wr(data, sizeof(data)), out = assay_wr(encoded, sizeof(encoded));
	char name[64];

	snprintf(name, sizeof(name), "/usr/lib/x86_64-linux-gnu/library-%08u.so.1", i);
	struct assay_template_facts facts = { .digest = &digest, .name = assay_bytes_str(name) };

	check(m->crypto.ops->hash(m->crypto.ctx, digest.alg, facts.name, digest.data), "hash");
	check(assay_template_encode(&m->template, &facts, &w), "encode");
	r.data = assay_wr_done(&w);
	check(assay_template_digest(&m->crypto, ASSAY_HASH_SHA1, &r, sha1), "digest");
	r.template_digest = assay_bytes(sha1, sizeof(sha1));
	assay_record_encode(&r, &out);
	if (!assay_wr_ok(&out) || fwrite(encoded, out.len, 1, m->to) != 1)
		check(-EIO, "write");
	extend(m, &r);
}

static void print_pcrs(const struct maker *m)
{
	char hex[2 * ASSAY_HASH_SIZE_MAX + 1];

	for (size_t i = 0; i < ARRAY_LEN(banks); i++) {
		assay_hex_encode(assay_bytes(m->pcr[i], assay_hash_size(banks[i])), hex);
		printf("%s %d %s\n", assay_hash_name(banks[i]), PCR, hex);
	}
}

int main(int argc, char **argv)
{
	AUTO(crypto_openssl) struct assay_crypto_openssl *crypto = NULL;
	unsigned long count = argc == 3 ? strtoul(argv[1], NULL, 10) : 0;
	struct maker m = { 0 };

	if (count == 0 || count > COUNT_MAX) {
		fputs("usage: bench_list RECORDS FILE\n", stderr);
		return 2;
	}
	check(assay_crypto_openssl_new(&crypto, NULL), "crypto");
	m.crypto = assay_crypto_openssl_port(crypto);
	check(assay_template_parse(assay_bytes_str("ima-ng"), &m.template, NULL), "template");
	m.to = fopen(argv[2], "wbe");
	if (!m.to)
		check(-errno, argv[2]);
	for (unsigned i = 0; i < count; i++)
		add(&m, i);
	if (fclose(m.to) != 0)
		check(-errno, argv[2]);
	print_pcrs(&m);
	return 0;
}
