/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Words of the policy language and the numbers behind them. */
#include "base/macros.h"
#include "formats/policy_parser.h"

struct word {
	const char *name;
	uint32_t value;
};

static const struct word actions[] = {
#define X(id, bit, word) { word, bit },
	ASSAY_ACTION_LIST(X)
#undef X
};

static const struct word masks[] = {
	{ "MAY_EXEC", ASSAY_MAY_EXEC },
	{ "MAY_WRITE", ASSAY_MAY_WRITE },
	{ "MAY_READ", ASSAY_MAY_READ },
	{ "MAY_APPEND", ASSAY_MAY_APPEND },
};

static const char *const hooks[] = {
#define X(id, name) name,
	ASSAY_HOOK_LIST(X)
#undef X
};
_Static_assert(ARRAY_LEN(hooks) == ASSAY_HOOK_COUNT, "every hook has a row");

static bool find_word(const struct word *words, size_t n, struct assay_bytes name, uint32_t *ret)
{
	for (size_t i = 0; i < n; i++) {
		if (!assay_bytes_is(name, words[i].name))
			continue;
		*ret = words[i].value;
		return true;
	}
	return false;
}

const char *assay_action_name(uint32_t action)
{
	for (size_t i = 0; i < ARRAY_LEN(actions); i++)
		if (actions[i].value == action)
			return actions[i].name;
	return "?";
}

bool assay_action_by_name(struct assay_bytes name, uint32_t *ret)
{
	return find_word(actions, ARRAY_LEN(actions), name, ret);
}

const char *assay_may_name(uint32_t bit)
{
	for (size_t i = 0; i < ARRAY_LEN(masks); i++)
		if (masks[i].value == bit)
			return masks[i].name;
	return NULL;
}

bool assay_may_by_name(struct assay_bytes name, uint32_t *ret)
{
	return find_word(masks, ARRAY_LEN(masks), name, ret);
}

const char *assay_hook_name(enum assay_hook hook)
{
	if (hook == ASSAY_HOOK_NONE)
		return "NONE";
	if (hook == ASSAY_HOOK_POST_SETATTR)
		return "POST_SETATTR";
	return (unsigned)hook < ASSAY_HOOK_COUNT ? hooks[hook] : "?";
}

bool assay_hook_by_name(struct assay_bytes name, enum assay_hook *ret)
{
	/* What kernels before 3.6 called them. */
	if (assay_bytes_is(name, "PATH_CHECK"))
		name = assay_bytes_str("FILE_CHECK");
	else if (assay_bytes_is(name, "FILE_MMAP"))
		name = assay_bytes_str("MMAP_CHECK");
	for (unsigned i = 0; i < ASSAY_HOOK_COUNT; i++) {
		if (!hooks[i] || !assay_bytes_is(name, hooks[i]))
			continue;
		*ret = (enum assay_hook)i;
		return true;
	}
	return false;
}
