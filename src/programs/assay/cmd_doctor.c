/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "assay doctor": what this machine can give, what follows for the policy, and what to do. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/macros.h"
#include "programs/assay/answer.h"
#include "programs/assay/commands.h"
#include "programs/assay/doctor.h"

#define NAME "doctor"

struct options {
	const char *config, *policy, *tcti, *control, *root;
	bool json;
};

static const struct option_row rows[] = {
	{ 'f', "config", "FILE", "of assayd (/etc/assay/assayd.conf)", OPTION_ONCE,
	  offsetof(struct options, config) },
	{ 'p', "policy", "NAME|FILE", "another policy than the configured one", OPTION_ONCE,
	  offsetof(struct options, policy) },
	{ 'T', "tcti", "TCTI", "how to reach the TPM", OPTION_TEXT,
	  offsetof(struct options, tcti) },
	{ 'C', "control", "SOCKET", "of assayd, another than the configured one", OPTION_TEXT,
	  offsetof(struct options, control) },
	{ 'r', "root", "DIR", "look at DIR/proc, DIR/sys, DIR/run and DIR/etc", OPTION_ONCE,
	  offsetof(struct options, root) },
	{ 'j', "json", NULL, "one JSON object", OPTION_FLAG, offsetof(struct options, json) },
	{ 0 },
};

/* The configuration and a running assayd come first: the other areas go by them. The report has the
 * areas in its own order. */
static const struct {
	enum doctor_area area;
	doctor_probe *look;
} areas[] = {
	{ DOCTOR_DAEMON, doctor_daemon }, { DOCTOR_POLICY, doctor_policy_load },
	{ DOCTOR_KERNEL, doctor_kernel }, { DOCTOR_TPM, doctor_tpm },
	{ DOCTOR_PCRS, doctor_pcrs },	  { DOCTOR_FILESYSTEMS, doctor_mounts },
	{ DOCTOR_POLICY, doctor_policy },
};

static void done(struct doctor *d)
{
	doctor_report_done(&d->report);
	doctor_mounts_done(d);
	policy_file_done(&d->policy);
	json_decref(d->status);
}

static int run(int argc, char **argv)
{
	static struct doctor d;
	struct options o = { 0 };
	int r = options_parse_all(NAME, rows, argc, argv, &o), status;

	if (r)
		return r;
	if (o.root && access(o.root, F_OK) < 0)
		return assay_cmd_usage(NAME, "--root: '%s': %s", o.root, strerror(errno));
	setenv("TSS2_LOG", "all+NONE", 0); /* a TPM that is not there is a finding */
	d = (struct doctor){
		.root = o.root ? o.root : "",
		.config = o.config,
		.policy_name = o.policy,
		.tcti = o.tcti,
		.control = o.control,
		.is_root = geteuid() == 0,
	};
	for (size_t i = 0; i < ARRAY_LEN(areas); i++) {
		d.area = areas[i].area;
		areas[i].look(&d);
	}
	status = doctor_verdict(&d.report);
	if (!o.json)
		doctor_print(&d);
	else if (answer_print(NAME, doctor_json(&d)) != EXIT_YES)
		status = EXIT_TROUBLE;
	done(&d);
	return status;
}

const struct command cmd_doctor = {
	.name = NAME,
	.synopsis = "[--config FILE] [--policy NAME|FILE] [--tcti TCTI] [--control SOCKET] "
		    "[--root DIR] [--json]",
	.summary = "what this machine can give, what that means, and what to do",
	.rows = rows,
	.run = run,
};
