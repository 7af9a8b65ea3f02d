/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * assay policy explain: one event, put together from options and from what the system says about a
 * path, and what each pair of actions makes of it, rule by rule.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fmt.h"
#include "base/macros.h"
#include "base/num.h"
#include "programs/assay/answer.h"
#include "programs/assay/cmd.h"
#include "programs/assay/cmd_policy.h"
#include "programs/assay/explain.h"
#include "programs/assay/path_facts.h"

#define COMMAND "policy explain"

enum id { ID_UID, ID_EUID, ID_SUID, ID_GID, ID_EGID, ID_SGID, ID_FOWNER, ID_FGROUP, ID_COUNT };

struct args {
	const char *func, *mask, *policy, *fsmagic, *fsname, *fs_subtype, *fsuuid, *label, *path;
	const char *cap_setuid, *cap_setgid, *id[ID_COUNT];
	bool any_subject, json;
};

#define AT(field) offsetof(struct args, field)

const struct option_row policy_explain_rows[] = {
	{ 0, "func", "HOOK", "what happens: FILE_CHECK, BPRM_CHECK, MMAP_CHECK, KEY_CHECK...",
	  OPTION_TEXT, AT(func) },
	{ 0, "mask", "MASK", "MAY_READ, MAY_WRITE, MAY_EXEC, MAY_APPEND, joined by |", OPTION_TEXT,
	  AT(mask) },
	{ 0, "policy", "POLICY", "a file, or built-in policies by name; tcb if not given",
	  OPTION_TEXT, AT(policy) },
	{ 0, "uid", "ID", "of the process, as are the next; yours if not given", OPTION_TEXT,
	  AT(id[ID_UID]) },
	{ 0, "euid", "ID", "like --uid if not given", OPTION_TEXT, AT(id[ID_EUID]) },
	{ 0, "suid", "ID", "like --euid if not given", OPTION_TEXT, AT(id[ID_SUID]) },
	{ 0, "gid", "ID", "yours if not given", OPTION_TEXT, AT(id[ID_GID]) },
	{ 0, "egid", "ID", "like --gid if not given", OPTION_TEXT, AT(id[ID_EGID]) },
	{ 0, "sgid", "ID", "like --egid if not given", OPTION_TEXT, AT(id[ID_SGID]) },
	{ 0, "cap-setuid", "BOOL", "has CAP_SETUID: yes or no; yes for euid 0 if not given",
	  OPTION_TEXT, AT(cap_setuid) },
	{ 0, "cap-setgid", "BOOL", "the same for CAP_SETGID", OPTION_TEXT, AT(cap_setgid) },
	{ 0, "fowner", "ID", "of the file, as are the next; PATH's if not given", OPTION_TEXT,
	  AT(id[ID_FOWNER]) },
	{ 0, "fgroup", "ID", "its group", OPTION_TEXT, AT(id[ID_FGROUP]) },
	{ 0, "fsmagic", "HEX", "of its filesystem, as are the next: f_type of statfs(2)",
	  OPTION_TEXT, AT(fsmagic) },
	{ 0, "fsname", "NAME", "as in /proc/filesystems", OPTION_TEXT, AT(fsname) },
	{ 0, "fs-subtype", "NAME", "what stands behind \"fuse.\" in a mount of that type",
	  OPTION_TEXT, AT(fs_subtype) },
	{ 0, "fsuuid", "UUID", "as blkid(8) has it", OPTION_TEXT, AT(fsuuid) },
	{ 0, "label", "NAME", "keyring of KEY_CHECK, label of CRITICAL_DATA", OPTION_TEXT,
	  AT(label) },
	{ 0, "any-subject", NULL, "what would be done for somebody, as with first_sight=eager",
	  OPTION_FLAG, AT(any_subject) },
	{ 0, "json", NULL, "for a machine", OPTION_FLAG, AT(json) },
	{ 0 },
};

static int parse_args(int argc, char **argv, struct args *a)
{
	int first, r = options_parse(COMMAND, policy_explain_rows, argc, argv, a, &first);

	if (r)
		return r;
	if (argc - first > 1)
		return assay_cmd_usage(COMMAND, "at most one PATH is needed");
	if (!a->func)
		return assay_cmd_usage(COMMAND, "--func is missing");
	a->path = argv[first];
	return EXIT_YES;
}

/* ---- the event ------------------------------------------------------------------------------ */

static int parse_id(const struct args *a, enum id id, uint32_t *ret)
{
	uint64_t value;

	if (!a->id[id])
		return EXIT_YES;
	if (assay_num_parse(assay_bytes_str(a->id[id]), 10, UINT32_MAX - 1, &value) != 0)
		return assay_cmd_usage(COMMAND, "'%s' is no id", a->id[id]);
	*ret = (uint32_t)value;
	return EXIT_YES;
}

static int parse_bool(const char *text, bool *ret)
{
	if (!text)
		return EXIT_YES;
	if (strcmp(text, "yes") != 0 && strcmp(text, "no") != 0)
		return assay_cmd_usage(COMMAND, "'%s' is neither yes nor no", text);
	*ret = text[0] == 'y';
	return EXIT_YES;
}

static int fill_subject(const struct args *a, struct assay_subject *s)
{
	*s = (struct assay_subject){ .uid = getuid(), .gid = getgid() };
	if (parse_id(a, ID_UID, &s->uid) || parse_id(a, ID_GID, &s->gid))
		return EXIT_TROUBLE;
	s->euid = a->id[ID_UID] ? s->uid : geteuid();
	s->egid = a->id[ID_GID] ? s->gid : getegid();
	if (parse_id(a, ID_EUID, &s->euid) || parse_id(a, ID_EGID, &s->egid))
		return EXIT_TROUBLE;
	s->suid = s->euid;
	s->sgid = s->egid;
	s->cap_setuid = s->cap_setgid = s->euid == 0;
	return parse_id(a, ID_SUID, &s->suid) || parse_id(a, ID_SGID, &s->sgid) ||
			       parse_bool(a->cap_setuid, &s->cap_setuid) ||
			       parse_bool(a->cap_setgid, &s->cap_setgid)
		       ? EXIT_TROUBLE
		       : EXIT_YES;
}

static int refuse_hook(const char *func)
{
	char names[512];
	size_t at = 0;

	for (unsigned h = ASSAY_HOOK_NONE + 1; h < ASSAY_HOOK_COUNT && at < sizeof(names); h++)
		at += assay_fmt(names + at, sizeof(names) - at, " %s",
				assay_hook_name((enum assay_hook)h));
	return assay_cmd_usage(COMMAND, "'%s' is no hook; allowed:%s", func, names);
}

static int fill_hook(const struct args *a, struct assay_match_facts *f)
{
	if (strcmp(a->func, "POST_SETATTR") == 0)
		f->hook = ASSAY_HOOK_POST_SETATTR;
	else if (!assay_hook_by_name(assay_bytes_str(a->func), &f->hook))
		return refuse_hook(a->func);
	switch (f->hook) {
	case ASSAY_HOOK_MMAP_CHECK:
	case ASSAY_HOOK_MMAP_CHECK_REQPROT:
	case ASSAY_HOOK_BPRM_CHECK:
	case ASSAY_HOOK_CREDS_CHECK:
		f->mask = ASSAY_MAY_EXEC;
		break;
	case ASSAY_HOOK_POST_SETATTR:
	case ASSAY_HOOK_KEXEC_CMDLINE:
	case ASSAY_HOOK_KEY_CHECK:
	case ASSAY_HOOK_CRITICAL_DATA:
		break;
	default:
		f->mask = ASSAY_MAY_READ;
	}
	return EXIT_YES;
}

static int fill_mask(const char *text, uint32_t *ret)
{
	uint32_t mask = 0, bit;

	if (!text)
		return EXIT_YES;
	for (size_t len; *text; text += len + (text[len] != '\0')) {
		len = strcspn(text, "|,");
		if (!assay_may_by_name(assay_bytes(text, len), &bit))
			return assay_cmd_usage(COMMAND,
					       "'%.*s' is no mask; allowed: MAY_READ "
					       "MAY_WRITE MAY_EXEC MAY_APPEND, joined by | or ,",
					       (int)len, text);
		mask |= bit;
	}
	*ret = mask;
	return EXIT_YES;
}

static void fill_from_path(const struct path_facts *path, struct explain *e)
{
	struct assay_match_facts *f = &e->facts;

	f->fs.magic = path->fsmagic;
	f->fs.name = assay_bytes_str(path->fsname);
	f->fs.subtype = assay_bytes_str(path->fs_subtype);
	memcpy(f->fs.uuid, path->fsuuid, sizeof(f->fs.uuid));
	f->fowner = path->fowner;
	f->fgroup = path->fgroup;
	e->known = ASSAY_COND_FSMAGIC | ASSAY_COND_FSNAME | ASSAY_COND_FS_SUBTYPE |
		   ASSAY_COND_FOWNER | ASSAY_COND_FGROUP |
		   (path->has_fsuuid ? ASSAY_COND_FSUUID : 0);
}

static int fill_object(const struct args *a, struct explain *e)
{
	struct assay_match_facts *f = &e->facts;

	if (parse_id(a, ID_FOWNER, &f->fowner) || parse_id(a, ID_FGROUP, &f->fgroup))
		return EXIT_TROUBLE;
	if (a->fsmagic &&
	    assay_num_parse(assay_bytes_str(a->fsmagic), 16, UINT64_MAX, &f->fs.magic) != 0)
		return assay_cmd_usage(COMMAND, "'%s' is no hexadecimal number", a->fsmagic);
	if (a->fsuuid && !assay_fsuuid_parse(assay_bytes_str(a->fsuuid), f->fs.uuid))
		return assay_cmd_usage(COMMAND, "'%s' is no UUID", a->fsuuid);
	if (a->fsname)
		f->fs.name = assay_bytes_str(a->fsname);
	if (a->fs_subtype)
		f->fs.subtype = assay_bytes_str(a->fs_subtype);
	if (a->label)
		f->label = assay_bytes_str(a->label);
	e->known |= (a->id[ID_FOWNER] ? ASSAY_COND_FOWNER : 0) |
		    (a->id[ID_FGROUP] ? ASSAY_COND_FGROUP : 0) |
		    (a->fsmagic ? ASSAY_COND_FSMAGIC : 0) | (a->fsuuid ? ASSAY_COND_FSUUID : 0) |
		    (a->fsname ? ASSAY_COND_FSNAME : 0) |
		    (a->fs_subtype ? ASSAY_COND_FS_SUBTYPE : 0) |
		    (a->label ? ASSAY_COND_KEYRINGS | ASSAY_COND_LABEL : 0);
	return EXIT_YES;
}

/* ---- the run -------------------------------------------------------------------------------- */

static int load_policy(const char *name, struct policy_file *p)
{
	struct assay_err err;
	int r = policy_file_load(p, name, NULL, &err);

	policy_file_print_warnings(p);
	return r == 0 ? EXIT_YES : assay_cmd_fail(COMMAND, name, &err);
}

/* A condition on a fact that nobody gave does not hold: such rules match nothing, like those with
 * labels. What is printed of them does not change. */
static void set_aside_unknown(struct explain *e)
{
	if (e->facts.hook == ASSAY_HOOK_KEY_CHECK || e->facts.hook == ASSAY_HOOK_CRITICAL_DATA)
		return;
	for (uint32_t i = 0; i < e->file.text.n_rules; i++)
		if (e->file.text.rules[i].conds & EXPLAIN_CONDS_OBJECT & ~e->known)
			e->file.text.rules[i].conds |= ASSAY_COND_LSM;
}

static int explain_event(const struct args *a, struct explain *e)
{
	struct path_facts path = { 0 };
	struct assay_err err;
	int r;

	if (a->path && path_facts_read(a->path, &path, &err) != 0)
		return assay_cmd_fail(COMMAND, NULL, &err);
	if (a->path)
		fill_from_path(&path, e);
	if (fill_hook(a, &e->facts) || fill_mask(a->mask, &e->facts.mask) ||
	    fill_subject(a, &e->facts.subject) || fill_object(a, e))
		return EXIT_TROUBLE;
	e->path = a->path;
	e->facts.any_subject = a->any_subject;
	set_aside_unknown(e);
	r = assay_policy_compile(&e->file.text, &e->file.arena, &e->policy);
	if (r != 0) {
		assay_err_set(&err, r, "the policy does not fit into memory");
		return assay_cmd_fail(COMMAND, NULL, &err);
	}
	assay_policy_match(e->policy, &e->facts, &e->match);
	return a->json ? answer_print_indented(COMMAND, explain_json(e)) : explain_print(e);
}

int cmd_policy_explain(int argc, char **argv)
{
	struct args a = { .policy = "tcb" };
	struct explain e = { 0 };
	int status = parse_args(argc, argv, &a);

	if (status == EXIT_YES)
		status = load_policy(a.policy, &e.file);
	if (status == EXIT_YES)
		status = explain_event(&a, &e);
	policy_file_done(&e.file);
	return status;
}
