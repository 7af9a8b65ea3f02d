/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Measurement templates: which fields an entry has, and how each is written
 * (Documentation/security/IMA-templates.rst, security/integrity/ima/ima_template_lib.c).
 * A template is a name ("ima-ng") or a format string ("d-ng|n-ng"), which is then its name.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"
#include "base/rd.h"
#include "base/wr.h"
#include "formats/hash.h"

/*      id, field identifier, what its bytes are */
#define ASSAY_FIELD_LIST(X)                                                                        \
	X(D, "d", DIGEST)                                                                          \
	X(N, "n", STRING)                                                                          \
	X(D_NG, "d-ng", DIGEST_ALGO)                                                               \
	X(D_NGV2, "d-ngv2", DIGEST_TYPE_ALGO)                                                      \
	X(N_NG, "n-ng", STRING)                                                                    \
	X(SIG, "sig", HEX)                                                                         \
	X(BUF, "buf", HEX)                                                                         \
	X(D_MODSIG, "d-modsig", DIGEST_ALGO)                                                       \
	X(MODSIG, "modsig", HEX)                                                                   \
	X(EVMSIG, "evmsig", HEX)                                                                   \
	X(IUID, "iuid", UINT)                                                                      \
	X(IGID, "igid", UINT)                                                                      \
	X(IMODE, "imode", UINT)                                                                    \
	X(XATTRNAMES, "xattrnames", STRING)                                                        \
	X(XATTRLENGTHS, "xattrlengths", HEX)                                                       \
	X(XATTRVALUES, "xattrvalues", HEX)

enum assay_field_kind {
	ASSAY_KIND_DIGEST,	     /* raw: sha1, or md5 by its length */
	ASSAY_KIND_DIGEST_ALGO,	     /* "algo:" NUL digest */
	ASSAY_KIND_DIGEST_TYPE_ALGO, /* "ima:" or "verity:", then the same */
	ASSAY_KIND_STRING,	     /* ended by one NUL that the length counts */
	ASSAY_KIND_HEX,		     /* bytes, printed in hexadecimal */
	ASSAY_KIND_UINT,	     /* in the list's byte order */
};

enum assay_field {
#define X(id, name, kind) ASSAY_FIELD_##id,
	ASSAY_FIELD_LIST(X)
#undef X
		ASSAY_FIELD_COUNT
};

#define ASSAY_TEMPLATE_FIELDS_MAX 15 /* the kernel's TEMPLATE_NUM_FIELDS_MAX */
#define ASSAY_TEMPLATE_NAME_MAX	  255

struct assay_template {
	enum assay_field fields[ASSAY_TEMPLATE_FIELDS_MAX];
	uint32_t n_fields;
	bool legacy; /* "ima": d and n without lengths, its own digest rule */
};

const char *assay_field_name(enum assay_field field);
enum assay_field_kind assay_field_kind(enum assay_field field);

/* By built-in name or format string. Errors: -EOPNOTSUPP unknown field or template, -E2BIG too
 * many fields, with the field in @err. A lone format "d|n" is not legacy. */
int assay_template_parse(struct assay_bytes name, struct assay_template *ret,
			 struct assay_err *err);

/* Built-in templates in the kernel's order: "ima", "ima-ng", ... NULL past the last. */
const char *assay_template_builtin_name(unsigned i);

/* A template's data cut into its fields; they borrow from the data. */
struct assay_template_data {
	struct assay_template template;
	struct assay_bytes field[ASSAY_TEMPLATE_FIELDS_MAX];
};

/*
 * Cuts @data (as it stands in a binary record; @big: written on a big-endian machine without
 * ima_canonical_fmt) and checks each field's shape: digest length equal to its algorithm's,
 * strings ended by one NUL, integers of their size, nothing left over. Errors: -EBADMSG,
 * -EOPNOTSUPP.
 */
int assay_template_cut(const struct assay_template *t, struct assay_bytes data, bool big,
		       struct assay_template_data *ret, struct assay_err *err);

/*
 * How long the digest in front of the data of an "ima" record is, which has no length of its own:
 * 20 bytes, or 16 of a kernel with ima_hash=md5. The length of the name behind it leads to the end
 * of the data; only where it does not from 20 on can it be 16.
 */
size_t assay_template_legacy_digest(struct assay_bytes data);

/* The first field of @id, or an empty one with data NULL. */
struct assay_bytes assay_template_field(const struct assay_template_data *d, enum assay_field id);

/* What a d-ng, d-ngv2, d or d-modsig field says. @ret_verity may be NULL. An empty field: -ENODATA.
 */
int assay_field_digest(enum assay_field id, struct assay_bytes field, struct assay_digest *ret,
		       bool *ret_verity);

/* A string field without its NUL. The legacy "n" has none. */
struct assay_bytes assay_field_text(struct assay_bytes field);

/* The value of iuid, igid or imode; 0 for an empty field. */
uint32_t assay_field_uint(enum assay_field id, struct assay_bytes field, bool big);

/* What an entry is made of. Fields that are not given are written empty. sig and evmsig are the
 * attributes as they are read: only signatures among them are written, as the kernel does it. */
struct assay_template_facts {
	const struct assay_digest *digest; /* of file or buffer; NULL: violation, zeros */
	bool verity;			   /* the digest is fs-verity's */
	enum assay_hash violation_alg;	   /* algorithm named in a violation's zero digest */
	struct assay_bytes name;	   /* path or event name, without NUL; blanks become '_' */
	struct assay_bytes buf, sig, modsig, evmsig;
	const struct assay_digest *modsig_digest;
	uint32_t uid, gid;
	uint16_t mode;
	struct assay_bytes xattr_names, xattr_lengths, xattr_values;
	bool has_owner; /* uid, gid and mode are known */
};

/* Writes template data, little-endian (assay writes nothing else). Errors: -ENAMETOOLONG,
 * -EOPNOTSUPP a digest that the template cannot hold ("ima" with sha256), -EINVAL a NUL in a
 * string, -ENOSPC @w is full. */
int assay_template_encode(const struct assay_template *t, const struct assay_template_facts *facts,
			  struct assay_wr *w);
