/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "assay log show": the entries, as the kernel's ascii list or as JSON lines, and what the measurer
 * says of itself in them. */
#include <stddef.h>
#include <stdio.h>

#include "engine/replay.h"
#include "formats/batch.h"
#include "formats/mlist_ascii.h"
#include "programs/assay/cmd.h"
#include "programs/assay/log.h"

#define NAME "log show"

struct options {
	bool states, json;
};

const struct option_row log_show_rows[] = {
	{ 's', "states", NULL, "only what assayd says of itself: a line of text each", OPTION_FLAG,
	  offsetof(struct options, states) },
	{ 'j', "json", NULL, "one JSON object a line", OPTION_FLAG,
	  offsetof(struct options, json) },
	{ 0 },
};

struct show {
	const struct options *o;
	const struct log_input *input;
	const char *path; /* that lines begin with; NULL: there is one file only */
	struct assay_checker checker;
	struct assay_replay *replay; /* NULL once the list is known to be wrong: roles end there */
	struct log_text text, field;
	uint64_t index;
};

static const char *role_of(struct show *s, const struct assay_record *record)
{
	static const char *const names[] = { "\"step\"", "\"covered\"", "\"batch\"" };
	struct assay_step step;
	bool is_step;

	if (s->replay && assay_replay_record(s->replay, record, 0, &is_step, &step, NULL) < 0) {
		assay_replay_free(s->replay);
		s->replay = NULL;
	}
	return s->replay ? names[assay_replay_role(s->replay)] : "null";
}

/* The text of what bears the name of a state record; its data are NULL if it does not. */
static struct assay_bytes state_of(const struct assay_record *record,
				   const struct assay_template_data *cut)
{
	struct assay_bytes name = assay_field_text(assay_template_field(cut, ASSAY_FIELD_N_NG));

	if (!assay_bytes_is(record->template_name, "ima-buf") ||
	    !assay_bytes_is(name, ASSAY_STATE_NAME))
		return assay_bytes(NULL, 0);
	return assay_template_field(cut, ASSAY_FIELD_BUF);
}

/* An object of the pairs, whose values are escaped as they stand in the record; null of what assayd
 * cannot have written. */
static void json_state(struct show *s, struct assay_bytes state)
{
	struct assay_wr *w = &s->text.w;
	struct assay_bytes key, value;

	log_text_reserve(&s->text, 4 * state.len + 64);
	assay_wr_str(w, ",\"state\":");
	if (assay_state_check(state, NULL) < 0) {
		assay_wr_str(w, "null");
		return;
	}
	for (char before = '{'; assay_state_next(&state, &key, &value); before = ',') {
		assay_wr_u8(w, (uint8_t)before);
		log_json_string(w, key);
		assay_wr_u8(w, ':');
		log_json_string(w, value);
	}
	assay_wr_u8(w, '}');
}

static void text_state(struct show *s, struct assay_bytes state)
{
	struct assay_wr *w = &s->text.w;

	log_text_reserve(&s->text, 4 * state.len + 128);
	assay_wr_fmt(w, "%llu ", (unsigned long long)s->index);
	if (assay_state_check(state, NULL) < 0) {
		assay_wr_str(w, "not of assayd's form: ");
		assay_ascii_escape(state, w);
	} else {
		assay_wr_bytes(w, state); /* its own notation has escaped the rest */
	}
	assay_wr_u8(w, '\n');
}

static void json_field(struct show *s, enum assay_field id, struct assay_bytes field)
{
	struct assay_wr *w = &s->text.w;

	assay_wr_fmt(w, "\"%s\":", assay_field_name(id));
	if (assay_field_kind(id) == ASSAY_KIND_UINT && field.len) {
		assay_wr_fmt(w, "%u", assay_field_uint(id, field, s->input->form.big));
		return;
	}
	s->field.w.len = 0;
	log_text_reserve(&s->field, 4 * field.len + 64);
	assay_field_print(id, field, s->input->form.big, ASSAY_ASCII_ESCAPED, &s->field.w);
	log_json_string(w, assay_wr_done(&s->field.w));
}

static void json_record(struct show *s, const struct assay_record *record,
			const struct assay_template_data *cut, uint64_t offset)
{
	struct assay_bytes state = state_of(record, cut);
	struct assay_wr *w = &s->text.w;

	log_text_reserve(&s->text, 8 * record->data.len + 2048);
	assay_wr_str(w, "{");
	if (s->path) {
		assay_wr_str(w, "\"file\":");
		log_json_text(&s->text, s->path);
		log_text_reserve(&s->text, 8 * record->data.len + 2048);
		assay_wr_fmt(w, ",\"segment\":%llu,", (unsigned long long)s->input->head->number);
	}
	assay_wr_fmt(w, "\"index\":%llu,\"offset\":%llu,\"pcr\":%u,\"digest\":\"",
		     (unsigned long long)s->index, (unsigned long long)offset, record->pcr);
	assay_wr_hex(w, record->template_digest);
	assay_wr_fmt(w, "\",\"template\":\"%.*s\",\"violation\":%s,\"role\":%s,\"fields\":{",
		     (int)record->template_name.len, (const char *)record->template_name.data,
		     record->violation ? "true" : "false", role_of(s, record));
	for (uint32_t i = 0; i < cut->template.n_fields; i++) {
		if (i)
			assay_wr_u8(w, ',');
		json_field(s, cut->template.fields[i], cut->field[i]);
	}
	assay_wr_u8(w, '}');
	if (state.data)
		json_state(s, state);
	log_text_reserve(&s->text, 2);
	assay_wr_str(w, "}\n");
}

/* What is not shown changes the roles of what is. */
static void skip_record(struct show *s, const struct assay_record *record)
{
	if (s->replay)
		(void)role_of(s, record);
}

static void text_record(struct show *s, const struct assay_record *record,
			const struct assay_template_data *cut)
{
	if (s->path) {
		log_text_reserve(&s->text, strlen(s->path) + 2);
		assay_wr_str(&s->text.w, s->path);
		assay_wr_str(&s->text.w, ": ");
	}
	if (s->o->states)
		text_state(s, state_of(record, cut));
	else
		log_text_record(&s->text, record, cut, s->input->form.big);
}

static int show_all(struct show *s, struct assay_err *err)
{
	const struct log_input *in = s->input;
	struct assay_rd at = assay_rd(in->list);

	for (; !assay_rd_end(&at); s->index++) {
		uint64_t offset = in->offset + assay_rd_offset(&at);
		struct assay_template_data cut;
		struct assay_record record;
		int r = log_input_next(in, &at, &s->checker, &record, &cut, err);

		if (r < 0)
			return assay_err_prefix(err, "entry %llu", (unsigned long long)s->index);
		if (s->o->states && !state_of(&record, &cut).data)
			skip_record(s, &record);
		else if (s->o->json)
			json_record(s, &record, &cut, offset);
		else
			text_record(s, &record, &cut);
		if (s->text.w.len > 1u << 16)
			log_text_flush(&s->text);
	}
	return 0;
}

static int show_part(const struct log_part *part, bool chain, const struct options *o,
		     const struct assay_crypto *crypto)
{
	static const struct assay_banks banks = { { ASSAY_HASH_SHA1, ASSAY_HASH_SHA256 }, 2 };
	struct show s = { .o = o, .input = &part->input, .path = chain ? part->path : NULL };
	struct assay_err err;
	int r = assay_checker_init(&s.checker, crypto, &banks, &part->input.form, false);

	if (r == 0 && o->json)
		r = assay_replay_new(crypto, &banks, NULL, &s.replay);
	if (r == 0 && s.replay)
		r = assay_replay_set_form(s.replay, &part->input.form);
	if (r < 0)
		assay_err_set(&err, r, "cannot compute the digests of this list");
	else
		r = show_all(&s, &err);
	log_text_flush(&s.text);
	log_text_done(&s.text);
	log_text_done(&s.field);
	assay_replay_free(s.replay);
	return r < 0 ? assay_cmd_fail(NAME, part->path, &err) : EXIT_YES;
}

static int show(const struct log_list *list, const void *options, const struct assay_crypto *crypto)
{
	int r = EXIT_YES;

	for (size_t i = 0; r == EXIT_YES && i < list->n; i++)
		r = show_part(&list->part[i], list->chain, options, crypto);
	return r;
}

int cmd_log_show(int argc, char **argv)
{
	struct options o = { 0 };

	return log_run_on_list(NAME, log_show_rows, &o, argc, argv, show);
}
