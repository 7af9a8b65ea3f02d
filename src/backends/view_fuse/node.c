/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "backends/view_fuse/node.h"

#include "base/fmt.h"

#define LINKS	     8u	 /* and the three behind it: two bits say which list */
#define LISTS	     64u /* four for each algorithm */

#define BIT_ASCII    1u
#define BIT_ANCHORED 2u

static const struct {
	uint64_t ino;
	enum assay_view_what what;
	uint32_t mode;
	const char *name;
} singles[] = {
	{ 2, ASSAY_VIEW_POLICY, 0600, "policy" },
	{ 3, ASSAY_VIEW_COUNT, 0440, "runtime_measurements_count" },
	{ 4, ASSAY_VIEW_VIOLATIONS, 0440, "violations" },
};

uint64_t assay_view_node_end(void)
{
	return LISTS + 4 * ASSAY_HASH_COUNT;
}

static void put_name(const struct assay_view_file *file, bool with_column,
		     char ret[static ASSAY_VIEW_NAME_MAX])
{
	assay_fmt(ret, ASSAY_VIEW_NAME_MAX, "%s%s_runtime_measurements%s%s",
		  file->anchored ? "anchored_" : "", file->ascii ? "ascii" : "binary",
		  with_column ? "_" : "", with_column ? assay_hash_name(file->column) : "");
}

void assay_view_node_target(const struct assay_view_node *link,
			    char ret[static ASSAY_VIEW_NAME_MAX])
{
	put_name(&link->file, true, ret);
}

static void get_list(uint64_t bits, enum assay_hash column, bool link, struct assay_view_node *ret)
{
	ret->type = link ? ASSAY_VIEW_LINK : ASSAY_VIEW_REGULAR;
	ret->mode = link ? 0444 : 0440;
	ret->file = (struct assay_view_file){ .what = ASSAY_VIEW_LIST,
					      .anchored = (bits & BIT_ANCHORED) != 0,
					      .ascii = (bits & BIT_ASCII) != 0,
					      .column = column };
	put_name(&ret->file, !link, ret->name);
}

static bool get_single(uint64_t ino, struct assay_view_node *ret)
{
	for (size_t i = 0; i < ARRAY_LEN(singles); i++) {
		if (singles[i].ino != ino)
			continue;
		ret->type = ASSAY_VIEW_REGULAR;
		ret->mode = singles[i].mode;
		ret->file = (struct assay_view_file){ .what = singles[i].what };
		assay_fmt(ret->name, sizeof(ret->name), "%s", singles[i].name);
		return true;
	}
	return false;
}

bool assay_view_node_get(uint64_t ino, const struct assay_banks *banks, struct assay_view_node *ret)
{
	struct assay_view_node node = { .type = ASSAY_VIEW_FOLDER, .mode = 0755 };
	enum assay_hash column;

	if (ino >= LINKS && ino < LINKS + 4) {
		get_list(ino - LINKS, ASSAY_HASH_SHA1, true, &node);
	} else if (ino >= LISTS && ino < assay_view_node_end()) {
		column = (enum assay_hash)((ino - LISTS) / 4);
		if (column != ASSAY_HASH_SHA1 && !assay_banks_find(banks, column, NULL))
			return false;
		get_list((ino - LISTS) % 4, column, false, &node);
	} else if (ino != ASSAY_VIEW_ROOT && !get_single(ino, &node)) {
		return false;
	}
	*ret = node;
	return true;
}

uint64_t assay_view_node_find(const char *name, const struct assay_banks *banks)
{
	struct assay_view_node node;

	for (uint64_t ino = ASSAY_VIEW_ROOT + 1; ino < assay_view_node_end(); ino++)
		if (assay_view_node_get(ino, banks, &node) && strcmp(node.name, name) == 0)
			return ino;
	return 0;
}
