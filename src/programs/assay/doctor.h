/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * "assay doctor": what this machine can give, as findings. A probe is a small function that looks
 * at one thing, changes nothing, and says what it found, what that means and what to do. Nothing is
 * printed before all have looked.
 */
#pragma once

#include <jansson.h>

#include "base/file.h"
#include "engine/core/policy.h"
#include "formats/conf.h"
#include "formats/pcr.h"
#include "programs/assay/doctor_parse.h"
#include "programs/assay/policy_file.h"
#include "programs/common/control_msg.h"

/* id, word; in the order of printing */
#define DOCTOR_AREA_LIST(X)                                                                        \
	X(KERNEL, "kernel")                                                                        \
	X(TPM, "tpm")                                                                              \
	X(PCRS, "pcrs")                                                                            \
	X(DAEMON, "daemon")                                                                        \
	X(FILESYSTEMS, "filesystems")                                                              \
	X(POLICY, "policy")

enum doctor_area {
#define X(id, word) DOCTOR_##id,
	DOCTOR_AREA_LIST(X)
#undef X
		DOCTOR_AREA_COUNT
};

/* id, word; from the best to the worst */
#define DOCTOR_STATE_LIST(X)                                                                       \
	X(OK, "ok")                                                                                \
	X(NOTE, "note")	    /* worth knowing; nothing is wrong */                                  \
	X(UNSEEN, "unseen") /* could not be looked at */                                           \
	X(WARN, "warn")	    /* a hole, or a cost */                                                \
	X(BAD, "bad")	    /* stands in the way of the configured policy */

enum doctor_state {
#define X(id, word) DOCTOR_##id,
	DOCTOR_STATE_LIST(X)
#undef X
		DOCTOR_STATE_COUNT
};

/* A finding without what was found. The strings but for @subject are of the program itself. */
struct doctor_advice {
	enum doctor_state state;
	const char *check;   /* a word that programs may rely on; docs/formats/doctor.md has all */
	const char *subject; /* what was looked at; copied */
	const char *means, *todo; /* sentences; NULL: nothing follows */
	bool needed; /* the configured policy depends on it: unseen, the verdict is open */
};

struct doctor_finding {
	struct doctor_advice advice; /* its subject is owned */
	enum doctor_area area;
	char *found;
	json_t *facts; /* for programs; NULL: none */
};

struct doctor_report {
	struct doctor_finding *finding;
	size_t n;
	bool lost; /* no memory for one of them */
};

/* What the TPM says, from whom it was to be had. */
struct doctor_tpm {
	bool there;	    /* there is one: in sysfs, or it answered */
	unsigned version;   /* 1 or 2; 0: nobody says */
	const char *source; /* of the PCR values: "the TPM", "assayd", "sysfs"; NULL: nobody */
	struct assay_banks banks;
	bool read[ASSAY_PCRS]; /* has a value in each bank */
	struct assay_pcr_value value[ASSAY_PCRS];
};

#define DOCTOR_POINTS 8u

/* One mounted filesystem, whatever the number of its mounts. */
struct doctor_mount {
	uint64_t dev;
	char *point[DOCTOR_POINTS]; /* of its first mounts */
	unsigned n_points, mounts;
	char type[64], subtype[64];
	bool looked;  /* what follows is known */
	bool wanted;  /* the policy can match on it */
	bool watched; /* and assayd watches its kind */
	bool verity;
	uint64_t magic;
	uint8_t uuid[16];
};

struct doctor {
	/* from the command line */
	const char *root; /* put before each path of /proc, /sys, /run and /dev; "" */
	const char *config, *policy_name, *tcti, *control;
	bool is_root;
	/* gathered, in this order */
	enum doctor_area area; /* that is being looked at */
	struct assay_conf conf;
	bool has_policy;
	struct policy_file policy;
	const struct assay_policy *compiled;
	json_t *status; /* of a running assayd; NULL: none answers */
	struct doctor_ima_list ima;
	bool ima_there, ima_read;
	enum doctor_lockdown lockdown;
	struct doctor_tpm tpm;
	/* of PCRs that we are to extend */
	struct {
		enum doctor_state state;
		const char *means;
	} pcr_use[ASSAY_PCRS];
	struct doctor_mount *mount;
	size_t n_mounts;
	int64_t waited_ms; /* for filesystems that do not answer */
	struct doctor_report report;
};

/* ---- doctor_report.c ---- */

/* Adds a finding to the area that is being looked at; @fmt: what was found. The returned one is
 * borrowed until the next; NULL: out of memory, which the report remembers. */
struct doctor_finding *doctor_add(struct doctor *d, const struct doctor_advice *advice,
				  const char *fmt, ...) ASSAY_PRINTF(3, 4);
/* The same where @error (a positive errno) kept us from looking at @path. */
void doctor_unseen(struct doctor *d, const char *check, const char *subject, bool needed,
		   const char *path, int error);
/* Takes @facts. @f may be NULL. */
void doctor_facts(struct doctor_finding *f, json_t *facts);

size_t doctor_count(const struct doctor_report *r, enum doctor_state state);
/* The exit status: EXIT_NO something is bad, EXIT_TROUBLE something that is needed was not seen. */
int doctor_verdict(const struct doctor_report *r);
void doctor_print(const struct doctor *d);
/* The caller owns what is returned; NULL: out of memory. */
json_t *doctor_json(const struct doctor *d);
void doctor_report_done(struct doctor_report *r);

/* ---- doctor_look.c: how probes look ---- */

/* A file below d->root; 0 or -errno. */
int doctor_read(const struct doctor *d, const char *path, size_t max, struct assay_file *ret);
/* Its first line, without the end of the line; 0 or -errno. */
int doctor_read_line(const struct doctor *d, const char *path, char *ret, size_t size);
/* A number in it; 0 or -errno. */
int doctor_read_number(const struct doctor *d, const char *path, uint64_t *ret);
bool doctor_has(const struct doctor *d, const char *path);
/* The path with d->root before it; false: too long. */
bool doctor_path(const struct doctor *d, const char *path, char ret[static 4096]);

#define DOCTOR_ANSWER_MAX 4096 /* bytes that a child gives back */

/*
 * Runs @look in a child, which may hang: after @limit_ms it is killed and left alone. What it puts
 * into its @ret, of @size bytes, comes back. It has no descriptor but its own. 0, -ETIMEDOUT, or
 * -errno of a child that could not be made, or died (-EIO).
 */
int doctor_child(void (*look)(const void *what, void *ret), const void *what, void *ret,
		 size_t size, unsigned limit_ms);

/* ---- the areas; each looks and adds ---- */

typedef void doctor_probe(struct doctor *d);

void doctor_daemon(struct doctor *d); /* the first: it reads the configuration */
/* Asks a running assayd; the caller owns *@ret. Errors: as the functions of control_msg.h. */
int doctor_ask(const struct doctor *d, const struct control_request *request, json_t **ret,
	       struct assay_err *err);
void doctor_kernel(struct doctor *d);
void doctor_fanotify(struct doctor *d);
void doctor_ima(struct doctor *d);
void doctor_tpm(struct doctor *d);
/* The configuration says that the list is anchored in one. */
bool doctor_uses_tpm(const struct doctor *d);
void doctor_pcrs(struct doctor *d);
void doctor_mounts(struct doctor *d);
void doctor_mounts_done(struct doctor *d);
void doctor_namespaces(struct doctor *d);
void doctor_policy_load(struct doctor *d);
void doctor_policy(struct doctor *d);
