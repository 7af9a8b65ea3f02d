/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "formats/conf.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/macros.h"
#include "base/fmt.h"
#include "base/num.h"
#include "formats/template.h"

enum kind { KIND_STRING, KIND_WORD, KIND_NUMBER, KIND_STRINGS, KIND_NUMBERS };

struct row {
	const char *key;
	enum kind kind;
	size_t offset;
	const char *text; /* STRING: default; WORD: the words */
	uint32_t least, most, standard;
	int (*check)(const struct row *r, struct assay_bytes value, struct assay_err *err);
};

static int check_any(const struct row *r, struct assay_bytes value, struct assay_err *err)
{
	(void)r, (void)value, (void)err;
	return 0;
}

/* Those that a TPM has: what is weaker than SHA-1 has no place in a list. */
static int check_hash(const struct row *r, struct assay_bytes value, struct assay_err *err)
{
	char allowed[128] = "";
	enum assay_hash alg;
	size_t n = 0;

	if (assay_hash_by_name(value, &alg) && assay_hash_tpm_id(alg))
		return 0;
	for (unsigned i = 0; i < ASSAY_HASH_COUNT && n < sizeof(allowed); i++)
		if (assay_hash_tpm_id((enum assay_hash)i))
			n += assay_fmt(allowed + n, sizeof(allowed) - n, " %s",
				       assay_hash_name((enum assay_hash)i));
	return assay_err_set(err, -EINVAL, "'%s' takes one of:%s; not '%.*s'", r->key, allowed,
			     (int)value.len, (const char *)value.data);
}

/* @words: what is allowed beside it. A relative one would mean another file wherever it is read. */
static int want_path(const struct row *r, struct assay_bytes value, const char *words,
		     struct assay_err *err)
{
	if (value.data[0] == '/')
		return 0;
	return assay_err_set(err, -EINVAL, "'%s' takes %sa path that begins with '/'; not '%.*s'",
			     r->key, words, (int)value.len, (const char *)value.data);
}

static int check_path(const struct row *r, struct assay_bytes value, struct assay_err *err)
{
	return want_path(r, value, "", err);
}

static int check_path_or_none(const struct row *r, struct assay_bytes value, struct assay_err *err)
{
	return assay_bytes_is(value, "none") ? 0 : want_path(r, value, "none, or ", err);
}

static int check_kernel_list(const struct row *r, struct assay_bytes value, struct assay_err *err)
{
	if (assay_bytes_is(value, "auto") || assay_bytes_is(value, "none"))
		return 0;
	return want_path(r, value, "auto, none, or ", err);
}

/* sun_path of unix(7), with its NUL. */
#define SOCKET_PATH_MAX 108

static int want_socket(const struct row *r, struct assay_bytes value, struct assay_err *err)
{
	if (value.len < SOCKET_PATH_MAX)
		return 0;
	return assay_err_set(err, -E2BIG, "the path '%s' is longer than %u bytes", r->key,
			     SOCKET_PATH_MAX - 1);
}

static int check_socket(const struct row *r, struct assay_bytes value, struct assay_err *err)
{
	int rc = want_socket(r, value, err);

	return rc < 0 ? rc : check_path(r, value, err);
}

static int check_socket_or_none(const struct row *r, struct assay_bytes value,
				struct assay_err *err)
{
	int rc = want_socket(r, value, err);

	return rc < 0 ? rc : check_path_or_none(r, value, err);
}

/* The ways that the process which has the TPM can take (anchor_sandbox.c); their options are
 * theirs. */
static int check_tcti(const struct row *r, struct assay_bytes value, struct assay_err *err)
{
	static const char *const ways[] = { "device", "tabrmd", "swtpm", "mssim" };
	const uint8_t *colon = memchr(value.data, ':', value.len);
	size_t len = colon ? (size_t)(colon - value.data) : value.len;

	for (size_t i = 0; i < ARRAY_LEN(ways); i++)
		if (assay_bytes_is(assay_bytes(value.data, len), ways[i]))
			return 0;
	return assay_err_set(err, -EINVAL,
			     "'%s' begins with one of: device tabrmd swtpm mssim; not '%.*s'",
			     r->key, (int)len, (const char *)value.data);
}

static int check_template(const struct row *r, struct assay_bytes value, struct assay_err *err)
{
	struct assay_template unused;

	if (assay_template_parse(value, &unused, err) == 0)
		return 0;
	(void)assay_err_prefix(err, "'%s'", r->key);
	return -EINVAL;
}

static const struct row rows[] = {
#define AT(key)			   offsetof(struct assay_conf, key)
#define STRING(key, text, check)   { #key, KIND_STRING, AT(key), text, 0, 0, 0, check_##check },
#define WORD(key, words, index)	   { #key, KIND_WORD, AT(key), words, 0, 0, index, check_any },
#define NUMBER(key, lo, hi, value) { #key, KIND_NUMBER, AT(key), NULL, lo, hi, value, check_any },
#define STRINGS(key, check)	   { #key, KIND_STRINGS, AT(key), NULL, 0, 0, 0, check_##check },
#define NUMBERS(key, lo, hi)	   { #key, KIND_NUMBERS, AT(key), NULL, lo, hi, 0, check_any },
	ASSAY_CONF_LIST(STRING, WORD, NUMBER, STRINGS, NUMBERS)
#undef STRING
#undef WORD
#undef NUMBER
#undef STRINGS
#undef NUMBERS
#undef AT
};
_Static_assert(ARRAY_LEN(rows) <= 64, "a bit a key in assay_conf_parse()");

static void *field(struct assay_conf *c, const struct row *r)
{
	return (uint8_t *)c + r->offset;
}

static const void *const_field(const struct assay_conf *c, const struct row *r)
{
	return (const uint8_t *)c + r->offset;
}

void assay_conf_init(struct assay_conf *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].kind == KIND_STRING)
			memcpy(field(ret, &rows[i]), rows[i].text, strlen(rows[i].text));
		if (rows[i].kind == KIND_WORD || rows[i].kind == KIND_NUMBER)
			*(uint32_t *)field(ret, &rows[i]) = rows[i].standard;
	}
}

/* The @i-th word of a blank-separated list; len 0 past the last. */
static struct assay_bytes word_at(const char *words, uint32_t i)
{
	while (i-- > 0 && *words)
		words = strchrnul(words, ' ') + (*strchrnul(words, ' ') != '\0');
	return assay_bytes(words, (size_t)(strchrnul(words, ' ') - words));
}

static int set_word(const struct row *r, struct assay_bytes value, uint32_t *ret,
		    struct assay_err *err)
{
	struct assay_bytes word;

	for (uint32_t i = 0; (word = word_at(r->text, i)).len > 0; i++)
		if (assay_bytes_equal(word, value)) {
			*ret = i;
			return 0;
		}
	return assay_err_set(err, -EINVAL, "'%s' takes one of: %s; not '%.*s'", r->key, r->text,
			     (int)value.len, (const char *)value.data);
}

static int set_number(const struct row *r, struct assay_bytes value, uint32_t *ret,
		      struct assay_err *err)
{
	uint64_t n;

	if (assay_num_parse(value, 10, r->most, &n) < 0 || n < r->least)
		return assay_err_set(err, -EINVAL, "'%s' takes a number from %u to %u, not '%.*s'",
				     r->key, r->least, r->most, (int)value.len,
				     (const char *)value.data);
	*ret = (uint32_t)n;
	return 0;
}

static int set_string(struct assay_bytes value, char *ret)
{
	memset(ret, 0, ASSAY_CONF_STRING_MAX);
	memcpy(ret, value.data, value.len);
	return 0;
}

static int too_many(const struct row *r, struct assay_err *err)
{
	return assay_err_set(err, -E2BIG, "'%s' is given more than %u times", r->key,
			     ASSAY_CONF_LIST_MAX);
}

static int set_row(struct assay_conf *c, const struct row *r, struct assay_bytes value,
		   struct assay_err *err)
{
	struct assay_conf_strings *strings = field(c, r);
	struct assay_conf_numbers *numbers = field(c, r);
	int rc;

	switch (r->kind) {
	case KIND_STRING:
		return set_string(value, field(c, r));
	case KIND_WORD:
		return set_word(r, value, field(c, r), err);
	case KIND_NUMBER:
		return set_number(r, value, field(c, r), err);
	case KIND_STRINGS:
		if (strings->n == ASSAY_CONF_LIST_MAX)
			return too_many(r, err);
		return set_string(value, strings->value[strings->n++]);
	case KIND_NUMBERS:
		if (numbers->n == ASSAY_CONF_LIST_MAX)
			return too_many(r, err);
		rc = set_number(r, value, &numbers->value[numbers->n], err);
		numbers->n += rc == 0;
		return rc;
	}
	return -EINVAL;
}

static const struct row *find_row(struct assay_bytes key)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (assay_bytes_is(key, rows[i].key))
			return &rows[i];
	return NULL;
}

/* Printable or UTF-8; a NUL or a line feed would change what is read back. */
static int check_value(const struct row *r, struct assay_bytes value, struct assay_err *err)
{
	if (value.len == 0)
		return assay_err_set(err, -EINVAL, "'%s' has no value", r->key);
	if (value.len >= ASSAY_CONF_STRING_MAX)
		return assay_err_set(err, -E2BIG, "the value of '%s' is longer than %u bytes",
				     r->key, ASSAY_CONF_STRING_MAX - 1);
	for (size_t i = 0; i < value.len; i++)
		if (value.data[i] < 0x20 || value.data[i] == 0x7f)
			return assay_err_set(err, -EINVAL,
					     "the value of '%s' has a control character", r->key);
	return r->check(r, value, err);
}

int assay_conf_set(struct assay_conf *c, const char *key, struct assay_bytes value,
		   struct assay_err *err)
{
	const struct row *r = find_row(assay_bytes_str(key));
	int rc;

	if (!r)
		return assay_err_set(err, -EINVAL, "there is no key '%s'; see assayd.conf(5)", key);
	rc = check_value(r, value, err);
	return rc < 0 ? rc : set_row(c, r, value, err);
}

/* ---- a file --------------------------------------------------------------------------------- */

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static struct assay_bytes trim(struct assay_bytes b)
{
	while (b.len > 0 && is_blank(b.data[0]))
		b = assay_bytes(b.data + 1, b.len - 1);
	while (b.len > 0 && is_blank(b.data[b.len - 1]))
		b.len--;
	return b;
}

/* Puts the place into a message that is there already. */
static int at(struct assay_err *err, int code, uint32_t line, size_t column)
{
	if (err) {
		err->line = line;
		err->column = (uint32_t)column + 1;
	}
	return code;
}

static int parse_line(struct assay_bytes line, uint32_t number, uint64_t *seen,
		      struct assay_conf *c, struct assay_err *err)
{
	const uint8_t *equals = memchr(line.data, '=', line.len);
	struct assay_bytes key, value;
	const struct row *r;
	int rc;

	key = trim(assay_bytes(line.data, equals ? (size_t)(equals - line.data) : line.len));
	if (!equals)
		return at(err,
			  assay_err_set(err, -EINVAL, "no '=' after '%s'",
					assay_err_quote(key).text),
			  number, (size_t)(key.data - line.data) + key.len);
	r = find_row(key);
	if (!r)
		return at(err,
			  assay_err_set(err, -EINVAL, "unknown key '%s'; see assayd.conf(5)",
					assay_err_quote(key).text),
			  number, (size_t)(key.data - line.data));
	if (r->kind != KIND_STRINGS && r->kind != KIND_NUMBERS && *seen & 1ull << (r - rows))
		return at(err, assay_err_set(err, -EINVAL, "'%s' is given twice", r->key), number,
			  (size_t)(key.data - line.data));
	*seen |= 1ull << (r - rows);
	value = trim(assay_bytes(equals + 1, (size_t)(line.data + line.len - equals - 1)));
	rc = check_value(r, value, err);
	if (rc == 0)
		rc = set_row(c, r, value, err);
	return rc < 0 ? at(err, rc, number, (size_t)(value.data - line.data)) : 0;
}

/* The next line without the end of it; false: there is none. */
static bool next_line(struct assay_bytes *text, struct assay_bytes *ret)
{
	const uint8_t *end = memchr(text->data, '\n', text->len);
	size_t len = end ? (size_t)(end - text->data) : text->len;

	if (text->len == 0)
		return false;
	*ret = assay_bytes(text->data, len);
	len += end != NULL;
	*text = assay_bytes(text->data + len, text->len - len);
	return true;
}

static bool says_something(struct assay_bytes line)
{
	struct assay_bytes inner = trim(line);

	return inner.len > 0 && inner.data[0] != '#';
}

int assay_conf_parse(struct assay_bytes text, struct assay_conf *ret, struct assay_err *err)
{
	struct assay_bytes line;
	struct assay_conf c;
	uint64_t seen = 0;
	int rc = 0;

	if (text.len > ASSAY_CONF_SIZE_MAX)
		return assay_err_set(err, -E2BIG, "longer than %u bytes", ASSAY_CONF_SIZE_MAX);
	assay_conf_init(&c);
	for (uint32_t number = 1; rc == 0 && next_line(&text, &line); number++)
		if (says_something(line))
			rc = parse_line(line, number, &seen, &c, err);
	if (rc == 0)
		*ret = c;
	return rc;
}

bool assay_conf_place(struct assay_bytes text, const char *key, uint32_t *ret_line,
		      uint32_t *ret_column)
{
	struct assay_bytes line, value;
	const uint8_t *equals;
	bool found = false;

	for (uint32_t number = 1; next_line(&text, &line); number++) {
		equals = says_something(line) ? memchr(line.data, '=', line.len) : NULL;
		if (!equals ||
		    !assay_bytes_is(trim(assay_bytes(line.data, (size_t)(equals - line.data))),
				    key))
			continue;
		value = trim(assay_bytes(equals + 1, (size_t)(line.data + line.len - equals - 1)));
		*ret_line = number;
		*ret_column = (uint32_t)(value.data - line.data) + 1;
		found = true;
	}
	return found;
}

/* ---- two of them ---------------------------------------------------------------------------- */

static size_t size_of(const struct row *r)
{
	switch (r->kind) {
	case KIND_STRING:
		return ASSAY_CONF_STRING_MAX;
	case KIND_STRINGS:
		return sizeof(struct assay_conf_strings);
	case KIND_NUMBERS:
		return sizeof(struct assay_conf_numbers);
	case KIND_WORD:
	case KIND_NUMBER:
		break;
	}
	return sizeof(uint32_t);
}

/* What is past the end of a value is zero, so that bytes are compared. */
uint64_t assay_conf_differ(const struct assay_conf *a, const struct assay_conf *b)
{
	uint64_t bits = 0;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (memcmp(const_field(a, &rows[i]), const_field(b, &rows[i]), size_of(&rows[i])))
			bits |= 1ull << i;
	return bits;
}

const char *assay_conf_key(unsigned bit)
{
	return bit < ARRAY_LEN(rows) ? rows[bit].key : NULL;
}

void assay_conf_copy(struct assay_conf *to, const struct assay_conf *from, const char *key)
{
	const struct row *r = find_row(assay_bytes_str(key));

	if (r)
		memcpy(field(to, r), const_field(from, r), size_of(r));
}

/* ---- back ----------------------------------------------------------------------------------- */

static void print_value(const struct row *r, struct assay_bytes value, struct assay_wr *w)
{
	assay_wr_str(w, r->key);
	assay_wr_str(w, " = ");
	assay_wr_bytes(w, value);
	assay_wr_str(w, "\n");
}

static void print_number(const struct row *r, uint32_t number, struct assay_wr *w)
{
	assay_wr_fmt(w, "%s = %u\n", r->key, number);
}

static void print_row(const struct assay_conf *c, const struct row *r, struct assay_wr *w)
{
	const struct assay_conf_strings *strings = const_field(c, r);
	const struct assay_conf_numbers *numbers = const_field(c, r);
	const uint32_t *number = const_field(c, r);

	switch (r->kind) {
	case KIND_STRING:
		print_value(r, assay_bytes_str(const_field(c, r)), w);
		return;
	case KIND_WORD:
		print_value(r, word_at(r->text, *number), w);
		return;
	case KIND_NUMBER:
		print_number(r, *number, w);
		return;
	case KIND_STRINGS:
		for (uint32_t i = 0; i < strings->n; i++)
			print_value(r, assay_bytes_str(strings->value[i]), w);
		return;
	case KIND_NUMBERS:
		for (uint32_t i = 0; i < numbers->n; i++)
			print_number(r, numbers->value[i], w);
		return;
	}
}

void assay_conf_print(const struct assay_conf *c, struct assay_wr *w)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		print_row(c, &rows[i], w);
}
