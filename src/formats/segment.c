/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "formats/segment.h"

#include <errno.h>

#include "base/rd.h"

#define MAGIC	    "ASSAYSEG"
#define VERSION	    1u
#define SUMMED_SIZE (ASSAY_SEGMENT_HEAD_SIZE - 32u) /* what the checksum is over */

_Static_assert(ASSAY_SEGMENT_COMMIT == ASSAY_SEGMENT_HEAD_SIZE, "the commit page follows the head");

bool assay_segment_is(struct assay_bytes file)
{
	return file.len >= strlen(MAGIC) && memcmp(file.data, MAGIC, strlen(MAGIC)) == 0;
}

static void encode_fixed(const struct assay_segment_head *h, struct assay_wr *w)
{
	assay_wr_str(w, MAGIC);
	assay_wr_u16(w, VERSION);
	assay_wr_u16(w, (uint16_t)h->start);
	assay_wr_u32(w, h->banks.n);
	assay_wr_u64(w, h->number);
	assay_wr_u64(w, h->created_ns);
	assay_wr_raw(w, h->boot_id, sizeof(h->boot_id));
	assay_wr_raw(w, h->previous, sizeof(h->previous));
	assay_wr_u64(w, h->previous_len);
	assay_wr_u64(w, h->clock.clock);
	assay_wr_u32(w, h->clock.reset_count);
	assay_wr_u32(w, h->clock.restart_count);
	assay_wr_u8(w, h->clock.safe);
	assay_wr_zero(w, 7);
	for (uint32_t i = 0; i < ASSAY_BANKS_MAX; i++)
		assay_wr_u16(w, i < h->banks.n ? assay_hash_tpm_id(h->banks.alg[i]) : 0);
}

static void encode_base(const struct assay_segment_head *h, struct assay_wr *w)
{
	for (uint32_t p = 0; p < ASSAY_PCRS; p++)
		for (uint32_t i = 0; i < ASSAY_BANKS_MAX; i++) {
			size_t size = i < h->banks.n ? assay_hash_size(h->banks.alg[i]) : 0;

			assay_wr_raw(w, h->base[p].value[i], size);
			assay_wr_zero(w, ASSAY_HASH_SIZE_MAX - size);
		}
}

int assay_segment_encode(const struct assay_segment_head *head,
			 const struct assay_segment_hasher *hasher, struct assay_wr *w)
{
	size_t start = w->len;
	uint8_t sum[32];
	int rc;

	if (head->banks.n > ASSAY_BANKS_MAX || (unsigned)head->start >= ASSAY_SEGMENT_START_COUNT)
		return -EINVAL;
	encode_fixed(head, w);
	encode_base(head, w);
	assay_wr_zero(w, start + SUMMED_SIZE - w->len);
	if (!assay_wr_ok(w))
		return -ENOSPC;
	rc = hasher->sha256(hasher->ctx, assay_bytes(w->data + start, SUMMED_SIZE), sum);
	if (rc < 0)
		return rc;
	assay_wr_raw(w, sum, sizeof(sum));
	return assay_wr_ok(w) ? 0 : -ENOSPC;
}

static bool skip_zero(struct assay_rd *in, size_t len)
{
	struct assay_bytes b;

	return assay_rd_bytes(in, len, &b) && assay_bytes_all(b, 0);
}

static bool parse_numbers(struct assay_rd *in, struct assay_segment_head *h)
{
	uint8_t safe;

	if (!assay_rd_u64(in, &h->number) || !assay_rd_u64(in, &h->created_ns) ||
	    !assay_rd_copy(in, h->boot_id, sizeof(h->boot_id)) ||
	    !assay_rd_copy(in, h->previous, sizeof(h->previous)) ||
	    !assay_rd_u64(in, &h->previous_len) || !assay_rd_u64(in, &h->clock.clock) ||
	    !assay_rd_u32(in, &h->clock.reset_count) ||
	    !assay_rd_u32(in, &h->clock.restart_count) || !assay_rd_u8(in, &safe) || safe > 1 ||
	    !skip_zero(in, 7))
		return false;
	h->clock.safe = safe;
	return h->number > 0;
}

static int parse_banks(struct assay_rd *in, struct assay_segment_head *h, struct assay_err *err)
{
	uint16_t id;

	for (uint32_t i = 0; i < ASSAY_BANKS_MAX; i++) {
		size_t at = assay_rd_offset(in);

		if (!assay_rd_u16(in, &id) || (i >= h->banks.n && id != 0))
			return assay_err_at(err, -EBADMSG, at, "segment head: bank %u", i);
		if (i >= h->banks.n)
			continue;
		if (!assay_hash_by_tpm_id(id, &h->banks.alg[i]))
			return assay_err_at(err, -EOPNOTSUPP, at,
					    "segment head: unknown bank 0x%04x", id);
		for (uint32_t k = 0; k < i; k++)
			if (h->banks.alg[k] == h->banks.alg[i])
				return assay_err_at(err, -EBADMSG, at,
						    "segment head: bank 0x%04x twice", id);
	}
	return 0;
}

static bool parse_base(struct assay_rd *in, struct assay_segment_head *h)
{
	for (uint32_t p = 0; p < ASSAY_PCRS; p++)
		for (uint32_t i = 0; i < ASSAY_BANKS_MAX; i++) {
			size_t size = i < h->banks.n ? assay_hash_size(h->banks.alg[i]) : 0;

			if (!assay_rd_copy(in, h->base[p].value[i], size) ||
			    !skip_zero(in, ASSAY_HASH_SIZE_MAX - size))
				return false;
		}
	return true;
}

static int parse_head(struct assay_bytes head, struct assay_segment_head *h, struct assay_err *err)
{
	struct assay_rd in = assay_rd(head);
	struct assay_bytes magic;
	uint16_t version, start;
	int rc;

	if (!assay_segment_is(head) || !assay_rd_bytes(&in, strlen(MAGIC), &magic) ||
	    !assay_rd_u16(&in, &version))
		return assay_err_at(err, -EBADMSG, 0, "not a segment file");
	if (version != VERSION)
		return assay_err_at(err, -EOPNOTSUPP, 8, "segment of version %u", version);
	if (!assay_rd_u16(&in, &start) || start >= ASSAY_SEGMENT_START_COUNT ||
	    !assay_rd_u32(&in, &h->banks.n) || h->banks.n > ASSAY_BANKS_MAX)
		return assay_err_at(err, -EBADMSG, 10, "segment head: start or number of banks");
	h->start = (enum assay_segment_start)start;
	if (!parse_numbers(&in, h))
		return assay_err_at(err, -EBADMSG, 16, "segment head is malformed");
	rc = parse_banks(&in, h, err);
	if (rc < 0)
		return rc;
	if (!parse_base(&in, h) || !skip_zero(&in, SUMMED_SIZE - assay_rd_offset(&in)))
		return assay_err_at(err, -EBADMSG, assay_rd_offset(&in),
				    "segment head: bytes that must be zero are not");
	return 0;
}

static int check_sum(struct assay_bytes head, const struct assay_segment_hasher *hasher,
		     struct assay_err *err)
{
	uint8_t sum[32];
	int rc = hasher->sha256(hasher->ctx, assay_bytes(head.data, SUMMED_SIZE), sum);

	if (rc < 0)
		return assay_err_set(err, rc, "cannot hash the segment head");
	if (memcmp(sum, head.data + SUMMED_SIZE, sizeof(sum)) != 0)
		return assay_err_at(err, -EBADMSG, SUMMED_SIZE,
				    "segment head: its checksum is wrong");
	return 0;
}

int assay_segment_parse_commit(struct assay_bytes file, struct assay_segment_commit *ret,
			       struct assay_err *err)
{
	struct assay_rd in = assay_rd(file);
	struct assay_segment_commit c;
	struct assay_bytes head;

	if (!assay_rd_bytes(&in, ASSAY_SEGMENT_HEAD_SIZE, &head) ||
	    !assay_rd_u64(&in, &c.written) || !assay_rd_u64(&in, &c.synced) ||
	    !assay_rd_copy(&in, c.boot_id, sizeof(c.boot_id)) ||
	    !skip_zero(&in, ASSAY_SEGMENT_RECORDS - assay_rd_offset(&in)))
		return assay_err_at(err, -EBADMSG, ASSAY_SEGMENT_COMMIT,
				    "the segment's commit page is malformed");
	if (c.written > assay_rd_left(&in))
		return assay_err_at(err, -EBADMSG, ASSAY_SEGMENT_COMMIT,
				    "%llu bytes of records were written, the file has %zu",
				    (unsigned long long)c.written, assay_rd_left(&in));
	*ret = c;
	return 0;
}

int assay_segment_parse(struct assay_bytes file, const struct assay_segment_hasher *hasher,
			struct assay_segment_head *ret, struct assay_bytes *ret_records,
			struct assay_err *err)
{
	struct assay_segment_head h = { 0 };
	struct assay_segment_commit commit;
	struct assay_rd in = assay_rd(file);
	struct assay_bytes head;
	int rc;

	if (!assay_segment_is(file) || !assay_rd_bytes(&in, ASSAY_SEGMENT_HEAD_SIZE, &head))
		return assay_err_at(err, -EBADMSG, 0, "not a segment file");
	rc = parse_head(head, &h, err);
	if (rc == 0 && hasher)
		rc = check_sum(head, hasher, err);
	if (rc == 0)
		rc = assay_segment_parse_commit(file, &commit, err);
	if (rc < 0)
		return rc;
	*ret = h;
	*ret_records = assay_bytes(file.data + ASSAY_SEGMENT_RECORDS, (size_t)commit.written);
	return 0;
}
