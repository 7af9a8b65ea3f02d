/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "assay log stat": what is in a list, in numbers. Checks forms, computes no digest. */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "formats/batch.h"
#include "programs/assay/cmd.h"
#include "programs/assay/log.h"

#define NAME	      "log stat"
#define TEMPLATES_MAX 64u /* names that are told apart; more are counted together */
#define PCRS	      (ASSAY_RECORD_PCR_MAX + 1)

struct template_count {
	char name[ASSAY_TEMPLATE_NAME_MAX + 1];
	uint64_t n;
};

struct stat_counts {
	uint64_t entries, violations, batches, covered, boot_aggregates, states;
	uint64_t pcr[PCRS];
	uint32_t n_templates;
	struct template_count template[TEMPLATES_MAX + 1]; /* the last: all others */
};

static void count_template(struct stat_counts *c, struct assay_bytes name)
{
	uint32_t i = 0;

	while (i < c->n_templates && !assay_bytes_is(name, c->template[i].name))
		i++;
	if (i == c->n_templates && i < TEMPLATES_MAX) {
		memcpy(c->template[i].name, name.data, name.len);
		c->n_templates++;
	} else if (i == TEMPLATES_MAX) {
		memcpy(c->template[i].name, "(others)", sizeof("(others)"));
	}
	c->template[i].n++;
}

static void count_buffer(struct stat_counts *c, struct assay_bytes name, struct assay_bytes buf)
{
	struct assay_batch b;

	if (assay_bytes_is(name, ASSAY_STATE_NAME) && assay_state_is(buf))
		c->states++;
	if (!assay_bytes_is(name, ASSAY_BATCH_NAME) || assay_batch_parse(buf, &b, NULL) < 0)
		return;
	c->batches++;
	c->covered += b.count;
}

static void count_record(struct stat_counts *c, const struct assay_record *record,
			 const struct assay_template_data *cut)
{
	struct assay_bytes name =
		cut->template.n_fields > 1 ? assay_field_text(cut->field[1]) : assay_bytes(NULL, 0);

	c->entries++;
	c->violations += record->violation;
	c->pcr[record->pcr]++;
	c->boot_aggregates += assay_bytes_is(name, "boot_aggregate");
	count_template(c, record->template_name);
	if (assay_bytes_is(record->template_name, "ima-buf"))
		count_buffer(c, name, assay_template_field(cut, ASSAY_FIELD_BUF));
}

static int count_all(const struct log_input *in, struct assay_checker *checker,
		     struct stat_counts *c, struct assay_err *err)
{
	struct assay_rd at = assay_rd(in->list);

	while (!assay_rd_end(&at)) {
		struct assay_template_data cut;
		struct assay_record record;
		int r = log_input_next(in, &at, checker, &record, &cut, err);

		if (r < 0)
			return assay_err_prefix(err, "entry %llu", (unsigned long long)c->entries);
		count_record(c, &record, &cut);
	}
	return 0;
}

/* Present, or left out: a batch record stands for what it covers, whichever the form. */
static const char *form_of(const struct stat_counts *c)
{
	if (c->batches == 0)
		return "each";
	return c->covered >= c->entries ? "anchored" : "flat";
}

static void print_text(const struct log_part *part, bool chain, const struct stat_counts *c)
{
	const struct log_input *in = &part->input;

	if (chain)
		printf("segment          %llu, '%s'\n", (unsigned long long)in->head->number,
		       part->path);
	printf("source           %s, %s column, %s-endian\n", log_source_name(in->source),
	       assay_hash_name(in->form.column), in->form.big ? "big" : "little");
	printf("bytes            %zu\n", in->list.len);
	printf("entries          %llu\n", (unsigned long long)c->entries);
	for (uint32_t i = 0; i < PCRS; i++)
		if (c->pcr[i])
			printf("  PCR %-10u %llu\n", i, (unsigned long long)c->pcr[i]);
	for (uint32_t i = 0; i <= TEMPLATES_MAX; i++)
		if (c->template[i].n)
			printf("  %-14s %llu\n", c->template[i].name,
			       (unsigned long long)c->template[i].n);
	printf("violations       %llu\n", (unsigned long long)c->violations);
	printf("boot_aggregates  %llu\n", (unsigned long long)c->boot_aggregates);
	printf("state records    %llu\n", (unsigned long long)c->states);
	printf("batch records    %llu, for %llu entries\n", (unsigned long long)c->batches,
	       (unsigned long long)c->covered);
	printf("form             %s\n", form_of(c));
}

static void print_json(const struct log_part *part, bool chain, const struct stat_counts *c)
{
	const struct log_input *in = &part->input;
	const char *comma = "";

	putchar('{');
	if (chain) {
		printf("\"segment\":%llu,\"file\":", (unsigned long long)in->head->number);
		log_json_print(part->path);
		putchar(',');
	}
	printf("\"source\":\"%s\",\"column\":\"%s\",\"big_endian\":%s,\"bytes\":%zu,"
	       "\"entries\":%llu,\"violations\":%llu,\"boot_aggregates\":%llu,\"states\":%llu,"
	       "\"batches\":%llu,\"covered\":%llu,\"form\":\"%s\",\"pcrs\":{",
	       log_source_name(in->source), assay_hash_name(in->form.column),
	       in->form.big ? "true" : "false", in->list.len, (unsigned long long)c->entries,
	       (unsigned long long)c->violations, (unsigned long long)c->boot_aggregates,
	       (unsigned long long)c->states, (unsigned long long)c->batches,
	       (unsigned long long)c->covered, form_of(c));
	for (uint32_t i = 0; i < PCRS; i++) {
		if (c->pcr[i] == 0)
			continue;
		printf("%s\"%u\":%llu", comma, i, (unsigned long long)c->pcr[i]);
		comma = ",";
	}
	fputs("},\"templates\":{", stdout);
	comma = "";
	for (uint32_t i = 0; i <= TEMPLATES_MAX; i++) {
		if (c->template[i].n == 0)
			continue;
		printf("%s\"%s\":%llu", comma, c->template[i].name,
		       (unsigned long long)c->template[i].n);
		comma = ",";
	}
	puts("}}");
}

static int stat_part(const struct log_part *part, bool chain, bool json,
		     const struct assay_crypto *crypto)
{
	struct assay_banks none = { 0 };
	struct assay_checker checker;
	struct stat_counts *c = calloc(1, sizeof(*c));
	struct assay_err err;
	int r;

	if (!c)
		r = assay_err_set(&err, -ENOMEM, "out of memory");
	else if (assay_checker_init(&checker, crypto, &none, &part->input.form, false) < 0)
		r = assay_err_set(&err, -EOPNOTSUPP, "cannot read lists of this column");
	else
		r = count_all(&part->input, &checker, c, &err);
	if (r == 0 && json)
		print_json(part, chain, c);
	else if (r == 0)
		print_text(part, chain, c);
	free(c);
	return r < 0 ? assay_cmd_fail(NAME, part->path, &err) : EXIT_YES;
}

struct options {
	bool json;
};

const struct option_row log_stat_rows[] = {
	{ 'j', "json", NULL, "one JSON object a line", OPTION_FLAG,
	  offsetof(struct options, json) },
	{ 0 },
};

/* Segments one after the other: an object, or a paragraph, each. */
static int stat_list(const struct log_list *list, const void *options,
		     const struct assay_crypto *crypto)
{
	const struct options *o = options;
	int r = EXIT_YES;

	for (size_t i = 0; r == EXIT_YES && i < list->n; i++) {
		if (i > 0 && !o->json)
			puts("");
		r = stat_part(&list->part[i], list->chain, o->json, crypto);
	}
	return r;
}

int cmd_log_stat(int argc, char **argv)
{
	struct options o = { 0 };

	return log_run_on_list(NAME, log_stat_rows, &o, argc, argv, stat_list);
}
