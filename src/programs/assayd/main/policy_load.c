/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/policy_load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "backends/source_fanotify/source_fanotify.h"
#include "base/file.h"
#include "base/fmt.h"
#include "engine/ports.h"
#include "programs/assayd/process/log.h"
#include "programs/common/plane.h"

/* Address space; only what is used is ever backed by memory. */
#define POLICY_ARENA_SIZE ((size_t)64 << 20)

static void warn(void *ctx, enum assay_policy_warning what, uint32_t line, uint32_t column,
		 const char *text)
{
	(void)what;
	log_line(LOG_WARNING, "policy '%s':%u:%u: %s", (const char *)ctx, line, column, text);
}

static int builtin_text(const char *names, char *text, size_t size, struct assay_bytes *ret,
			struct assay_err *err)
{
	struct assay_wr w = assay_wr(text, size);
	bool fail_securely; /* the text says it too, in a comment */
	int r = assay_policy_builtin_write(assay_bytes_str(names), &w, &fail_securely, err);
	char why[200];

	if (r == 0)
		*ret = assay_wr_done(&w);
	if (r >= 0 || !err)
		return r;
	assay_fmt(why, sizeof(why), "%s", err->text);
	return assay_err_set(err, r, "%s; " PLANE_POLICY_HINT, why);
}

static void look_at_rules(struct loaded_policy *p, const struct assay_policy_text *text)
{
	static const struct {
		enum assay_hook hook;
		uint32_t bits;
	} events[] = {
		{ ASSAY_HOOK_FILE_CHECK, ASSAY_FANOTIFY_OPEN },
		{ ASSAY_HOOK_MMAP_CHECK, ASSAY_FANOTIFY_OPEN },
		{ ASSAY_HOOK_BPRM_CHECK, ASSAY_FANOTIFY_EXEC },
		{ ASSAY_HOOK_CREDS_CHECK, ASSAY_FANOTIFY_EXEC },
	};

	for (size_t i = 0; i < ARRAY_LEN(events); i++)
		if (assay_policy_needs(p->compiled, events[i].hook))
			p->event_bits |= events[i].bits;
	for (uint32_t i = 0; i < text->n_rules; i++) {
		p->audits |= text->rules[i].action == ASSAY_ACTION_AUDIT;
		if (text->rules[i].conds & (ASSAY_COND_FOWNER | ASSAY_COND_FGROUP) &&
		    text->rules[i].action & PLANE_ACTIONS)
			p->by_owner = true;
	}
}

/* What is asked for and not done: better said than found out. */
static void warn_about_rest(const struct loaded_policy *p, const struct assay_policy_text *text)
{
	uint32_t others = 0, done = 0;

	for (uint32_t i = 0; i < text->n_rules; i++) {
		done += (text->rules[i].action & ASSAY_ACTION_DO_MASK & PLANE_ACTIONS) != 0;
		others += (text->rules[i].action & ASSAY_ACTION_DO_MASK & ~PLANE_ACTIONS) != 0;
	}
	if (others)
		log_line(LOG_WARNING,
			 "policy '%s': rules that appraise or hash: %u, without effect, as this "
			 "version measures and audits",
			 p->name, others);
	if (!done || !p->event_bits)
		log_line(LOG_WARNING,
			 "policy '%s' measures and audits nothing that is seen here: FILE_CHECK, "
			 "MMAP_CHECK, BPRM_CHECK, CREDS_CHECK",
			 p->name);
}

static int parse(struct loaded_policy *p, const struct assay_core_config *core,
		 struct assay_bytes bytes, struct assay_policy_text *ret, struct assay_err *err)
{
	struct assay_policy_options options = {
		.size = sizeof(options),
		.warn = p->quiet ? NULL : warn,
		.warn_ctx = (void *)(uintptr_t)p->name,
		.template = core->template,
	};

	if (p->builtin)
		return assay_policy_builtin_parse(assay_bytes_str(p->name), &p->arena, ret, err);
	return assay_policy_parse(bytes, &options, &p->arena, ret, err);
}

static int compile(struct loaded_policy *p, const struct assay_core_config *core,
		   struct assay_bytes bytes, struct assay_err *err)
{
	struct assay_policy_text text;
	int r = parse(p, core, bytes, &text, err);

	if (r == 0 && assay_policy_compile(&text, &p->arena, &p->compiled) < 0)
		r = assay_err_set(err, -ENOMEM, "out of memory");
	if (r == 0)
		r = assay_core_check_policy(core, p->compiled, err);
	if (r == 0) {
		look_at_rules(p, &text);
		if (!p->quiet)
			warn_about_rest(p, &text);
	}
	return r;
}

void policy_free(const struct loaded_policy *p)
{
	while (p) {
		const struct loaded_policy *older = p->older;

		if (p->arena.base)
			munmap(p->arena.base, POLICY_ARENA_SIZE);
		free((void *)(uintptr_t)p->name);
		free((void *)(uintptr_t)p);
		p = older;
	}
}

static int keep_text(struct loaded_policy *p, struct assay_bytes text)
{
	void *base = mmap(NULL, POLICY_ARENA_SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	void *copy;

	if (base == MAP_FAILED)
		return -ENOMEM;
	assay_arena_init(&p->arena, base, POLICY_ARENA_SIZE);
	copy = assay_arena_alloc(&p->arena, text.len + 1, 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, text.data, text.len);
	p->text = assay_bytes(copy, text.len);
	return 0;
}

static int load_text(struct loaded_policy *p, const struct assay_crypto *crypto,
		     const struct assay_core_config *core, struct assay_bytes text,
		     struct assay_err *err)
{
	int r = keep_text(p, text);

	if (r < 0)
		return assay_err_set(err, r, "out of memory");
	p->digest.alg = ASSAY_HASH_SHA256;
	r = crypto->ops->hash(crypto->ctx, p->digest.alg, text, p->digest.data);
	return r < 0 ? assay_err_set(err, r, "cannot digest the policy")
		     : compile(p, core, p->text, err);
}

/* The place goes into the message: who logs it knows nothing of lines. */
static int with_place(const struct loaded_policy *p, int r, struct assay_err *err)
{
	uint32_t line = err ? err->line : 0, column = err ? err->column : 0;

	if (line && column)
		assay_err_prefix(err, "%s:%u:%u", p->name, line, column);
	else if (line)
		assay_err_prefix(err, "%s:%u", p->name, line);
	return r;
}

static int load(struct fetch *by, struct loaded_policy *p, const struct assay_crypto *crypto,
		const struct assay_core_config *core, struct assay_err *err)
{
	AUTO(file) struct assay_file file = { 0 };
	char text[ASSAY_POLICY_BUILTIN_TEXT];
	struct assay_bytes bytes;
	int r;

	p->builtin = !plane_policy_is_file(p->name);
	if (p->builtin) {
		r = builtin_text(p->name, text, sizeof(text), &bytes, err);
		return r < 0 ? r : load_text(p, crypto, core, bytes, err);
	}
	r = fetch_file(by, p->name, ASSAY_POLICY_SIZE_MAX, &file, err);
	if (r == 0)
		r = with_place(p, load_text(p, crypto, core, file.bytes, err), err);
	return r;
}

static struct loaded_policy *new_policy(const char *name, struct assay_err *err)
{
	struct loaded_policy *p = calloc(1, sizeof(*p));

	if (p && (p->name = strdup(name)))
		return p;
	free(p);
	assay_err_set(err, -ENOMEM, "out of memory");
	return NULL;
}

int policy_load(struct fetch *by, const char *name, const struct assay_crypto *crypto,
		const struct assay_core_config *core, const struct loaded_policy **ret,
		struct assay_err *err)
{
	struct loaded_policy *p = new_policy(name, err);
	int r;

	if (!p)
		return -ENOMEM;
	r = load(by, p, crypto, core, err);
	if (r == 0)
		*ret = p;
	else
		policy_free(p);
	return r;
}

int policy_load_again(const char *name, bool builtin, struct assay_bytes text,
		      const struct assay_crypto *crypto, const struct assay_core_config *core,
		      const struct loaded_policy **ret, struct assay_err *err)
{
	struct loaded_policy *p = new_policy(name, err);
	int r;

	if (!p)
		return -ENOMEM;
	p->builtin = builtin;
	p->quiet = true;
	r = with_place(p, load_text(p, crypto, core, text, err), err);
	if (r == 0)
		*ret = p;
	else
		policy_free(p);
	return r;
}

void policy_follow(const struct loaded_policy *p, const struct loaded_policy *before)
{
	((struct loaded_policy *)(uintptr_t)p)->older = before;
}
