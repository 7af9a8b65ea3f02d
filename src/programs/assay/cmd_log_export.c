/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * "assay log export": the same entries in another format. A list that is wrong is not exported:
 * every record is checked and replayed on the way.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "backends/crypto_openssl/crypto_openssl.h"
#include "base/fmt.h"
#include "engine/replay.h"
#include "formats/cel.h"
#include "formats/mlist_ascii.h"
#include "programs/assay/answer.h"
#include "programs/assay/cmd.h"
#include "programs/assay/log.h"

#define NAME "log export"

enum format { FORMAT_CEL_JSON, FORMAT_CEL_TLV, FORMAT_BINARY, FORMAT_ASCII, FORMAT_ANCHORED };

static const char *const format_names[] = { "cel-json", "cel-tlv", "binary", "ascii", "anchored" };

struct export
{
	const struct log_input *input;
	enum format format;
	struct assay_banks banks;
	struct assay_checker checker;
	struct assay_replay *replay;
	struct log_text text;
	int fd; /* where it goes */
	uint64_t index, written, bytes;
	/* Steps that a kernel's record may still go before: the last in the order of the PCRs. */
	struct held {
		struct assay_record record;
		struct assay_step step;
		bool placed; /* before a step that the list has before it */
	} * held;
	size_t n_held, room, n_own;
};

/* A record of the kernel's binary list, in the order of bytes that the list has. */
static void put_binary(struct export *e, const struct assay_record *record)
{
	log_text_reserve(&e->text, record->size);
	e->text.w.big = e->input->form.big;
	assay_record_encode(record, &e->text.w);
}

static void put_ascii(struct export *e, const struct assay_record *record,
		      const struct assay_template_data *cut)
{
	log_text_reserve(&e->text, 4 * record->data.len + 1024);
	assay_ascii_print(record, cut, e->input->form.big, ASSAY_ASCII_RAW, &e->text.w);
	assay_wr_u8(&e->text.w, '\n');
}

static void put_cel(struct export *e, const struct assay_record *record,
		    const struct assay_step *step)
{
	struct assay_cel cel = { .recnum = e->written,
				 .pcr = record->pcr,
				 .banks = &e->banks,
				 .digests = &step->digests,
				 .template_name = record->template_name,
				 .template_data = record->data };

	log_text_reserve(&e->text, assay_cel_bound(&cel));
	if (e->format == FORMAT_CEL_TLV) {
		assay_cel_encode(&cel, &e->text.w);
		return;
	}
	assay_wr_str(&e->text.w, e->written ? ",\n" : "[\n");
	assay_cel_print(&cel, &e->text.w);
}

/* CEL and the anchored form hold what extends PCRs, the others every entry and need no @step. */
static void put_record(struct export *e, const struct assay_record *record,
		       const struct assay_template_data *cut, const struct assay_step *step)
{
	switch (e->format) {
	case FORMAT_CEL_JSON:
	case FORMAT_CEL_TLV:
		put_cel(e, record, step);
		break;
	case FORMAT_ASCII:
		put_ascii(e, record, cut);
		break;
	case FORMAT_BINARY:
	case FORMAT_ANCHORED:
		put_binary(e, record);
		break;
	}
	e->written++;
}

static int flush(struct export *e, size_t unless_below, struct assay_err *err)
{
	int r = 0;

	if (e->text.w.len < unless_below)
		return 0;
	r = assay_file_write_all(e->fd, assay_wr_done(&e->text.w));
	e->bytes += e->text.w.len;
	e->text.w.len = 0;
	return r < 0 ? assay_err_set(err, r, "cannot write: %s", strerror(-r)) : 0;
}

static void put_held(struct export *e)
{
	put_record(e, &e->held[0].record, NULL, &e->held[0].step);
	e->n_own -= !e->held[0].placed;
	e->n_held--;
	memmove(e->held, e->held + 1, e->n_held * sizeof(e->held[0]));
}

/* CEL and the anchored form have the order of the PCRs, which is not always that of the list. */
static int hold_step(struct export *e, const struct assay_record *record,
		     const struct assay_step *step, struct assay_err *err)
{
	uint64_t before = assay_replay_placed(e->replay);
	bool placed = before != UINT64_MAX;
	size_t at = e->n_held;

	if (e->n_held == e->room) {
		size_t room = e->room ? 2 * e->room : 2 * ASSAY_TAIL_MAX;
		struct held *more = realloc(e->held, room * sizeof(*more));

		if (!more)
			return assay_err_set(err, -ENOMEM, "out of memory");
		e->held = more;
		e->room = room;
	}
	for (size_t i = 0; placed && i < e->n_held && at == e->n_held; i++)
		if (!e->held[i].placed && e->held[i].step.index >= before)
			at = i;
	memmove(e->held + at + 1, e->held + at, (e->n_held - at) * sizeof(e->held[0]));
	e->held[at] = (struct held){ *record, *step, placed };
	e->n_held++;
	e->n_own += !placed;
	while (e->n_held > 0 && (e->held[0].placed || e->n_own > ASSAY_TAIL_MAX))
		put_held(e);
	return 0;
}

static bool of_steps(const struct export *e)
{
	return e->format != FORMAT_BINARY && e->format != FORMAT_ASCII;
}

static int export_all(struct export *e, struct assay_err *err)
{
	const struct log_input *in = e->input;
	struct assay_rd at = assay_rd(in->list);
	int r = 0;

	for (; r == 0 && !assay_rd_end(&at); e->index++) {
		uint64_t offset = in->offset + assay_rd_offset(&at);
		struct assay_template_data cut;
		struct assay_record record;
		struct assay_step step;
		bool is_step;

		r = log_input_next(in, &at, &e->checker, &record, &cut, err);
		if (r < 0)
			return assay_err_prefix(err, "entry %llu", (unsigned long long)e->index);
		r = assay_replay_record(e->replay, &record, offset, &is_step, &step, err);
		if (r < 0)
			return r;
		if (!of_steps(e))
			put_record(e, &record, &cut, NULL);
		else if (is_step)
			r = hold_step(e, &record, &step, err);
		if (r == 0)
			r = flush(e, 1u << 16, err);
	}
	while (r == 0 && e->n_held > 0)
		put_held(e);
	if (r == 0 && e->format == FORMAT_CEL_JSON) {
		log_text_reserve(&e->text, 8);
		assay_wr_str(&e->text.w, e->written ? "\n]\n" : "[]\n");
	}
	return r < 0 ? r : flush(e, 0, err);
}

static void tell_left_out(const struct export *e)
{
	if (e->written < e->index)
		fprintf(stderr,
			"assay " NAME ": %llu of %llu entries are left out: batch records stand "
			"for them\n",
			(unsigned long long)(e->index - e->written), (unsigned long long)e->index);
}

static int export_file(struct export *e, const char *path, const struct assay_crypto *crypto)
{
	__attribute__((cleanup(assay_auto_log_input))) struct log_input input = { 0 };
	struct assay_err err;
	int r;

	if (log_input_open(path, crypto, &input, &err) < 0)
		return assay_cmd_fail(NAME, path, &err);
	e->input = &input;
	r = assay_checker_init(&e->checker, crypto, &e->banks, &input.form, false);
	if (r == 0)
		r = assay_replay_new(crypto, &e->banks, NULL, &e->replay);
	if (r == 0)
		r = assay_replay_set_form(e->replay, &input.form);
	if (r < 0) {
		assay_err_set(&err, r, "cannot compute the digests of this list");
	} else {
		assay_replay_follow(e->replay, ASSAY_EXTEND_PADDED, false);
		assay_replay_follow(e->replay, ASSAY_EXTEND_PADDED_FF, false);
		r = export_all(e, &err);
	}
	assay_replay_free(e->replay);
	log_text_done(&e->text);
	free(e->held);
	if (r < 0)
		return assay_cmd_fail(NAME, path, &err);
	return EXIT_YES;
}

struct options {
	enum format format;
	bool has_format, json;
	const char *out;
	struct assay_banks banks;
};

static int add_bank(void *options, const char *name, struct assay_err *err)
{
	struct options *o = options;
	enum assay_hash alg;

	if (!assay_hash_by_name(assay_bytes_str(name), &alg) || !assay_hash_tpm_id(alg))
		return assay_err_set(err, -EINVAL, "'%s' is no PCR bank", name);
	if (o->banks.n == ASSAY_BANKS_MAX)
		return assay_err_set(err, -E2BIG, "more than %u banks", ASSAY_BANKS_MAX);
	for (uint32_t i = 0; i < o->banks.n; i++)
		if (o->banks.alg[i] == alg)
			return assay_err_set(err, -EINVAL, "bank '%s' is given twice", name);
	o->banks.alg[o->banks.n++] = alg;
	return 0;
}

static int set_format(void *options, const char *name, struct assay_err *err)
{
	struct options *o = options;

	for (size_t i = 0; i < ARRAY_LEN(format_names); i++) {
		if (strcmp(name, format_names[i]) != 0)
			continue;
		o->format = (enum format)i;
		o->has_format = true;
		return 0;
	}
	return assay_err_set(err, -EINVAL,
			     "there is no format '%s' (cel-json, cel-tlv, binary, ascii, anchored)",
			     name);
}

const struct option_row log_export_rows[] = {
	{ 'f', "format", "FORMAT", "cel-json, cel-tlv, binary, ascii or anchored", OPTION_CALL,
	  .take = set_format },
	{ 'b', "bank", "BANK", "digests of a CEL record: a bank, once for each (sha1 and sha256)",
	  OPTION_CALL, .take = add_bank },
	{ 'o', "out", "FILE", "where it goes, once it is whole (the standard output)", OPTION_ONCE,
	  offsetof(struct options, out) },
	{ 'j', "json", NULL, "with --out: print what was exported as a JSON object", OPTION_FLAG,
	  offsetof(struct options, json) },
	{ 0 },
};

static int run(struct export *e, const char *file)
{
	AUTO(crypto_openssl) struct assay_crypto_openssl *openssl = NULL;
	struct assay_crypto crypto;
	struct assay_err err;

	if (e->banks.n == 0)
		e->banks = (struct assay_banks){ { ASSAY_HASH_SHA1, ASSAY_HASH_SHA256 }, 2 };
	if (assay_crypto_openssl_new(&openssl, &err) < 0)
		return assay_cmd_fail(NAME, NULL, &err);
	crypto = assay_crypto_openssl_port(openssl);
	return export_file(e, file, &crypto);
}

/* The file takes its name when it is whole. */
static int run_to_file(struct export *e, const char *file, const char *out)
{
	char beside[4096];
	AUTO(fd) int fd = -1;
	struct assay_err err;
	int status;

	if (assay_fmt(beside, sizeof(beside), "%s.new", out) >= sizeof(beside))
		return assay_cmd_usage(NAME, "--out: the path is too long");
	fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
	if (fd < 0) {
		assay_err_set(&err, -errno, "cannot create '%s': %s", beside, strerror(errno));
		return assay_cmd_fail(NAME, NULL, &err);
	}
	e->fd = fd;
	status = run(e, file);
	if (status == EXIT_YES && (fsync(fd) < 0 || rename(beside, out) < 0)) {
		assay_err_set(&err, -errno, "cannot write '%s': %s", out, strerror(errno));
		status = assay_cmd_fail(NAME, NULL, &err);
	}
	if (status != EXIT_YES)
		unlink(beside);
	return status;
}

static int tell_json(const struct export *e, const char *out)
{
	return answer_print(NAME,
			    json_pack("{s:o, s:s, s:I, s:I, s:I, s:I}", "file", answer_text(out),
				      "format", format_names[e->format], "entries",
				      (json_int_t)e->index, "exported", (json_int_t)e->written,
				      "left_out", (json_int_t)(e->index - e->written), "bytes",
				      (json_int_t)e->bytes));
}

int cmd_log_export(int argc, char **argv)
{
	struct options o = { 0 };
	struct export e = { .fd = STDOUT_FILENO };
	int first, r = options_parse(NAME, log_export_rows, argc, argv, &o, &first);

	if (r)
		return r;
	if (!o.has_format)
		return assay_cmd_usage(NAME, "--format is missing");
	if (o.out && strcmp(o.out, "-") == 0)
		o.out = NULL;
	if (o.json && !o.out)
		return assay_cmd_usage(NAME, "--json needs --out: without it the standard output "
					     "is the list itself");
	if (first + 1 != argc)
		return assay_cmd_usage(NAME, "one file is needed ('-' is standard input)");
	e.format = o.format;
	e.banks = o.banks;
	r = o.out ? run_to_file(&e, argv[first], o.out) : run(&e, argv[first]);
	if (r != EXIT_YES)
		return r;
	if (o.json)
		return tell_json(&e, o.out);
	tell_left_out(&e);
	return EXIT_YES;
}
