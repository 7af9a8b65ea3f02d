/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the kernel and systemd write for others to read, parsed. Pure; knows no paths. */
#pragma once

#include "base/bytes.h"
#include "base/err.h"
#include "formats/hash.h"
#include "formats/pcr.h"

/* Is @name one of "a,b,c"? (/sys/kernel/security/lsm) */
bool doctor_list_has(struct assay_bytes text, char separator, const char *name);

enum doctor_lockdown {
	DOCTOR_LOCKDOWN_UNKNOWN,
	DOCTOR_LOCKDOWN_NONE,
	DOCTOR_LOCKDOWN_INTEGRITY,
	DOCTOR_LOCKDOWN_CONFIDENTIALITY,
};

/* "none [integrity] confidentiality" */
enum doctor_lockdown doctor_lockdown_parse(struct assay_bytes text);

/* The value of an EFI variable of one byte, as efivarfs has it. -1: it is not one. */
int doctor_efi_byte(struct assay_bytes file);

/* One PCR as sysfs has it (pcr-sha256/10). False: it is not a digest of @alg. */
bool doctor_pcr_parse(struct assay_bytes text, enum assay_hash alg,
		      uint8_t ret[static ASSAY_HASH_SIZE_MAX]);

/* ---- IMA's list ---- */

#define DOCTOR_IMA_PCRS 64u

struct doctor_ima_list {
	uint64_t records, violations, in_pcr[DOCTOR_IMA_PCRS];
	char template[32], hash[32]; /* of the last record that has them; "" none */
};

/* Errors: as assay_record_parse(). */
int doctor_ima_list_parse(struct assay_bytes list, struct doctor_ima_list *ret,
			  struct assay_err *err);

/* ---- systemd's log of what it measured (tpm2-measure.log) ---- */

#define DOCTOR_MEASURE_LOG_MAX (4u << 20) /* bytes */
#define DOCTOR_MEASURE_NAMES   8u	  /* kept for each PCR */
#define DOCTOR_MEASURE_NAME    64u

struct doctor_measured {
	uint32_t events;
	uint32_t n_names;				      /* the first different ones */
	char name[DOCTOR_MEASURE_NAMES][DOCTOR_MEASURE_NAME]; /* printable */
};

struct doctor_measure_log {
	uint32_t records, not_pcr; /* not_pcr: of an NV index, or without a number */
	struct doctor_measured pcr[ASSAY_PCRS];
};

/* JSON text sequences (RFC 7464): RS, an object, line feed. Errors, with the offset: -EBADMSG,
 * -E2BIG. */
int doctor_measure_log_parse(struct assay_bytes log, struct doctor_measure_log *ret,
			     struct assay_err *err);
