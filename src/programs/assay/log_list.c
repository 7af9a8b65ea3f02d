/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The files of one list: a single one of any form, or segments, each after the one it names. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "backends/list_file/list_file.h"
#include "base/num.h"
#include "engine/chain.h"
#include "programs/assay/cmd.h"
#include "programs/assay/log.h"

static int out_of_memory(const char *command)
{
	struct assay_err err;

	assay_err_set(&err, -ENOMEM, "out of memory");
	return assay_cmd_fail(command, NULL, &err);
}

/* Takes @path, which may be NULL: no memory for it. */
static int add_file(const char *command, char *path, const struct assay_crypto *crypto,
		    struct log_list *l)
{
	struct log_part *more = path ? realloc(l->part, (l->n + 1) * sizeof(*more)) : NULL;
	struct assay_err err;

	if (!more) {
		free(path);
		return out_of_memory(command);
	}
	l->part = more;
	l->part[l->n] = (struct log_part){ .path = path };
	if (l->n == ASSAY_CHAIN_MAX) {
		free(path);
		assay_err_set(&err, -E2BIG, "more than %u segments", ASSAY_CHAIN_MAX);
		return assay_cmd_fail(command, NULL, &err);
	}
	l->n++;
	if (log_input_open(path, crypto, &l->part[l->n - 1].input, &err) < 0)
		return assay_cmd_fail(command, path, &err);
	return 0;
}

static int is_segment(const struct dirent *entry)
{
	uint64_t number;

	return assay_list_file_is_segment(entry->d_name, &number);
}

static int by_number(const struct dirent **a, const struct dirent **b)
{
	uint64_t x = 0, y = 0;

	(void)assay_list_file_is_segment((*a)->d_name, &x);
	(void)assay_list_file_is_segment((*b)->d_name, &y);
	return x < y ? -1 : x > y;
}

static int add_folder(const char *command, const char *path, const struct assay_crypto *crypto,
		      struct log_list *l)
{
	struct dirent **found = NULL;
	int n = scandir(path, &found, is_segment, by_number), r = 0;
	struct assay_err err;

	if (n < 0)
		assay_err_set(&err, -errno, "cannot read '%s': %s", path, strerror(errno));
	else if (n == 0)
		assay_err_set(&err, -ENOENT, "there is no segment in '%s'", path);
	if (n <= 0) {
		free(found);
		return assay_cmd_fail(command, NULL, &err);
	}
	for (int i = 0; i < n; i++) {
		char *file = NULL;

		if (r == 0 && asprintf(&file, "%s/%s", path, found[i]->d_name) < 0)
			file = NULL;
		if (r == 0)
			r = add_file(command, file, crypto, l);
		free(found[i]);
	}
	free(found);
	return r;
}

/* Segments of other lists are told by what their heads say; other forms of a list have no head. */
static int need_segments(const char *command, const struct log_list *l)
{
	struct assay_err err;

	for (size_t i = 0; i < l->n; i++) {
		if (l->part[i].input.head)
			continue;
		assay_err_set(&err, -EOPNOTSUPP,
			      "not a segment file: only segments make a list together");
		return assay_cmd_fail(command, l->part[i].path, &err);
	}
	return 0;
}

int log_list_open(const char *command, char *const paths[], int n,
		  const struct assay_crypto *crypto, struct log_list *ret)
{
	__attribute__((cleanup(assay_auto_log_list))) struct log_list l = { .chain = n > 1 };
	struct stat st;
	int r = 0;

	for (int i = 0; r == 0 && i < n; i++) {
		if (stat(paths[i], &st) == 0 && S_ISDIR(st.st_mode)) {
			l.chain = true;
			r = add_folder(command, paths[i], crypto, &l);
		} else {
			r = add_file(command, strdup(paths[i]), crypto, &l);
		}
	}
	if (r == 0 && l.chain)
		r = need_segments(command, &l);
	if (r)
		return r;
	*ret = l;
	l = (struct log_list){ 0 };
	return 0;
}

void log_list_done(struct log_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		log_input_done(&l->part[i].input);
		free(l->part[i].path);
	}
	free(l->part);
	*l = (struct log_list){ 0 };
}

int log_list_begin(const char *command, struct log_list *l, uint64_t *first)
{
	if (*first && !l->part[0].input.head)
		return assay_cmd_usage(command, "--first: '%s' is no segment", l->part[0].path);
	l->chain |= *first > 0;
	*first += *first == 0;
	return 0;
}

int log_first_parse(const char *text, uint64_t *ret, struct assay_err *err)
{
	if (assay_num_parse(assay_bytes_str(text), 10, UINT64_MAX, ret) == 0 && *ret > 0)
		return 0;
	return assay_err_set(err, -EINVAL, "'%s' is no number of a segment (1, 2 and so on)", text);
}
