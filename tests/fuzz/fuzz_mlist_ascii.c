/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ascii lists: what becomes binary can be read as such, printed, and becomes the same binary. */
#include <stdlib.h>

#include "formats/mlist_ascii.h"

static void print_all(struct assay_bytes list, const struct assay_list_form *form,
		      struct assay_wr *w)
{
	struct assay_rd in = assay_rd(list);

	while (!assay_rd_end(&in)) {
		struct assay_template_data cut;
		struct assay_template t;
		struct assay_record r;

		if (assay_record_parse(&in, form, &r, NULL) < 0 ||
		    assay_template_parse(r.template_name, &t, NULL) < 0 ||
		    assay_template_cut(&t, r.data, form->big, &cut, NULL) < 0)
			abort();
		assay_ascii_print(&r, &cut, form->big, ASSAY_ASCII_RAW, w);
		assay_wr_u8(w, '\n');
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t cap = assay_ascii_bound(size), text_cap = 4 * cap + 1024;
	uint8_t *one = malloc(cap), *two = malloc(assay_ascii_bound(text_cap)),
		*text = malloc(text_cap);
	struct assay_wr w = assay_wr(one, cap), t = assay_wr(text, text_cap),
			w2 = assay_wr(two, assay_ascii_bound(text_cap));
	struct assay_list_form form, form2;

	if (assay_ascii_parse(assay_bytes(data, size), &w, &form, NULL) == 0) {
		print_all(assay_wr_done(&w), &form, &t);
		if (!assay_wr_ok(&t) ||
		    assay_ascii_parse(assay_wr_done(&t), &w2, &form2, NULL) < 0 ||
		    !assay_bytes_equal(assay_wr_done(&w), assay_wr_done(&w2)))
			abort();
	}
	free(one);
	free(two);
	free(text);
	return 0;
}
