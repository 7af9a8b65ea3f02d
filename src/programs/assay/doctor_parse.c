/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assay/doctor_parse.h"

#include <errno.h>
#include <jansson.h>

#include "base/fmt.h"
#include "base/hex.h"
#include "formats/mlist.h"

/* Without what ends a line. */
static struct assay_bytes trim(struct assay_bytes b)
{
	while (b.len && (b.data[b.len - 1] == '\n' || b.data[b.len - 1] == ' '))
		b.len--;
	return b;
}

static struct assay_bytes take_word(struct assay_bytes *rest, char separator)
{
	const uint8_t *at = rest->len ? memchr(rest->data, separator, rest->len) : NULL;
	struct assay_bytes word = *rest;

	if (at)
		word.len = (size_t)(at - rest->data);
	*rest = assay_bytes(rest->data + word.len + (at != NULL),
			    rest->len - word.len - (at != NULL));
	return word;
}

bool doctor_list_has(struct assay_bytes text, char separator, const char *name)
{
	struct assay_bytes rest = trim(text);

	while (rest.len)
		if (assay_bytes_is(take_word(&rest, separator), name))
			return true;
	return false;
}

/* ---- small files ---------------------------------------------------------------------------- */

enum doctor_lockdown doctor_lockdown_parse(struct assay_bytes text)
{
	static const struct {
		const char *word;
		enum doctor_lockdown mode;
	} modes[] = {
		{ "[none]", DOCTOR_LOCKDOWN_NONE },
		{ "[integrity]", DOCTOR_LOCKDOWN_INTEGRITY },
		{ "[confidentiality]", DOCTOR_LOCKDOWN_CONFIDENTIALITY },
	};

	for (size_t i = 0; i < ARRAY_LEN(modes); i++)
		if (doctor_list_has(text, ' ', modes[i].word))
			return modes[i].mode;
	return DOCTOR_LOCKDOWN_UNKNOWN;
}

int doctor_efi_byte(struct assay_bytes file)
{
	return file.len == 5 ? file.data[4] : -1; /* after four bytes of attributes */
}

bool doctor_pcr_parse(struct assay_bytes text, enum assay_hash alg,
		      uint8_t ret[static ASSAY_HASH_SIZE_MAX])
{
	uint8_t value[ASSAY_HASH_SIZE_MAX] = { 0 };

	if (!assay_hash_size(alg) ||
	    assay_hex_decode(trim(text), value, sizeof(value)) != (long)assay_hash_size(alg))
		return false;
	memcpy(ret, value, sizeof(value));
	return true;
}

/* ---- IMA's list ----------------------------------------------------------------------------- */

static void keep_word(char *to, size_t size, struct assay_bytes word)
{
	if (word.len < size)
		assay_fmt(to, size, "%.*s", (int)word.len, (const char *)word.data);
}

static void look_at_record(const struct assay_record *record, bool big, struct doctor_ima_list *ret)
{
	struct assay_template t;
	struct assay_template_data data;
	struct assay_digest digest;

	ret->records++;
	ret->violations += record->violation;
	ret->in_pcr[record->pcr]++;
	keep_word(ret->template, sizeof(ret->template), record->template_name);
	if (assay_template_parse(record->template_name, &t, NULL) == 0 &&
	    assay_template_cut(&t, record->data, big, &data, NULL) == 0 &&
	    assay_field_digest(ASSAY_FIELD_D_NG, assay_template_field(&data, ASSAY_FIELD_D_NG),
			       &digest, NULL) == 0)
		keep_word(ret->hash, sizeof(ret->hash),
			  assay_bytes_str(assay_hash_name(digest.alg)));
}

int doctor_ima_list_parse(struct assay_bytes list, struct doctor_ima_list *ret,
			  struct assay_err *err)
{
	struct assay_rd in = assay_rd(list);
	struct doctor_ima_list got = { 0 };
	struct assay_list_form form;
	struct assay_record record;
	int r = assay_list_form_detect(list, &form, err);

	while (r == 0 && !assay_rd_end(&in)) {
		r = assay_record_parse(&in, &form, &record, err);
		if (r == 0)
			look_at_record(&record, form.big, &got);
	}
	if (r == 0)
		*ret = got;
	return r;
}
_Static_assert(DOCTOR_IMA_PCRS == ASSAY_RECORD_PCR_MAX + 1, "a count for each PCR of a record");

/* ---- systemd's log -------------------------------------------------------------------------- */

#define RECORD_SEPARATOR 0x1e

/* For a terminal: what systemd measures has names that others choose. */
static void make_name(const char *text, char ret[static DOCTOR_MEASURE_NAME])
{
	size_t n = 0;

	for (; *text && n + 1 < DOCTOR_MEASURE_NAME; text++)
		ret[n++] = *text > 0x20 && *text < 0x7f ? *text : '?';
	ret[n] = '\0';
}

static void keep_name(struct doctor_measured *m, const char *text)
{
	char name[DOCTOR_MEASURE_NAME];

	make_name(text, name);
	for (uint32_t i = 0; i < m->n_names; i++)
		if (strcmp(m->name[i], name) == 0)
			return;
	if (name[0] && m->n_names < DOCTOR_MEASURE_NAMES)
		memcpy(m->name[m->n_names++], name, sizeof(name));
}

/* {"pcr": 11, "digests": [...], "content_type": "systemd", "content": {"string": "sysinit"}} */
static void take_event(const json_t *event, struct doctor_measure_log *log)
{
	const json_t *pcr = json_object_get(event, "pcr");
	json_int_t index = json_is_integer(pcr) ? json_integer_value(pcr) : -1;
	const char *text =
		json_string_value(json_object_get(json_object_get(event, "content"), "string"));

	log->records++;
	if (index < 0 || index >= (json_int_t)ASSAY_PCRS) {
		log->not_pcr++;
		return;
	}
	log->pcr[index].events++;
	if (text)
		keep_name(&log->pcr[index], text);
}

static int take_record(struct assay_bytes text, uint64_t offset, struct doctor_measure_log *log,
		       struct assay_err *err)
{
	json_error_t why;
	json_t *event = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, &why);

	if (!json_is_object(event)) {
		json_decref(event);
		return assay_err_at(err, -EBADMSG, offset, "a record that is no JSON object");
	}
	take_event(event, log);
	json_decref(event);
	return 0;
}

int doctor_measure_log_parse(struct assay_bytes log, struct doctor_measure_log *ret,
			     struct assay_err *err)
{
	struct doctor_measure_log got = { 0 };
	struct assay_bytes rest = log;

	if (log.len > DOCTOR_MEASURE_LOG_MAX)
		return assay_err_set(err, -E2BIG, "a log of more than %u bytes",
				     DOCTOR_MEASURE_LOG_MAX);
	while (rest.len) {
		uint64_t offset = (uint64_t)(rest.data - log.data);
		struct assay_bytes text;
		int r;

		if (rest.data[0] != RECORD_SEPARATOR)
			return assay_err_at(err, -EBADMSG, offset, "no record separator");
		rest = assay_bytes(rest.data + 1, rest.len - 1);
		text = rest;
		while (rest.len && rest.data[0] != RECORD_SEPARATOR)
			rest = assay_bytes(rest.data + 1, rest.len - 1);
		text.len -= rest.len;
		r = take_record(text, offset, &got, err);
		if (r < 0)
			return r;
	}
	*ret = got;
	return 0;
}
