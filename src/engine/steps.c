/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/steps.h"

#include <errno.h>
#include <stdlib.h>

struct held {
	struct assay_record record;
	struct assay_step step;
	bool placed; /* before a step that the list has before it */
};

struct assay_steps {
	struct assay_replay *replay;
	/* Held back: held[first .. first + n]; n_own of them are not placed. A record of the
	 * kernel's may go before the last ASSAY_TAIL_MAX of those. */
	struct held *held;
	size_t first, n, room, n_own;
	bool ended;
};

int assay_steps_new(const struct assay_crypto *crypto, const struct assay_banks *banks,
		    const struct assay_list_form *form, bool own, struct assay_steps **ret)
{
	AUTO(steps) struct assay_steps *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	r = assay_replay_new(crypto, banks, NULL, &s->replay);
	if (r == 0)
		r = assay_replay_set_form(s->replay, form);
	if (r < 0)
		return r;
	assay_replay_follow(s->replay, ASSAY_EXTEND_PADDED, false);
	assay_replay_follow(s->replay, ASSAY_EXTEND_PADDED_FF, false);
	if (own)
		assay_replay_set_own(s->replay);
	*ret = TAKE(s);
	return 0;
}

void assay_steps_free(struct assay_steps *s)
{
	if (!s)
		return;
	assay_replay_free(s->replay);
	free(s->held);
	free(s);
}

/* One more fits behind the last. What was given out gives its room, once it is as much as is held:
 * so a step is moved about once, not once for each that follows. */
static int make_room(struct assay_steps *s)
{
	size_t room = s->room ? 2 * s->room : 4 * ASSAY_TAIL_MAX;
	struct held *more;

	if (s->first + s->n < s->room)
		return 0;
	if (s->n <= s->room / 2 && s->first > 0) {
		memmove(s->held, s->held + s->first, s->n * sizeof(*s->held));
		s->first = 0;
		return 0;
	}
	more = realloc(s->held, room * sizeof(*more));
	if (!more)
		return -ENOMEM;
	s->held = more;
	s->room = room;
	return 0;
}

static void hold(struct assay_steps *s, const struct assay_record *record,
		 const struct assay_step *step)
{
	uint64_t before = assay_replay_placed(s->replay);
	bool placed = before != UINT64_MAX;
	struct held *held = s->held + s->first;
	size_t at = s->n;

	for (size_t i = 0; placed && i < s->n && at == s->n; i++)
		if (!held[i].placed && held[i].step.index >= before)
			at = i;
	memmove(held + at + 1, held + at, (s->n - at) * sizeof(*held));
	held[at] = (struct held){ *record, *step, placed };
	s->n++;
	s->n_own += !placed;
}

int assay_steps_add(struct assay_steps *s, const struct assay_record *record, uint64_t offset,
		    struct assay_err *err)
{
	struct assay_step step;
	bool is_step;
	int r = assay_replay_record(s->replay, record, offset, &is_step, &step, err);

	if (r < 0 || !is_step)
		return r;
	if (make_room(s) < 0)
		return assay_err_set(err, -ENOMEM, "out of memory");
	hold(s, record, &step);
	return 0;
}

void assay_steps_end(struct assay_steps *s)
{
	s->ended = true;
}

bool assay_steps_next(struct assay_steps *s, const struct assay_record **ret,
		      const struct assay_step **ret_step)
{
	const struct held *held = s->held + s->first;

	if (s->n == 0 || !(s->ended || held->placed || s->n_own > ASSAY_TAIL_MAX))
		return false;
	s->n_own -= !held->placed;
	s->first++;
	s->n--;
	*ret = &held->record;
	*ret_step = &held->step;
	return true;
}
