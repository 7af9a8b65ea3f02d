/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/policy_load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "backends/source_fanotify/source_fanotify.h"
#include "base/file.h"
#include "engine/ports.h"
#include "programs/assayd/log.h"

/* Address space; only what is used is ever backed by memory. */
#define POLICY_ARENA_SIZE ((size_t)64 << 20)

static void warn(void *ctx, enum assay_policy_warning what, uint32_t line, uint32_t column,
		 const char *text)
{
	(void)what;
	log_line(LOG_WARNING, "policy '%s':%u:%u: %s", (const char *)ctx, line, column, text);
}

/* The texts of the built-ins in the order in which the kernel would take them. */
static int builtin_text(const char *names, char **ret, size_t *ret_len, struct assay_err *err)
{
	char word[64], *text = NULL, *bigger;
	size_t len = 0;

	while (*names) {
		size_t n = strcspn(names, "|");
		const char *part;

		if (n >= sizeof(word))
			break;
		memcpy(word, names, n);
		word[n] = '\0';
		part = assay_policy_builtin(word);
		if (!part)
			break;
		bigger = realloc(text, len + strlen(part) + 1);
		if (!bigger)
			break;
		text = bigger;
		memcpy(text + len, part, strlen(part) + 1);
		len += strlen(part);
		names += n + (names[n] == '|');
	}
	if (*names || !text) {
		free(text);
		return assay_err_set(err, -EINVAL, "there is no built-in policy '%s'", names);
	}
	*ret = text;
	*ret_len = len;
	return 0;
}

static int read_text(struct loaded_policy *p, struct assay_bytes *ret, struct assay_err *err)
{
	struct assay_file file;
	char *text;
	size_t len;
	int r;

	if (!strchr(p->name, '/')) {
		r = builtin_text(p->name, &text, &len, err);
		p->builtin = true;
		if (r == 0)
			*ret = assay_bytes(text, len);
		return r;
	}
	r = assay_file_read(AT_FDCWD, p->name, ASSAY_POLICY_SIZE_MAX, &file, err);
	if (r == 0)
		*ret = file.bytes; /* malloc'ed, kept */
	return r;
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
	for (uint32_t i = 0; i < text->n_rules; i++)
		if (text->rules[i].conds & (ASSAY_COND_FOWNER | ASSAY_COND_FGROUP) &&
		    text->rules[i].action & (ASSAY_ACTION_MEASURE | ASSAY_ACTION_DONT_MEASURE))
			p->by_owner = true;
}

static int parse(struct loaded_policy *p, struct assay_bytes bytes, struct assay_err *err)
{
	struct assay_policy_options options = {
		.size = sizeof(options),
		.warn = warn,
		.warn_ctx = (void *)(uintptr_t)p->name,
	};
	struct assay_policy_text text;
	void *base = mmap(NULL, POLICY_ARENA_SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int r;

	if (base == MAP_FAILED)
		return assay_err_set(err, -ENOMEM, "out of memory");
	assay_arena_init(&p->arena, base, POLICY_ARENA_SIZE);
	r = assay_policy_parse(bytes, &options, &p->arena, &text, err);
	if (r == 0 && assay_policy_compile(&text, &p->arena, &p->compiled) < 0)
		r = assay_err_set(err, -ENOMEM, "out of memory");
	if (r == 0)
		look_at_rules(p, &text);
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

static int load(struct loaded_policy *p, const struct assay_crypto *crypto, struct assay_err *err)
{
	struct assay_bytes text;
	int r = read_text(p, &text, err);

	if (r < 0)
		return r;
	p->digest.alg = ASSAY_HASH_SHA256;
	r = crypto->ops->hash(crypto->ctx, p->digest.alg, text, p->digest.data);
	if (r == 0)
		r = parse(p, text, err);
	free((void *)(uintptr_t)text.data);
	if (r < 0 && err && err->line) {
		uint32_t line = err->line, column = err->column;

		assay_err_prefix(err, "%s:%u:%u", p->name, line, column);
	}
	return r;
}

int policy_load(const char *name, const struct assay_crypto *crypto,
		const struct loaded_policy **ret, struct assay_err *err)
{
	struct loaded_policy *p = calloc(1, sizeof(*p));
	int r;

	if (!p || !(p->name = strdup(name))) {
		free(p);
		return assay_err_set(err, -ENOMEM, "out of memory");
	}
	r = load(p, crypto, err);
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
