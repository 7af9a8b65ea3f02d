/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Records and names as text that no name can forge. */
#include <stdio.h>
#include <stdlib.h>

#include "formats/mlist_ascii.h"
#include "programs/assay/log.h"

void log_text_reserve(struct log_text *t, size_t len)
{
	size_t cap;
	uint8_t *data;

	if (t->w.cap - t->w.len >= len)
		return;
	cap = 2 * t->w.cap + len + 4096;
	data = realloc(t->w.data, cap);
	if (!data) {
		fputs("assay log: out of memory\n", stderr);
		exit(2);
	}
	t->w.data = data;
	t->w.cap = cap;
}

void log_text_flush(struct log_text *t)
{
	if (t->w.len > 0) /* else there may be no buffer */
		fwrite(t->w.data, 1, t->w.len, stdout);
	t->w.len = 0;
}

void log_text_done(struct log_text *t)
{
	free(t->w.data);
	*t = (struct log_text){ 0 };
}

void log_text_record(struct log_text *t, const struct assay_record *record,
		     const struct assay_template_data *cut, bool big)
{
	log_text_reserve(t, 4 * record->data.len + 1024);
	assay_ascii_print(record, cut, big, ASSAY_ASCII_ESCAPED, &t->w);
	assay_wr_u8(&t->w, '\n');
}

static struct assay_bytes name_of(const struct assay_template_data *cut)
{
	struct assay_bytes name = assay_template_field(cut, ASSAY_FIELD_N_NG);

	if (!name.data)
		name = assay_template_field(cut, ASSAY_FIELD_N);
	return assay_field_text(name);
}

void log_name_print(const struct assay_template_data *cut, char to[static 256])
{
	struct assay_bytes name = name_of(cut);
	struct assay_wr w = assay_wr(to, 255);
	bool more = name.len > 200;

	/* A name of 62 bytes or fewer fits whatever is in it. */
	if (more)
		name.len = 200;
	assay_ascii_escape(name, &w);
	if (w.full || more)
		memcpy(to + (w.len > 251 ? 251 : w.len), "...", 4);
	else
		to[w.len] = '\0';
}

void log_json_string(struct assay_wr *w, struct assay_bytes text)
{
	assay_wr_u8(w, '"');
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.data[i];

		if (c < 0x20) {
			assay_wr_fmt(w, "\\u%04x", c);
			continue;
		}
		if (c == '"' || c == '\\')
			assay_wr_u8(w, '\\');
		assay_wr_u8(w, c);
	}
	assay_wr_u8(w, '"');
}

void log_json_text(struct log_text *t, const char *text)
{
	struct log_text escaped = { 0 };

	log_text_reserve(&escaped, 4 * strlen(text));
	assay_ascii_escape(assay_bytes_str(text), &escaped.w);
	log_text_reserve(t, 2 * escaped.w.len + 2); /* no control character is left */
	log_json_string(&t->w, assay_wr_done(&escaped.w));
	log_text_done(&escaped);
}

void log_json_print(const char *text)
{
	struct log_text t = { 0 };

	log_json_text(&t, text);
	log_text_flush(&t);
	log_text_done(&t);
}
