/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The TPM anchor against swtpm: its arithmetic against OpenSSL's and tpm2-tools', and what it says
 * when the TPM is stopped, gone or new. */
#include "unit/test.h"

#include "unit/swtpm.h"

#include "backends/anchor_tpm2/anchor_tpm2.h"
#include "backends/crypto_openssl/crypto_openssl.h"
#include "base/hex.h"
#include "engine/quote.h"

static struct swtpm tpm;
static struct assay_crypto_openssl *crypto_backend;
static struct assay_crypto crypto;

static int setup(void **state)
{
	if (!swtpm_new(&tpm) || assay_crypto_openssl_new(&crypto_backend, NULL) < 0)
		return -1;
	crypto = assay_crypto_openssl_port(crypto_backend);
	return 0;
}

static int teardown(void **state)
{
	swtpm_free(&tpm);
	assay_crypto_openssl_free(crypto_backend);
	return 0;
}

static struct assay_anchor_tpm2 *open_tpm(uint32_t timeout_ms, enum assay_tpm_session session)
{
	struct assay_anchor_tpm2_config config = {
		.size = sizeof(config),
		.tcti = tpm.tcti,
		.timeout_ms = timeout_ms,
		.session = session,
	};
	struct assay_anchor_tpm2 *a = NULL;
	struct assay_err err = { 0 };
	int r = assay_anchor_tpm2_new(&config, &a, &err);

	if (r < 0)
		print_error("%s\n", err.text);
	assert_int_equal(r, 0);
	return a;
}

static struct assay_banks banks_of(struct assay_anchor port)
{
	struct assay_banks banks = { 0 };

	assert_int_equal(port.ops->banks(port.ctx, &banks, NULL), 0);
	assert_true(banks.n >= 2);
	return banks;
}

static struct assay_pcr_value read_one(struct assay_anchor port, uint32_t pcr)
{
	struct assay_pcr_value values[ASSAY_PCRS] = { 0 };
	struct assay_tpm_clock clock;

	assert_int_equal(port.ops->read(port.ctx, 1u << pcr, values, &clock, NULL), 0);
	return values[pcr];
}

/* What the PCR must become, by OpenSSL. */
static void model_extend(const struct assay_banks *banks, struct assay_pcr_value *v,
			 const struct assay_pcr_value *digests)
{
	for (uint32_t b = 0; b < banks->n; b++) {
		size_t n = assay_hash_size(banks->alg[b]);
		uint8_t both[2 * ASSAY_HASH_SIZE_MAX];

		memcpy(both, v->value[b], n);
		memcpy(both + n, digests->value[b], n);
		crypto.ops->hash(crypto.ctx, banks->alg[b], assay_bytes(both, 2 * n), v->value[b]);
	}
}

static void test_extend(void **state)
{
	struct assay_anchor_tpm2 *a = open_tpm(0, ASSAY_TPM_SESSION_NONE);
	struct assay_anchor port = assay_anchor_tpm2_port(a);
	struct assay_banks banks = banks_of(port);
	struct assay_pcr_value model = read_one(port, 10), digests, now;

	assert_int_equal(port.ops->kind, ASSAY_ANCHOR_TPM2);
	for (int i = 0; i < 20; i++) {
		memset(&digests, i + 1, sizeof(digests));
		assert_int_equal(port.ops->extend(port.ctx, 10, &digests, NULL), 0);
		model_extend(&banks, &model, &digests);
		now = read_one(port, 10);
		for (uint32_t b = 0; b < banks.n; b++)
			assert_memory_equal(now.value[b], model.value[b],
					    assay_hash_size(banks.alg[b]));
	}
	assert_int_equal(port.ops->extend(port.ctx, ASSAY_PCRS, &digests, NULL), -EINVAL);
	assay_anchor_tpm2_free(a);
}

/* More PCRs than one command gives. */
static void test_read_all(void **state)
{
	struct assay_anchor_tpm2 *a = open_tpm(0, ASSAY_TPM_SESSION_NONE);
	struct assay_anchor port = assay_anchor_tpm2_port(a);
	struct assay_pcr_value values[ASSAY_PCRS], one;
	struct assay_tpm_clock clock = { 0 };
	struct assay_banks banks = banks_of(port);

	memset(values, 0xee, sizeof(values));
	assert_int_equal(port.ops->read(port.ctx, 0x00ffffff, values, &clock, NULL), 0);
	for (uint32_t p = 0; p < ASSAY_PCRS; p++) {
		one = read_one(port, p);
		for (uint32_t b = 0; b < banks.n; b++)
			assert_memory_equal(one.value[b], values[p].value[b],
					    assay_hash_size(banks.alg[b]));
	}
	/* PCRs 17 to 22 begin as ones (PC Client Platform TPM Profile, 4.6.2). */
	assert_true(assay_bytes_all(assay_bytes(values[17].value[0], 20), 0xff));
	assert_true(clock.safe);
	assay_anchor_tpm2_free(a);
}

static void test_same_as_pcrread(void **state)
{
	struct assay_anchor_tpm2 *a = open_tpm(0, ASSAY_TPM_SESSION_NONE);
	struct assay_anchor port = assay_anchor_tpm2_port(a);
	struct assay_banks banks = banks_of(port);
	struct assay_pcr_value v = read_one(port, 10);
	char command[256], hex[2 * ASSAY_HASH_SIZE_MAX + 1], line[256];

	assay_anchor_tpm2_free(a);
	if (system("command -v tpm2_pcrread >/dev/null") != 0)
		skip();
	for (uint32_t b = 0; b < banks.n; b++) {
		size_t len = assay_hash_size(banks.alg[b]);
		FILE *out;

		snprintf(command, sizeof(command), "tpm2_pcrread -T %s %s:10", tpm.tcti,
			 assay_hash_name(banks.alg[b]));
		out = popen(command, "r");
		assert_non_null(fgets(line, sizeof(line), out));
		assert_non_null(fgets(line, sizeof(line), out));
		pclose(out);
		assay_hex_encode(assay_bytes(v.value[b], len), hex);
		for (char *c = line; *c; c++)
			*c = *c >= 'A' && *c <= 'F' ? (char)(*c + 32) : *c;
		assert_non_null(strstr(line, hex));
	}
}

/* A TPM that does not answer: the caller gets away in time, the connection is not used again, and
 * after reopen() the PCR tells that the command was executed once. */
static void test_stopped(void **state)
{
	struct assay_anchor_tpm2 *a = open_tpm(1000, ASSAY_TPM_SESSION_NONE);
	struct assay_anchor port = assay_anchor_tpm2_port(a);
	struct assay_banks banks = banks_of(port);
	struct assay_pcr_value model = read_one(port, 10), digests, now;
	struct assay_err err;

	memset(&digests, 0x77, sizeof(digests));
	kill(tpm.pid, SIGSTOP);
	assert_int_equal(port.ops->extend(port.ctx, 10, &digests, &err), -ETIMEDOUT);
	assert_int_equal(port.ops->extend(port.ctx, 10, &digests, &err), -ENODEV);
	assert_int_equal(port.ops->reopen(port.ctx, &err), -ETIMEDOUT);
	assert_int_equal(port.ops->reopen(port.ctx, &err), -ETIMEDOUT);
	kill(tpm.pid, SIGCONT);
	assert_int_equal(port.ops->reopen(port.ctx, &err), 0);
	now = read_one(port, 10);
	model_extend(&banks, &model, &digests);
	assert_memory_equal(now.value[0], model.value[0], assay_hash_size(banks.alg[0]));
	assay_anchor_tpm2_free(a);
}

static void test_freed_while_stopped(void **state)
{
	struct assay_anchor_tpm2 *a = open_tpm(500, ASSAY_TPM_SESSION_NONE);
	struct assay_anchor port = assay_anchor_tpm2_port(a);

	kill(tpm.pid, SIGSTOP);
	assert_int_equal(port.ops->reopen(port.ctx, NULL), -ETIMEDOUT);
	assay_anchor_tpm2_free(a);
	kill(tpm.pid, SIGCONT);
	assay_anchor_tpm2_free(open_tpm(0, ASSAY_TPM_SESSION_NONE));
}

static void test_gone(void **state)
{
	struct assay_anchor_tpm2 *a = open_tpm(2000, ASSAY_TPM_SESSION_NONE);
	struct assay_anchor port = assay_anchor_tpm2_port(a);
	struct assay_pcr_value digests = { 0 }, values[ASSAY_PCRS];
	struct assay_tpm_clock before, after;
	struct assay_err err;

	assert_int_equal(port.ops->read(port.ctx, 1u << 10, values, &before, NULL), 0);
	swtpm_kill(&tpm);
	assert_int_equal(port.ops->extend(port.ctx, 10, &digests, &err), -EIO);
	assert_int_equal(port.ops->read(port.ctx, 1u << 10, values, &after, &err), -ENODEV);
	assert_int_equal(port.ops->reopen(port.ctx, &err), -ENODEV);
	assert_non_null(strstr(err.text, tpm.tcti));
	/* A reset is seen in the clock, and the PCR begins again. */
	assert_true(swtpm_start(&tpm));
	assert_int_equal(port.ops->reopen(port.ctx, &err), 0);
	assert_int_equal(port.ops->read(port.ctx, 1u << 10, values, &after, NULL), 0);
	assert_int_equal(after.reset_count, before.reset_count + 1);
	assert_true(assay_bytes_all(assay_bytes(values[10].value[0], 20), 0));
	assay_anchor_tpm2_free(a);
}

/* ---- a bad bus: tests/tools/tpm_delay.c ------------------------------------------------------ */

static pid_t proxy;
static char front[128], control[140];

static void proxy_begin(void)
{
	const char *program = getenv("TPM_DELAY");
	char behind[100];

	if (!program)
		skip();
	snprintf(front, sizeof(front), "%s/front", tpm.dir);
	snprintf(control, sizeof(control), "%s/control", tpm.dir);
	snprintf(behind, sizeof(behind), "%s/sock", tpm.dir);
	proxy = fork();
	if (proxy == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execl(program, program, "--control", control, front, behind, NULL);
		_exit(127);
	}
	while (access(front, F_OK) < 0 && waitpid(proxy, NULL, WNOHANG) == 0)
		usleep(1000);
}

static void proxy_end(void)
{
	kill(proxy, SIGKILL);
	waitpid(proxy, NULL, 0);
	unlink(control);
	unlink(front);
}

static void tell_proxy(const char *line)
{
	int fd = open(control, O_WRONLY);

	assert_true(write(fd, line, strlen(line)) == (ssize_t)strlen(line));
	close(fd);
}

static void test_bad_bus(void **state)
{
	static const struct {
		const char *order;
		int code;
		bool executed, lost;
	} rows[] = {
		{ "drop 1\n", -ETIMEDOUT, true, true }, { "cut 1\n", -EIO, true, true },
		{ "refuse 1\n", -EIO, false, true },	{ "hold 1\n", -ETIMEDOUT, false, true },
		{ "late 1\n", -ETIMEDOUT, true, true }, { "retry 1 1\n", 0, true, false },
		{ "retry 1 3\n", 0, true, false },	{ "retry 1 50\n", -EAGAIN, false, false },
	};
	struct assay_anchor_tpm2_config config = { .size = sizeof(config), .timeout_ms = 1500 };
	struct assay_pcr_value model, digests, now;
	struct assay_anchor_tpm2 *a = NULL;
	struct assay_anchor port;
	struct assay_banks banks;
	char tcti[160];

	proxy_begin();
	snprintf(tcti, sizeof(tcti), "swtpm:path=%s", front);
	config.tcti = tcti;
	assert_int_equal(assay_anchor_tpm2_new(&config, &a, NULL), 0);
	port = assay_anchor_tpm2_port(a);
	banks = banks_of(port);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		model = read_one(port, 10);
		memset(&digests, (int)i, sizeof(digests));
		tell_proxy(rows[i].order);
		assert_int_equal(port.ops->extend(port.ctx, 10, &digests, NULL), rows[i].code);
		if (rows[i].lost) {
			assert_int_equal(port.ops->extend(port.ctx, 10, &digests, NULL), -ENODEV);
			assert_int_equal(port.ops->reopen(port.ctx, NULL), 0);
		}
		if (rows[i].executed)
			model_extend(&banks, &model, &digests);
		now = read_one(port, 10);
		assert_memory_equal(now.value[0], model.value[0], assay_hash_size(banks.alg[0]));
		tell_proxy("retry 0 0\n");
	}
	assay_anchor_tpm2_free(a);
	proxy_end();
}

/* Somebody on the bus changes an extend, or swallows it and says "done". Without a session that
 * works; with one it is found, and the PCR tells that nothing was executed. */
static void check_liar(enum assay_tpm_session session, const char *order, bool found)
{
	struct assay_anchor_tpm2_config config = { .size = sizeof(config), .session = session };
	struct assay_pcr_value before, digests = { 0 }, model, now;
	struct assay_anchor_tpm2 *a = NULL;
	struct assay_anchor port;
	struct assay_banks banks;
	char tcti[160];
	int r;

	snprintf(tcti, sizeof(tcti), "swtpm:path=%s", front);
	config.tcti = tcti;
	assert_int_equal(assay_anchor_tpm2_new(&config, &a, NULL), 0);
	port = assay_anchor_tpm2_port(a);
	banks = banks_of(port);
	model = before = read_one(port, 10);
	tell_proxy(order);
	r = port.ops->extend(port.ctx, 10, &digests, NULL);
	assert_true(found ? r < 0 : r == 0);
	if (found)
		assert_int_equal(port.ops->reopen(port.ctx, NULL), 0);
	model_extend(&banks, &model, &digests);
	now = read_one(port, 10);
	if (found)
		assert_memory_equal(&now, &before, sizeof(now));
	else /* the last bank is not what it ought to be, and nobody noticed */
		assert_memory_not_equal(now.value[banks.n - 1], model.value[banks.n - 1],
					assay_hash_size(banks.alg[banks.n - 1]));
	assay_anchor_tpm2_free(a);
}

static void test_liar(void **state)
{
	proxy_begin();
	check_liar(ASSAY_TPM_SESSION_NONE, "tamper 1\n", false);
	check_liar(ASSAY_TPM_SESSION_HMAC, "tamper 1\n", true);
	check_liar(ASSAY_TPM_SESSION_NONE, "lie 1\n", false);
	check_liar(ASSAY_TPM_SESSION_HMAC, "lie 1\n", true);
	proxy_end();
}

/* ---- keys, quotes, sessions ------------------------------------------------------------------ */

/* Makes a key, quotes with it, and has the engine judge; with OpenSSL, not the TPM. */
static void check_quote(struct assay_anchor_tpm2 *a, enum assay_ak_algorithm algorithm)
{
	struct assay_anchor port = assay_anchor_tpm2_port(a);
	struct assay_banks banks = banks_of(port);
	struct assay_pcr_value values[ASSAY_PCRS];
	struct assay_quote_request request = { .pcr_mask = 1u << 10 | 1u << 7 };
	struct assay_quote_verdict verdict = { 0 };
	struct assay_quote_question question;
	struct assay_quote_reply reply;
	struct assay_tpm_public public;
	struct assay_tpm_clock clock;
	struct assay_quote q = { 0 };
	struct assay_ak ak = { 0 };
	uint8_t spki[ASSAY_TPM_SPKI_MAX];
	struct assay_wr w = assay_wr(spki, sizeof(spki));
	struct assay_key *key = NULL;
	struct assay_err err = { 0 };

	assert_int_equal(assay_anchor_tpm2_create_ak(a, algorithm, &ak, &err), 0);
	request.nonce = assay_bytes_str("a nonce");
	request.bank_mask = (1u << banks.n) - 1;
	request.ak_public = assay_bytes(ak.public, ak.public_len);
	request.ak_private = assay_bytes(ak.private, ak.private_len);
	assert_int_equal(port.ops->quote(port.ctx, &request, &reply, &err), 0);
	assert_int_equal(port.ops->read(port.ctx, request.pcr_mask, values, &clock, NULL), 0);
	q.attest = assay_bytes(reply.attest, reply.attest_len);
	q.signature = assay_bytes(reply.signature, reply.signature_len);
	for (uint32_t b = 0; b < banks.n; b++) {
		for (uint32_t p = 7; p <= 10; p += 3) {
			struct assay_quote_pcr *v = &q.pcrs.v[q.pcrs.n++];

			*v = (struct assay_quote_pcr){ .bank = banks.alg[b], .pcr = p };
			memcpy(v->value, values[p].value[b], ASSAY_HASH_SIZE_MAX);
		}
	}
	assert_int_equal(assay_tpm_public_parse(request.ak_public, &public, NULL), 0);
	assay_tpm_public_spki(&public, &w);
	assert_int_equal(crypto.ops->key_from_spki(crypto.ctx, assay_wr_done(&w), &key), 0);
	question = (struct assay_quote_question){ .key = key,
						  .public = &public,
						  .nonce = request.nonce };
	assert_int_equal(assay_quote_judge(&crypto, &q, &question, &verdict, NULL), 0);
	assert_string_equal(verdict.why, "");
	assert_true(verdict.holds);
	crypto.ops->key_free(key);
	/* A private part that is not this TPM's, or cut. */
	request.ak_private.len--;
	assert_int_equal(port.ops->quote(port.ctx, &request, &reply, &err), -EBADMSG);
	request.ak_private.len++;
	ak.private[ak.private_len / 2] ^= 1;
	assert_true(port.ops->quote(port.ctx, &request, &reply, &err) < 0);
}

static void test_quote(void **state)
{
	struct assay_anchor_tpm2 *a = open_tpm(0, ASSAY_TPM_SESSION_NONE);

	check_quote(a, ASSAY_AK_ECC_P256);
	check_quote(a, ASSAY_AK_RSA_2048);
	assay_anchor_tpm2_free(a);
}

static void test_session(void **state)
{
	struct assay_anchor_tpm2 *a = open_tpm(0, ASSAY_TPM_SESSION_HMAC);
	struct assay_anchor port = assay_anchor_tpm2_port(a);
	struct assay_banks banks = banks_of(port);
	struct assay_pcr_value model = read_one(port, 10), digests, now;

	assert_int_equal(assay_anchor_tpm2_ek_name(a).len, 34);
	for (int i = 0; i < 5; i++) {
		memset(&digests, i, sizeof(digests));
		assert_int_equal(port.ops->extend(port.ctx, 10, &digests, NULL), 0);
		model_extend(&banks, &model, &digests);
		if (i == 2)
			assert_int_equal(port.ops->reopen(port.ctx, NULL), 0);
	}
	now = read_one(port, 10);
	assert_memory_equal(now.value[0], model.value[0], assay_hash_size(banks.alg[0]));
	check_quote(a, ASSAY_AK_ECC_P256);
	assay_anchor_tpm2_free(a);
}

/* Daemons that are killed leave their sessions behind; the TPM has room for three. */
static void test_leaked_sessions(void **state)
{
	for (int i = 0; i < 6; i++) {
		pid_t child = fork();

		if (child == 0) {
			open_tpm(0, ASSAY_TPM_SESSION_HMAC);
			_exit(0);
		}
		assert_int_equal(waitpid(child, NULL, 0), child);
	}
	assay_anchor_tpm2_free(open_tpm(0, ASSAY_TPM_SESSION_HMAC));
}

static void test_pinned(void **state)
{
	struct assay_anchor_tpm2 *a = open_tpm(0, ASSAY_TPM_SESSION_HMAC), *b = NULL;
	uint8_t name[ASSAY_TPM_NAME_MAX];
	struct assay_anchor_tpm2_config config = {
		.size = sizeof(config),
		.tcti = tpm.tcti,
		.session = ASSAY_TPM_SESSION_HMAC,
		.ek_name = assay_bytes(name, assay_anchor_tpm2_ek_name(a).len),
	};

	memcpy(name, assay_anchor_tpm2_ek_name(a).data, config.ek_name.len);
	assay_anchor_tpm2_free(a);
	assert_int_equal(assay_anchor_tpm2_new(&config, &b, NULL), 0);
	assay_anchor_tpm2_free(b);
	name[20] ^= 1;
	b = NULL;
	assert_int_equal(assay_anchor_tpm2_new(&config, &b, NULL), -EKEYREJECTED);
	assert_null(b);
}

static void test_info(void **state)
{
	struct assay_anchor_tpm2 *a = open_tpm(0, ASSAY_TPM_SESSION_NONE);
	struct assay_tpm_info info;

	assert_int_equal(assay_anchor_tpm2_info(a, &info, NULL), 0);
	assert_string_equal(info.manufacturer, "IBM"); /* whose code libtpms is */
	assert_true(info.spec_revision >= 138 && info.banks.n >= 2);
	assay_anchor_tpm2_free(a);
}

static void test_config(void **state)
{
	struct assay_anchor_tpm2_config config = { .size = 1, .tcti = tpm.tcti };
	struct assay_anchor_tpm2 *a = NULL;
	struct assay_err err;

	assert_int_equal(assay_anchor_tpm2_new(&config, &a, &err), -EINVAL);
	config.size = sizeof(config);
	config.tcti = "device:/nonexistent/tpm0";
	assert_int_equal(assay_anchor_tpm2_new(&config, &a, &err), -ENODEV);
	config.tcti = "nosuchtcti:x";
	assert_int_equal(assay_anchor_tpm2_new(&config, &a, &err), -ENODEV);
	assert_null(a);
}

static void check_tcti(const char *tcti, const char *says)
{
	struct assay_anchor_tpm2_config config = { .size = sizeof(config), .tcti = tcti };
	struct assay_anchor_tpm2 *a = NULL;
	struct assay_err err = { 0 };

	assert_int_equal(assay_anchor_tpm2_new(&config, &a, &err), -ENODEV);
	assert_null(a);
	if (!strstr(err.text, says))
		fail_msg("'%s' is not in '%s'", says, err.text);
}

/* No socket is tried that was not named. */
static void test_place(void **state)
{
	char deep[300] = "swtpm:path=/";

	memset(deep + strlen(deep), 'd', sizeof(deep) - 1 - strlen(deep));
	check_tcti(deep, "File name too long");
	check_tcti("swtpm:frob=/tmp/sock", "it takes path=PATH");
	check_tcti("swtpm:path", "it takes path=PATH");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_extend),
		cmocka_unit_test(test_read_all),
		cmocka_unit_test(test_same_as_pcrread),
		cmocka_unit_test(test_stopped),
		cmocka_unit_test(test_freed_while_stopped),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_bad_bus),
		cmocka_unit_test(test_liar),
		cmocka_unit_test(test_quote),
		cmocka_unit_test(test_session),
		cmocka_unit_test(test_leaked_sessions),
		cmocka_unit_test(test_pinned),
		cmocka_unit_test(test_info),
		cmocka_unit_test(test_config),
		cmocka_unit_test(test_place),
	};

	if (!swtpm_installed()) {
		puts("skipped: swtpm is not installed");
		return 77;
	}
	setenv("TSS2_LOG", "all+NONE", 0);
	return cmocka_run_group_tests(tests, setup, teardown);
}
