/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "assay quote": has PCRs quoted, by the daemon that owns the TPM or, without one, by the TPM
 * itself. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "backends/anchor_tpm2/anchor_tpm2.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/fmt.h"
#include "base/num.h"
#include "engine/quote.h"
#include "programs/assay/answer.h"
#include "programs/assay/commands.h"
#include "programs/assay/quote.h"
#include "programs/common/control_msg.h"

#define NAME	    "quote"
#define TRIES	    5	 /* PCRs change between quote and reading when somebody extends */
#define TIMEOUT_S   60	 /* a quote takes a second in a slow TPM, and waits for extends */
#define TIMEOUT_MAX 3600 /* seconds */
#define PAUSE_MS    100	 /* before it is asked again */

struct options {
	struct control_request request;
	const char *out, *ak, *tcti, *control, *message, *signature;
	bool json;
	uint64_t timeout_s;
};

/* ---- options -------------------------------------------------------------------------------- */

static int take_nonce(void *options, const char *text, struct assay_err *err)
{
	struct options *o = options;

	return quote_nonce_parse(text, o->request.nonce.data, &o->request.nonce.len, err);
}

static int take_pcrs(void *options, const char *text, struct assay_err *err)
{
	struct options *o = options;

	return assay_selection_parse_text(assay_bytes_str(text), &o->request.selection, err);
}

static int take_timeout(void *options, const char *text, struct assay_err *err)
{
	struct options *o = options;

	if (assay_num_parse(assay_bytes_str(text), 10, TIMEOUT_MAX, &o->timeout_s) < 0 ||
	    o->timeout_s == 0)
		return assay_err_set(err, -EINVAL, "'%s' is no number of seconds (1 to %d)", text,
				     TIMEOUT_MAX);
	return 0;
}

static const struct option_row rows[] = {
	{ 'n', "nonce", "HEX", "what the verifier sent, at most 64 bytes", OPTION_CALL,
	  .take = take_nonce },
	{ 'o', "out", "FILE", "the quote", OPTION_TEXT, offsetof(struct options, out) },
	{ 'a', "ak", "PREFIX", "the attestation key (" AK_PREFIX_DEFAULT ")", OPTION_TEXT,
	  offsetof(struct options, ak) },
	{ 'p', "pcrs", "SELECTION", "sha256:10+sha1:10 (PCR 10 of each bank)", OPTION_CALL,
	  .take = take_pcrs },
	{ 'C', "control", "SOCKET", "of assayd (" CONTROL_SOCKET ")", OPTION_TEXT,
	  offsetof(struct options, control) },
	{ 'T', "tcti", "TCTI", "ask this TPM, not assayd", OPTION_TEXT,
	  offsetof(struct options, tcti) },
	{ 't', "timeout", "SECONDS", "how long assayd may take (60)", OPTION_CALL,
	  .take = take_timeout },
	{ 'm', "message", "FILE", "TPMS_ATTEST too, for tpm2_checkquote", OPTION_TEXT,
	  offsetof(struct options, message) },
	{ 's', "signature", "FILE", "TPMT_SIGNATURE too", OPTION_TEXT,
	  offsetof(struct options, signature) },
	{ 'j', "json", NULL, "print what was quoted, and where it is, as a JSON object",
	  OPTION_FLAG, offsetof(struct options, json) },
	{ 0 },
};

static int parse_options(int argc, char **argv, struct options *o)
{
	int first, r = options_parse(NAME, rows, argc, argv, o, &first);

	if (r)
		return r;
	if (first != argc)
		return assay_cmd_usage(NAME, "'%s' is too much", argv[first]);
	if (!o->request.nonce.len || !o->out)
		return assay_cmd_usage(NAME, "--nonce and --out are needed");
	if (o->tcti && o->control)
		return assay_cmd_usage(NAME, "--tcti and --control do not go together");
	return 0;
}

/* ---- the key -------------------------------------------------------------------------------- */

static int read_part(const char *prefix, const char *suffix, struct control_blob *ret,
		     struct assay_err *err)
{
	AUTO(file) struct assay_file f = { 0 };
	char path[4096];
	int r;

	if (assay_fmt(path, sizeof(path), "%s%s", prefix, suffix) >= sizeof(path))
		return assay_err_set(err, -ENAMETOOLONG, "path '%s' is too long", prefix);
	r = assay_file_read(AT_FDCWD, path, sizeof(ret->data), &f, err);
	if (r < 0)
		return r;
	memcpy(ret->data, f.bytes.data, f.bytes.len);
	ret->len = f.bytes.len;
	return 0;
}

/* A software anchor has a key of its own: then there need not be one of the TPM. */
static int read_ak(struct options *o, struct assay_err *err)
{
	const char *prefix = o->ak ? o->ak : AK_PREFIX_DEFAULT;
	int r = read_part(prefix, ".pub", &o->request.ak_public, err);

	if (r == 0)
		r = read_part(prefix, ".priv", &o->request.ak_private, err);
	if (r == -ENOENT && !o->ak)
		return 0;
	return r;
}

/* ---- the quote ------------------------------------------------------------------------------ */

/* @pool's values in the order that the quote's digest goes over them, if they are what it is of.
 * -EAGAIN: they are not. */
static int fit_values(const struct assay_crypto *crypto, const struct assay_quote_reply *reply,
		      const struct assay_quote_pcrs *pool, struct assay_quote *ret,
		      struct assay_err *err)
{
	uint8_t digest[ASSAY_HASH_SIZE_MAX];
	struct assay_tpm_signature sig;
	struct assay_attest a;
	int r;

	ret->attest = assay_bytes(reply->attest, reply->attest_len);
	ret->signature = assay_bytes(reply->signature, reply->signature_len);
	ret->pcrs.n = 0;
	r = assay_attest_parse(ret->attest, &a, err);
	if (r == 0)
		r = assay_tpm_signature_parse(ret->signature, &sig, err);
	for (uint32_t i = 0; r == 0 && i < a.selection.n * ASSAY_PCRS; i++) {
		uint32_t bank = i / ASSAY_PCRS, pcr = i % ASSAY_PCRS;
		const struct assay_quote_pcr *v;

		if (!(a.selection.bank[bank].mask & 1u << pcr))
			continue;
		v = assay_quote_find(pool, a.selection.bank[bank].alg, pcr);
		if (!v)
			return assay_err_set(err, -EIO, "PCR %u was quoted but not given", pcr);
		ret->pcrs.v[ret->pcrs.n++] = *v;
	}
	if (r == 0)
		r = assay_quote_digest(crypto, sig.hash, &ret->pcrs, digest);
	if (r < 0)
		return r;
	if (assay_bytes_equal(a.pcr_digest, assay_bytes(digest, assay_hash_size(sig.hash))))
		return 0;
	return assay_err_set(err, -EAGAIN, "PCRs changed while they were quoted");
}

static int ms_left(uint64_t deadline)
{
	uint64_t now = assay_clock_ms();

	return now < deadline ? (int)(deadline - now) : 0;
}

/* Who is asked, and until when. */
struct signer {
	int fd;			       /* of the daemon; -1: the TPM itself */
	struct assay_anchor_tpm2 *tpm; /* NULL: the daemon */
	const struct assay_crypto *crypto;
	uint64_t deadline_ms;
};

static int ask_daemon(const struct signer *s, const struct options *o,
		      struct assay_quote_reply *ret, struct assay_quote_pcrs *ret_pool,
		      struct assay_err *err)
{
	json_t *request = control_request_pack(&o->request), *reply = NULL;
	int r = control_send(s->fd, request, err);

	if (r == 0)
		r = control_receive(s->fd, ms_left(s->deadline_ms), &reply, err);
	if (r == 0)
		r = control_quote_parse(reply, ret, ret_pool, err);
	json_decref(request);
	json_decref(reply);
	return r;
}

static int ask_tpm(const struct signer *s, const struct options *o, struct assay_quote_reply *ret,
		   struct assay_quote_pcrs *ret_pool, struct assay_err *err)
{
	struct assay_anchor port = assay_anchor_tpm2_port(s->tpm);
	struct assay_pcr_value values[ASSAY_PCRS];
	struct assay_quote_request request;
	struct assay_banks banks = { 0 };
	struct assay_tpm_clock clock;
	int r = port.ops->banks(port.ctx, &banks, err);

	if (r == 0)
		r = control_quote_request(&o->request, &banks, &request, err);
	if (r == 0)
		r = port.ops->quote(port.ctx, &request, ret, err);
	if (r == 0)
		r = port.ops->read(port.ctx, request.pcr_mask, values, &clock, err);
	if (r == 0)
		r = control_pick(&o->request.selection, &banks, values, ret_pool, err);
	return r;
}

/* Whom to ask: 0 and *@ret_fd the daemon, or -1 nobody is there, so the TPM. */
static int find_daemon(const struct options *o, uint64_t deadline, int *ret_fd,
		       struct assay_err *err)
{
	int r;

	if (o->tcti)
		return 0;
	r = control_connect(o->control ? o->control : CONTROL_SOCKET, ms_left(deadline), ret_fd,
			    err);
	if ((r == -ENOENT || r == -ECONNREFUSED) && !o->control)
		return 0;
	return r;
}

static int ask(const struct signer *s, const struct options *o, struct assay_quote_reply *reply,
	       struct assay_quote *ret, struct assay_err *err)
{
	struct assay_quote_pcrs pool = { 0 };
	int r = s->tpm ? ask_tpm(s, o, reply, &pool, err) : ask_daemon(s, o, reply, &pool, err);

	return r < 0 ? r : fit_values(s->crypto, reply, &pool, ret, err);
}

/* The daemon may say "not now" as often as it likes, until the time is over. A TPM of our own is
 * asked a few times: each of its commands has a limit already. */
static int ask_often(const struct signer *s, const struct options *o,
		     struct assay_quote_reply *reply, struct assay_quote *ret,
		     struct assay_err *err)
{
	char why[sizeof(err->text)] = "no answer";
	int r = -EAGAIN;

	for (int i = 0; r == -EAGAIN && (s->tpm ? i < TRIES : ms_left(s->deadline_ms) > 0); i++) {
		if (i > 0 && !s->tpm)
			(void)poll(NULL, 0, PAUSE_MS);
		r = ask(s, o, reply, ret, err);
		if (r == -EAGAIN)
			memcpy(why, err->text, sizeof(why));
	}
	if (s->tpm || (r != -EAGAIN && r != -ETIMEDOUT) || ms_left(s->deadline_ms) > 0)
		return r;
	return assay_err_set(err, -ETIMEDOUT, "assayd gave no quote within %llu s (--timeout): %s",
			     (unsigned long long)o->timeout_s, why);
}

static int get_quote(const struct options *o, const struct assay_crypto *crypto,
		     struct assay_quote_reply *reply, struct assay_quote *ret, bool *ret_is_daemon,
		     struct assay_err *err)
{
	struct assay_anchor_tpm2_config config = { .size = sizeof(config), .tcti = o->tcti };
	struct signer s = { .fd = -1,
			    .crypto = crypto,
			    .deadline_ms = assay_clock_ms() + o->timeout_s * 1000 };
	AUTO(anchor_tpm2) struct assay_anchor_tpm2 *tpm = NULL;
	AUTO(fd) int fd = -1;
	int r = find_daemon(o, s.deadline_ms, &fd, err);

	if (r == 0 && fd < 0)
		r = assay_anchor_tpm2_new(&config, &tpm, err);
	if (r < 0)
		return r;
	s.fd = fd;
	s.tpm = tpm;
	*ret_is_daemon = fd >= 0;
	return ask_often(&s, o, reply, ret, err);
}

static int write_files(const struct options *o, const struct assay_quote *q, struct assay_err *err)
{
	static uint8_t file[ASSAY_QUOTE_SIZE_MAX];
	struct assay_wr w = assay_wr(file, sizeof(file));
	int r = 0;

	assay_quote_encode(q, &w);
	if (!assay_wr_ok(&w))
		return assay_err_set(err, -E2BIG, "the quote is too large");
	if (o->message)
		r = assay_file_replace(AT_FDCWD, o->message, 0644, q->attest, err);
	if (r == 0 && o->signature)
		r = assay_file_replace(AT_FDCWD, o->signature, 0644, q->signature, err);
	return r < 0 ? r : assay_file_replace(AT_FDCWD, o->out, 0644, assay_wr_done(&w), err);
}

/* ---- what was done -------------------------------------------------------------------------- */

/* The key's name, but for a software anchor, which signs with a key of its own. */
static json_t *name_json(const struct options *o, const struct assay_crypto *crypto)
{
	struct assay_bytes file = assay_bytes(o->request.ak_public.data, o->request.ak_public.len);
	uint8_t name[ASSAY_TPM_NAME_MAX];
	struct assay_wr w = assay_wr(name, sizeof(name));
	struct assay_tpm_public public;

	if (assay_tpm_public_parse(file, &public, NULL) < 0 ||
	    quote_key_name(crypto, &public, &w, NULL) < 0)
		return json_null();
	return answer_hex(assay_wr_done(&w));
}

static int tell_json(const struct options *o, const struct assay_crypto *crypto,
		     const struct assay_quote *q, bool is_daemon)
{
	struct assay_attest a;
	json_t *answer;

	if (assay_attest_parse(q->attest, &a, NULL) < 0) /* it was parsed before */
		return EXIT_TROUBLE;
	answer = json_pack("{s:o, s:s, s:b, s:o, s:o, s:o, s:o, s:o}", "file", answer_text(o->out),
			   "asked", is_daemon ? "assayd" : "tpm", "hardware", !a.soft, "nonce",
			   answer_hex(a.nonce), "ak_name",
			   a.soft ? json_null() : name_json(o, crypto), "signer",
			   answer_hex(a.signer), "clock", answer_clock(&a.clock), "pcrs",
			   answer_pcrs(&q->pcrs));
	if (o->message)
		json_object_set_new(answer, "message", answer_text(o->message));
	if (o->signature)
		json_object_set_new(answer, "signature", answer_text(o->signature));
	return answer_print(NAME, answer);
}

static int cmd_quote_run(int argc, char **argv)
{
	AUTO(crypto_openssl) struct assay_crypto_openssl *openssl = NULL;
	static struct assay_quote_reply reply;
	static struct assay_quote quote; /* large */
	struct assay_crypto crypto;
	struct options o = { .request = { .op = CONTROL_QUOTE }, .timeout_s = TIMEOUT_S };
	struct assay_err err = { 0 };
	bool is_daemon = false;
	int r = parse_options(argc, argv, &o);

	if (r)
		return r;
	setenv("TSS2_LOG", "all+NONE", 0);
	if (read_ak(&o, &err) < 0 || assay_crypto_openssl_new(&openssl, &err) < 0)
		return assay_cmd_fail(NAME, NULL, &err);
	crypto = assay_crypto_openssl_port(openssl);
	if (get_quote(&o, &crypto, &reply, &quote, &is_daemon, &err) < 0 ||
	    write_files(&o, &quote, &err) < 0)
		return assay_cmd_fail(NAME, NULL, &err);
	return o.json ? tell_json(&o, &crypto, &quote, is_daemon) : EXIT_YES;
}

static const struct command subcommands[] = {
	{
		.name = "verify",
		.synopsis = "--ak PUB --nonce HEX [--log LIST] [OPTION]... FILE\n"
			    "--ak PUB --nonce HEX --message FILE --signature FILE "
			    "[--pcrs-file FILE] [OPTION]...",
		.summary = "checks a quote, and the list that it vouches for",
		.rows = quote_verify_rows,
		.run = cmd_quote_verify,
	},
	{ .name = NULL },
};

const struct command cmd_quote = {
	.name = "quote",
	.synopsis = "--nonce HEX --out FILE [OPTION]...",
	.summary = "has the TPM sign PCR values over a nonce; checks such quotes",
	.rows = rows,
	.run = cmd_quote_run,
	.sub = subcommands,
};
