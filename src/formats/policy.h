/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel's IMA policy language: text to rules and back. What the kernel's parser takes is
 * taken, what it refuses is refused, with the place and what is allowed there
 * (Documentation/ABI/testing/ima_policy and security/integrity/ima/ima_policy.c).
 * Knows nothing of events: engine/core/policy.h matches.
 */
#pragma once

#include "base/arena.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/wr.h"
#include "formats/hash.h"

/* id, the kernel's bit, word. "dont_X" is X << 1, on which matching relies. */
#define ASSAY_ACTION_LIST(X)                                                                       \
	X(MEASURE, 0x0001, "measure")                                                              \
	X(DONT_MEASURE, 0x0002, "dont_measure")                                                    \
	X(APPRAISE, 0x0004, "appraise")                                                            \
	X(DONT_APPRAISE, 0x0008, "dont_appraise")                                                  \
	X(AUDIT, 0x0040, "audit")                                                                  \
	X(DONT_AUDIT, 0x0080, "dont_audit")                                                        \
	X(HASH, 0x0100, "hash")                                                                    \
	X(DONT_HASH, 0x0200, "dont_hash")

enum assay_action {
#define X(id, bit, word) ASSAY_ACTION_##id = (bit),
	ASSAY_ACTION_LIST(X)
#undef X
};
#define ASSAY_ACTION_DO_MASK 0x0145u /* measure, appraise, audit, hash */

const char *assay_action_name(uint32_t action); /* "?" if it is not one action */

/*      id, word in a policy (NULL: cannot be written) */
#define ASSAY_HOOK_LIST(X)                                                                         \
	X(NONE, NULL)                                                                              \
	X(FILE_CHECK, "FILE_CHECK")                                                                \
	X(MMAP_CHECK, "MMAP_CHECK")                                                                \
	X(MMAP_CHECK_REQPROT, "MMAP_CHECK_REQPROT")                                                \
	X(BPRM_CHECK, "BPRM_CHECK")                                                                \
	X(CREDS_CHECK, "CREDS_CHECK")                                                              \
	X(POST_SETATTR, NULL)                                                                      \
	X(MODULE_CHECK, "MODULE_CHECK")                                                            \
	X(FIRMWARE_CHECK, "FIRMWARE_CHECK")                                                        \
	X(KEXEC_KERNEL_CHECK, "KEXEC_KERNEL_CHECK")                                                \
	X(KEXEC_INITRAMFS_CHECK, "KEXEC_INITRAMFS_CHECK")                                          \
	X(POLICY_CHECK, "POLICY_CHECK")                                                            \
	X(KEXEC_CMDLINE, "KEXEC_CMDLINE")                                                          \
	X(KEY_CHECK, "KEY_CHECK")                                                                  \
	X(CRITICAL_DATA, "CRITICAL_DATA")                                                          \
	X(SETXATTR_CHECK, "SETXATTR_CHECK")

enum assay_hook {
#define X(id, name) ASSAY_HOOK_##id,
	ASSAY_HOOK_LIST(X)
#undef X
		ASSAY_HOOK_COUNT
};

/* "NONE", "POST_SETATTR" too; "?" out of range */
const char *assay_hook_name(enum assay_hook hook);
/* What func= takes, the old names too (PATH_CHECK, FILE_MMAP). */
bool assay_hook_by_name(struct assay_bytes name, enum assay_hook *ret);

/* Access masks, the kernel's values (include/linux/fs.h). */
enum assay_may {
	ASSAY_MAY_EXEC = 1,
	ASSAY_MAY_WRITE = 2,
	ASSAY_MAY_READ = 4,
	ASSAY_MAY_APPEND = 8,
};

const char *assay_may_name(uint32_t bit); /* NULL if it is not one bit */
bool assay_may_by_name(struct assay_bytes name, uint32_t *ret);

/* What fsuuid= takes: 36 characters; bytes in the order of the text, as in the superblock. */
bool assay_fsuuid_parse(struct assay_bytes in, uint8_t ret[static 16]);

/* Which conditions a rule has. */
enum assay_cond {
	ASSAY_COND_FUNC = 1u << 0,
	ASSAY_COND_MASK = 1u << 1,
	ASSAY_COND_INMASK = 1u << 2, /* with MASK: "^", the mask must contain the bit */
	ASSAY_COND_FSMAGIC = 1u << 3,
	ASSAY_COND_FSNAME = 1u << 4,
	ASSAY_COND_FS_SUBTYPE = 1u << 5,
	ASSAY_COND_FSUUID = 1u << 6,
	ASSAY_COND_UID = 1u << 7, /* either UID or EUID; both keep their value in rule->uid */
	ASSAY_COND_EUID = 1u << 8,
	ASSAY_COND_GID = 1u << 9, /* the same with rule->gid */
	ASSAY_COND_EGID = 1u << 10,
	ASSAY_COND_FOWNER = 1u << 11,
	ASSAY_COND_FGROUP = 1u << 12,
	ASSAY_COND_KEYRINGS = 1u << 13,
	ASSAY_COND_LABEL = 1u << 14,
	ASSAY_COND_LSM = 1u << 15, /* at least one of rule->lsm[] is set */
};

/* Options: what must hold or be done if the rule matches. The flags of all rules that match an
 * event are OR-ed, whatever their action. */
enum assay_opt {
	ASSAY_OPT_PCR = 1u << 0,
	ASSAY_OPT_TEMPLATE = 1u << 1,
	ASSAY_OPT_PERMIT_DIRECTIO = 1u << 2,
	ASSAY_OPT_DIGSIG_REQUIRED = 1u << 3, /* appraise_type=imasig, sigv3 or imasig|modsig */
	ASSAY_OPT_SIGV3_REQUIRED = 1u << 4,
	ASSAY_OPT_MODSIG_ALLOWED = 1u << 5,
	ASSAY_OPT_VERITY_REQUIRED = 1u << 6, /* digest_type=verity */
	ASSAY_OPT_CHECK_BLACKLIST = 1u << 7,
	ASSAY_OPT_ALGOS = 1u << 8,	   /* appraise_algos= */
	ASSAY_OPT_APPRAISE_FLAG = 1u << 9, /* deprecated, kept to be reported, never printed */
};

enum assay_lsm {
	ASSAY_LSM_OBJ_USER,
	ASSAY_LSM_OBJ_ROLE,
	ASSAY_LSM_OBJ_TYPE,
	ASSAY_LSM_SUBJ_USER,
	ASSAY_LSM_SUBJ_ROLE,
	ASSAY_LSM_SUBJ_TYPE,
	ASSAY_LSM_COUNT
};

enum assay_idop { ASSAY_IDOP_EQ, ASSAY_IDOP_GT, ASSAY_IDOP_LT };

struct assay_id_cond {
	uint32_t id;
	enum assay_idop op;
};

#define ASSAY_POLICY_SIZE_MAX  (1u << 20) /* bytes of text; the kernel's own limit is per write */
#define ASSAY_POLICY_RULES_MAX 16384u
#define ASSAY_POLICY_ITEMS_MAX 64u /* of one keyrings= or label= list */

/* One rule. Bytes point into the policy's arena and end in NUL there. */
struct assay_rule {
	uint32_t line; /* 1-based, of the text that it came from */
	uint32_t action;
	uint32_t conds, opts;
	enum assay_hook func; /* NONE: any */
	uint32_t mask;	      /* one ASSAY_MAY_ bit */
	uint64_t fsmagic;
	struct assay_id_cond uid, gid, fowner, fgroup; /* up to here one cache line: matching */
	struct assay_bytes fsname, fs_subtype;
	uint8_t fsuuid[16];
	struct assay_bytes *items; /* keyrings= or label= */
	uint32_t n_items;
	struct assay_bytes lsm[ASSAY_LSM_COUNT]; /* len 0: not given */
	uint32_t pcr;
	struct assay_bytes template; /* name or format string */
	uint32_t algos;		     /* bit per enum assay_hash */
};

/* The text's meaning. Lives in the arena that it was parsed into; immutable once parsed. */
struct assay_policy_text {
	struct assay_rule *rules;
	uint32_t n_rules;
	bool fail_securely; /* from the built-in of that name; no rule says it */
};

enum assay_policy_warning {
	ASSAY_POLICY_WARN_LSM,		 /* label conditions match nothing until labels are read */
	ASSAY_POLICY_WARN_APPRAISE_FLAG, /* deprecated, without effect */
	ASSAY_POLICY_WARN_TWICE, /* given again where the kernel lets it: the last one counts */
	ASSAY_POLICY_WARN_VERITY_TEMPLATE, /* measure digest_type=verity needs a d-ngv2 template */
};

struct assay_policy_options {
	size_t size; /* sizeof, for later fields */
	/* Called for each warning; may be NULL. */
	void (*warn)(void *ctx, enum assay_policy_warning what, uint32_t line, uint32_t column,
		     const char *text);
	void *warn_ctx;
	/* Name or format of the default template. Rules may name a format string only if it is that
	 * of a built-in template or this one, as in the kernel. Empty: "ima-ng". */
	struct assay_bytes template;
};

/* Bytes of an arena that are enough to parse @text and to compile it (engine/core/policy.h). */
size_t assay_policy_arena_size(struct assay_bytes text);

/*
 * Parses a whole policy. Memory comes from @arena and is not returned on failure.
 * @options may be NULL. On failure @err has line, column, the token, and what is allowed there.
 * A policy without any rule is refused, as in the kernel.
 * Errors: -EINVAL what the kernel refuses, -E2BIG over a limit, -ENOMEM the arena is full.
 */
int assay_policy_parse(struct assay_bytes text, const struct assay_policy_options *options,
		       struct assay_arena *arena, struct assay_policy_text *ret,
		       struct assay_err *err);

/* One rule in the kernel's read-back order, without a line end; and a whole policy. What was
 * printed parses to the same rules, and prints the same. */
void assay_rule_print(const struct assay_rule *rule, struct assay_wr *w);
void assay_policy_print(const struct assay_policy_text *policy, struct assay_wr *w);

/*
 * The kernel's built-in policies, as text that assay_policy_parse() takes: "tcb", "ima_tcb",
 * "appraise_tcb", "secure_boot", "fail_securely" (a comment, there is no rule), "critical_data".
 * NULL: no such. assay_policy_builtin_name(i) is NULL past the last.
 */
const char *assay_policy_builtin(const char *name);
const char *assay_policy_builtin_name(unsigned i);

/*
 * What the kernel does with ima_policy=@names: built-in policies by name, separated by '|', blank
 * or line end, whose rules come in the kernel's order whatever the order of the names. _write()
 * gives the text, with a comment in front for "fail_securely", _parse() the rules, of which there
 * may be none; they have the lines of that text.
 * Memory of these sizes is enough, the arena's to compile too.
 * Errors: -EINVAL an unknown name (column in @names), -ENOMEM.
 */
#define ASSAY_POLICY_BUILTIN_TEXT  4096u
#define ASSAY_POLICY_BUILTIN_ARENA (128u << 10)
int assay_policy_builtin_write(struct assay_bytes names, struct assay_wr *w,
			       bool *ret_fail_securely, struct assay_err *err);
int assay_policy_builtin_parse(struct assay_bytes names, struct assay_arena *arena,
			       struct assay_policy_text *ret, struct assay_err *err);
