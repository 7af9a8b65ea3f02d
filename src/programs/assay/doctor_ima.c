/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernel's own IMA and EVM: there, active, with which list, and what was asked of it at boot.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/macros.h"
#include "formats/cmdline.h"
#include "programs/assay/doctor.h"

#define IMA	 "/sys/kernel/security/integrity/ima"
#define IMA_OLD	 "/sys/kernel/security/ima"
#define LIST_MAX (1u << 30)

static const char *ima_folder(const struct doctor *d)
{
	return doctor_has(d, IMA) ? IMA : doctor_has(d, IMA_OLD) ? IMA_OLD : NULL;
}

static void look_at_presence(struct doctor *d)
{
	static const struct doctor_advice advice = { .check = "ima", .subject = "kernel IMA" };

	if (!doctor_has(d, "/sys/kernel/security/lsm"))
		return; /* securityfs: said already */
	d->ima_there = ima_folder(d) != NULL;
	doctor_facts(doctor_add(d, &advice, "%s",
				d->ima_there ? "in this kernel"
					     : "not in this kernel, or switched off: assayd alone "
					       "measures"),
		     json_pack("{s:b}", "there", d->ima_there));
}

/* ---- policy --------------------------------------------------------------------------------- */

static json_t *policy_facts(bool boot, bool active, bool loadable)
{
	return json_pack("{s:b, s:b, s:b}", "boot_policy", boot, "active", active, "loadable",
			 loadable);
}

static bool can_load(const struct doctor *d)
{
	char path[256], whole[4096];
	struct stat st;

	snprintf(path, sizeof(path), "%s/policy", ima_folder(d));
	return doctor_path(d, path, whole) && stat(whole, &st) == 0 && st.st_mode & S_IWUSR;
}

static bool has_boot_policy(const struct doctor *d)
{
	AUTO(file) struct assay_file line = { 0 };
	struct assay_bytes value;

	return doctor_read(d, "/proc/cmdline", ASSAY_CMDLINE_SIZE_MAX, &line) == 0 &&
	       (assay_cmdline_get(line.bytes, "ima_policy", &value) ||
		doctor_list_has(line.bytes, ' ', "ima_tcb") ||
		doctor_list_has(line.bytes, ' ', "ima_appraise_tcb"));
}

/* Whether it has one is told by what is left of the file to write one into, and by the list: with
 * none but boot_aggregate nothing was ever measured. */
static void look_at_policy(struct doctor *d)
{
	struct doctor_advice a = { .check = "ima-policy", .subject = "kernel IMA policy" };
	char path[256];
	uint64_t count = 0;
	bool boot, loadable, active;

	if (!d->ima_there)
		return;
	boot = has_boot_policy(d);
	loadable = can_load(d);
	snprintf(path, sizeof(path), "%s/runtime_measurements_count", ima_folder(d));
	if (doctor_read_number(d, path, &count) < 0 && !boot && loadable) {
		doctor_unseen(d, a.check, a.subject, false, path, EACCES);
		return;
	}
	active = boot || !loadable || count > 1;
	if (active) {
		a.state = DOCTOR_NOTE;
		a.means = "Files that both match are measured twice, and each first open waits for "
			  "both. assayd keeps the kernel's records in its list.";
		a.todo = "Leave one of the two to measure a file: dont_measure in the other's "
			 "policy.";
	}
	doctor_facts(doctor_add(d, &a, "%s%s",
				boot	 ? "given at boot"
				: active ? "loaded"
					 : "none: it measures nothing but the boot",
				loadable ? "" : "; no other can be loaded until the next boot"),
		     policy_facts(boot, active, loadable));
}

static void look_at_command_line(struct doctor *d)
{
	static const char *const keys[] = { "ima",
					    "ima_policy",
					    "ima_appraise",
					    "ima_hash",
					    "ima_template",
					    "ima_template_fmt",
					    "evm",
					    "lsm",
					    "security",
					    "lockdown",
					    "integrity_audit" };
	struct doctor_advice a = { .check = "command-line", .subject = "kernel command line" };
	AUTO(file) struct assay_file line = { 0 };
	json_t *facts = json_object();
	struct assay_bytes value;
	char all[1024] = "";
	int r = doctor_read(d, "/proc/cmdline", ASSAY_CMDLINE_SIZE_MAX, &line);

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(keys); i++) {
		size_t n = strlen(all);

		if (!assay_cmdline_get(line.bytes, keys[i], &value))
			continue;
		json_object_set_new(facts, keys[i],
				    json_stringn((const char *)value.data, value.len));
		snprintf(all + n, sizeof(all) - n, "%s%s=%.*s", n ? " " : "", keys[i],
			 (int)value.len, (const char *)value.data);
	}
	if (r < 0) {
		json_decref(facts);
		doctor_unseen(d, a.check, a.subject, false, "/proc/cmdline", -r);
		return;
	}
	doctor_facts(doctor_add(d, &a, "%s", all[0] ? all : "nothing about integrity"), facts);
}

/* ---- list ----------------------------------------------------------------------------------- */

static json_t *list_facts(const struct doctor_ima_list *l)
{
	json_t *pcrs = json_object();
	char index[16];

	for (unsigned i = 0; i < DOCTOR_IMA_PCRS; i++) {
		snprintf(index, sizeof(index), "%u", i);
		if (l->in_pcr[i])
			json_object_set_new(pcrs, index, json_integer((json_int_t)l->in_pcr[i]));
	}
	return json_pack("{s:I, s:I, s:s, s:s, s:o}", "records", (json_int_t)l->records,
			 "violations", (json_int_t)l->violations, "template", l->template, "hash",
			 l->hash, "pcrs", pcrs);
}

static void look_at_list(struct doctor *d)
{
	struct doctor_advice a = { .check = "ima-list", .subject = "kernel IMA list" };
	AUTO(file) struct assay_file f = { 0 };
	struct assay_err err = { 0 };
	char path[256];
	int r;

	if (!d->ima_there)
		return;
	snprintf(path, sizeof(path), "%s/binary_runtime_measurements", ima_folder(d));
	r = doctor_read(d, path, LIST_MAX, &f);
	if (r < 0) {
		doctor_unseen(d, a.check, a.subject, doctor_uses_tpm(d), path, -r);
		return;
	}
	if (doctor_ima_list_parse(f.bytes, &d->ima, &err) < 0) {
		a.state = DOCTOR_WARN;
		a.means = "assayd cannot take over a list that it cannot read.";
		a.todo = "kernel_list = none, if a kernel that is not stock writes it so.";
		doctor_add(d, &a, "%s", err.text);
		return;
	}
	d->ima_read = true;
	doctor_facts(doctor_add(d, &a, "%llu records (%s%s%s), %llu violations",
				(unsigned long long)d->ima.records, d->ima.template,
				d->ima.hash[0] ? ", " : "", d->ima.hash,
				(unsigned long long)d->ima.violations),
		     list_facts(&d->ima));
}

static void look_at_evm(struct doctor *d)
{
	struct doctor_advice a = { .check = "evm", .subject = "EVM" };
	const char *path = "/sys/kernel/security/integrity/evm/evm";
	char line[32];
	int r;

	if (!doctor_has(d, path))
		path = "/sys/kernel/security/evm";
	r = doctor_read_line(d, path, line, sizeof(line));
	if (r == -ENOENT)
		return;
	if (r < 0) {
		doctor_unseen(d, a.check, a.subject, false, path, -r);
		return;
	}
	doctor_add(d, &a, "%s",
		   strcmp(line, "0") == 0 ? "in this kernel, without a key: it checks nothing"
					  : "has a key");
}

void doctor_ima(struct doctor *d)
{
	static doctor_probe *const probes[] = {
		look_at_presence, look_at_policy, look_at_list, look_at_evm, look_at_command_line,
	};

	for (size_t i = 0; i < ARRAY_LEN(probes); i++)
		probes[i](d);
}
