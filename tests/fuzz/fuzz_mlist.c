/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Binary lists: what is read is written back the same; fields are cut from what was cut. */
#include <stdlib.h>

#include "formats/mlist.h"

static void check_fields(const struct assay_record *r, bool big)
{
	struct assay_template_data cut;
	struct assay_template t;
	size_t sum = 0;

	if (assay_template_parse(r->template_name, &t, NULL) < 0 ||
	    assay_template_cut(&t, r->data, big, &cut, NULL) < 0)
		return;
	for (uint32_t i = 0; i < t.n_fields; i++)
		sum += cut.field[i].len + (t.legacy && i == 0 ? 0 : 4);
	if (sum != r->data.len || t.legacy != r->legacy)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct assay_rd in = assay_rd(assay_bytes(data, size));
	struct assay_list_form form;
	uint8_t *again = malloc(size + 1);
	struct assay_wr w = assay_wr(again, size);
	struct assay_record r;

	if (assay_list_form_detect(assay_bytes(data, size), &form, NULL) == 0) {
		w.big = form.big;
		while (!assay_rd_end(&in) && assay_record_parse(&in, &form, &r, NULL) == 0) {
			check_fields(&r, form.big);
			assay_record_encode(&r, &w);
		}
		if (!assay_wr_ok(&w) || w.len != assay_rd_offset(&in) ||
		    memcmp(again, data, w.len) != 0)
			abort();
	}
	free(again);
	return 0;
}
