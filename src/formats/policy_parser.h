/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of the policy parser share, and nobody else includes: tokens with their place, the
 * table of keys, and the state of the rule that is being read.
 */
#pragma once

#include "base/rd.h"
#include "formats/policy.h"

/* ---- tokens (policy_lex.c) ------------------------------------------------------------------ */

struct assay_policy_lex {
	struct assay_rd text, rest; /* what is left of the text, and of the line */
	const uint8_t *line_start;
	uint32_t line; /* 1-based; 0 before the first */
};

/* "func=FILE_CHECK": word "func", op '=', value "FILE_CHECK"; "measure": op 0, no value. */
struct assay_policy_token {
	struct assay_bytes whole, word, value;
	uint32_t column, value_column;
	char op;
};

void assay_policy_lex_init(struct assay_policy_lex *lex, struct assay_bytes text);
/* Goes to the next line that has a rule; false at the end. */
bool assay_policy_lex_line(struct assay_policy_lex *lex);
/* The next token of the line; false at its end or at a comment. */
bool assay_policy_lex_token(struct assay_policy_lex *lex, struct assay_policy_token *ret);

/* ---- keys (policy_key.c) -------------------------------------------------------------------- */

struct assay_policy_parser;
struct assay_policy_key;

typedef int assay_policy_value_fn(struct assay_policy_parser *p, const struct assay_policy_key *key,
				  const struct assay_policy_token *t);

/* What happens when a key is given a second time, as the kernel has it. */
enum assay_policy_again {
	ASSAY_AGAIN_REFUSED,
	ASSAY_AGAIN_IF_ZERO, /* refused unless the first value was zero */
	ASSAY_AGAIN_LAST,    /* the last one counts; worth a warning */
	ASSAY_AGAIN_SAME,    /* nothing is lost by it */
};

/*
 *   id, word, operators, value parser, again, conditions and options that it may set (their
 *   presence also says that the key or its twin was given; legality is checked by them)
 */
#define ASSAY_POLICY_KEY_LIST(X)                                                                   \
	X(FUNC, "func", "=", func, REFUSED, ASSAY_COND_FUNC, 0)                                    \
	X(MASK, "mask", "=", mask, REFUSED, ASSAY_COND_MASK | ASSAY_COND_INMASK, 0)                \
	X(FSMAGIC, "fsmagic", "=", fsmagic, IF_ZERO, ASSAY_COND_FSMAGIC, 0)                        \
	X(FSNAME, "fsname", "=", fsname, LAST, ASSAY_COND_FSNAME, 0)                               \
	X(FS_SUBTYPE, "fs_subtype", "=", fs_subtype, REFUSED, ASSAY_COND_FS_SUBTYPE, 0)            \
	X(FSUUID, "fsuuid", "=", fsuuid, IF_ZERO, ASSAY_COND_FSUUID, 0)                            \
	X(UID, "uid", "=><", id, REFUSED, ASSAY_COND_UID, 0)                                       \
	X(EUID, "euid", "=><", id, REFUSED, ASSAY_COND_EUID, 0)                                    \
	X(GID, "gid", "=><", id, REFUSED, ASSAY_COND_GID, 0)                                       \
	X(EGID, "egid", "=><", id, REFUSED, ASSAY_COND_EGID, 0)                                    \
	X(FOWNER, "fowner", "=><", id, REFUSED, ASSAY_COND_FOWNER, 0)                              \
	X(FGROUP, "fgroup", "=><", id, REFUSED, ASSAY_COND_FGROUP, 0)                              \
	X(KEYRINGS, "keyrings", "=", items, REFUSED, ASSAY_COND_KEYRINGS, 0)                       \
	X(LABEL, "label", "=", items, REFUSED, ASSAY_COND_LABEL, 0)                                \
	X(OBJ_USER, "obj_user", "=", lsm, REFUSED, ASSAY_COND_LSM, 0)                              \
	X(OBJ_ROLE, "obj_role", "=", lsm, REFUSED, ASSAY_COND_LSM, 0)                              \
	X(OBJ_TYPE, "obj_type", "=", lsm, REFUSED, ASSAY_COND_LSM, 0)                              \
	X(SUBJ_USER, "subj_user", "=", lsm, REFUSED, ASSAY_COND_LSM, 0)                            \
	X(SUBJ_ROLE, "subj_role", "=", lsm, REFUSED, ASSAY_COND_LSM, 0)                            \
	X(SUBJ_TYPE, "subj_type", "=", lsm, REFUSED, ASSAY_COND_LSM, 0)                            \
	X(PCR, "pcr", "=", pcr, LAST, 0, ASSAY_OPT_PCR)                                            \
	X(TEMPLATE, "template", "=", template, REFUSED, 0, ASSAY_OPT_TEMPLATE)                     \
	X(APPRAISE_TYPE, "appraise_type", "=", appraise_type, LAST, 0, ASSAY_POLICY_OPTS_SIGNED)   \
	X(APPRAISE_ALGOS, "appraise_algos", "=", algos, REFUSED, 0, ASSAY_OPT_ALGOS)               \
	X(APPRAISE_FLAG, "appraise_flag", "=", appraise_flag, SAME, 0, ASSAY_OPT_APPRAISE_FLAG)    \
	X(DIGEST_TYPE, "digest_type", "=", digest_type, SAME, 0, ASSAY_OPT_VERITY_REQUIRED)        \
	X(PERMIT_DIRECTIO, "permit_directio", "", permit_directio, SAME, 0,                        \
	  ASSAY_OPT_PERMIT_DIRECTIO)

/* What appraise_type= sets. */
#define ASSAY_POLICY_OPTS_SIGNED                                                                   \
	(ASSAY_OPT_DIGSIG_REQUIRED | ASSAY_OPT_SIGV3_REQUIRED | ASSAY_OPT_MODSIG_ALLOWED |         \
	 ASSAY_OPT_CHECK_BLACKLIST)

enum assay_policy_key_id {
#define X(id, word, ops, parse, again, conds, opts) ASSAY_KEY_##id,
	ASSAY_POLICY_KEY_LIST(X)
#undef X
		ASSAY_KEY_COUNT
};

struct assay_policy_key {
	const char *word, *ops;
	assay_policy_value_fn *parse;
	enum assay_policy_again again;
	uint32_t conds, opts;
};

/* NULL: no such word. */
const struct assay_policy_key *assay_policy_key_find(struct assay_bytes word);
const struct assay_policy_key *assay_policy_key(enum assay_policy_key_id id);
enum assay_policy_key_id assay_policy_key_id(const struct assay_policy_key *key);

/* ---- the rule that is being read (policy_parse.c) ------------------------------------------- */

struct assay_policy_parser {
	struct assay_policy_lex lex;
	struct assay_policy_options options;
	struct assay_arena *arena;
	struct assay_err *err;
	struct assay_rule *rule;
	uint32_t first_column, action_column;
	uint32_t column[ASSAY_KEY_COUNT]; /* where a key stands; 0: not given */
};

void assay_policy_warn(struct assay_policy_parser *p, enum assay_policy_warning what,
		       uint32_t column, const char *text);
/* A copy in the arena, with a NUL behind it. Errors: -ENOMEM. */
int assay_policy_copy(struct assay_policy_parser *p, struct assay_bytes from,
		      struct assay_bytes *ret);

/* ---- value parsers (policy_value.c, policy_option.c) ---------------------------------------- */

#define X(id, word, ops, parse, again, conds, opts)                                                \
	assay_policy_value_fn assay_policy_value_##parse;
ASSAY_POLICY_KEY_LIST(X)
#undef X

/* "'x' is not ...; allowed: ..." at the value. Returns -EINVAL. */
int assay_policy_bad_value(struct assay_policy_parser *p, const struct assay_policy_key *key,
			   const struct assay_policy_token *t, const char *allowed);

/* ---- legality (policy_check.c) -------------------------------------------------------------- */

/* Is the whole rule one that the kernel takes? */
int assay_policy_check_rule(struct assay_policy_parser *p);
/* The keys that may still be given in this rule, for a message. Always terminated. */
void assay_policy_allowed(const struct assay_policy_parser *p, char *buf, size_t size);

/* ---- names (policy_name.c) ------------------------------------------------------------------ */

bool assay_action_by_name(struct assay_bytes name, uint32_t *ret);
