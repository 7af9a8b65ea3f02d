/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the subcommands of "assay log" share: lists of any form opened as one, PCR values from the
 * command line and from files, and a walk over a list that uses several threads.
 */
#pragma once

#include <stdatomic.h>

#include "base/err.h"
#include "base/file.h"
#include "engine/checker.h"
#include "engine/verify.h"
#include "formats/segment.h"
#include "programs/assay/options.h"

extern const struct command cmd_log;
extern const struct option_row log_export_rows[], log_show_rows[], log_stat_rows[],
	log_verify_rows[];

/* The subcommands, in cmd_log_NAME.c. */
int cmd_log_show(int argc, char **argv);
int cmd_log_verify(int argc, char **argv);
int cmd_log_stat(int argc, char **argv);
int cmd_log_export(int argc, char **argv);

struct log_list;

/* "[OPTION]... FILE..." of subcommand @name, whose options @rows take into @options, which @run
 * gets;
 * @run returns the exit status. */
int log_run_on_list(const char *name, const struct option_row *rows, void *options, int argc,
		    char **argv,
		    int (*run)(const struct log_list *list, const void *options,
			       const struct assay_crypto *crypto));

/* ---- the list: log_input.c ------------------------------------------------------------------ */

enum log_source { LOG_BINARY, LOG_ASCII, LOG_SEGMENT };

struct log_input {
	struct assay_file file;
	uint8_t *converted;	 /* from ascii; else NULL */
	struct assay_bytes list; /* binary records, in file or converted */
	uint64_t offset;	 /* of the list in the file */
	struct assay_list_form form;
	enum log_source source;
	struct assay_segment_head *head; /* of a segment; else NULL */
};

/* "-" is standard input. Errors: as the parsers, errno of the file calls. */
int log_input_open(const char *path, const struct assay_crypto *crypto, struct log_input *ret,
		   struct assay_err *err);
void log_input_done(struct log_input *in);

static inline void assay_auto_log_input(struct log_input *in)
{
	log_input_done(in);
}

const char *log_source_name(enum log_source source);

/* The next record and its fields. Offsets in @err count from the start of the file. */
int log_input_next(const struct log_input *in, struct assay_rd *at, struct assay_checker *checker,
		   struct assay_record *ret, struct assay_template_data *ret_cut,
		   struct assay_err *err);

/* ---- a list of several segments: log_list.c ------------------------------------------------- */

struct log_part {
	char *path;
	struct log_input input;
};

struct log_list {
	struct log_part *part;
	size_t n;
	bool chain; /* several files, or a folder: all are segments */
};

/* Opens all of @paths; a folder stands for the segments in it, by their numbers. Tells what is
 * wrong in the name of @command, and returns an exit status. Release with log_list_done(). */
int log_list_open(const char *command, char *const paths[], int n,
		  const struct assay_crypto *crypto, struct log_list *ret);
void log_list_done(struct log_list *l);

/* The list is to begin with segment *@first, or, if that is 0, with the first: it becomes 1. A file
 * alone may be any segment, unless it is said which. @command is for messages; an exit status. */
int log_list_begin(const char *command, struct log_list *l, uint64_t *first);
/* The number of a segment, as an option has it. */
int log_first_parse(const char *text, uint64_t *ret, struct assay_err *err);

static inline void assay_auto_log_list(struct log_list *l)
{
	log_list_done(l);
}

/* ---- PCR values: log_pcrs.c, log_tpm.c --------------------------------------------------------
 */

struct log_claims {
	struct assay_pcr_claim claim[ASSAY_CLAIMS_MAX];
	bool named[ASSAY_CLAIMS_MAX]; /* by --pcr: must be reached */
	size_t n;
};

/* Errors: -EBADMSG another value of that PCR is there, -E2BIG. */
int log_claims_add_value(struct log_claims *c, bool named, const struct assay_pcr_claim *claim,
			 struct assay_err *err);
/* BANK:INDEX:HEX */
int log_claims_add(struct log_claims *c, const char *text, struct assay_err *err);
/* Lines "BANK INDEX HEX", or what tpm2_pcrread prints; @err has the line. */
int log_claims_parse(struct log_claims *c, struct assay_bytes text, struct assay_err *err);
/* The same of a file, in which there must be a value. */
int log_claims_read(struct log_claims *c, const char *path, struct assay_err *err);
/* All PCRs of a TPM that its banks have. */
int log_claims_tpm(struct log_claims *c, const char *tcti, struct assay_err *err);

/* ---- a walk over all records: log_walk.c ---------------------------------------------------- */

struct log_walk {
	struct assay_bytes list;
	const struct assay_checker *checker;
	unsigned jobs; /* threads, this one included; at least 1 */
	/* Borrowed, may be NULL. While it is set, what a record would extend is not computed ahead:
	 * for lists whose records wait for others. */
	const atomic_bool *waiting;
	/* In list order, in the caller's thread. 0, or an error that ends the walk. */
	int (*record)(void *ctx, const struct assay_record *record, uint64_t offset,
		      struct assay_record_digests *digests, struct assay_err *err);
	void *ctx;
};

/* Errors: of a record that cannot be read or is not what its digest says, with the entry's number;
 * those before it were given to record(). */
int log_walk_run(const struct log_walk *walk, struct assay_err *err);

unsigned log_walk_cpus(void);

/* ---- output: log_print.c -------------------------------------------------------------------- */

/* A buffer that grows: room for @len bytes more, or the program ends. */
struct log_text {
	struct assay_wr w;
};
void log_text_reserve(struct log_text *t, size_t len);
void log_text_flush(struct log_text *t); /* to stdout */
void log_text_done(struct log_text *t);

void log_text_record(struct log_text *t, const struct assay_record *record,
		     const struct assay_template_data *cut, bool big);

/* What a record is about: its name, escaped, at most 200 bytes and "..." */
void log_name_print(const struct assay_template_data *cut, char to[static 256]);

/* A JSON string with its quotes, of text that is escaped as assay_ascii_escape() does. */
void log_json_string(struct assay_wr *w, struct assay_bytes text);
/* The same of any text, a path or a message, which is escaped here; makes room for it. */
void log_json_text(struct log_text *t, const char *text);
void log_json_print(const char *text); /* on stdout */
