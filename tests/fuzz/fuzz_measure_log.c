/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Each record is counted once, where it belongs, and what is kept of it can be printed. */
#include <stdlib.h>

#include "programs/assay/doctor_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t count_events(const struct doctor_measured *m)
{
	if (m->n_names > DOCTOR_MEASURE_NAMES || m->n_names > m->events)
		abort();
	for (uint32_t i = 0; i < m->n_names; i++)
		for (const char *c = m->name[i]; *c; c++)
			if (*c <= 0x20 || *c >= 0x7f)
				abort();
	return m->events;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct doctor_measure_log log;
	uint32_t records = 0, separators = 0;
	struct assay_err err = { 0 };

	if (doctor_measure_log_parse(assay_bytes(data, size), &log, &err) < 0)
		return err.text[0] ? 0 : (abort(), 0);
	for (unsigned i = 0; i < ASSAY_PCRS; i++)
		records += count_events(&log.pcr[i]);
	for (size_t i = 0; i < size; i++)
		separators += data[i] == 0x1e;
	if (records + log.not_pcr != log.records || log.records != separators)
		abort();
	return 0;
}
