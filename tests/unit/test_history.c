/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hand-overs as lists tell of them: right ones, and each with a record left out, doubled or in
 * another's place. */
#include "unit/test.h"

#include <string.h>

#include "engine/history.h"
#include "formats/batch.h"

#define RECORDS_MAX 32

/* One letter a record. */
static const struct {
	char letter;
	const char *text;
} records[] = {
	{ 'F', "v=1;event=start;last=first;" },
	{ 'S', "v=1;event=start;last=stopped;" },
	{ 'C', "v=1;event=start;last=crashed;" },
	{ 'N', "v=1;event=start;last=handed-over;" },
	{ 'h', "v=1;event=handover;clock=1;" },
	{ 't', "v=1;event=takeover;waiting=1;held_ms=2;lost=0;" },
	{ 'f', "v=1;event=handover_failed;why=it ended;" },
	{ 'e', "v=1;event=stop;why=asked;" },
	{ 'l', "v=1;event=list-full;" },
	{ 'r', "v=1;event=list-resumed;lost=3;" },
	{ 's', "v=1;event=self;kind=exe;" },
	{ 'p', "v=1;event=policy;name=tcb;" },
};

static struct assay_history history(const char *letters)
{
	struct assay_history h = { 0 };
	uint64_t index = 0;

	for (const char *at = letters; *at; at++)
		for (size_t i = 0; i < ARRAY_LEN(records); i++)
			if (records[i].letter == *at)
				assay_history_take(&h, index++, assay_bytes_str(records[i].text));
	assert_int_equal(index, strlen(letters));
	return h;
}

static void right(const char *letters, uint64_t handovers, uint64_t unfinished)
{
	struct assay_history h = history(letters);

	if (h.fault || h.handovers != handovers || h.unfinished != unfinished)
		fail_msg("'%s': %llu, %llu unfinished, fault '%s' at %llu", letters,
			 (unsigned long long)h.handovers, (unsigned long long)h.unfinished,
			 assay_history_fault_text(h.fault), (unsigned long long)h.fault_index);
}

static void wrong(const char *letters, enum assay_history_fault fault, uint64_t index)
{
	struct assay_history h = history(letters);

	assert_int_equal(h.fault, fault);
	assert_int_equal(h.fault_index, index);
	assert_true(assay_history_fault_text(fault)[0] != '\0');
}

static void test_right(void **state)
{
	(void)state;
	right("", 0, 0);
	right("FspeSspe", 0, 0);
	right("FsphNspte", 1, 0);
	right("FhNthNthNte", 3, 0);
	/* Undone: before the list was given away, by the new one's death, and by its own. */
	right("FfhNte", 1, 0);
	right("FhNfhNte", 1, 0);
	right("FhNsCsfe", 0, 0);
	/* Something else was recorded last of the one before, so that its successor does not know.
	 */
	right("FhpCte", 1, 0);
	/* Under way. */
	right("Fh", 0, 0);
	right("FhN", 0, 0);
	/* A list that is looked at from its middle, or that has lost records. */
	right("tfe", 0, 0);
	right("Nte", 1, 0);
	right("Flrte", 0, 0);
	right("FlrNte", 1, 0);
}

static void test_unfinished(void **state)
{
	(void)state;
	right("FhNe", 0, 1);
	right("FhNCe", 0, 1);
	right("FhNChNte", 1, 1);
}

static void test_wrong(void **state)
{
	(void)state;
	wrong("Ft", ASSAY_HISTORY_TAKEOVER, 1);
	wrong("FhNtt", ASSAY_HISTORY_TAKEOVER, 4);
	wrong("Fht", ASSAY_HISTORY_TAKEOVER, 2);
	wrong("FhNft", ASSAY_HISTORY_TAKEOVER, 4);
	wrong("FeSspt", ASSAY_HISTORY_TAKEOVER, 5);
	wrong("FN", ASSAY_HISTORY_START, 1);
	wrong("FhNtN", ASSAY_HISTORY_START, 4);
	wrong("FeN", ASSAY_HISTORY_START, 2);
	wrong("Fhh", ASSAY_HISTORY_HANDOVER, 2);
	wrong("Feh", ASSAY_HISTORY_HANDOVER, 2);
	wrong("FtN", ASSAY_HISTORY_TAKEOVER, 1); /* the first is told */
}

static bool is_the_same(const struct assay_history *a, const struct assay_history *b)
{
	return a->handovers == b->handovers && a->unfinished == b->unfinished && !a->fault &&
	       a->at == b->at;
}

/* Each record of a hand-over is missed, and seen twice: but for a start that is told twice as a
 * crash would have it. */
static void test_mutated(void **state)
{
	static const char good[] = "FhNthNthNte";
	const struct assay_history was = history(good);

	(void)state;
	for (size_t i = 1; i + 1 < sizeof(good) - 1; i++) {
		char less[RECORDS_MAX] = "", more[RECORDS_MAX] = "", swapped[RECORDS_MAX] = "";
		struct assay_history h;

		memcpy(less, good, i);
		strcpy(less + i, good + i + 1);
		h = history(less);
		assert_false(is_the_same(&h, &was));
		memcpy(more, good, i + 1);
		strcpy(more + i + 1, good + i);
		h = history(more);
		assert_false(is_the_same(&h, &was));
		strcpy(swapped, good);
		swapped[i] = good[i + 1];
		swapped[i + 1] = good[i];
		h = history(swapped);
		assert_false(is_the_same(&h, &was));
	}
}

/* No bytes that claim to be a state record do harm. */
static void test_any_bytes(void **state)
{
	static const char *const texts[] = { "v=1;event=;", "v=1;event=takeover", "event=takeover;",
					     "v=1;event=start;", "" };
	struct assay_history h = { .at = ASSAY_HISTORY_RUNS };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		assay_history_take(&h, i, assay_bytes_str(texts[i]));
	assert_true(h.fault <= ASSAY_HISTORY_HANDOVER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_right),	  cmocka_unit_test(test_unfinished),
		cmocka_unit_test(test_wrong),	  cmocka_unit_test(test_mutated),
		cmocka_unit_test(test_any_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
