/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "formats/audit.h"

#include "base/macros.h"

static const char *const type_names[] = {
#define X(id, number, name) name,
	ASSAY_AUDIT_TYPE_LIST(X)
#undef X
};

static const struct {
	const char *key;
	enum assay_audit_kind kind;
	size_t max;
} fields[] = {
#define NUMBER(id, key)	     { key, ASSAY_AUDIT_KIND_NUMBER, 0 },
#define WORD(id, key, max)   { key, ASSAY_AUDIT_KIND_WORD, max },
#define QUOTED(id, key, max) { key, ASSAY_AUDIT_KIND_QUOTED, max },
#define TEXT(id, key, max)   { key, ASSAY_AUDIT_KIND_TEXT, max },
	ASSAY_AUDIT_FIELD_LIST(NUMBER, WORD, QUOTED, TEXT)
#undef NUMBER
#undef WORD
#undef QUOTED
#undef TEXT
};

const char *assay_audit_type_name(enum assay_audit_type type)
{
	return (unsigned)type < ASSAY_AUDIT_TYPE_COUNT ? type_names[type] : "?";
}

const char *assay_audit_field_key(enum assay_audit_field field)
{
	return (unsigned)field < ASSAY_AUDIT_FIELD_COUNT ? fields[field].key : "?";
}

enum assay_audit_kind assay_audit_field_kind(enum assay_audit_field field)
{
	return fields[field].kind;
}

size_t assay_audit_field_max(enum assay_audit_field field)
{
	return fields[field].max;
}

bool assay_audit_has(const struct assay_audit *r, enum assay_audit_field field)
{
	return r->have >> field & 1;
}

void assay_audit_set_number(struct assay_audit *r, enum assay_audit_field field, uint64_t number)
{
	if (number > INT64_MAX)
		return;
	r->value[field].number = number;
	r->have |= 1ull << field;
}

void assay_audit_set_text(struct assay_audit *r, enum assay_audit_field field,
			  struct assay_bytes text)
{
	if (text.len > fields[field].max)
		text.len = fields[field].max;
	r->value[field].text = text;
	r->have |= 1ull << field;
}

/* ---- JSON ----------------------------------------------------------------------------------- */

struct date {
	unsigned year, month, day;
};

static bool is_leap(unsigned year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static unsigned month_days(unsigned year, unsigned month)
{
	static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	return days[month - 1] + (month == 2 && is_leap(year) ? 1u : 0u);
}

static struct date date_of(uint64_t days)
{
	struct date d = { .year = 1970, .month = 1 };

	/* 400 years always have as many days. */
	d.year += (unsigned)(days / 146097) * 400;
	for (days %= 146097; days >= 365u + is_leap(d.year); d.year++)
		days -= 365u + is_leap(d.year);
	for (; days >= month_days(d.year, d.month); d.month++)
		days -= month_days(d.year, d.month);
	d.day = (unsigned)days + 1;
	return d;
}

void assay_audit_time_print(uint64_t time_us, struct assay_wr *w)
{
	uint64_t us = time_us < ASSAY_AUDIT_TIME_MAX ? time_us : ASSAY_AUDIT_TIME_MAX - 1;
	uint64_t s = us / 1000000;
	struct date d = date_of(s / 86400);

	assay_wr_fmt(w, "%04u-%02u-%02uT%02u:%02u:%02u.%06uZ", d.year, d.month, d.day,
		     (unsigned)(s / 3600 % 24), (unsigned)(s / 60 % 60), (unsigned)(s % 60),
		     (unsigned)(us % 1000000));
}

/* Every byte can be told from the text, in any tool, and no terminal is steered by it. */
static void put_string(struct assay_wr *w, struct assay_bytes text)
{
	assay_wr_str(w, "\"");
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.data[i];

		if (c < 0x20 || c > 0x7e || c == '\\')
			assay_wr_fmt(w, "\\\\x%02x", c);
		else if (c == '"')
			assay_wr_str(w, "\\\"");
		else
			assay_wr_u8(w, c);
	}
	assay_wr_str(w, "\"");
}

void assay_audit_encode(const struct assay_audit *r, struct assay_wr *w)
{
	assay_wr_fmt(w, "{\"v\":%u,\"type\":\"%s\",\"time\":\"", ASSAY_AUDIT_VERSION,
		     assay_audit_type_name(r->type));
	assay_audit_time_print(r->time_us, w);
	assay_wr_str(w, "\"");
	for (unsigned i = 0; i < ASSAY_AUDIT_FIELD_COUNT; i++) {
		if (!assay_audit_has(r, (enum assay_audit_field)i))
			continue;
		assay_wr_fmt(w, ",\"%s\":", fields[i].key);
		if (fields[i].kind == ASSAY_AUDIT_KIND_NUMBER)
			assay_wr_fmt(w, "%llu", (unsigned long long)r->value[i].number);
		else
			put_string(w, r->value[i].text);
	}
	assay_wr_str(w, "}");
}

/* ---- the kernel's text ---------------------------------------------------------------------- */

/* audit_string_contains_control() */
static bool is_odd(struct assay_bytes text, bool quoted)
{
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.data[i];

		if (c == '"' || c < 0x21 || c > 0x7e || (quoted && c == '\''))
			return true;
	}
	return false;
}

static void print_text(const struct assay_bytes text, enum assay_audit_kind kind, bool quoted,
		       struct assay_wr *w)
{
	const char *mark = kind == ASSAY_AUDIT_KIND_WORD && text.len ? "" : "\"";

	if (is_odd(text, quoted)) {
		for (size_t i = 0; i < text.len; i++) {
			assay_wr_u8(w, (uint8_t) "0123456789ABCDEF"[text.data[i] >> 4]);
			assay_wr_u8(w, (uint8_t) "0123456789ABCDEF"[text.data[i] & 15]);
		}
		return;
	}
	assay_wr_str(w, mark);
	assay_wr_bytes(w, text);
	assay_wr_str(w, mark);
}

static void print_field(const struct assay_audit *r, enum assay_audit_field field, bool quoted,
			struct assay_wr *w)
{
	if (!assay_audit_has(r, field) && field == ASSAY_AUDIT_EXE &&
	    r->type == ASSAY_AUDIT_TYPE_RULE)
		assay_wr_str(w, " exe=(null)"); /* audit_log_d_path_exe() */
	if (!assay_audit_has(r, field))
		return;
	assay_wr_fmt(w, " %s=", fields[field].key);
	if (fields[field].kind == ASSAY_AUDIT_KIND_NUMBER)
		assay_wr_fmt(w, "%llu", (unsigned long long)r->value[field].number);
	else
		print_text(r->value[field].text, fields[field].kind, quoted, w);
}

/* The order of ima_audit_measurement() with audit_log_task_info(). */
static const uint8_t rule_order[] = {
	ASSAY_AUDIT_FILE, ASSAY_AUDIT_HASH, ASSAY_AUDIT_PPID,  ASSAY_AUDIT_PID,	 ASSAY_AUDIT_AUID,
	ASSAY_AUDIT_UID,  ASSAY_AUDIT_GID,  ASSAY_AUDIT_EUID,  ASSAY_AUDIT_SUID, ASSAY_AUDIT_FSUID,
	ASSAY_AUDIT_EGID, ASSAY_AUDIT_SGID, ASSAY_AUDIT_FSGID, ASSAY_AUDIT_TTY,	 ASSAY_AUDIT_SES,
	ASSAY_AUDIT_COMM, ASSAY_AUDIT_EXE,  ASSAY_AUDIT_SUBJ,
};

/* The order of integrity_audit_message(). */
static const uint8_t message_order[] = {
	ASSAY_AUDIT_PID, ASSAY_AUDIT_UID,   ASSAY_AUDIT_AUID,  ASSAY_AUDIT_SES,	 ASSAY_AUDIT_SUBJ,
	ASSAY_AUDIT_OP,	 ASSAY_AUDIT_CAUSE, ASSAY_AUDIT_COMM,  ASSAY_AUDIT_NAME, ASSAY_AUDIT_DEV,
	ASSAY_AUDIT_INO, ASSAY_AUDIT_RES,   ASSAY_AUDIT_ERRNO,
};

void assay_audit_print(const struct assay_audit *r, bool quoted, struct assay_wr *w)
{
	const bool rule = r->type == ASSAY_AUDIT_TYPE_RULE;
	const uint8_t *order = rule ? rule_order : message_order;
	size_t n = rule ? ARRAY_LEN(rule_order) : ARRAY_LEN(message_order);
	uint64_t done = 1ull << ASSAY_AUDIT_SEQ;
	size_t begin = w->len;

	for (size_t i = 0; i < n; i++) {
		print_field(r, (enum assay_audit_field)order[i], quoted, w);
		done |= 1ull << order[i];
	}
	for (unsigned i = 0; i < ASSAY_AUDIT_FIELD_COUNT; i++)
		if (!(done >> i & 1))
			print_field(r, (enum assay_audit_field)i, quoted, w);
	/* Each begins with a blank; the first has none before it. */
	if (assay_wr_ok(w) && w->len > begin) {
		memmove(w->data + begin, w->data + begin + 1, w->len - begin - 1);
		w->len--;
	}
}
