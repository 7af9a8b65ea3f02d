/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/common/control_msg.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/file.h"
#include "base/hex.h"
#include "base/wr.h"

#define PCR_DEFAULT 10u

static const char *const op_names[CONTROL_OP_COUNT] = {
	[CONTROL_STATUS] = "status", [CONTROL_PCRS] = "pcrs",	  [CONTROL_QUOTE] = "quote",
	[CONTROL_AUDIT] = "audit",   [CONTROL_RELOAD] = "reload", [CONTROL_UPGRADE] = "upgrade",
};

/* ---- fields --------------------------------------------------------------------------------- */

static json_t *hex_pack(struct assay_bytes b)
{
	char text[2 * CONTROL_BLOB_MAX + 1];

	if (b.len > CONTROL_BLOB_MAX)
		return NULL;
	assay_hex_encode(b, text);
	return json_string(text);
}

static int hex_parse(const json_t *field, const char *name, size_t max, uint8_t *to, size_t *ret,
		     struct assay_err *err)
{
	const char *text = json_string_value(field);
	long n = text ? assay_hex_decode(assay_bytes_str(text), to, max) : -EBADMSG;

	if (n < 0)
		return assay_err_set(err, -EBADMSG,
				     "'%s' is not a hexadecimal string of at most "
				     "%zu bytes",
				     name, max);
	*ret = (size_t)n;
	return 0;
}

static int blob_parse(const json_t *message, const char *name, size_t max, struct control_blob *ret,
		      struct assay_err *err)
{
	return hex_parse(json_object_get(message, name), name, max, ret->data, &ret->len, err);
}

/* ---- requests ------------------------------------------------------------------------------- */

static int set_selection(json_t *message, const struct assay_selection *s)
{
	char text[ASSAY_SELECTION_TEXT_MAX];
	struct assay_wr w = assay_wr(text, sizeof(text));

	if (!s->n)
		return 0;
	assay_selection_print(s, &w);
	return json_object_set_new(message, "pcrs", json_stringn(text, w.len));
}

static int set_blob(json_t *message, const char *name, const struct control_blob *b)
{
	return json_object_set_new(message, name, hex_pack(assay_bytes(b->data, b->len)));
}

json_t *control_request_pack(const struct control_request *request)
{
	json_t *m = json_pack("{s:s}", "op", op_names[request->op]);
	int r = m ? 0 : -1;

	if (r == 0 && request->op == CONTROL_AUDIT)
		r = json_object_set_new(m, "after", json_integer((json_int_t)request->after));
	if (r == 0 && (request->op == CONTROL_PCRS || request->op == CONTROL_QUOTE))
		r = set_selection(m, &request->selection);
	if (r == 0 && request->op == CONTROL_QUOTE)
		r = set_blob(m, "nonce", &request->nonce) |
		    set_blob(m, "ak_public", &request->ak_public) |
		    set_blob(m, "ak_private", &request->ak_private);
	if (r == 0)
		return m;
	json_decref(m);
	return NULL;
}

static int op_parse(const json_t *message, enum control_op *ret, struct assay_err *err)
{
	const char *name = json_string_value(json_object_get(message, "op"));

	if (!name)
		return assay_err_set(err, -EBADMSG, "a request without 'op'");
	for (unsigned i = 0; i < CONTROL_OP_COUNT; i++) {
		if (strcmp(name, op_names[i]) != 0)
			continue;
		*ret = (enum control_op)i;
		return 0;
	}
	return assay_err_set(err, -EOPNOTSUPP, "unknown op '%s'",
			     assay_err_quote(assay_bytes_str(name)).text);
}

/* How many of the keys that @op may have @message has. */
static size_t known_keys(const json_t *message, enum control_op op)
{
	static const char *const keys[CONTROL_OP_COUNT][5] = {
		[CONTROL_STATUS] = { "op" },
		[CONTROL_PCRS] = { "op", "pcrs" },
		[CONTROL_QUOTE] = { "op", "pcrs", "nonce", "ak_public", "ak_private" },
		[CONTROL_AUDIT] = { "op", "after" },
		[CONTROL_RELOAD] = { "op" },
		[CONTROL_UPGRADE] = { "op" },
	};
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(keys[op]) && keys[op][i]; i++)
		n += json_object_get(message, keys[op][i]) != NULL;
	return n;
}

static int after_parse(const json_t *message, uint64_t *ret, struct assay_err *err)
{
	const json_t *after = json_object_get(message, "after");

	if (after && (!json_is_integer(after) || json_integer_value(after) < 0 ||
		      json_integer_value(after) == INT64_MAX))
		return assay_err_set(err, -EBADMSG, "'after' is not the number of a record");
	*ret = (uint64_t)json_integer_value(after);
	return 0;
}

static int request_parse(const json_t *message, struct control_request *ret, struct assay_err *err)
{
	struct control_request q = { 0 };
	const json_t *pcrs = json_object_get(message, "pcrs");
	int r = op_parse(message, &q.op, err);

	if (r == 0 && known_keys(message, q.op) != json_object_size(message))
		r = assay_err_set(err, -EBADMSG, "a key that '%s' does not have", op_names[q.op]);
	if (r == 0 && pcrs && !json_is_string(pcrs))
		r = assay_err_set(err, -EBADMSG, "'pcrs' is not a string");
	if (r == 0 && pcrs)
		r = assay_selection_parse_text(assay_bytes_str(json_string_value(pcrs)),
					       &q.selection, err);
	if (r == 0 && q.op == CONTROL_AUDIT)
		r = after_parse(message, &q.after, err);
	if (r == 0 && q.op == CONTROL_QUOTE)
		r = blob_parse(message, "nonce", ASSAY_NONCE_MAX, &q.nonce, err);
	if (r == 0 && q.op == CONTROL_QUOTE)
		r = blob_parse(message, "ak_public", CONTROL_BLOB_MAX, &q.ak_public, err);
	if (r == 0 && q.op == CONTROL_QUOTE)
		r = blob_parse(message, "ak_private", CONTROL_BLOB_MAX, &q.ak_private, err);
	if (r == 0)
		*ret = q;
	return r;
}

int control_request_read(struct assay_bytes text, struct control_request *ret,
			 struct assay_err *err)
{
	json_error_t why;
	json_t *message;
	int r;

	if (text.len > CONTROL_REQUEST_MAX)
		return assay_err_set(err, -E2BIG, "a request of more than %d bytes",
				     CONTROL_REQUEST_MAX);
	message = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, &why);
	if (!message)
		return assay_err_set(err, -EBADMSG, "a request that is not JSON");
	r = request_parse(message, ret, err);
	json_decref(message);
	return r;
}

/* ---- replies -------------------------------------------------------------------------------- */

json_t *control_error_pack(int code, const char *text)
{
	return json_pack("{s:s, s:i}", "error", text, "code", -code);
}

int control_reply_check(const json_t *reply, struct assay_err *err)
{
	const json_t *error = json_object_get(reply, "error");
	json_int_t code = json_integer_value(json_object_get(reply, "code"));

	if (!json_is_object(reply))
		return assay_err_set(err, -EBADMSG, "a reply that is not an object");
	if (!error || json_is_null(error))
		return 0;
	return assay_err_set(err, code > 0 && code < 4096 ? -(int)code : -EIO, "%.200s",
			     json_string_value(error) ? json_string_value(error) : "?");
}

static json_t *values_pack(const struct assay_quote_pcrs *pcrs)
{
	json_t *all = json_array();

	for (uint32_t i = 0; all && i < pcrs->n; i++) {
		const struct assay_quote_pcr *v = &pcrs->v[i];

		json_array_append_new(
			all, json_pack("{s:s, s:i, s:o}", "bank", assay_hash_name(v->bank), "pcr",
				       (int)v->pcr, "value",
				       hex_pack(assay_bytes(v->value, assay_hash_size(v->bank)))));
	}
	return all;
}

static int value_parse(const json_t *field, struct assay_quote_pcr *ret, struct assay_err *err)
{
	const char *bank = json_string_value(json_object_get(field, "bank"));
	const json_t *number = json_object_get(field, "pcr");
	json_int_t pcr = json_integer_value(number);
	size_t len = 0;
	int r;

	if (!bank || !assay_hash_by_name(assay_bytes_str(bank), &ret->bank) ||
	    !json_is_integer(number) || pcr < 0 || pcr >= ASSAY_PCRS)
		return assay_err_set(err, -EBADMSG, "a malformed PCR value");
	ret->pcr = (uint32_t)pcr;
	r = hex_parse(json_object_get(field, "value"), "value", sizeof(ret->value), ret->value,
		      &len, err);
	if (r == 0 && len != assay_hash_size(ret->bank))
		r = assay_err_set(err, -EBADMSG, "a PCR value of the wrong size");
	return r;
}

static int values_parse(const json_t *all, struct assay_quote_pcrs *ret, struct assay_err *err)
{
	size_t n = json_array_size(all);
	int r = 0;

	if (!json_is_array(all) || n > ASSAY_QUOTE_PCRS_MAX)
		return assay_err_set(err, -EBADMSG, "'pcrs' is not a list of values");
	for (size_t i = 0; i < n && r == 0; i++)
		r = value_parse(json_array_get(all, i), &ret->v[i], err);
	if (r == 0)
		ret->n = (uint32_t)n;
	return r;
}

json_t *control_pcrs_pack(const struct assay_quote_pcrs *pcrs, const struct assay_tpm_clock *clock)
{
	return json_pack("{s:o, s:{s:I, s:I, s:I, s:b}}", "pcrs", values_pack(pcrs), "clock",
			 "clock", (json_int_t)clock->clock, "reset_count",
			 (json_int_t)clock->reset_count, "restart_count",
			 (json_int_t)clock->restart_count, "safe", clock->safe);
}

int control_pcrs_parse(const json_t *reply, struct assay_quote_pcrs *ret, struct assay_err *err)
{
	int r = control_reply_check(reply, err);

	return r < 0 ? r : values_parse(json_object_get(reply, "pcrs"), ret, err);
}

json_t *control_quote_pack(const struct assay_quote_reply *quote,
			   const struct assay_quote_pcrs *pcrs)
{
	return json_pack("{s:o, s:o, s:o}", "attest",
			 hex_pack(assay_bytes(quote->attest, quote->attest_len)), "signature",
			 hex_pack(assay_bytes(quote->signature, quote->signature_len)), "pcrs",
			 values_pack(pcrs));
}

int control_quote_parse(const json_t *reply, struct assay_quote_reply *ret_quote,
			struct assay_quote_pcrs *ret_pcrs, struct assay_err *err)
{
	int r = control_reply_check(reply, err);

	if (r == 0)
		r = hex_parse(json_object_get(reply, "attest"), "attest", sizeof(ret_quote->attest),
			      ret_quote->attest, &ret_quote->attest_len, err);
	if (r == 0)
		r = hex_parse(json_object_get(reply, "signature"), "signature",
			      sizeof(ret_quote->signature), ret_quote->signature,
			      &ret_quote->signature_len, err);
	return r < 0 ? r : values_parse(json_object_get(reply, "pcrs"), ret_pcrs, err);
}

/* ---- the port ------------------------------------------------------------------------------- */

static struct assay_selection whole(const struct assay_selection *s,
				    const struct assay_banks *banks)
{
	struct assay_selection all = { .n = banks->n };

	if (s->n)
		return *s;
	for (uint32_t i = 0; i < banks->n; i++) {
		all.bank[i].alg = banks->alg[i];
		all.bank[i].mask = 1u << PCR_DEFAULT;
	}
	return all;
}

int control_quote_request(const struct control_request *request, const struct assay_banks *banks,
			  struct assay_quote_request *ret, struct assay_err *err)
{
	struct assay_selection s = whole(&request->selection, banks);
	struct assay_quote_request q = {
		.nonce = assay_bytes(request->nonce.data, request->nonce.len),
		.ak_public = assay_bytes(request->ak_public.data, request->ak_public.len),
		.ak_private = assay_bytes(request->ak_private.data, request->ak_private.len),
		.pcr_mask = s.bank[0].mask,
	};
	uint32_t at = 0;

	for (uint32_t i = 0; i < s.n; i++) {
		if (!assay_banks_find(banks, s.bank[i].alg, &at))
			return assay_err_set(err, -EOPNOTSUPP, "there is no PCR bank '%s' here",
					     assay_hash_name(s.bank[i].alg));
		if (s.bank[i].mask != q.pcr_mask)
			return assay_err_set(err, -EOPNOTSUPP,
					     "the same PCRs must be asked for "
					     "in each bank");
		q.bank_mask |= 1u << at;
	}
	*ret = q;
	return 0;
}

uint32_t control_pcr_mask(const struct assay_selection *selection)
{
	uint32_t mask = selection->n ? 0 : 1u << PCR_DEFAULT;

	for (uint32_t i = 0; i < selection->n; i++)
		mask |= selection->bank[i].mask;
	return mask & ((1u << ASSAY_PCRS) - 1);
}

int control_pick(const struct assay_selection *selection, const struct assay_banks *banks,
		 const struct assay_pcr_value values[ASSAY_PCRS], struct assay_quote_pcrs *ret,
		 struct assay_err *err)
{
	struct assay_selection s = whole(selection, banks);
	uint32_t at = 0;

	ret->n = 0;
	for (uint32_t i = 0; i < s.n; i++) {
		if (!assay_banks_find(banks, s.bank[i].alg, &at))
			return assay_err_set(err, -EOPNOTSUPP, "there is no PCR bank '%s' here",
					     assay_hash_name(s.bank[i].alg));
		for (uint32_t p = 0; p < ASSAY_PCRS; p++) {
			struct assay_quote_pcr *v = &ret->v[ret->n];

			if (!(s.bank[i].mask & 1u << p))
				continue;
			v->bank = s.bank[i].alg;
			v->pcr = p;
			memcpy(v->value, values[p].value[at], assay_hash_size(v->bank));
			ret->n++;
		}
	}
	return 0;
}

/* ---- the socket ----------------------------------------------------------------------------- */

int control_connect(const char *path, int timeout_ms, int *ret_fd, struct assay_err *err)
{
	struct timeval limit = { .tv_sec = timeout_ms / 1000,
				 .tv_usec = timeout_ms % 1000 * 1000 + 1 };
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	AUTO(fd) int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	int r;

	if (fd < 0)
		return assay_err_set(err, -errno, "cannot make a socket: %s", strerror(errno));
	if (strlen(path) >= sizeof(at.sun_path))
		return assay_err_set(err, -ENAMETOOLONG, "path '%s' is too long", path);
	memcpy(at.sun_path, path, strlen(path) + 1);
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0)
		return assay_err_set(err, -errno, "cannot set up a socket: %s", strerror(errno));
	do
		r = connect(fd, (struct sockaddr *)&at, sizeof(at));
	while (r < 0 && errno == EINTR); /* who was stopped and goes on */
	if (r < 0) {
		if (errno == EAGAIN)
			return assay_err_set(err, -ETIMEDOUT, "assayd at '%s' is busy with others",
					     path);
		return assay_err_set(err, -errno, "cannot reach assayd at '%s': %s (%s)", path,
				     strerror(errno),
				     errno == EACCES ? "only root may ask" : "is it running?");
	}
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int control_send(int fd, const json_t *message, struct assay_err *err)
{
	char text[CONTROL_MESSAGE_MAX];
	size_t len = message ? json_dumpb(message, text, sizeof(text), JSON_COMPACT) : 0;
	ssize_t n;

	if (len == 0 || len > sizeof(text))
		return assay_err_set(err, -E2BIG, "a control message of more than %d bytes",
				     CONTROL_MESSAGE_MAX);
	do
		n = send(fd, text, len, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n == (ssize_t)len)
		return 0;
	return assay_err_set(err, errno == EAGAIN ? -ETIMEDOUT : -errno,
			     "cannot send a control message: %s", strerror(errno));
}

int control_receive(int fd, int timeout_ms, json_t **ret, struct assay_err *err)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char text[CONTROL_MESSAGE_MAX];
	json_error_t why;
	ssize_t n;

	if (poll(&p, 1, timeout_ms) == 0)
		return assay_err_set(err, -ETIMEDOUT, "no control message within %d ms",
				     timeout_ms);
	n = recv(fd, text, sizeof(text), MSG_TRUNC);
	if (n == 0)
		return assay_err_set(err, -EPIPE, "the other side closed the control socket");
	if (n < 0)
		return assay_err_set(err, -errno, "cannot read a control message: %s",
				     strerror(errno));
	if ((size_t)n > sizeof(text))
		return assay_err_set(err, -E2BIG, "a control message of more than %d bytes",
				     CONTROL_MESSAGE_MAX);
	*ret = json_loadb(text, (size_t)n, JSON_REJECT_DUPLICATES, &why);
	if (*ret)
		return 0;
	return assay_err_set(err, -EBADMSG, "a control message that is not JSON: %s", why.text);
}

int control_ask(const char *path, const struct control_request *request, int timeout_ms,
		json_t **ret, struct assay_err *err)
{
	json_t *message = control_request_pack(request), *reply = NULL;
	AUTO(fd) int fd = -1;
	int r = control_connect(path, timeout_ms, &fd, err);

	if (r == 0)
		r = control_send(fd, message, err);
	json_decref(message);
	if (r == 0)
		r = control_receive(fd, timeout_ms, &reply, err);
	if (r == 0)
		r = control_reply_check(reply, err);
	if (r == 0)
		*ret = reply;
	else
		json_decref(reply);
	return r;
}
