/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "formats/template.h"

#include <errno.h>

#include "base/macros.h"

#define NAME_MAX_OLD  255u  /* the kernel's IMA_EVENT_NAME_LEN_MAX: fields "n" */
#define NAME_MAX_NG   4095u /* PATH_MAX without the NUL */
#define LEGACY_DIGEST 20u   /* the kernel's IMA_DIGEST_SIZE */
#define LEGACY_MD5    16u

/* First byte of an extended attribute (enum evm_ima_xattr_type). */
enum {
	XATTR_IMA_SIGNATURE = 3,
	XATTR_EVM_PORTABLE = 5,
	XATTR_VERITY_SIGNATURE = 6,
};

struct field_row {
	const char *name;
	enum assay_field_kind kind;
};

static const struct field_row field_rows[] = {
#define X(id, name_, kind_) [ASSAY_FIELD_##id] = { (name_), ASSAY_KIND_##kind_ },
	ASSAY_FIELD_LIST(X)
#undef X
};
_Static_assert(ARRAY_LEN(field_rows) == ASSAY_FIELD_COUNT, "every field has a row");

struct builtin_row {
	const char *name, *format;
};

static const struct builtin_row builtin_rows[] = {
	{ "ima", "d|n" },
	{ "ima-ng", "d-ng|n-ng" },
	{ "ima-sig", "d-ng|n-ng|sig" },
	{ "ima-ngv2", "d-ngv2|n-ng" },
	{ "ima-sigv2", "d-ngv2|n-ng|sig" },
	{ "ima-buf", "d-ng|n-ng|buf" },
	{ "ima-modsig", "d-ng|n-ng|sig|d-modsig|modsig" },
	{ "evm-sig", "d-ng|n-ng|evmsig|xattrnames|xattrlengths|xattrvalues|iuid|igid|imode" },
};

const char *assay_field_name(enum assay_field field)
{
	return (unsigned)field < ASSAY_FIELD_COUNT ? field_rows[field].name : "?";
}

enum assay_field_kind assay_field_kind(enum assay_field field)
{
	return (unsigned)field < ASSAY_FIELD_COUNT ? field_rows[field].kind : ASSAY_KIND_HEX;
}

const char *assay_template_builtin_name(unsigned i)
{
	return i < ARRAY_LEN(builtin_rows) ? builtin_rows[i].name : NULL;
}

static bool find_field(struct assay_bytes name, enum assay_field *ret)
{
	for (unsigned i = 0; i < ASSAY_FIELD_COUNT; i++) {
		if (!assay_bytes_is(name, field_rows[i].name))
			continue;
		*ret = (enum assay_field)i;
		return true;
	}
	return false;
}

static int parse_format(struct assay_bytes format, struct assay_template *ret,
			struct assay_err *err)
{
	struct assay_template t = { 0 };
	size_t start = 0;

	for (size_t i = 0; i <= format.len; i++) {
		struct assay_bytes name;

		if (i < format.len && format.data[i] != '|')
			continue;
		name = assay_bytes(format.data + start, i - start);
		start = i + 1;
		if (t.n_fields == ASSAY_TEMPLATE_FIELDS_MAX)
			return assay_err_set(err, -E2BIG, "template with more than %u fields",
					     ASSAY_TEMPLATE_FIELDS_MAX);
		if (!find_field(name, &t.fields[t.n_fields]))
			return assay_err_set(err, -EOPNOTSUPP, "unknown template or field '%s'",
					     assay_err_quote(name).text);
		t.n_fields++;
	}
	*ret = t;
	return 0;
}

int assay_template_parse(struct assay_bytes name, struct assay_template *ret, struct assay_err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(builtin_rows); i++) {
		int r;

		if (!assay_bytes_is(name, builtin_rows[i].name))
			continue;
		r = parse_format(assay_bytes_str(builtin_rows[i].format), ret, err);
		if (r == 0)
			ret->legacy = i == 0;
		return r;
	}
	return parse_format(name, ret, err);
}

/* ---- reading -------------------------------------------------------------------------------- */

/* Cuts @field behind its first ':'; what is before goes to @ret. */
static bool cut_word(struct assay_bytes *field, struct assay_bytes *ret)
{
	const uint8_t *colon = field->len ? memchr(field->data, ':', field->len) : NULL;

	if (!colon)
		return false;
	*ret = assay_bytes(field->data, (size_t)(colon - field->data));
	*field = assay_bytes(colon + 1, field->len - ret->len - 1);
	return true;
}

/* "algo:" NUL digest */
static int parse_digest_algo(struct assay_bytes in, struct assay_digest *ret)
{
	struct assay_bytes word;
	struct assay_digest d = { 0 };

	if (!cut_word(&in, &word) || in.len == 0 || in.data[0] != '\0')
		return -EBADMSG;
	if (!assay_hash_by_name(word, &d.alg))
		return -EOPNOTSUPP;
	if (in.len - 1 != assay_hash_size(d.alg))
		return -EBADMSG;
	memcpy(d.data, in.data + 1, in.len - 1);
	*ret = d;
	return 0;
}

static int parse_digest_raw(struct assay_bytes in, struct assay_digest *ret)
{
	struct assay_digest d = { .alg = in.len == 16 ? ASSAY_HASH_MD5 : ASSAY_HASH_SHA1 };

	if (in.len != assay_hash_size(d.alg))
		return -EBADMSG;
	memcpy(d.data, in.data, in.len);
	*ret = d;
	return 0;
}

static int parse_digest_type_algo(struct assay_bytes in, struct assay_digest *ret, bool *verity)
{
	struct assay_bytes word;

	if (!cut_word(&in, &word))
		return -EBADMSG;
	*verity = assay_bytes_is(word, "verity");
	if (!*verity && !assay_bytes_is(word, "ima"))
		return -EOPNOTSUPP;
	return parse_digest_algo(in, ret);
}

int assay_field_digest(enum assay_field id, struct assay_bytes field, struct assay_digest *ret,
		       bool *ret_verity)
{
	bool verity = false;
	int r;

	if (field.len == 0)
		return -ENODATA;
	switch (assay_field_kind(id)) {
	case ASSAY_KIND_DIGEST:
		r = parse_digest_raw(field, ret);
		break;
	case ASSAY_KIND_DIGEST_ALGO:
		r = parse_digest_algo(field, ret);
		break;
	case ASSAY_KIND_DIGEST_TYPE_ALGO:
		r = parse_digest_type_algo(field, ret, &verity);
		break;
	default:
		return -EINVAL;
	}
	if (r == 0 && ret_verity)
		*ret_verity = verity;
	return r;
}

struct assay_bytes assay_field_text(struct assay_bytes field)
{
	if (field.len && field.data[field.len - 1] == '\0')
		field.len--;
	return field;
}

static size_t uint_size(enum assay_field id)
{
	return id == ASSAY_FIELD_IMODE ? 2 : 4;
}

uint32_t assay_field_uint(enum assay_field id, struct assay_bytes field, bool big)
{
	uint32_t v = 0;

	for (size_t i = 0; i < field.len && i < uint_size(id); i++)
		v = v << 8 | field.data[big ? i : field.len - 1 - i];
	return v;
}

/* A field with nothing to report is empty, whatever its kind. */
static int check_field(enum assay_field id, struct assay_bytes field)
{
	struct assay_digest ignored;
	const uint8_t *nul;

	if (field.len == 0)
		return 0;
	switch (assay_field_kind(id)) {
	case ASSAY_KIND_DIGEST:
	case ASSAY_KIND_DIGEST_ALGO:
	case ASSAY_KIND_DIGEST_TYPE_ALGO:
		return assay_field_digest(id, field, &ignored, NULL);
	case ASSAY_KIND_STRING:
		nul = memchr(field.data, '\0', field.len);
		return nul == field.data + field.len - 1 ? 0 : -EBADMSG;
	case ASSAY_KIND_UINT:
		return field.len == uint_size(id) ? 0 : -EBADMSG;
	case ASSAY_KIND_HEX:
		break;
	}
	return id == ASSAY_FIELD_XATTRLENGTHS && field.len % 4 ? -EBADMSG : 0;
}

/* In either byte order: the order is the list's, and not known to all who ask. */
static bool ends_with_name(struct assay_bytes data, size_t at)
{
	uint32_t le = 0, be = 0;
	size_t len;

	if (data.len < at + 4)
		return false;
	for (unsigned i = 0; i < 4; i++) {
		le |= (uint32_t)data.data[at + i] << 8 * i;
		be |= (uint32_t)data.data[at + i] << 8 * (3 - i);
	}
	len = data.len - at - 4;
	return le == len || be == len;
}

size_t assay_template_legacy_digest(struct assay_bytes data)
{
	return !ends_with_name(data, LEGACY_DIGEST) && ends_with_name(data, LEGACY_MD5)
		       ? LEGACY_MD5
		       : LEGACY_DIGEST;
}

/* Raw digest, then the name with a length and without NUL. */
static int cut_legacy(struct assay_rd *in, size_t digest, struct assay_template_data *ret,
		      struct assay_err *err)
{
	uint32_t len;

	if (!assay_rd_bytes(in, digest, &ret->field[0]) || !assay_rd_u32(in, &len) ||
	    !assay_rd_bytes(in, len, &ret->field[1]) || !assay_rd_end(in))
		return assay_err_at(err, -EBADMSG, assay_rd_offset(in),
				    "template data do not end where their lengths say");
	if (len > NAME_MAX_OLD || (len && memchr(ret->field[1].data, '\0', len)))
		return assay_err_at(err, -EBADMSG, digest, "field 'n' is malformed");
	return 0;
}

int assay_template_cut(const struct assay_template *t, struct assay_bytes data, bool big,
		       struct assay_template_data *ret, struct assay_err *err)
{
	struct assay_template_data d = { .template = *t };
	struct assay_rd in = assay_rd(data);
	int r;

	in.big = big;
	if (t->legacy) {
		r = cut_legacy(&in, assay_template_legacy_digest(data), &d, err);
		if (r == 0)
			*ret = d;
		return r;
	}
	for (uint32_t i = 0; i < t->n_fields; i++) {
		size_t at = assay_rd_offset(&in);
		uint32_t len;

		if (!assay_rd_u32(&in, &len) || !assay_rd_bytes(&in, len, &d.field[i]))
			return assay_err_at(err, -EBADMSG, at, "template data end in field '%s'",
					    assay_field_name(t->fields[i]));
		r = check_field(t->fields[i], d.field[i]);
		if (r < 0)
			return assay_err_at(err, r, at, "field '%s' is %s",
					    assay_field_name(t->fields[i]),
					    r == -EOPNOTSUPP ? "of an unknown algorithm or type"
							     : "malformed");
	}
	if (!assay_rd_end(&in))
		return assay_err_at(err, -EBADMSG, assay_rd_offset(&in),
				    "template data go on after the last field");
	*ret = d;
	return 0;
}

struct assay_bytes assay_template_field(const struct assay_template_data *d, enum assay_field id)
{
	for (uint32_t i = 0; i < d->template.n_fields; i++)
		if (d->template.fields[i] == id)
			return d->field[i];
	return assay_bytes(NULL, 0);
}

/* ---- writing -------------------------------------------------------------------------------- */

/* The kernel writes blanks as '_' when it makes an entry, in strings of every kind. */
static void write_string(struct assay_bytes s, struct assay_wr *w)
{
	for (size_t i = 0; i < s.len; i++)
		assay_wr_u8(w, s.data[i] == ' ' ? '_' : s.data[i]);
}

static int write_string_field(struct assay_bytes s, struct assay_wr *w)
{
	if (s.len && memchr(s.data, '\0', s.len))
		return -EINVAL;
	assay_wr_u32(w, (uint32_t)s.len + 1);
	write_string(s, w);
	assay_wr_u8(w, 0);
	return 0;
}

/* What "n" keeps of a long name: of a path the last component, else the beginning. */
static struct assay_bytes shorten_name(struct assay_bytes name)
{
	size_t slash = name.len;

	if (name.len <= NAME_MAX_OLD)
		return name;
	while (name.data[0] == '/' && name.data[slash - 1] != '/')
		slash--;
	if (name.data[0] == '/')
		name = assay_bytes(name.data + slash, name.len - slash);
	if (name.len > NAME_MAX_OLD)
		name.len = NAME_MAX_OLD;
	return name;
}

static void write_digest_bytes(const struct assay_digest *d, enum assay_hash alg,
			       struct assay_wr *w)
{
	if (d)
		assay_wr_bytes(w, assay_digest_bytes(d));
	else
		assay_wr_zero(w, assay_hash_size(alg));
}

static int write_digest_field(const char *prefix, const struct assay_digest *d,
			      enum assay_hash violation_alg, struct assay_wr *w)
{
	enum assay_hash alg = d ? d->alg : violation_alg;
	const char *name = assay_hash_name(alg);

	if (assay_hash_size(alg) == 0)
		return -EOPNOTSUPP;
	assay_wr_u32(w, (uint32_t)(strlen(prefix) + strlen(name) + 2 + assay_hash_size(alg)));
	assay_wr_str(w, prefix);
	assay_wr_str(w, name);
	assay_wr_raw(w, ":", 2);
	write_digest_bytes(d, alg, w);
	return 0;
}

static int write_raw_digest_field(const struct assay_digest *d, struct assay_wr *w)
{
	enum assay_hash alg = d ? d->alg : ASSAY_HASH_SHA1;

	if (alg != ASSAY_HASH_SHA1 && alg != ASSAY_HASH_MD5)
		return -EOPNOTSUPP;
	assay_wr_u32(w, (uint32_t)assay_hash_size(alg));
	write_digest_bytes(d, alg, w);
	return 0;
}

/* An attribute's value if its first byte is one of two kinds. */
static struct assay_bytes of_kind(struct assay_bytes xattr, uint8_t kind, uint8_t other)
{
	if (xattr.len && (xattr.data[0] == kind || xattr.data[0] == other))
		return xattr;
	return assay_bytes(NULL, 0);
}

static void write_sig_field(const struct assay_template_facts *f, struct assay_wr *w)
{
	struct assay_bytes sig = of_kind(f->sig, XATTR_IMA_SIGNATURE, XATTR_VERITY_SIGNATURE);

	if (!sig.len)
		sig = of_kind(f->evmsig, XATTR_EVM_PORTABLE, XATTR_EVM_PORTABLE);
	assay_wr_field(w, sig);
}

static void write_uint_field(const struct assay_template_facts *f, enum assay_field id,
			     struct assay_wr *w)
{
	if (!f->has_owner) {
		assay_wr_u32(w, 0);
	} else if (id == ASSAY_FIELD_IMODE) {
		assay_wr_u32(w, 2);
		assay_wr_u16(w, f->mode);
	} else {
		assay_wr_u32(w, 4);
		assay_wr_u32(w, id == ASSAY_FIELD_IUID ? f->uid : f->gid);
	}
}

static int write_name_field(const struct assay_template_facts *f, enum assay_field id,
			    struct assay_wr *w)
{
	if (id == ASSAY_FIELD_N)
		return write_string_field(shorten_name(f->name), w);
	if (f->name.len > NAME_MAX_NG)
		return -ENAMETOOLONG;
	return write_string_field(f->name, w);
}

/* Those that are written as they are. NULL: it is none of them. */
static const struct assay_bytes *bytes_of(const struct assay_template_facts *f, enum assay_field id)
{
	switch (id) {
	case ASSAY_FIELD_BUF:
		return &f->buf;
	case ASSAY_FIELD_MODSIG:
		return &f->modsig;
	case ASSAY_FIELD_XATTRLENGTHS:
		return &f->xattr_lengths;
	case ASSAY_FIELD_XATTRVALUES:
		return &f->xattr_values;
	default:
		return NULL;
	}
}

static int write_field(const struct assay_template_facts *f, enum assay_field id,
		       struct assay_wr *w)
{
	const struct assay_bytes *bytes = bytes_of(f, id);

	if (bytes) {
		assay_wr_field(w, *bytes);
		return 0;
	}
	switch (id) {
	case ASSAY_FIELD_D:
		return write_raw_digest_field(f->digest, w);
	case ASSAY_FIELD_D_NG:
		return write_digest_field("", f->digest, f->violation_alg, w);
	case ASSAY_FIELD_D_NGV2:
		return write_digest_field(f->verity ? "verity:" : "ima:", f->digest,
					  f->violation_alg, w);
	case ASSAY_FIELD_D_MODSIG:
		if (f->modsig_digest)
			return write_digest_field("", f->modsig_digest, f->violation_alg, w);
		assay_wr_u32(w, 0);
		return 0;
	case ASSAY_FIELD_N:
	case ASSAY_FIELD_N_NG:
		return write_name_field(f, id, w);
	case ASSAY_FIELD_XATTRNAMES:
		if (f->xattr_names.len)
			return write_string_field(f->xattr_names, w);
		assay_wr_u32(w, 0);
		return 0;
	case ASSAY_FIELD_SIG:
		write_sig_field(f, w);
		return 0;
	case ASSAY_FIELD_EVMSIG:
		assay_wr_field(w, of_kind(f->evmsig, XATTR_EVM_PORTABLE, XATTR_EVM_PORTABLE));
		return 0;
	case ASSAY_FIELD_IUID:
	case ASSAY_FIELD_IGID:
	case ASSAY_FIELD_IMODE:
		write_uint_field(f, id, w);
		return 0;
	default:
		return -EINVAL;
	}
}

/* md5 is refused: a reader could not tell its 16 bytes from 20. */
static int encode_legacy(const struct assay_template_facts *f, struct assay_wr *w)
{
	struct assay_bytes name = shorten_name(f->name);

	if (f->digest && f->digest->alg != ASSAY_HASH_SHA1)
		return -EOPNOTSUPP;
	if (name.len && memchr(name.data, '\0', name.len))
		return -EINVAL;
	write_digest_bytes(f->digest, ASSAY_HASH_SHA1, w);
	assay_wr_u32(w, (uint32_t)name.len);
	write_string(name, w);
	return assay_wr_ok(w) ? 0 : -ENOSPC;
}

int assay_template_encode(const struct assay_template *t, const struct assay_template_facts *facts,
			  struct assay_wr *w)
{
	if (t->legacy)
		return encode_legacy(facts, w);
	for (uint32_t i = 0; i < t->n_fields; i++) {
		int r = write_field(facts, t->fields[i], w);

		if (r < 0)
			return r;
	}
	return assay_wr_ok(w) ? 0 : -ENOSPC;
}
