/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "assay quote verify": judges a quote and, against the quoted PCRs, a list. */
#include <fcntl.h>
#include <stdio.h>

#include "base/file.h"
#include "engine/quote.h"
#include "programs/assay/answer.h"
#include "programs/assay/cmd.h"
#include "programs/assay/log_verify.h"
#include "programs/assay/quote.h"

#define NAME	     "quote verify"
#define KEY_FILE_MAX 1048576u

struct options {
	const char *ak, *log, *message, *signature, *pcrs, *file;
	uint8_t nonce[ASSAY_NONCE_MAX];
	size_t nonce_len;
	struct assay_selection demanded;
	uint64_t first;
	bool ignore_violations, complete, software, json;
};

/* What is read for one verification; the quote borrows from the files. */
struct input {
	struct assay_file ak, quote_file, message, signature, pcrs;
	struct assay_tpm_public public;
	bool is_tpm; /* @public is filled */
	struct assay_key *key;
	struct assay_quote quote;
};

/* ---- options -------------------------------------------------------------------------------- */

static int take_nonce(void *options, const char *text, struct assay_err *err)
{
	struct options *o = options;

	return quote_nonce_parse(text, o->nonce, &o->nonce_len, err);
}

static int take_demanded(void *options, const char *text, struct assay_err *err)
{
	struct options *o = options;

	return assay_selection_parse_text(assay_bytes_str(text), &o->demanded, err);
}

static int take_first(void *options, const char *text, struct assay_err *err)
{
	struct options *o = options;

	return log_first_parse(text, &o->first, err);
}

#define AT(field) offsetof(struct options, field)

const struct option_row quote_verify_rows[] = {
	{ 'a', "ak", "PUB", "the attestation key: PEM, certificate, TPM2B_PUBLIC or TPMT_PUBLIC",
	  OPTION_ONCE, AT(ak) },
	{ 'n', "nonce", "HEX", "what the quote must answer", OPTION_CALL, .take = take_nonce },
	{ 'p', "pcr-list", "SELECTION", "PCRs that must be quoted: sha256:10+sha1:10 (any)",
	  OPTION_CALL, .take = take_demanded },
	{ 0, "pcrs", "SELECTION", "the same", OPTION_CALL, .take = take_demanded },
	{ 'l', "log", "LIST", "the measurement list that the PCRs are of, or assayd's folder",
	  OPTION_ONCE, AT(log) },
	{ 'F', "first", "N", "the segment that the list begins with (1)", OPTION_CALL,
	  .take = take_first },
	{ 'c', "complete", NULL, "every entry of the list must be proved by the quote", OPTION_FLAG,
	  AT(complete) },
	{ 'v', "ignore-violations", NULL, "a list with violations may hold", OPTION_FLAG,
	  AT(ignore_violations) },
	{ 'S', "software", NULL, "a quote of a software anchor may hold", OPTION_FLAG,
	  AT(software) },
	{ 'm', "message", "FILE", "TPMS_ATTEST, as tpm2_quote writes it", OPTION_ONCE,
	  AT(message) },
	{ 's', "signature", "FILE", "TPMT_SIGNATURE of it", OPTION_ONCE, AT(signature) },
	{ 'f', "pcrs-file", "FILE", "PCR values of it", OPTION_ONCE, AT(pcrs) },
	{ 'j', "json", NULL, "a JSON object; with --log a second one", OPTION_FLAG, AT(json) },
	{ 0 },
};

static int check_options(const struct options *o)
{
	if (!o->ak || !o->nonce_len)
		return assay_cmd_usage(NAME, "--ak and --nonce are needed");
	if (!o->file == (!o->message && !o->signature))
		return assay_cmd_usage(NAME, "either one FILE, or --message and --signature");
	if (!o->message != !o->signature || (o->pcrs && !o->message))
		return assay_cmd_usage(NAME, "--message, --signature and --pcrs-file belong "
					     "together");
	if (o->log && o->message && !o->pcrs)
		return assay_cmd_usage(NAME, "--log needs the PCR values (--pcrs-file)");
	if (!o->log && (o->complete || o->first))
		return assay_cmd_usage(NAME, "--complete and --first are of no use without --log");
	return 0;
}

static int parse_options(int argc, char **argv, struct options *o)
{
	int first, r = options_parse(NAME, quote_verify_rows, argc, argv, o, &first);

	if (r)
		return r;
	if (first + 1 < argc)
		return assay_cmd_usage(NAME, "'%s' is too much", argv[first + 1]);
	if (first < argc)
		o->file = argv[first];
	return check_options(o);
}

/* ---- input ---------------------------------------------------------------------------------- */

static void input_done(struct input *in, const struct assay_crypto *crypto)
{
	crypto->ops->key_free(in->key);
	assay_file_free(&in->ak);
	assay_file_free(&in->quote_file);
	assay_file_free(&in->message);
	assay_file_free(&in->signature);
	assay_file_free(&in->pcrs);
}

static int read_file(const char *path, size_t max, struct assay_file *ret, struct assay_err *err)
{
	return assay_file_read(AT_FDCWD, path, max, ret, err);
}

/* The selection that bare values are of stands in the message. One that cannot be read has none:
 * the judge will say so. */
static int read_tools(const struct options *o, struct input *in, struct assay_err *err)
{
	struct assay_attest a = { 0 };
	int r = read_file(o->message, ASSAY_QUOTE_SIZE_MAX, &in->message, err);

	if (r == 0)
		r = read_file(o->signature, ASSAY_QUOTE_SIZE_MAX, &in->signature, err);
	if (r == 0 && o->pcrs)
		r = read_file(o->pcrs, ASSAY_QUOTE_SIZE_MAX, &in->pcrs, err);
	if (r < 0)
		return r;
	in->quote.attest = in->message.bytes;
	in->quote.signature = in->signature.bytes;
	if (!o->pcrs || assay_attest_parse(in->message.bytes, &a, NULL) < 0)
		return 0;
	r = assay_quote_parse_tools(in->pcrs.bytes, &a.selection, &in->quote.pcrs, err);
	if (r < 0)
		assay_err_prefix(err, "%s", o->pcrs);
	return r;
}

static int read_ours(const struct options *o, struct input *in, struct assay_err *err)
{
	int r = read_file(o->file, ASSAY_QUOTE_SIZE_MAX, &in->quote_file, err);

	if (r < 0)
		return r;
	r = assay_quote_parse(in->quote_file.bytes, &in->quote, err);
	if (r < 0)
		assay_err_prefix(err, "%s", o->file);
	return r;
}

static int read_input(const struct options *o, struct assay_crypto_openssl *openssl,
		      struct input *in, struct assay_err *err)
{
	int r = read_file(o->ak, KEY_FILE_MAX, &in->ak, err);

	if (r < 0)
		return r;
	r = quote_key_read(openssl, in->ak.bytes, &in->key, &in->public, &in->is_tpm, err);
	if (r < 0) {
		assay_err_prefix(err, "%s", o->ak);
		return r;
	}
	return o->file ? read_ours(o, in, err) : read_tools(o, in, err);
}

/* ---- what was found ------------------------------------------------------------------------- */

static const char *state_of(const struct assay_quote_verdict *v, enum assay_quote_check check,
			    bool is_tpm, bool demands)
{
	if (check == v->failed)
		return v->why;
	if (check > v->failed)
		return "not looked at";
	if (check == ASSAY_QUOTE_CHECK_KEY && !is_tpm)
		return "its attributes are not told by this file; nothing says that it signs only "
		       "what a TPM put together";
	if (check >= ASSAY_QUOTE_CHECK_SELECTION && !v->has_values)
		return "no values were given";
	if (check == ASSAY_QUOTE_CHECK_DEMANDED && !demands)
		return "nothing (see --pcr-list)";
	return "good";
}

static const char *soft_note(const struct assay_quote_verdict *v)
{
	return v->parsed && v->attest.soft ? "software anchor, not rooted in hardware" : NULL;
}

static void tell_clock(const struct assay_attest *a)
{
	const struct assay_tpm_clock *c = &a->clock;

	printf("%-10s %llu ms, safe: %s; %u resets, %u restarts since the last%s\n", "clock",
	       (unsigned long long)c->clock, c->safe ? "yes" : "no", c->reset_count,
	       c->restart_count,
	       a->soft ? ""
		       : " (no counts: blinded by the TPM, unless the key is of the endorsement "
			 "hierarchy)");
}

static void tell(const struct assay_quote_verdict *v, const struct input *in, bool demands)
{
	char text[ASSAY_SELECTION_TEXT_MAX];
	struct assay_wr w = assay_wr(text, sizeof(text));

	for (unsigned i = 0; i < ASSAY_QUOTE_CHECK_COUNT; i++)
		printf("%-10s %s%s\n", assay_quote_check_name(i), i == v->failed ? "BAD: " : "",
		       state_of(v, i, in->is_tpm, demands));
	if (v->parsed) {
		assay_selection_print(&v->attest.selection, &w);
		printf("%-10s %.*s\n", "quoted", (int)w.len, text);
		tell_clock(&v->attest);
	}
	if (soft_note(v))
		printf("%-10s %s\n", "anchor", soft_note(v));
	puts(v->holds ? "the quote holds" : "the quote DOES NOT HOLD");
}

static int tell_json(const struct assay_quote_verdict *v, const struct input *in, bool demands)
{
	json_t *o = json_pack("{s:b, s:b}", "holds", v->holds, "key_attributes_known", in->is_tpm);
	json_t *checks = json_object();

	for (unsigned i = 0; i < ASSAY_QUOTE_CHECK_COUNT; i++)
		json_object_set_new(checks, assay_quote_check_name(i),
				    json_string(state_of(v, i, in->is_tpm, demands)));
	json_object_set_new(o, "checks", checks);
	if (v->failed != ASSAY_QUOTE_CHECK_COUNT)
		json_object_set_new(o, "failed", json_string(assay_quote_check_name(v->failed)));
	if (v->parsed) {
		json_object_set_new(o, "hardware", json_boolean(!v->attest.soft));
		json_object_set_new(o, "clock", answer_clock(&v->attest.clock));
		json_object_set_new(o, "pcrs", answer_pcrs(&in->quote.pcrs));
	}
	return answer_print(NAME, o);
}

/* ---- the list ------------------------------------------------------------------------------- */

/* Of the PCRs that must be quoted, those of the operating system: the list must lead to them, or it
 * could be of another PCR alone, that nobody asked for. */
static bool is_demanded(const struct options *o, enum assay_hash bank, uint32_t pcr)
{
	for (uint32_t i = 0; i < o->demanded.n; i++)
		if (o->demanded.bank[i].alg == bank && o->demanded.bank[i].mask & 1u << pcr)
			return pcr >= LOG_OS_PCR_FIRST && pcr <= LOG_OS_PCR_LAST;
	return false;
}

static int verify_list(const struct options *o, const struct assay_quote_pcrs *pcrs,
		       const struct assay_crypto *crypto)
{
	__attribute__((cleanup(assay_auto_log_list))) struct log_list list = { 0 };
	static struct log_verify_options v; /* large */
	char *paths[] = { (char *)(uintptr_t)o->log };
	int r;

	if (pcrs->n == 0) {
		puts(o->json ? "{\"verdict\":\"does-not-hold\",\"reason\":\"the quote came without "
			       "PCR "
			       "values\"}"
			     : "verdict: does not hold: the quote came without PCR values, so "
			       "nothing "
			       "says that it is this machine's list");
		return EXIT_NO;
	}
	v = (struct log_verify_options){ .ignore_violations = o->ignore_violations,
					 .json = o->json,
					 .complete = o->complete,
					 .first = o->first,
					 .jobs = log_walk_cpus() };
	for (uint32_t i = 0; i < pcrs->n && v.claims.n < ASSAY_CLAIMS_MAX; i++) {
		struct assay_pcr_claim *c = &v.claims.claim[v.claims.n];

		v.claims.named[v.claims.n++] = is_demanded(o, pcrs->v[i].bank, pcrs->v[i].pcr);
		c->alg = pcrs->v[i].bank;
		c->pcr = pcrs->v[i].pcr;
		memcpy(c->value, pcrs->v[i].value, sizeof(c->value));
	}
	r = log_list_open(NAME, paths, 1, crypto, &list);
	if (r == 0)
		r = log_list_begin(NAME, &list, &v.first);
	return r ? r : log_verify(NAME, &list, &v, crypto);
}

static int verify(const struct options *o, struct assay_crypto_openssl *openssl,
		  const struct assay_crypto *crypto, struct input *in)
{
	struct assay_quote_question question = { .nonce = assay_bytes(o->nonce, o->nonce_len),
						 .demanded = o->demanded,
						 .software = o->software };
	struct assay_quote_verdict v = { 0 };
	struct assay_err err = { 0 };

	if (read_input(o, openssl, in, &err) < 0)
		return assay_cmd_fail(NAME, NULL, &err);
	question.key = in->key;
	question.public = in->is_tpm ? &in->public : NULL;
	if (assay_quote_judge(crypto, &in->quote, &question, &v, &err) < 0)
		return assay_cmd_fail(NAME, NULL, &err);
	if (!o->json)
		tell(&v, in, o->demanded.n > 0);
	else if (tell_json(&v, in, o->demanded.n > 0) != EXIT_YES)
		return EXIT_TROUBLE;
	if (!v.holds)
		return EXIT_NO;
	return o->log ? verify_list(o, &in->quote.pcrs, crypto) : EXIT_YES;
}

int cmd_quote_verify(int argc, char **argv)
{
	AUTO(crypto_openssl) struct assay_crypto_openssl *openssl = NULL;
	static struct input in; /* large */
	struct assay_crypto crypto;
	struct options o = { 0 };
	struct assay_err err;
	int r = parse_options(argc, argv, &o);

	if (r)
		return r;
	if (assay_crypto_openssl_new(&openssl, &err) < 0)
		return assay_cmd_fail(NAME, NULL, &err);
	crypto = assay_crypto_openssl_port(openssl);
	r = verify(&o, openssl, &crypto, &in);
	input_done(&in, &crypto);
	return r;
}
