/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "formats/batch.h"

#include <errno.h>

#include "base/fmt.h"
#include "base/hex.h"
#include "base/rd.h"

#define BATCH_MAGIC   "ABAT"
#define BATCH_VERSION 1u

/* ---- assay-batch ---------------------------------------------------------------------------- */

void assay_batch_encode(const struct assay_batch *batch, struct assay_wr *w)
{
	assay_wr_str(w, BATCH_MAGIC);
	assay_wr_u16(w, BATCH_VERSION);
	assay_wr_u16(w, (uint16_t)batch->n_banks);
	assay_wr_u64(w, batch->sequence);
	assay_wr_u64(w, batch->first);
	assay_wr_u64(w, batch->count);
	for (uint32_t i = 0; i < batch->n_banks; i++) {
		struct assay_bytes digest = assay_digest_bytes(&batch->digest[i]);

		assay_wr_u16(w, assay_hash_tpm_id(batch->digest[i].alg));
		assay_wr_u16(w, (uint16_t)digest.len);
		assay_wr_bytes(w, digest);
	}
}

bool assay_batch_is(struct assay_bytes buf)
{
	return buf.len >= 4 && memcmp(buf.data, BATCH_MAGIC, 4) == 0;
}

static int parse_digest(struct assay_rd *in, struct assay_batch *b, uint32_t i,
			struct assay_err *err)
{
	size_t at = assay_rd_offset(in);
	struct assay_digest *d = &b->digest[i];
	uint16_t id, size;

	if (!assay_rd_u16(in, &id) || !assay_rd_u16(in, &size))
		return assay_err_at(err, -EBADMSG, at, "batch record ends in bank %u", i);
	if (!assay_hash_by_tpm_id(id, &d->alg))
		return assay_err_at(err, -EOPNOTSUPP, at, "batch record of unknown bank 0x%04x",
				    id);
	if (size != assay_hash_size(d->alg) || !assay_rd_copy(in, d->data, size))
		return assay_err_at(err, -EBADMSG, at, "batch record's %s digest has %u bytes",
				    assay_hash_name(d->alg), size);
	for (uint32_t k = 0; k < i; k++)
		if (b->digest[k].alg == d->alg)
			return assay_err_at(err, -EBADMSG, at, "batch record has bank %s twice",
					    assay_hash_name(d->alg));
	return 0;
}

static int parse_head(struct assay_rd *in, struct assay_batch *b, struct assay_err *err)
{
	struct assay_bytes magic;
	uint16_t version, banks;

	if (!assay_rd_bytes(in, 4, &magic) || !assay_batch_is(magic) || !assay_rd_u16(in, &version))
		return assay_err_at(err, -EBADMSG, 0, "not a batch record");
	if (version != BATCH_VERSION)
		return assay_err_at(err, -EOPNOTSUPP, 4, "batch record of version %u", version);
	if (!assay_rd_u16(in, &banks) || !assay_rd_u64(in, &b->sequence) ||
	    !assay_rd_u64(in, &b->first) || !assay_rd_u64(in, &b->count))
		return assay_err_at(err, -EBADMSG, assay_rd_offset(in),
				    "batch record is cut short");
	if (banks == 0 || banks > ASSAY_BATCH_BANKS_MAX)
		return assay_err_at(err, -EBADMSG, 6, "batch record of %u banks (1 to %u)", banks,
				    ASSAY_BATCH_BANKS_MAX);
	if (b->sequence == 0 || b->count == 0 || b->first > UINT64_MAX - b->count)
		return assay_err_at(err, -EBADMSG, 8, "batch record counts from or to nothing");
	b->n_banks = banks;
	return 0;
}

int assay_batch_parse(struct assay_bytes buf, struct assay_batch *ret, struct assay_err *err)
{
	struct assay_rd in = assay_rd(buf);
	struct assay_batch b = { 0 };
	int r = parse_head(&in, &b, err);

	for (uint32_t i = 0; r == 0 && i < b.n_banks; i++)
		r = parse_digest(&in, &b, i, err);
	if (r < 0)
		return r;
	if (!assay_rd_end(&in))
		return assay_err_at(err, -EBADMSG, assay_rd_offset(&in),
				    "batch record goes on after its last bank");
	*ret = b;
	return 0;
}

void assay_batch_head(uint32_t pcr, struct assay_bytes template_name, bool violation,
		      size_t data_len, struct assay_wr *w)
{
	assay_wr_u32(w, pcr);
	assay_wr_field(w, template_name);
	assay_wr_u8(w, violation);
	assay_wr_u32(w, (uint32_t)data_len);
}

/* ---- assay-state ---------------------------------------------------------------------------- */

static bool is_plain(uint8_t c)
{
	return c >= 0x20 && c <= 0x7e && c != '\\' && c != ';' && c != '=';
}

static bool is_key(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

void assay_state_begin(struct assay_wr *w, const char *event)
{
	assay_wr_str(w, "v=1;");
	assay_state_add(w, "event", assay_bytes_str(event));
}

void assay_state_add(struct assay_wr *w, const char *key, struct assay_bytes value)
{
	assay_wr_fmt(w, "%s=", key);
	for (size_t i = 0; i < value.len; i++)
		if (is_plain(value.data[i]))
			assay_wr_u8(w, value.data[i]);
		else
			assay_wr_fmt(w, "\\x%02x", value.data[i]);
	assay_wr_u8(w, ';');
}

void assay_state_add_u64(struct assay_wr *w, const char *key, uint64_t value)
{
	assay_wr_fmt(w, "%s=%llu;", key, (unsigned long long)value);
}

void assay_state_add_hex(struct assay_wr *w, const char *key, struct assay_bytes value)
{
	assay_wr_fmt(w, "%s=", key);
	assay_wr_hex(w, value);
	assay_wr_u8(w, ';');
}

bool assay_state_next(struct assay_bytes *rest, struct assay_bytes *ret_key,
		      struct assay_bytes *ret_value)
{
	const uint8_t *end, *equals;

	if (rest->len == 0)
		return false;
	end = memchr(rest->data, ';', rest->len);
	equals = end ? memchr(rest->data, '=', (size_t)(end - rest->data)) : NULL;
	if (!equals)
		return false;
	*ret_key = assay_bytes(rest->data, (size_t)(equals - rest->data));
	*ret_value = assay_bytes(equals + 1, (size_t)(end - equals - 1));
	*rest = assay_bytes(end + 1, (size_t)(rest->data + rest->len - end - 1));
	return true;
}

/* A version that we do not know claims to be one, too: it must not pass for a key's payload. */
bool assay_state_is(struct assay_bytes buf)
{
	struct assay_bytes key, value;

	return assay_state_next(&buf, &key, &value) && assay_bytes_is(key, "v") &&
	       assay_state_next(&buf, &key, &value) && assay_bytes_is(key, "event");
}

struct assay_bytes assay_state_get(struct assay_bytes buf, const char *key)
{
	struct assay_bytes k, value;

	while (assay_state_next(&buf, &k, &value))
		if (assay_bytes_is(k, key))
			return value;
	return assay_bytes(NULL, 0);
}

static bool is_hex(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

/* Plain bytes, and \xHH for the others only, so that a text has one writing. */
static bool value_ok(struct assay_bytes v)
{
	for (size_t i = 0; i < v.len; i++) {
		uint8_t byte;

		if (is_plain(v.data[i]))
			continue;
		if (v.data[i] != '\\' || v.len - i < 4 || v.data[i + 1] != 'x' ||
		    !is_hex(v.data[i + 2]) || !is_hex(v.data[i + 3]) ||
		    assay_hex_decode(assay_bytes(v.data + i + 2, 2), &byte, 1) != 1 ||
		    is_plain(byte))
			return false;
		i += 3;
	}
	return true;
}

static bool key_ok(struct assay_bytes k)
{
	for (size_t i = 0; i < k.len; i++)
		if (!is_key(k.data[i]))
			return false;
	return k.len > 0;
}

/* Whether @key stands in @text, which ends where the next pair begins. */
static bool seen_before(struct assay_bytes text, struct assay_bytes key)
{
	struct assay_bytes k, value;

	while (assay_state_next(&text, &k, &value))
		if (assay_bytes_equal(k, key))
			return true;
	return false;
}

int assay_state_check(struct assay_bytes buf, struct assay_err *err)
{
	struct assay_bytes rest = buf, key, value;

	if (buf.len > ASSAY_STATE_SIZE_MAX)
		return assay_err_set(err, -E2BIG, "state record of %zu bytes (at most %u)", buf.len,
				     ASSAY_STATE_SIZE_MAX);
	if (!assay_state_is(buf))
		return assay_err_set(err, -EBADMSG, "state record does not begin with v and event");
	if (!assay_bytes_is(assay_state_get(buf, "v"), "1"))
		return assay_err_set(err, -EOPNOTSUPP, "state record of an unknown version");
	for (unsigned n = 0; rest.len; n++) {
		size_t at = buf.len - rest.len;

		if (n == ASSAY_STATE_KEYS_MAX)
			return assay_err_at(err, -E2BIG, at, "state record of more than %u keys",
					    ASSAY_STATE_KEYS_MAX);

		if (!assay_state_next(&rest, &key, &value) || !key_ok(key) || !value_ok(value))
			return assay_err_at(err, -EBADMSG, at, "state record is malformed");
		if (seen_before(assay_bytes(buf.data, at), key))
			return assay_err_at(err, -EBADMSG, at, "state record has a key twice");
	}
	return assay_state_get(buf, "event").len
		       ? 0
		       : assay_err_set(err, -EBADMSG, "state record names no event");
}
