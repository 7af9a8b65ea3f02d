/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a decision costs: nanoseconds an event by the index and by the plain walk, for policies of
 * 3, 100 and 1000 rules and for tcb. bench_policy [--rounds N]: the median of N rounds (5).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "engine/core/policy.h"

#define EVENTS	   256
#define ROUNDS_MAX 99
#define REPEAT	   400 /* passes over the events in a round */

typedef void match_fn(const struct assay_policy *p, const struct assay_match_facts *facts,
		      struct assay_match *ret);

static uint64_t state = 88172645463325252u;

static uint32_t below(uint32_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 33) % n;
}

/*
 * A site's policy as they grow: file systems left out first, then owners and groups of services,
 * then what is measured. A ninth of the rules names a file system, half of the rest an owner.
 */
static size_t write_policy(char *text, size_t size, unsigned rules)
{
	static const char *const hooks[] = { "FILE_CHECK", "MMAP_CHECK", "BPRM_CHECK",
					     "MODULE_CHECK" };
	size_t n = 0;

	for (unsigned i = 0; i + 3 < rules; i++) {
		if (i % 9 == 0)
			n += (size_t)snprintf(text + n, size - n, "dont_measure fsmagic=%x\n",
					      0x1000 + i);
		else if (i % 2)
			n += (size_t)snprintf(text + n, size - n,
					      "dont_measure func=%s fowner=%u\n", hooks[i % 4],
					      2000 + i);
		else
			n += (size_t)snprintf(text + n, size - n, "audit func=%s fgroup=%u\n",
					      hooks[i % 4], 3000 + i);
	}
	n += (size_t)snprintf(text + n, size - n,
			      "measure func=BPRM_CHECK mask=MAY_EXEC\n"
			      "measure func=MMAP_CHECK mask=MAY_EXEC\n"
			      "measure func=FILE_CHECK mask=^MAY_READ uid=0\n");
	return n;
}

/* Three quarters opens, the rest executions and mappings; one file system in eight is left out. */
static void make_events(struct assay_match_facts *events)
{
	for (unsigned i = 0; i < EVENTS; i++) {
		enum assay_hook hook = below(4)	  ? ASSAY_HOOK_FILE_CHECK
				       : below(2) ? ASSAY_HOOK_BPRM_CHECK
						  : ASSAY_HOOK_MMAP_CHECK;

		events[i] = (struct assay_match_facts){
			.hook = hook,
			.mask = hook == ASSAY_HOOK_FILE_CHECK ? ASSAY_MAY_READ : ASSAY_MAY_EXEC,
			.subject = { .uid = below(2) ? 0 : 1000, .euid = 1000 },
			.fs = { .magic = below(8) ? 0xef53 : 0x1000,
				.name = assay_bytes_str("ext4") },
			.fowner = below(1000),
			.fgroup = below(1000),
		};
	}
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median_ns(match_fn *match, const struct assay_policy *p,
			const struct assay_match_facts *events, unsigned rounds)
{
	double took[ROUNDS_MAX];
	uint32_t sum = 0;

	for (unsigned r = 0; r < rounds; r++) {
		uint64_t start = assay_clock_ns();

		for (unsigned i = 0; i < REPEAT * EVENTS; i++) {
			struct assay_match m;

			match(p, &events[i % EVENTS], &m);
			sum += m.actions;
		}
		took[r] = (double)(assay_clock_ns() - start) / (REPEAT * EVENTS);
	}
	qsort(took, rounds, sizeof(took[0]), compare);
	if (sum == 1) /* so that nothing is left out as unused */
		puts("");
	return took[rounds / 2];
}

static int bench(const char *name, struct assay_bytes text, unsigned rounds)
{
	size_t size = assay_policy_arena_size(text);
	struct assay_match_facts events[EVENTS];
	const struct assay_policy *p;
	struct assay_policy_text rules;
	struct assay_arena arena;

	assay_arena_init(&arena, malloc(size), size);
	if (!arena.base || assay_policy_parse(text, NULL, &arena, &rules, NULL) != 0 ||
	    assay_policy_compile(&rules, &arena, &p) != 0)
		return 2;
	make_events(events);
	printf("policy %-6s rules %4" PRIu32 "  index %7.1f ns/event  walk %7.1f ns/event\n", name,
	       rules.n_rules, median_ns(assay_policy_match, p, events, rounds),
	       median_ns(assay_policy_match_walk, p, events, rounds));
	free(arena.base);
	return 0;
}

int main(int argc, char **argv)
{
	static const unsigned sizes[] = { 3, 100, 1000 };
	static char text[1u << 17];
	int rounds =
		argc == 3 && strcmp(argv[1], "--rounds") == 0 ? (int)strtol(argv[2], NULL, 10) : 5;
	int status = 0;

	if (rounds < 1 || rounds > ROUNDS_MAX)
		return 2;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]) && status == 0; i++)
		status =
			bench("site", assay_bytes(text, write_policy(text, sizeof(text), sizes[i])),
			      (unsigned)rounds);
	if (status == 0)
		status = bench("tcb", assay_bytes_str(assay_policy_builtin("tcb")),
			       (unsigned)rounds);
	return status;
}
