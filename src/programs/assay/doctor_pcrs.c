/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who owns which PCR: by convention, and by what can be seen of who extended it. And whether we are
 * told to extend somebody else's.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/macros.h"
#include "programs/assay/doctor.h"

#define FIRMWARE_LOG "/sys/kernel/security/tpm0/binary_bios_measurements"
#define SYSTEMD_LOG  "/run/log/systemd/tpm2-measure.log"
#define LOG_MAX	     (64u << 20)
#define RESETTABLE   (1u << 16 | 1u << 23)
#define LOCALITY     0x7e0000u /* 17 to 22: not for programs */

/* TCG PC Client Platform Firmware Profile; systemd's TPM2_PCR_MEASUREMENTS; GRUB's manual. */
static const struct {
	const char *owner, *what;
} owners[ASSAY_PCRS] = {
	[0] = { "firmware", "its code" },
	[1] = { "firmware", "its configuration" },
	[2] = { "firmware", "code of option ROMs" },
	[3] = { "firmware", "configuration of option ROMs" },
	[4] = { "firmware", "the boot loader" },
	[5] = { "firmware", "partition table, boot loader's configuration" },
	[6] = { "firmware", "what its maker likes" },
	[7] = { "firmware", "Secure Boot's keys" },
	[8] = { "boot loader", "GRUB: commands and kernel command line" },
	[9] = { "boot loader", "GRUB: all files that it reads; Linux: the initrd" },
	[10] = { "IMA", "kernel's or assayd's list" },
	[11] = { "systemd", "unified kernel image, phases of the boot" },
	[12] = { "systemd", "kernel command line, credentials, add-ons" },
	[13] = { "systemd", "system extensions of the initrd" },
	[14] = { "shim", "machine owner's keys" },
	[15] = { "systemd", "machine id, filesystems, volume keys" },
	[16] = { "nobody", "for trying things: anybody may reset it" },
	[23] = { "nobody", "for applications: anybody may reset it" },
};

/* What was seen of who extends. */
struct evidence {
	bool firmware, systemd_read;
	struct doctor_measure_log systemd;
};

/* ---- evidence ------------------------------------------------------------------------------- */

static void look_at_firmware_log(struct doctor *d, struct evidence *e)
{
	struct doctor_advice a = { .check = "firmware-log", .subject = "firmware's event log" };
	AUTO(file) struct assay_file f = { 0 };
	int r = doctor_read(d, FIRMWARE_LOG, LOG_MAX, &f);

	if (r == -EACCES) {
		doctor_unseen(d, a.check, a.subject, false, FIRMWARE_LOG, EACCES);
		return;
	}
	e->firmware = r == 0 && f.bytes.len;
	if (!e->firmware && !d->tpm.there)
		return;
	if (!e->firmware) {
		a.state = DOCTOR_NOTE;
		a.means = "What the firmware extended into PCR 0 to 9 cannot be told apart.";
		a.todo = "A kernel that takes the firmware's log over, with securityfs mounted.";
	}
	if (e->firmware)
		doctor_add(d, &a, "%zu bytes", f.bytes.len);
	else
		doctor_add(d, &a, "there is none");
}

static void look_at_systemd_log(struct doctor *d, struct evidence *e)
{
	struct doctor_advice a = { .check = "systemd-log", .subject = "systemd's log" };
	AUTO(file) struct assay_file f = { 0 };
	struct assay_err err = { 0 };
	int r = doctor_read(d, SYSTEMD_LOG, DOCTOR_MEASURE_LOG_MAX, &f);

	if (r == -ENOENT) {
		doctor_add(d, &a, "there is none: it measured nothing, or keeps no log");
		return;
	}
	if (r < 0) {
		doctor_unseen(d, a.check, a.subject, false, SYSTEMD_LOG, -r);
		return;
	}
	if (doctor_measure_log_parse(f.bytes, &e->systemd, &err) < 0) {
		a.state = DOCTOR_WARN;
		a.means = "Which PCRs systemd extended is not known.";
		a.todo = "Reboot: it begins anew. Else compare it with PCR 11 and 15.";
		doctor_add(d, &a, "offset %llu: %s", (unsigned long long)err.offset, err.text);
		return;
	}
	e->systemd_read = true;
	doctor_add(d, &a, "%u records", e->systemd.records);
}

/* ---- one PCR -------------------------------------------------------------------------------- */

/* Is it as a reset leaves it? PCR 17 to 22 are all ones then. */
static bool is_initial(const struct doctor_tpm *t, unsigned pcr)
{
	for (uint32_t b = 0; b < t->banks.n; b++)
		if (!assay_bytes_all(assay_bytes(t->value[pcr].value[b],
						 assay_hash_size(t->banks.alg[b])),
				     LOCALITY & 1u << pcr ? 0xff : 0))
			return false;
	return true;
}

/* conf.pcr, and what the rules say. */
static uint32_t pcrs_of_ours(const struct doctor *d)
{
	uint32_t mask = doctor_uses_tpm(d) ? 1u << d->conf.pcr : 0;

	for (uint32_t i = 0; mask && d->has_policy && i < d->policy.text.n_rules; i++) {
		const struct assay_rule *rule = &d->policy.text.rules[i];

		if (rule->action == ASSAY_ACTION_MEASURE && rule->opts & ASSAY_OPT_PCR &&
		    rule->pcr < ASSAY_PCRS)
			mask |= 1u << rule->pcr;
	}
	return mask;
}

/* What is wrong with extending it ourselves. */
static void judge_use(const struct doctor *d, const struct evidence *e, unsigned pcr,
		      struct doctor_advice *a)
{
	bool others = pcr < 10 || e->systemd.pcr[pcr].events || (pcr != 10 && d->ima.in_pcr[pcr]);

	if (RESETTABLE & 1u << pcr || LOCALITY & 1u << pcr) {
		a->state = DOCTOR_BAD;
		a->means = RESETTABLE & 1u << pcr
				   ? "Anybody may set it back to zero: a list in it proves nothing."
				   : "The TPM refuses extends of it by programs.";
		a->todo = "pcr = 10";
	} else if (others) {
		a->state = DOCTOR_BAD;
		a->means = "assayd is to extend it, and others do: no list explains its value "
			   "then, and what is sealed to it (disk encryption) opens no more.";
		a->todo = "pcr = 10, or another that nobody extends.";
	} else if (pcr != 10) {
		a->state = DOCTOR_WARN;
		a->means = "assayd is to extend it; by convention it is another's.";
		a->todo = "pcr = 10, unless you know that nobody else here uses it.";
	} else if (d->ima.records) {
		a->state = DOCTOR_NOTE;
		a->means = "The kernel extends it too; assayd takes the kernel's records over into "
			   "its list (kernel_list=auto).";
		a->todo = "Nothing: assay log verify replays both.";
	}
}

static void say_names(const struct doctor_measured *m, char *to, size_t size)
{
	size_t n = (size_t)snprintf(to, size, "; systemd: %u event%s", m->events,
				    m->events == 1 ? "" : "s");

	for (uint32_t i = 0; i < m->n_names && n < size; i++)
		n += (size_t)snprintf(to + n, size - n, "%s%s", i ? ", " : " ", m->name[i]);
}

static json_t *pcr_facts(const struct doctor *d, const struct evidence *e, unsigned pcr, bool ours)
{
	const struct doctor_measured *m = &e->systemd.pcr[pcr];
	json_t *names = json_array();

	for (uint32_t i = 0; i < m->n_names; i++)
		json_array_append_new(names, json_string(m->name[i]));
	return json_pack("{s:i, s:s, s:b, s:o, s:i, s:I, s:o}", "pcr", (int)pcr, "owner",
			 owners[pcr].owner ? owners[pcr].owner : "dynamic launch", "ours", ours,
			 "initial",
			 d->tpm.read[pcr] ? json_boolean(is_initial(&d->tpm, pcr)) : json_null(),
			 "systemd_events", (int)m->events, "ima_records",
			 (json_int_t)d->ima.in_pcr[pcr], "systemd_names", names);
}

static void look_at_pcr(struct doctor *d, const struct evidence *e, unsigned pcr, bool ours)
{
	struct doctor_advice a = { .check = "pcr" };
	char subject[16], names[768] = "", records[64] = "";

	snprintf(subject, sizeof(subject), "PCR %u", pcr);
	a.subject = subject;
	if (ours) {
		judge_use(d, e, pcr, &a);
		d->pcr_use[pcr].state = a.state;
		d->pcr_use[pcr].means = a.means;
	}
	if (e->systemd.pcr[pcr].events)
		say_names(&e->systemd.pcr[pcr], names, sizeof(names));
	if (d->ima.in_pcr[pcr])
		snprintf(records, sizeof(records), "; kernel IMA: %llu records",
			 (unsigned long long)d->ima.in_pcr[pcr]);
	doctor_facts(doctor_add(d, &a, "%s (%s)%s%s%s%s",
				owners[pcr].owner ? owners[pcr].owner : "dynamic launch",
				owners[pcr].what ? owners[pcr].what : "not for programs",
				!d->tpm.read[pcr]	   ? ""
				: is_initial(&d->tpm, pcr) ? "; not extended"
							   : "; extended",
				names, records, ours ? "; ours" : ""),
		     pcr_facts(d, e, pcr, ours));
}

void doctor_pcrs(struct doctor *d)
{
	static struct evidence e; /* some KiB */
	uint32_t ours = pcrs_of_ours(d);

	e = (struct evidence){ 0 };
	look_at_firmware_log(d, &e);
	if (!d->tpm.there && !ours)
		return;
	look_at_systemd_log(d, &e);
	for (unsigned pcr = 0; pcr < ASSAY_PCRS; pcr++)
		if (ours & 1u << pcr || (owners[pcr].owner && d->tpm.there))
			look_at_pcr(d, &e, pcr, ours & 1u << pcr);
}
