/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * "assay log export": the same entries in another format. A list that is wrong is not exported:
 * every record is checked and replayed on the way.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/crypto_openssl/crypto_openssl.h"
#include "base/fmt.h"
#include "engine/steps.h"
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
	struct assay_steps *steps;
	struct log_text text;
	int fd; /* where it goes */
	uint64_t index, written, bytes;
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

static bool of_steps(const struct export *e)
{
	return e->format != FORMAT_BINARY && e->format != FORMAT_ASCII;
}

/* CEL and the anchored form have the order of the PCRs, which is not always that of the list. */
static void put_steps(struct export *e)
{
	const struct assay_record *record;
	const struct assay_step *step;

	while (assay_steps_next(e->steps, &record, &step))
		if (of_steps(e))
			put_record(e, record, NULL, step);
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

		r = log_input_next(in, &at, &e->checker, &record, &cut, err);
		if (r < 0)
			return assay_err_prefix(err, "entry %llu", (unsigned long long)e->index);
		r = assay_steps_add(e->steps, &record, offset, err);
		if (r < 0)
			return r;
		if (!of_steps(e))
			put_record(e, &record, &cut, NULL);
		put_steps(e);
		r = flush(e, 1u << 16, err);
	}
	if (r == 0) {
		assay_steps_end(e->steps);
		put_steps(e);
	}
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
	struct stat st;
	int r;

	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
		assay_err_set(&err, -EISDIR,
			      "a folder: its segments are exported one by one, as each begins "
			      "at PCR values of its own");
		return assay_cmd_fail(NAME, path, &err);
	}
	if (log_input_open(path, crypto, &input, &err) < 0)
		return assay_cmd_fail(NAME, path, &err);
	e->input = &input;
	if (input.list.len == 0) {
		assay_err_set(&err, -EBADMSG, "the list is empty");
		return assay_cmd_fail(NAME, path, &err);
	}
	r = assay_checker_init(&e->checker, crypto, &e->banks, &input.form, false);
	if (r == 0)
		r = assay_steps_new(crypto, &e->banks, &input.form, false, &e->steps);
	if (r < 0)
		assay_err_set(&err, r, "cannot compute the digests of this list");
	else
		r = export_all(e, &err);
	assay_steps_free(e->steps);
	log_text_done(&e->text);
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
	if (assay_banks_find(&o->banks, alg, NULL))
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
