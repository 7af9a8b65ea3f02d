/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "unit/test.h"

#include <errno.h>

#include "base/file.h"
#include "base/macros.h"
#include "base/wr.h"
#include "programs/assay/cmd.h"
#include "programs/assay/doctor.h"

#define STR(text) assay_bytes(text, sizeof(text) - 1)

static void list_has_whole_words(void **state)
{
	struct assay_bytes lsms = STR("lockdown,capability,landlock,bpf,ima\n");

	assert_true(doctor_list_has(lsms, ',', "bpf"));
	assert_true(doctor_list_has(lsms, ',', "lockdown"));
	assert_true(doctor_list_has(lsms, ',', "ima"));
	assert_false(doctor_list_has(lsms, ',', "land"));
	assert_false(doctor_list_has(lsms, ',', ""));
	assert_false(doctor_list_has(STR(""), ',', "bpf"));
	assert_false(doctor_list_has(STR("bpfx"), ',', "bpf"));
}

static void lockdown_and_efi(void **state)
{
	assert_int_equal(doctor_lockdown_parse(STR("[none] integrity confidentiality\n")),
			 DOCTOR_LOCKDOWN_NONE);
	assert_int_equal(doctor_lockdown_parse(STR("none [integrity] confidentiality\n")),
			 DOCTOR_LOCKDOWN_INTEGRITY);
	assert_int_equal(doctor_lockdown_parse(STR("none integrity [confidentiality]\n")),
			 DOCTOR_LOCKDOWN_CONFIDENTIALITY);
	assert_int_equal(doctor_lockdown_parse(STR("integrity")), DOCTOR_LOCKDOWN_UNKNOWN);
	assert_int_equal(doctor_efi_byte(STR("\6\0\0\0\1")), 1);
	assert_int_equal(doctor_efi_byte(STR("\6\0\0\0\0")), 0);
	assert_int_equal(doctor_efi_byte(STR("\6\0\0\0")), -1);
	assert_int_equal(doctor_efi_byte(STR("\6\0\0\0\1\1")), -1);
}

static void pcr_files(void **state)
{
	uint8_t value[ASSAY_HASH_SIZE_MAX];

	assert_true(doctor_pcr_parse(STR("000102030405060708090A0B0C0D0E0F10111213\n"),
				     ASSAY_HASH_SHA1, value));
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(value[i], i);
	assert_false(doctor_pcr_parse(STR("000102030405060708090A0B0C0D0E0F101112\n"),
				      ASSAY_HASH_SHA1, value));
	assert_false(doctor_pcr_parse(STR("000102030405060708090A0B0C0D0E0F10111213\n"),
				      ASSAY_HASH_SHA256, value));
	assert_false(doctor_pcr_parse(STR(""), ASSAY_HASH_SHA1, value));
}

/* ---- lists ---------------------------------------------------------------------------------- */

static void kernel_list_is_counted(void **state)
{
	static const char path[] =
		VECTORS "/kernel/6.12.95/sha512-ima-ng/binary_runtime_measurements";
	AUTO(file) struct assay_file f = { 0 };
	struct doctor_ima_list list = { 0 };
	struct assay_err err = { 0 };
	uint64_t sum = 0;

	if (assay_file_read(-1, path, 1u << 24, &f, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(doctor_ima_list_parse(f.bytes, &list, &err), 0);
	for (unsigned i = 0; i < DOCTOR_IMA_PCRS; i++)
		sum += list.in_pcr[i];
	assert_true(list.records > 100 && sum == list.records && list.in_pcr[10]);
	assert_int_equal(list.violations, 6);
	assert_string_equal(list.hash, "sha512");
	for (size_t len = 1; len < 2000; len++) {
		struct doctor_ima_list before = list;
		int r = doctor_ima_list_parse(assay_bytes(f.bytes.data, f.bytes.len - len), &list,
					      &err);

		assert_true(r == 0 || (r < 0 && memcmp(&before, &list, sizeof(list)) == 0));
		list = before;
	}
}

static void put_be32(struct assay_wr *w, uint32_t v)
{
	assay_wr_u32(w, __builtin_bswap32(v));
}

/* Of a kernel whose numbers are the other way round. */
static void big_endian_list_is_counted(void **state)
{
	static const char ng[] = "sha384:";
	struct doctor_ima_list list = { 0 };
	struct assay_err err = { 0 };
	uint8_t buf[512], digest[48] = { 1 };
	struct assay_wr w = assay_wr(buf, sizeof(buf));

	put_be32(&w, 10);
	assay_wr_raw(&w, digest, 20);
	put_be32(&w, 6);
	assay_wr_bytes(&w, STR("ima-ng"));
	put_be32(&w, 4 + sizeof(ng) + sizeof(digest) + 4 + 3);
	put_be32(&w, sizeof(ng) + sizeof(digest));
	assay_wr_bytes(&w, assay_bytes(ng, sizeof(ng)));
	assay_wr_raw(&w, digest, sizeof(digest));
	put_be32(&w, 3);
	assay_wr_bytes(&w, assay_bytes("/x", 3));
	assert_true(assay_wr_ok(&w));
	assert_int_equal(doctor_ima_list_parse(assay_wr_done(&w), &list, &err), 0);
	assert_int_equal(list.in_pcr[10], 1);
	assert_string_equal(list.hash, "sha384");
}

#define PHASE(pcr, name)                                                                           \
	"\x1e{\"pcr\":" pcr ",\"digests\":[{\"hashAlg\":\"sha256\",\"digest\":\"00\"}],"           \
	"\"content_type\":\"systemd\",\"content\":{\"string\":\"" name                             \
	"\",\"eventType\":\"phase\"}}\n"

static void measure_log_names_events(void **state)
{
	static const char text[] = PHASE("11", "enter-initrd") PHASE("11", "leave-initrd")
		PHASE("11", "enter-initrd") PHASE("15", "machine-id:x\\u001b[2J") PHASE("24", "x")
			PHASE("-1", "x") "\x1e{\"nvIndex\":1}\n\x1e{\"pcr\":\"11\"}";
	static struct doctor_measure_log log;
	struct assay_err err;

	assert_int_equal(doctor_measure_log_parse(STR(text), &log, &err), 0);
	assert_int_equal(log.records, 8);
	assert_int_equal(log.not_pcr, 4);
	assert_int_equal(log.pcr[11].events, 3);
	assert_int_equal(log.pcr[11].n_names, 2);
	assert_string_equal(log.pcr[11].name[0], "enter-initrd");
	assert_string_equal(log.pcr[11].name[1], "leave-initrd");
	assert_string_equal(log.pcr[15].name[0], "machine-id:x?[2J");
}

static void measure_log_refuses(void **state)
{
	const struct {
		struct assay_bytes text;
		uint64_t offset;
	} cases[] = {
		{ STR("{}"), 0 },
		{ STR("\x1e{}\n\x1e"), 4 },
		{ STR("\x1e{}\n\x1e[]\n"), 4 },
		{ STR("\x1e{}\n\x1e{\"pcr\":1"), 4 },
		{ STR("\x1e{} {}\n"), 0 },
		{ STR("\x1e{\"pcr\":1,\"pcr\":2}\n"), 0 },
	};
	struct doctor_measure_log log = { .records = 77 };
	struct assay_err err;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		if (doctor_measure_log_parse(cases[i].text, &log, &err) != -EBADMSG)
			fail_msg("case %zu is taken", i);
		assert_true(err.has_offset && err.offset == cases[i].offset);
	}
	assert_int_equal(log.records, 77);
	assert_int_equal(doctor_measure_log_parse(STR(""), &log, &err), 0);
	assert_int_equal(log.records, 0);
}

/* Whatever becomes of a record: it is refused, or counted. */
static void measure_log_flips(void **state)
{
	char text[] = PHASE("11", "enter-initrd") PHASE("15", "x");
	struct doctor_measure_log log;
	struct assay_err err;

	for (size_t bit = 0; bit < 8 * (sizeof(text) - 1); bit++) {
		text[bit / 8] ^= (char)(1 << bit % 8);
		if (doctor_measure_log_parse(assay_bytes(text, sizeof(text) - 1), &log, &err) ==
		    0) {
			uint32_t sum = log.not_pcr;

			for (unsigned i = 0; i < ASSAY_PCRS; i++)
				sum += log.pcr[i].events;
			assert_int_equal(sum, log.records);
		}
		text[bit / 8] ^= (char)(1 << bit % 8);
	}
	for (size_t len = 0; len < sizeof(text) - 1; len++)
		doctor_measure_log_parse(assay_bytes(text, len), &log, &err);
}

/* ---- report --------------------------------------------------------------------------------- */

static int verdict_of(enum doctor_state state, bool needed)
{
	struct doctor d = { .root = "" };
	struct doctor_advice ok = { .check = "x", .subject = "x" };
	struct doctor_advice a = { .state = state, .check = "y", .subject = "y", .needed = needed };
	int verdict;

	doctor_add(&d, &ok, "fine");
	doctor_add(&d, &a, "what");
	doctor_add(&d, &ok, "fine");
	verdict = doctor_verdict(&d.report);
	doctor_report_done(&d.report);
	return verdict;
}

static void verdicts(void **state)
{
	assert_int_equal(verdict_of(DOCTOR_OK, true), EXIT_YES);
	assert_int_equal(verdict_of(DOCTOR_NOTE, true), EXIT_YES);
	assert_int_equal(verdict_of(DOCTOR_WARN, true), EXIT_YES);
	assert_int_equal(verdict_of(DOCTOR_UNSEEN, false), EXIT_YES);
	assert_int_equal(verdict_of(DOCTOR_UNSEEN, true), EXIT_TROUBLE);
	assert_int_equal(verdict_of(DOCTOR_BAD, false), EXIT_NO);
}

static void report_keeps_and_escapes(void **state)
{
	struct doctor d = { .root = "", .area = DOCTOR_TPM };
	struct doctor_advice a = { .check = "x", .subject = "/mnt/\x1b[2J\n" };
	json_t *all;

	for (unsigned i = 0; i < 200; i++)
		assert_non_null(doctor_add(&d, &a, "number %u\xff", i));
	doctor_facts(doctor_add(&d, &a, "last"), json_pack("{s:i}", "n", 1));
	assert_int_equal(doctor_count(&d.report, DOCTOR_OK), 201);
	assert_string_equal(d.report.finding[7].found, "number 7\\xff");
	all = doctor_json(&d);
	assert_int_equal(json_array_size(json_object_get(all, "findings")), 201);
	assert_string_equal(json_string_value(json_object_get(
				    json_array_get(json_object_get(all, "findings"), 3),
				    "subject")),
			    "/mnt/\\x1b[2J\\x0a");
	json_decref(all);
	doctor_report_done(&d.report);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(list_has_whole_words),
		cmocka_unit_test(lockdown_and_efi),
		cmocka_unit_test(pcr_files),
		cmocka_unit_test(kernel_list_is_counted),
		cmocka_unit_test(big_endian_list_is_counted),
		cmocka_unit_test(measure_log_names_events),
		cmocka_unit_test(measure_log_refuses),
		cmocka_unit_test(measure_log_flips),
		cmocka_unit_test(verdicts),
		cmocka_unit_test(report_keeps_and_escapes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
