/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The template digest of a record (ima_calc_field_array_hash), for any bank. */
#pragma once

#include "engine/ports.h"
#include "formats/mlist.h"

/*
 * Over the record's template data as it stands. The "ima" template has a rule of its own: its name
 * counts as 256 bytes. Writes assay_hash_size(alg) bytes. Errors: -EBADMSG "ima" data that is none,
 * -EOPNOTSUPP.
 */
int assay_template_digest(const struct assay_crypto *crypto, enum assay_hash alg,
			  const struct assay_record *record, uint8_t *ret);
