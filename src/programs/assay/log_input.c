/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lists of every form become one: binary records in memory. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "formats/mlist_ascii.h"
#include "programs/assay/log.h"

#define LIST_FILE_MAX (64ull << 30)

const char *log_source_name(enum log_source source)
{
	static const char *const names[] = { "binary", "ascii", "segment" };

	return names[source];
}

static int sha256(void *ctx, struct assay_bytes in, uint8_t ret[static 32])
{
	const struct assay_crypto *crypto = ctx;

	return crypto->ops->hash(crypto->ctx, ASSAY_HASH_SHA256, in, ret);
}

static int open_segment(struct log_input *in, const struct assay_crypto *crypto,
			struct assay_err *err)
{
	struct assay_segment_hasher hasher = { sha256, (void *)(uintptr_t)crypto };
	int r;

	in->source = LOG_SEGMENT;
	in->form = (struct assay_list_form){ .column = ASSAY_HASH_SHA1 };
	in->head = calloc(1, sizeof(*in->head));
	if (!in->head)
		return assay_err_set(err, -ENOMEM, "out of memory");
	r = assay_segment_parse(in->file.bytes, &hasher, in->head, &in->list, err);
	if (r == 0)
		in->offset = (uint64_t)(in->list.data - in->file.bytes.data);
	return r;
}

static int open_ascii(struct log_input *in, struct assay_err *err)
{
	size_t size = assay_ascii_bound(in->file.bytes.len);
	struct assay_wr w;
	int r;

	in->source = LOG_ASCII;
	in->converted = malloc(size);
	if (!in->converted)
		return assay_err_set(err, -ENOMEM, "out of memory");
	w = assay_wr(in->converted, size);
	r = assay_ascii_parse(in->file.bytes, &w, &in->form, err);
	if (r == 0)
		in->list = assay_wr_done(&w);
	return r;
}

/* Banks whose digests have one size are told apart by computing the first that is not zero. */
static void tell_column(struct log_input *in, const struct assay_crypto *crypto)
{
	struct assay_rd at = assay_rd(in->list);
	size_t size = assay_hash_size(in->form.column);
	struct assay_record record = { .violation = true };

	while (record.violation && !assay_rd_end(&at))
		if (assay_record_parse(&at, &in->form, &record, NULL) < 0)
			return;
	for (unsigned i = 0; !record.violation && i < ASSAY_HASH_COUNT; i++) {
		enum assay_hash alg = (enum assay_hash)i;
		uint8_t digest[ASSAY_HASH_SIZE_MAX];

		if (assay_hash_size(alg) != size || !assay_hash_tpm_id(alg) ||
		    assay_template_digest(crypto, alg, &record, digest) < 0 ||
		    memcmp(digest, record.template_digest.data, size) != 0)
			continue;
		in->form.column = alg;
		return;
	}
}

/* An array of JSON, or the number of record 0: type 0 and 8 bytes. */
static bool may_be_cel(struct assay_bytes file)
{
	static const uint8_t tlv[] = { 0, 0, 0, 0, 8 };

	return (file.len && file.data[0] == '[') ||
	       (file.len >= sizeof(tlv) && memcmp(file.data, tlv, sizeof(tlv)) == 0);
}

int log_input_open(const char *path, const struct assay_crypto *crypto, struct log_input *ret,
		   struct assay_err *err)
{
	__attribute__((cleanup(assay_auto_log_input))) struct log_input in = { 0 };
	int r = assay_file_map(AT_FDCWD, path, LIST_FILE_MAX, &in.file, err);

	if (r < 0)
		return r;
	if (assay_segment_is(in.file.bytes)) {
		r = open_segment(&in, crypto, err);
	} else if (assay_ascii_is(in.file.bytes)) {
		r = open_ascii(&in, err);
	} else {
		in.list = in.file.bytes;
		r = assay_list_form_detect(in.list, &in.form, err);
		if (r < 0 && may_be_cel(in.list))
			assay_err_set(err, r,
				      "not a measurement list; it looks like CEL, which is only "
				      "written");
	}
	if (r < 0)
		return r;
	tell_column(&in, crypto);
	*ret = in;
	in = (struct log_input){ 0 };
	return 0;
}

void log_input_done(struct log_input *in)
{
	assay_file_free(&in->file);
	free(in->converted);
	free(in->head);
	*in = (struct log_input){ 0 };
}

int log_input_next(const struct log_input *in, struct assay_rd *at, struct assay_checker *checker,
		   struct assay_record *ret, struct assay_template_data *ret_cut,
		   struct assay_err *err)
{
	uint64_t offset = assay_rd_offset(at);
	struct assay_err why = { 0 };
	int r = assay_record_parse(at, &in->form, ret, &why);

	if (r == 0) {
		r = assay_checker_cut(checker, ret, ret_cut, &why);
		why.offset = offset;
	}
	if (r == 0)
		return 0;
	if (in->source == LOG_ASCII) /* the offset would be one into our own conversion */
		return assay_err_set(err, r, "%s", why.text);
	return assay_err_at(err, r, in->offset + why.offset, "%s", why.text);
}
