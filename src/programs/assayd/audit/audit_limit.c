/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/audit/audit_limit.h"

#define SECOND_NS 1000000000ull
#define TOKEN	  1000u

void audit_limit_init(struct audit_limit *l, uint32_t rate)
{
	*l = (struct audit_limit){ .rate = rate };
}

static uint64_t capacity(const struct audit_limit *l)
{
	return (uint64_t)l->rate * AUDIT_BURST_SECONDS * TOKEN;
}

void audit_limit_set_rate(struct audit_limit *l, uint32_t rate)
{
	l->rate = rate;
	for (size_t i = 0; i < l->n; i++)
		if (l->bucket[i].tokens > capacity(l))
			l->bucket[i].tokens = capacity(l);
}

static void fill(const struct audit_limit *l, struct audit_bucket *b, uint64_t now_ns)
{
	uint64_t gone_ns = now_ns > b->filled_ns ? now_ns - b->filled_ns : 0;
	uint64_t more;

	if (gone_ns >= AUDIT_BURST_SECONDS * SECOND_NS) {
		b->tokens = capacity(l);
		b->filled_ns = now_ns;
		return;
	}
	more = gone_ns / 1000 * l->rate / (SECOND_NS / 1000 / TOKEN);
	if (more == 0)
		return; /* the time is kept until it makes one */
	b->tokens = b->tokens + more < capacity(l) ? b->tokens + more : capacity(l);
	b->filled_ns = now_ns;
}

static void begin(const struct audit_limit *l, struct audit_bucket *b, uint32_t rule, uint32_t uid,
		  uint64_t now_ns)
{
	*b = (struct audit_bucket){
		.rule = rule, .uid = uid, .tokens = capacity(l), .filled_ns = now_ns
	};
}

/* Nobody has drawn from it for long, and nothing is left to tell: it says nothing that a new one
 * does not. */
static bool is_idle(const struct audit_bucket *b, uint64_t now_ns)
{
	return !b->limited && now_ns > b->filled_ns &&
	       now_ns - b->filled_ns >= AUDIT_BURST_SECONDS * SECOND_NS;
}

static struct audit_bucket *find(struct audit_limit *l, uint32_t rule, uint32_t uid,
				 uint64_t now_ns)
{
	struct audit_bucket *idle = NULL;

	for (size_t i = 0; i < l->n; i++) {
		struct audit_bucket *b = &l->bucket[i];

		if (b->rule == rule && b->uid == uid)
			return b;
		if (!idle && i < AUDIT_BUCKETS - 1 && is_idle(b, now_ns))
			idle = b;
	}
	if (!idle && l->n < AUDIT_BUCKETS - 1)
		idle = &l->bucket[l->n++];
	if (idle) {
		begin(l, idle, rule, uid, now_ns);
		return idle;
	}
	if (l->n == AUDIT_BUCKETS - 1)
		begin(l, &l->bucket[l->n++], AUDIT_OTHERS, AUDIT_OTHERS, now_ns);
	return &l->bucket[AUDIT_BUCKETS - 1];
}

bool audit_limit_take(struct audit_limit *l, uint32_t rule, uint32_t uid, uint64_t now_ns)
{
	struct audit_bucket *b;

	if (l->rate == 0)
		return true;
	b = find(l, rule, uid, now_ns);
	fill(l, b, now_ns);
	if (b->tokens < TOKEN) {
		if (b->limited++ == 0)
			b->told_ns = now_ns;
		return false;
	}
	b->tokens -= TOKEN;
	return true;
}

bool audit_limit_counts(struct audit_limit *l, uint64_t now_ns, struct audit_bucket *ret)
{
	for (size_t i = 0; i < l->n; i++) {
		struct audit_bucket *b = &l->bucket[i];

		if (!b->limited || (now_ns != UINT64_MAX && now_ns - b->told_ns < SECOND_NS))
			continue;
		*ret = *b;
		b->limited = 0;
		return true;
	}
	return false;
}
