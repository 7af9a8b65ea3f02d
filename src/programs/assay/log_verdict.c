/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assay/log_verdict.h"

#include <stdio.h>

#include "base/fmt.h"

#define U(n) ((unsigned long long)(n))

static const char *form_name(const struct log_verdict *v)
{
	if (v->found.sum.absent)
		return "anchored form";
	return v->found.sum.batches ? "flat form" : "every entry extended";
}

static const char *entries(uint64_t n)
{
	return n == 1 ? "entry" : "entries";
}

static const char *entries_are(uint64_t n)
{
	return n == 1 ? "entry is" : "entries are";
}

static const char *kind_name(const struct assay_reach *r)
{
	return r->kind == ASSAY_EXTEND_REAL ? "digests of its own" : "padded SHA-1 digests";
}

/* ---- for people ----------------------------------------------------------------------------- */

static void print_banks(const struct assay_pcr_finding *f)
{
	for (uint32_t i = 0; i < f->n_claims; i++) {
		const struct assay_reach *r = &f->reach[i];

		printf("  %-10s", assay_hash_name(f->claim[i]->alg));
		if (!r->reached)
			puts("the value is that of no prefix of the list");
		else if (r->steps == 0)
			puts("the value is that before the first entry");
		else
			printf("reached after entry %llu, with %s\n", U(r->index), kind_name(r));
	}
}

static void print_reached(const struct assay_pcr_finding *f)
{
	if (f->best.steps == 0)
		printf("at its first value");
	else
		printf("reached after entry %llu", U(f->best.index));
	if (f->uncovered)
		printf("; %llu of its %llu entries, behind that, are not proved by these values\n",
		       U(f->uncovered), U(f->entries));
	else
		printf("; all of its %llu %s proved\n", U(f->entries), entries_are(f->entries));
}

static void print_pcr(const struct assay_pcr_finding *f)
{
	printf("PCR %u: ", f->pcr);
	switch (f->state) {
	case ASSAY_PCR_REACHED:
		print_reached(f);
		break;
	case ASSAY_PCR_NO_CLAIM:
		printf("no value was given; its %llu %s not proved\n", U(f->entries),
		       entries_are(f->entries));
		return;
	case ASSAY_PCR_UNTOUCHED:
		printf("NOT REACHED: still at its first value, but the list has %llu %s for it\n",
		       U(f->entries), entries(f->entries));
		break;
	case ASSAY_PCR_DISAGREE:
		puts("NOT REACHED: its banks are reached after different entries");
		break;
	case ASSAY_PCR_NOT_REACHED:
		printf("NOT REACHED: ");
		if (f->best.reached && f->best.steps)
			printf("the longest prefix that a bank agrees with ends with entry %llu; "
			       "look from entry %llu on\n",
			       U(f->best.index),
			       U(f->best.next == UINT64_MAX ? f->best.index : f->best.next));
		else
			puts("no prefix of the list has this value in any bank: an entry was "
			     "changed or removed, the list ends too early, or something else "
			     "extended it");
		break;
	}
	print_banks(f);
}

static bool worth_telling(const struct log_verdict *v, const struct assay_pcr_finding *f)
{
	if (f->entries)
		return true;
	for (size_t i = 0; i < v->o->claims.n; i++)
		if (v->o->claims.named[i] && v->o->claims.claim[i].pcr == f->pcr)
			return true;
	return false;
}

static void print_list(uint32_t mask)
{
	const char *comma = "";

	for (uint32_t p = 0; mask >> p; p++) {
		if (!(mask & 1u << p))
			continue;
		printf("%s%u", comma, p);
		comma = ",";
	}
}

static void print_boot(const struct assay_boot_finding *b)
{
	if (b->state == ASSAY_BOOT_NONE) {
		puts("boot_aggregate: not checked: the list begins with none that the values "
		     "prove");
		return;
	}
	printf("boot_aggregate, entry %llu: ", U(b->said.index));
	if (b->state == ASSAY_BOOT_UNKNOWN) {
		printf("not checked: PCRs ");
		print_list(b->missing);
		printf(" (%s) were not given as they were at boot\n",
		       assay_hash_name(b->said.digest.alg));
		return;
	}
	printf("%s PCR ", b->state == ASSAY_BOOT_AGREES ? "agrees with" : "DIFFERS from");
	print_list(b->pcrs);
	printf(" of bank %s%s\n", assay_hash_name(b->said.digest.alg),
	       b->zero ? ": it is zero, a kernel without a TPM made it" : "");
	if (b->first_differs)
		puts("  (the list's first does not: PCRs were extended before a kexec, if that is "
		     "not a file's name)");
}

/* Those above the firmware's: a list could have been robbed of all its entries of one. */
static void print_foreign(const struct log_verdict *v)
{
	for (uint32_t pcr = LOG_OS_PCR_FIRST; pcr <= LOG_OS_PCR_LAST; pcr++) {
		struct assay_pcr_finding f;

		if (assay_verify_pcr(v->found.verify, pcr, &f) && !worth_telling(v, &f) &&
		    f.state == ASSAY_PCR_NOT_REACHED)
			printf("PCR %u was extended, but by no entry of this list\n", pcr);
	}
}

static void print_notes(const struct log_verdict *v)
{
	const struct assay_verify_summary *s = &v->found.sum;

	if (s->absent)
		printf("%llu %s for %llu %s that this file does not hold\n", U(s->batches),
		       s->batches == 1 ? "batch record stands" : "batch records stand",
		       U(s->absent), entries(s->absent));
	else if (s->batches)
		printf("%llu %s compared with the entries they cover\n", U(s->batches),
		       s->batches == 1 ? "batch record was" : "batch records were");
	if (s->base_set)
		printf("the PCRs did not begin at zero: %s\n",
		       s->base_vouched ? "an entry says with what, and is proved"
				       : "no proved entry says with what");
	if (s->waiting)
		printf("%llu %s for a batch record: no standing yet\n", U(s->waiting),
		       s->waiting == 1 ? "entry at the end waits" : "entries at the end wait");
	if (s->boot_aggregates > 1)
		printf("%llu boot_aggregates: the list was carried over %llu kexec, or files bear "
		       "the name\n",
		       U(s->boot_aggregates), U(s->boot_aggregates - 1));
	if (s->violations)
		printf("%llu %s, %llu of them protected by batch records: what was "
		       "measured may not be what was used\n",
		       U(s->violations), s->violations == 1 ? "violation" : "violations",
		       U(s->violations - s->bare_violations));
}

static bool has_handovers(const struct assay_history *h)
{
	return h->handovers || h->unfinished || h->fault;
}

/* @label: in front, the segment. */
static void print_history(const char *label, const struct assay_history *h)
{
	if (h->handovers || h->unfinished)
		printf("%shand-overs from one assayd to the next: %llu", label, U(h->handovers));
	if (h->unfinished)
		printf("; and %llu that nobody took: what was opened until the next start is in no "
		       "list",
		       U(h->unfinished));
	if (h->handovers || h->unfinished)
		putchar('\n');
	if (h->fault)
		printf("%sentry %llu DOES NOT FIT: %s\n", label, U(h->fault_index),
		       assay_history_fault_text(h->fault));
}

static const char *start_name(enum assay_segment_start start)
{
	static const char *const names[] = { "first", "reset", "broken" };

	return names[start];
}

/* How the segment before the one at @i came to its end. */
static const char *end_name(const struct log_verdict *v, size_t i)
{
	const struct log_segment *s = &v->segments[i];

	if (i + 1 == v->list->n)
		return "open";
	if (v->segments[i + 1].head->start == ASSAY_SEGMENT_BROKEN)
		return "broken";
	return s->found.stopped ? "stopped" : "cut-off";
}

static void print_end(const struct log_verdict *v, size_t i)
{
	const struct log_segment *s = &v->segments[i], *next = s + 1;

	if (i + 1 == v->list->n)
		puts("; the last");
	else if (next->head->start != ASSAY_SEGMENT_BROKEN)
		puts(s->found.stopped ? "; assayd ended in order"
				      : "; assayd did not end in order");
	else
		printf("; closed as broken (%s)%s\n", next->found.why,
		       next->gap ? "" : ", and leads to what the next one began with");
}

static void print_segment(const struct log_verdict *v, size_t i)
{
	const struct log_segment *s = &v->segments[i];
	unsigned long long number = U(s->head->number);
	char label[64];

	if (s->found.error)
		printf("segment %llu, %s: %s (offset %llu of '%s')\n", number,
		       start_name(s->head->start), s->found.err.text, U(s->found.err.offset),
		       s->path);
	else
		printf("segment %llu, %s: %llu %s", number, start_name(s->head->start),
		       U(s->found.sum.entries), entries(s->found.sum.entries));
	if (s->found.error == 0 && i + 1 < v->list->n && s->found.sum.waiting)
		printf(", %llu of them without a batch record", U(s->found.sum.waiting));
	if (s->found.error == 0)
		print_end(v, i);
	if (s->link.fault)
		printf("segment %llu DOES NOT FOLLOW: %s ('%s')\n", number, s->link.why, s->path);
	else if (s->gap)
		printf("segment %llu: a gap: something was extended before it that is in no list\n",
		       number);
	assay_fmt(label, sizeof(label), "segment %llu: ", number);
	print_history(label, &s->found.history);
}

void log_verdict_text(const struct log_verdict *v)
{
	for (size_t i = 0; v->segments && i < v->list->n; i++)
		print_segment(v, i);
	printf("%s list, %s column, %s-endian, %s: %llu %s%s\n", log_source_name(v->input->source),
	       assay_hash_name(v->input->form.column), v->input->form.big ? "big" : "little",
	       form_name(v), U(v->found.sum.entries), entries(v->found.sum.entries),
	       v->found.error ? " before the first wrong one" : "");
	for (uint32_t pcr = 0; pcr <= ASSAY_RECORD_PCR_MAX; pcr++) {
		struct assay_pcr_finding f;

		if (!v->found.error && v->o->claims.n &&
		    assay_verify_pcr(v->found.verify, pcr, &f) && worth_telling(v, &f))
			print_pcr(&f);
	}
	if (!v->found.error && v->o->claims.n)
		print_boot(&v->found.boot);
	if (!v->found.error && v->o->claims.n)
		print_foreign(v);
	print_notes(v);
	if (!v->segments)
		print_history("", &v->found.history);
	if (v->segments)
		; /* told above */
	else if (v->found.error && v->found.err.has_offset)
		printf("%s (offset %llu)\n", v->found.err.text, U(v->found.err.offset));
	else if (v->found.error)
		puts(v->found.err.text);
	printf("verdict: %s\n", v->reason);
}

/* ---- for machines --------------------------------------------------------------------------- */

static const char *state_name(enum assay_pcr_state s)
{
	static const char *const names[] = {
		[ASSAY_PCR_NOT_REACHED] = "not-reached", [ASSAY_PCR_DISAGREE] = "banks-disagree",
		[ASSAY_PCR_UNTOUCHED] = "untouched",	 [ASSAY_PCR_NO_CLAIM] = "no-value",
		[ASSAY_PCR_REACHED] = "reached",
	};

	return names[s];
}

static void json_bank(const struct assay_pcr_finding *f, uint32_t i)
{
	const struct assay_reach *r = &f->reach[i];

	printf("%s{\"bank\":\"%s\",\"reached\":%s", i ? "," : "", assay_hash_name(f->claim[i]->alg),
	       r->reached ? "true" : "false");
	if (r->reached && r->steps)
		printf(",\"after\":%llu,\"padded\":%s", U(r->index),
		       r->kind == ASSAY_EXTEND_REAL ? "false" : "true");
	putchar('}');
}

static void json_pcrs(const struct log_verdict *v)
{
	const char *comma = "";

	for (uint32_t pcr = 0; pcr <= ASSAY_RECORD_PCR_MAX; pcr++) {
		struct assay_pcr_finding f;

		if (!assay_verify_pcr(v->found.verify, pcr, &f) || !worth_telling(v, &f))
			continue;
		printf("%s{\"pcr\":%u,\"state\":\"%s\",\"entries\":%llu,\"proved\":%llu", comma,
		       pcr, state_name(f.state), U(f.entries), U(f.best.proved));
		if (f.best.reached && f.best.steps)
			printf(",\"after\":%llu", U(f.best.index));
		fputs(",\"banks\":[", stdout);
		for (uint32_t i = 0; i < f.n_claims; i++)
			json_bank(&f, i);
		fputs("]}", stdout);
		comma = ",";
	}
}

static void json_boot(const struct assay_boot_finding *b)
{
	static const char *const names[] = { "differs", "none", "not-checked", "agrees" };

	printf(",\"boot_aggregate\":{\"state\":\"%s\"", names[b->state]);
	if (b->state != ASSAY_BOOT_NONE) {
		printf(",\"entry\":%llu,\"bank\":\"%s\",\"pcrs\":[", U(b->said.index),
		       assay_hash_name(b->said.digest.alg));
		print_list(b->pcrs);
		fputs("],\"missing\":[", stdout);
		print_list(b->missing);
		putchar(']');
	}
	putchar('}');
}

static void json_text(const char *name, const char *text)
{
	printf(",\"%s\":", name);
	log_json_print(text);
}

static void json_history(const struct assay_history *h)
{
	if (!has_handovers(h))
		return;
	printf(",\"handovers\":{\"done\":%llu,\"unfinished\":%llu", U(h->handovers),
	       U(h->unfinished));
	if (h->fault) {
		printf(",\"entry\":%llu", U(h->fault_index));
		json_text("fault", assay_history_fault_text(h->fault));
	}
	putchar('}');
}

static void json_segment(const struct log_verdict *v, size_t i)
{
	const struct log_segment *s = &v->segments[i];

	printf("%s{\"number\":%llu,\"start\":\"%s\",\"end\":\"%s\",\"entries\":%llu,"
	       "\"violations\":%llu,\"waiting\":%llu,\"link\":\"%s\",\"gap\":%s",
	       i ? "," : "", U(s->head->number), start_name(s->head->start), end_name(v, i),
	       U(s->found.sum.entries), U(s->found.sum.violations), U(s->found.sum.waiting),
	       assay_chain_fault_name(s->link.fault), s->gap ? "true" : "false");
	json_text("file", s->path);
	json_text("why", s->found.why);
	json_history(&s->found.history);
	if (s->link.fault)
		json_text("fault", s->link.why);
	if (s->found.error)
		json_text("error", s->found.err.text);
	putchar('}');
}

static void json_error(const struct log_verdict *v)
{
	printf(",\"error\":{\"entry\":%llu", U(v->found.sum.entries));
	json_text("text", v->found.err.text);
	if (v->found.err.has_offset)
		printf(",\"offset\":%llu", U(v->found.err.offset));
	putchar('}');
}

void log_verdict_json(const struct log_verdict *v)
{
	static const char *const verdicts[] = { "holds", "does-not-hold", "could-not-tell" };
	const struct assay_verify_summary *s = &v->found.sum;

	printf("{\"verdict\":\"%s\"", verdicts[v->exit_status]);
	json_text("reason", v->reason);
	printf(",\"source\":\"%s\",\"column\":\"%s\","
	       "\"big_endian\":%s,\"anchored\":%s,\"entries\":%llu,\"violations\":%llu,"
	       "\"bare_violations\":%llu,"
	       "\"waiting\":%llu,\"absent\":%llu,\"batches\":%llu,\"boot_aggregates\":%llu,"
	       "\"not_proved\":%llu,\"base\":\"%s\",\"pcrs\":[",
	       log_source_name(v->input->source), assay_hash_name(v->input->form.column),
	       v->input->form.big ? "true" : "false", s->absent ? "true" : "false", U(s->entries),
	       U(s->violations), U(s->bare_violations), U(s->waiting), U(s->absent), U(s->batches),
	       U(s->boot_aggregates), U(s->uncovered),
	       !s->base_set	 ? "initial"
	       : s->base_vouched ? "vouched"
				 : "not-vouched");
	json_pcrs(v);
	putchar(']');
	if (!v->found.error && v->o->claims.n)
		json_boot(&v->found.boot);
	if (!v->segments)
		json_history(&v->found.history);
	for (size_t i = 0; v->segments && i < v->list->n; i++) {
		if (i == 0)
			fputs(",\"segments\":[", stdout);
		json_segment(v, i);
		if (i + 1 == v->list->n)
			putchar(']');
	}
	if (v->found.error)
		json_error(v);
	puts("}");
}
