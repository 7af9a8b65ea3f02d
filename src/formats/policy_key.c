/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of keys: what may stand in a rule besides its action. */
#include "formats/policy_parser.h"

static const struct assay_policy_key keys[ASSAY_KEY_COUNT] = {
#define X(id, word_, ops_, parse_, again_, conds_, opts_)                                          \
	[ASSAY_KEY_##id] = {                                                                       \
		.word = (word_),                                                                   \
		.ops = (ops_),                                                                     \
		.parse = assay_policy_value_##parse_,                                              \
		.again = ASSAY_AGAIN_##again_,                                                     \
		.conds = (conds_),                                                                 \
		.opts = (opts_),                                                                   \
	},
	ASSAY_POLICY_KEY_LIST(X)
#undef X
};

const struct assay_policy_key *assay_policy_key(enum assay_policy_key_id id)
{
	return &keys[id];
}

enum assay_policy_key_id assay_policy_key_id(const struct assay_policy_key *key)
{
	return (enum assay_policy_key_id)(key - keys);
}

const struct assay_policy_key *assay_policy_key_find(struct assay_bytes word)
{
	for (unsigned i = 0; i < ASSAY_KEY_COUNT; i++)
		if (assay_bytes_is(word, keys[i].word))
			return &keys[i];
	return NULL;
}
