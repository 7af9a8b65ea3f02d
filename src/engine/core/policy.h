/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A compiled policy, and what it says about one event. Rules are indexed by hook and filesystem
 * when the policy is compiled; their order keeps its meaning: for each action pair (measure,
 * appraise, audit, hash) the first rule that matches decides (ima_match_policy()).
 * Freestanding: memory from an arena, no libc but memory functions.
 */
#pragma once

#include "base/arena.h"
#include "base/bytes.h"
#include "formats/policy.h"

/* Groups of facts about an event. A source gathers what the policy needs for a hook in one go. */
enum assay_fact {
	ASSAY_FACT_SUBJECT = 1u << 0, /* uids, gids, capabilities */
	ASSAY_FACT_FS = 1u << 1,      /* magic, name, subtype, uuid */
	ASSAY_FACT_OWNER = 1u << 2,   /* fowner, fgroup, mode */
	ASSAY_FACT_PATH = 1u << 3,
	ASSAY_FACT_DIGEST = 1u << 4,  /* of the content, in facts->digest_alg */
	ASSAY_FACT_VERITY = 1u << 5,  /* fs-verity digest */
	ASSAY_FACT_XATTRS = 1u << 6,  /* security.ima, security.evm and the rest */
	ASSAY_FACT_MODSIG = 1u << 7,  /* appended signature, cut off the file */
	ASSAY_FACT_LABELS = 1u << 8,  /* of the LSM, subject and object */
	ASSAY_FACT_LISTS = 1u << 9,   /* digest lists that hold the file */
	ASSAY_FACT_BUFFER = 1u << 10, /* keys and critical data */
};

struct assay_subject {
	uint32_t uid, euid, suid, gid, egid, sgid;
	bool cap_setuid, cap_setgid; /* effective; widen euid= and egid= as the kernel does */
};

struct assay_fs_facts {
	uint64_t magic;
	struct assay_bytes name, subtype; /* subtype len 0: none */
	uint8_t uuid[16];
};

/* What policy matching looks at. */
struct assay_match_facts {
	enum assay_hook hook;
	uint32_t mask; /* ASSAY_MAY_ bits of the request */
	struct assay_subject subject;
	struct assay_fs_facts fs;
	uint32_t fowner, fgroup;
	struct assay_bytes label; /* KEY_CHECK: keyring; CRITICAL_DATA: label */
	bool any_subject; /* eager: what would be done for somebody (see assay_policy_match) */
	/* It cannot be seen: as any_subject, but what would be done for somebody is done, though
	 * others may get something else. No subject is ever assumed. */
	bool unseen_subject;
};

#define ASSAY_NO_RULE UINT32_MAX

/* What the policy says. */
struct assay_match {
	uint32_t actions;	     /* ASSAY_ACTION_ "do" bits */
	uint32_t opts;		     /* ASSAY_OPT_ flags of all rules that matched, OR-ed */
	uint32_t pcr;		     /* valid with ASSAY_OPT_PCR */
	struct assay_bytes template; /* len 0: the default */
	uint32_t algos;		     /* valid with ASSAY_OPT_ALGOS */
	/* Index of the rule that decided each pair, do or dont, or ASSAY_NO_RULE. */
	uint32_t rule_measure, rule_appraise, rule_audit, rule_hash;
	/* A condition on the subject (uid, gid, euid, egid), or on the mask, was looked at in a
	 * rule whose conditions on the object hold: the result may not hold for another opener, or
	 * another mask, of the same file. Never false when it should be true. */
	bool by_subject;
	bool by_mask;
	uint32_t pairs_by_mask; /* do bits of the pairs in which the mask was looked at */
};

struct assay_policy; /* compiled, immutable */

/*
 * The rules of @text are borrowed for the policy's life (the struct itself is copied); the rest is
 * in @arena. Errors: -ENOMEM.
 */
int assay_policy_compile(const struct assay_policy_text *text, struct assay_arena *arena,
			 const struct assay_policy **ret);

/*
 * The decision for an event, as ima_match_policy() makes it. Rules that name another hook or file
 * system cost nothing.
 *
 * any_subject: what would be done for somebody. Conditions on the subject hold for a "do" rule and
 * fail for a "dont" rule; subject facts are not looked at. If by_subject is false then, the result
 * holds for everybody, that is, for every subject s with the exact result E(s):
 *   measure and audit happen at least where E(s) has them; appraise and hash are as in E(s);
 *   opts, pcr, template and algos are as in E(s).
 * Why: the first rule of a pair that matches for s is a do rule R. A rule before R in that pair
 * does not match for s, so that if it is a dont rule it fails here too (its object conditions fail,
 * or it has subject conditions); so R, or a do rule before it, decides here. by_subject is set
 * whenever that difference could show: a subject condition in the pair of appraise or hash, or
 * options on a rule that holds for some subjects only. If it is set, ask again without any_subject.
 * unseen_subject: the same, but nobody is left to ask again for: whoever it is, nothing is lost.
 *
 * POST_SETATTR ignores func and mask; only appraise and hash mean something there. KEY_CHECK and
 * CRITICAL_DATA match rules of their own hook alone, by uid and by keyring or label.
 */
void assay_policy_match(const struct assay_policy *p, const struct assay_match_facts *facts,
			struct assay_match *ret);

/* The same by the plain walk over the rules, the meaning that the index must keep (tests). */
void assay_policy_match_walk(const struct assay_policy *p, const struct assay_match_facts *facts,
			     struct assay_match *ret);

/* The facts (ASSAY_FACT_ mask) that some rule needs for @hook, so that a source gathers them all:
 * conditions and what the actions will take. What the default template takes is not in it. 0: no
 * rule with a do action can match. */
uint32_t assay_policy_needs(const struct assay_policy *p, enum assay_hook hook);

/* Could any rule with a do action match anything on this filesystem? (Which to mark.) */
bool assay_policy_wants_fs(const struct assay_policy *p, const struct assay_fs_facts *fs);

/* Rules, in order, for messages. */
const struct assay_policy_text *assay_policy_text(const struct assay_policy *p);

/* For "explain": the first condition of @rule that does not hold (one ASSAY_COND_ bit), in the
 * kernel's order; 0 if the rule matches. Whether its pair is still open is not looked at. */
uint32_t assay_rule_first_mismatch(const struct assay_rule *rule,
				   const struct assay_match_facts *facts);
