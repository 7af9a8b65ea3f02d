/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assay/quote.h"

#include <errno.h>
#include <string.h>

#include "base/hex.h"

int quote_nonce_parse(const char *text, uint8_t ret[static ASSAY_NONCE_MAX], size_t *ret_len,
		      struct assay_err *err)
{
	uint8_t nonce[ASSAY_NONCE_MAX];
	long n = assay_hex_decode(assay_bytes_str(text), nonce, sizeof(nonce));

	if (n <= 0)
		return assay_err_set(err, -EINVAL,
				     "the nonce is 1 to %d bytes in hexadecimal, two digits each",
				     ASSAY_NONCE_MAX);
	memcpy(ret, nonce, (size_t)n);
	*ret_len = (size_t)n;
	return 0;
}
