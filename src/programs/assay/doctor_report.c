/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The findings: kept, counted, printed. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/macros.h"
#include "programs/assay/cmd.h"
#include "programs/assay/doctor.h"

#define FORMAT	  1 /* of the JSON: docs/formats/doctor.md */
#define TEXT_MAX  2048
#define WIDTH_MAX 96
#define INDENT	  10

static const char *state_word(enum doctor_state state)
{
	static const char *const words[] = {
#define X(id, word) [DOCTOR_##id] = (word),
		DOCTOR_STATE_LIST(X)
#undef X
	};

	return words[state];
}

static const char *area_word(enum doctor_area area)
{
	static const char *const words[] = {
#define X(id, word) [DOCTOR_##id] = (word),
		DOCTOR_AREA_LIST(X)
#undef X
	};

	return words[area];
}

/* ---- keeping -------------------------------------------------------------------------------- */

/* Names of others end on an administrator's terminal, and in JSON. */
static char *printable(const char *text)
{
	char *copy = text ? malloc(4 * strlen(text) + 1) : NULL;
	size_t n = 0;

	for (; copy && *text; text++) {
		if (*text >= 0x20 && *text < 0x7f)
			copy[n++] = *text;
		else
			n += (size_t)snprintf(copy + n, 5, "\\x%02x", (uint8_t)*text);
	}
	if (copy)
		copy[n] = '\0';
	return copy;
}

static struct doctor_finding *make_room(struct doctor_report *r)
{
	struct doctor_finding *more;

	if (r->n % 64 == 0) {
		more = reallocarray(r->finding, r->n + 64, sizeof(*more));
		if (!more)
			return NULL;
		r->finding = more;
	}
	return &r->finding[r->n];
}

struct doctor_finding *doctor_add(struct doctor *d, const struct doctor_advice *advice,
				  const char *fmt, ...)
{
	struct doctor_finding *f = make_room(&d->report);
	char text[TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!f) {
		d->report.lost = true;
		return NULL;
	}
	*f = (struct doctor_finding){ .advice = *advice, .area = d->area };
	f->advice.needed |= advice->state == DOCTOR_BAD;
	f->advice.subject = printable(advice->subject);
	f->found = printable(text);
	d->report.n++;
	if (f->advice.subject && f->found)
		return f;
	d->report.lost = true;
	return NULL;
}

void doctor_unseen(struct doctor *d, const char *check, const char *subject, bool needed,
		   const char *path, int error)
{
	struct doctor_advice advice = {
		.state = DOCTOR_UNSEEN,
		.check = check,
		.subject = subject,
		.needed = needed,
		.todo = d->is_root ? NULL : "Run it as root.",
	};

	doctor_add(d, &advice, "cannot look at '%s': %s", path, strerror(error));
}

void doctor_facts(struct doctor_finding *f, json_t *facts)
{
	if (f)
		f->facts = facts;
	else
		json_decref(facts);
}

void doctor_report_done(struct doctor_report *r)
{
	for (size_t i = 0; i < r->n; i++) {
		free((char *)(uintptr_t)r->finding[i].advice.subject);
		free(r->finding[i].found);
		json_decref(r->finding[i].facts);
	}
	free(r->finding);
	*r = (struct doctor_report){ 0 };
}

/* ---- judging -------------------------------------------------------------------------------- */

size_t doctor_count(const struct doctor_report *r, enum doctor_state state)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++)
		n += r->finding[i].advice.state == state;
	return n;
}

int doctor_verdict(const struct doctor_report *r)
{
	int status = r->lost ? EXIT_TROUBLE : EXIT_YES;

	for (size_t i = 0; i < r->n; i++) {
		const struct doctor_advice *a = &r->finding[i].advice;

		if (a->state == DOCTOR_BAD)
			return EXIT_NO;
		if (a->state == DOCTOR_UNSEEN && a->needed)
			status = EXIT_TROUBLE;
	}
	return status;
}

static const char *verdict_word(int status)
{
	return status == EXIT_YES ? "clear" : status == EXIT_NO ? "blocked" : "unknown";
}

/* ---- text ----------------------------------------------------------------------------------- */

/* @text from column @at on, its further lines indented. */
static void print_wrapped(size_t width, size_t at, const char *text)
{
	for (bool first = true; *text; first = false) {
		size_t len = strcspn(text, " ");

		if (!first && at + 1 + len > width) {
			printf("\n%*s", INDENT, "");
			at = INDENT;
		} else if (!first) {
			putchar(' ');
			at++;
		}
		printf("%.*s", (int)len, text);
		at += len;
		text += len;
		text += strspn(text, " ");
	}
	putchar('\n');
}

static void print_head(size_t width, const struct doctor_finding *f, const char *area)
{
	int n = printf("  %-7s %s%s%s: ", state_word(f->advice.state), area, *area ? ", " : "",
		       f->advice.subject);

	print_wrapped(width, n < 0 ? 0 : (size_t)n, f->found);
}

static void print_sentence(size_t width, const char *before, const char *text)
{
	if (!text)
		return;
	print_wrapped(width, (size_t)printf("%*s%s", INDENT, "", before), text);
}

static void print_area(size_t width, const struct doctor_report *r, enum doctor_area area)
{
	puts(area_word(area));
	for (size_t i = 0; i < r->n; i++) {
		const struct doctor_finding *f = &r->finding[i];

		if (f->area != area)
			continue;
		print_head(width, f, "");
		print_sentence(width, "", f->advice.means);
		print_sentence(width, "Do: ", f->advice.todo);
	}
	puts("");
}

/* Lines are broken for people alone: what goes into a pipe is for grep(1). */
static size_t find_width(void)
{
	struct winsize w;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) < 0 || w.ws_col == 0)
		return SIZE_MAX;
	return w.ws_col < WIDTH_MAX ? w.ws_col : WIDTH_MAX;
}

/* In which order the summary has them: what decides the verdict comes first. */
static int weight(const struct doctor_advice *a)
{
	if (a->state == DOCTOR_BAD)
		return 3;
	if (a->state == DOCTOR_UNSEEN)
		return a->needed ? 2 : 0;
	return a->state == DOCTOR_WARN ? 1 : -1;
}

static void print_counts(const struct doctor_report *r)
{
	printf("summary:");
	for (int s = DOCTOR_STATE_COUNT - 1; s >= 0; s--)
		printf(" %zu %s%s", doctor_count(r, (enum doctor_state)s),
		       state_word((enum doctor_state)s), s ? "," : "\n");
}

void doctor_print(const struct doctor *d)
{
	static const char *const verdicts[] = {
		[EXIT_YES] = "nothing seen stands in the way of policy",
		[EXIT_NO] = "something stands in the way of policy",
		[EXIT_TROUBLE] = "could not see all that decides about policy",
	};
	const struct doctor_report *r = &d->report;
	const char *policy = d->policy_name ? d->policy_name : d->conf.policy;
	size_t width = find_width();

	for (int area = 0; area < DOCTOR_AREA_COUNT; area++)
		print_area(width, r, (enum doctor_area)area);
	print_counts(r);
	for (int w = 3; w >= 0; w--)
		for (size_t i = 0; i < r->n; i++)
			if (weight(&r->finding[i].advice) == w)
				print_head(width, &r->finding[i], area_word(r->finding[i].area));
	printf("verdict: %s '%s'\n", verdicts[doctor_verdict(r)], policy);
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static json_t *finding_json(const struct doctor_finding *f)
{
	const struct doctor_advice *a = &f->advice;

	return json_pack("{s:s, s:s, s:s, s:s, s:b, s:s, s:s?, s:s?, s:O*}", "area",
			 area_word(f->area), "check", a->check, "subject", a->subject, "state",
			 state_word(a->state), "needed", a->needed, "found", f->found, "means",
			 a->means, "do", a->todo, "facts", f->facts);
}

static json_t *counts_json(const struct doctor_report *r)
{
	json_t *counts = json_object();

	for (int s = 0; s < DOCTOR_STATE_COUNT; s++)
		json_object_set_new(counts, state_word((enum doctor_state)s),
				    json_integer(
					    (json_int_t)doctor_count(r, (enum doctor_state)s)));
	return counts;
}

json_t *doctor_json(const struct doctor *d)
{
	const struct doctor_report *r = &d->report;
	char *policy = printable(d->policy_name ? d->policy_name : d->conf.policy);
	json_t *findings = json_array(), *all;

	for (int area = 0; area < DOCTOR_AREA_COUNT; area++)
		for (size_t i = 0; i < r->n; i++)
			if (r->finding[i].area == (enum doctor_area)area)
				json_array_append_new(findings, finding_json(&r->finding[i]));
	all = json_pack("{s:i, s:s, s:b, s:s?, s:s, s:o, s:o}", "format", FORMAT, "version",
			ASSAY_VERSION, "root", d->is_root, "policy", policy, "verdict",
			verdict_word(doctor_verdict(r)), "counts", counts_json(r), "findings",
			findings);
	free(policy);
	return all;
}
