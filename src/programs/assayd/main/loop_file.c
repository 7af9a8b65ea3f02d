/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What becomes of one file. The order of lease.h is spread over its states: the lease is taken when
 * a worker has room for it; digest; records; and, once they are anchored, mark, look at the lease,
 * answer, drop.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "backends/source_fanotify/lease.h"
#include "backends/source_fanotify/opener.h"
#include "base/clock.h"
#include "base/fmt.h"
#include "programs/assayd/process/log.h"
#include "programs/assayd/main/loop_private.h"

#define QUEUED_FILE(q) ((struct file *)((uint8_t *)(q)-offsetof(struct file, queued)))

#define AGAIN_MAX      3u

/* Whoever is on the way to the recorder has arrived, or turned off. */
static void leave_way(struct loop *l, struct file *f)
{
	if (f->on_way)
		atomic_fetch_sub(&l->config.arrivals->on_way, 1);
	f->on_way = false;
}

static void make_ready(struct loop *l, struct file *f)
{
	leave_way(l, f);
	f->state = FILE_READY;
	file_list_add(&l->ready, f);
}

void loop_file_drop_lease(struct file *f)
{
	if (f->leased)
		assay_lease_drop(f->event.fd);
	f->leased = false;
}

static const char *path_of(struct loop *l, const struct file *f)
{
	struct stat st;

	if (fstat(f->event.fd, &st) < 0 || assay_object_path(f->event.fd, &st, l->path) < 0)
		l->path[0] = '\0';
	return l->path;
}

static void note_late_error(struct loop *l, const struct file *f, int error)
{
	int none = 0;

	if (f->late)
		atomic_compare_exchange_strong(&l->late_error, &none, error);
}

/* A list that takes nothing is said once, by the recorder. */
static void complain(struct loop *l, struct file *f, int error, const char *why)
{
	atomic_fetch_add(&l->daemon->totals.errors, 1);
	note_late_error(l, f, error);
	if (error != -ENOSPC && error != -EIO)
		log_line(LOG_ERR, "'%s' was not measured: %s", path_of(l, f), why);
}

/* ---- answers that are early ----------------------------------------------------------------- */

void loop_file_answer(struct loop *l, struct file *f, bool allow)
{
	if (f->answered)
		return;
	f->answered = true;
	loop_file_unlink(l, f);
	f->refused = !f->late && !allow;
	if (!f->late)
		assay_fanotify_answer(l->daemon->group, f->event.fd, allow);
}

static void note_gap(struct loop *l, struct file *f, enum ledger_why why)
{
	uint64_t waited_ns = assay_clock_ns() - f->arrived_ns;

	ledger_add(l->config.ledger, why, !f->refused, path_of(l, f), waited_ns / 1000000u,
		   (uint64_t)f->size);
}

/* Of an exempt process, who was not held: it is a gap that it was not measured afterwards. */
void loop_file_answer_early(struct loop *l, struct file *f, enum ledger_why why)
{
	if (f->answered && !f->event.answered)
		return;
	loop_file_answer(l, f, atomic_load(&l->daemon->deadline.allows));
	note_gap(l, f, why);
}

/* One that the recorder has ends when that answers. */
void loop_file_give_up(struct loop *l, struct file *f)
{
	enum file_state state = f->state;

	if (state == FILE_QUEUED)
		fair_remove(f->line, &f->queued);
	else if (state == FILE_READ)
		file_list_remove(&l->reads, f);
	else if (state == FILE_WAITS)
		file_list_remove(&l->waits, f);
	else
		return;
	make_ready(l,
		   f); /* first: the worker may be found dead, and this is not to be read again */
	if (state == FILE_READ)
		crew_cancel(l->crew, loop_file_id(f, 0));
}

/* ---- records -------------------------------------------------------------------------------- */

static void submit(struct loop *l, struct file *f, const struct judge_plan *plan,
		   const struct content_facts *content)
{
	struct assay_facts facts;

	f->state = FILE_RECORDED;
	for (uint32_t i = 0; i < plan->n; i++) {
		int r;

		judge_facts(f->hearing, plan, i, content, l->path, &facts);
		r = recording_submit(l->recording, loop_file_id(f, i + 1), &facts);
		if (r == 0)
			f->asked |= 1u << i;
		else
			f->error = r;
	}
}

/* All is known: what follows. */
static void judged(struct loop *l, struct file *f, const struct content_facts *content)
{
	const struct judge_plan *plan = judge_plan(f->hearing, content);

	f->ignore_bits = judge_audit(f->hearing, plan, content, l->path) ? plan->ignore_bits : 0;
	f->epoch = f->hearing->epoch;
	f->ask_again = false;
	submit(l, f, plan, content);
	leave_way(l, f);
	free(f->hearing);
	f->hearing = NULL;
	/* Those who wait for the same content shall not ask for it again. */
	f->known = *content;
	f->has_known = content->have != 0;
	if (f->asked == 0 && f->error < 0)
		complain(l, f, f->error, strerror(-f->error));
	if (f->asked == 0)
		make_ready(l, f);
}

/* The recorder's policy is another by now: all from the beginning. */
static void begin_again(struct loop *l, struct file *f)
{
	loop_file_drop_lease(f);
	f->has_known = false;
	f->wait_for = ASSAY_NO_RECORD;
	f->error = 0;
	f->state = FILE_NEW;
	f->on_way = true;
	atomic_fetch_add(&l->config.arrivals->on_way, 1);
	loop_file_begin(l, f);
}

static void recorded(struct loop *l, struct file *f)
{
	if (f->ask_again && f->again++ < AGAIN_MAX && !f->answered) {
		begin_again(l, f);
		return;
	}
	if (f->ask_again)
		f->error = -EAGAIN;
	if (f->error < 0) {
		f->ignore_bits = 0;
		complain(l, f, f->error, strerror(-f->error));
	}
	if (f->error == 0 && !f->answered && f->wait_for != ASSAY_NO_RECORD &&
	    f->wait_for >= l->anchored) {
		f->state = FILE_WAITS;
		file_list_insert(&l->waits, f);
		return;
	}
	make_ready(l, f);
}

static void on_done(void *ctx, uint64_t id, const struct recording_result *r)
{
	struct loop *l = ctx;
	uint32_t part;
	struct file *f = loop_file_find(l, id, &part);

	if (!f || f->state != FILE_RECORDED || part == 0 || !(f->asked & 1u << (part - 1)))
		return; /* recording.h has checked it: of a file that went with the end */
	f->asked &= ~(1u << (part - 1));
	f->ask_again |= r->error == 0 && r->need;
	if (r->error < 0)
		f->error = r->error;
	else if (r->wait_for != ASSAY_NO_RECORD &&
		 (f->wait_for == ASSAY_NO_RECORD || r->wait_for > f->wait_for))
		f->wait_for = r->wait_for;
	if (f->asked == 0)
		recorded(l, f);
}

static void on_anchored(void *ctx, uint64_t upto, bool released)
{
	struct loop *l = ctx;
	struct file *f;

	(void)released; /* the gap record is the recorder's */
	if (upto > l->anchored)
		l->anchored = upto;
	while ((f = l->waits.first) && f->wait_for < l->anchored) {
		file_list_remove(&l->waits, f);
		make_ready(l, f);
	}
}

static void on_segment(void *ctx, enum assay_segment_start why)
{
	struct loop *l = ctx;

	(void)why;
	atomic_store(&l->segment, true);
	eventfd_write(l->config.wake_fd, 1);
}

const struct recording_ops loop_recording_ops = {
	.done = on_done,
	.anchored = on_anchored,
	.segment = on_segment,
};

/* ---- content -------------------------------------------------------------------------------- */

/* Who the file is queued for. Its owner is who runs the process, or root if that hides. */
static uint32_t uid_of(const struct file *f)
{
	uint32_t uid = assay_opener_user(f->event.tid);

	return uid == ASSAY_NO_USER ? 0 : uid;
}

/* Of a file that a worker is to have later: the hearing begins anew then. */
static void put_off(struct file *f)
{
	loop_file_drop_lease(f);
	free(f->hearing);
	f->hearing = NULL;
	f->state = FILE_QUEUED;
}

/* The big ones have their worker for themselves, and so has one whose last reader died. */
static struct fair *line_of(struct loop *l, const struct file *f)
{
	if (f->goes_on)
		return &l->idle;
	return (uint64_t)f->size > CREW_BIG_SIZE || f->died > 0 ? &l->big : &l->small;
}

/* Nobody has waited longer; and nobody waits at all, if nobody does for this one. */
static bool is_next(struct loop *l, const struct file *f)
{
	const struct fair *line = line_of(l, f);

	return line->n == 0 && (line != &l->idle || l->big.n == 0);
}

static void put(struct loop *l, struct file *f)
{
	put_off(f);
	f->line = line_of(l, f);
	fair_put(f->line, &f->queued, uid_of(f));
}

/* What nobody waits for is not read on while others do: it begins anew when they are done. */
static void make_way(struct loop *l)
{
	struct file *f = l->big.n ? l->reads.first : NULL;

	while (f && !f->goes_on)
		f = f->next;
	if (!f)
		return;
	file_list_remove(&l->reads, f);
	put(l, f);
	crew_cancel(l->crew, loop_file_id(f, 0));
}

static void queue(struct loop *l, struct file *f)
{
	put(l, f);
	make_way(l);
}

static bool give(struct loop *l, struct file *f)
{
	const struct crew_job job = {
		.job = { .id = loop_file_id(f, 0),
			 .wanted = f->hearing->wanted,
			 .alg = l->daemon->hash,
			 .size_max = f->size_max },
		.fd = f->event.fd,
		.size = (uint64_t)f->size,
		.alone = f->died > 0 || f->goes_on,
	};

	if (!crew_give(l->crew, &job))
		return false;
	f->state = FILE_READ;
	file_list_add(&l->reads, f);
	return true;
}

/* ---- too large ------------------------------------------------------------------------------ */

/* It is measured while nobody waits, and gives way to files that somebody waits for. Others that
 * open it are answered at once too, so they do not wait behind it. It may grow by what is not large
 * while it is read, not for ever. */
static bool go_on_later(struct loop *l, struct file *f)
{
	if (l->n_later == LATER_MAX || f->late)
		return false;
	for (uint32_t i = 0; i < l->n_later; i++)
		if (l->later[i]->node.dev == f->node.dev && l->later[i]->node.ino == f->node.ino)
			return false;
	l->later[l->n_later++] = f;
	f->size_max = (uint64_t)f->size + l->size_max;
	if (f->goes_on)
		return true;
	f->goes_on = true;
	atomic_fetch_add(&l->idle_left, 1);
	f->owns_inode = false;
	leave_way(l, f);
	loop_file_release(l, assay_inflight_leave(l->inflight, &f->node), NULL);
	return true;
}

/* Its opener is answered. True: it is read all the same. */
static bool is_read_later(struct loop *l, struct file *f)
{
	enum assay_conf_too_large what = (enum assay_conf_too_large)l->daemon->conf.too_large;

	loop_file_answer(l, f, what != ASSAY_CONF_TOO_LARGE_DENY);
	note_gap(l, f, LEDGER_TOO_LARGE);
	return what == ASSAY_CONF_TOO_LARGE_LATER && go_on_later(l, f);
}

/* False: it is too large, and was answered. */
static bool check_size(struct loop *l, struct file *f)
{
	return !(f->hearing->wanted & (WORKER_DIGEST | WORKER_DIGEST_IF_ELF)) ||
	       (uint64_t)f->size <= f->size_max || is_read_later(l, f);
}

/* While it was read: a writer lets it grow. */
static void has_grown(struct loop *l, struct file *f)
{
	struct stat st;

	if (fstat(f->event.fd, &st) == 0)
		f->size = st.st_size;
	if (is_read_later(l, f))
		queue(l, f);
	else
		make_ready(l, f);
}

/* ---- from workers ---------------------------------------------------------------------------- */

static void on_found(void *ctx, const struct worker_finding *found)
{
	struct loop *l = ctx;
	uint32_t part;
	struct file *f = loop_file_find(l, found->id, &part);
	struct content_facts content = {
		.elf = found->elf,
		.unreadable = found->status == WORKER_UNREADABLE,
		.digest = found->digest,
		.verity = found->verity,
	};

	if (!f || part != 0 || f->state != FILE_READ)
		return;
	file_list_remove(&l->reads, f);
	content.have = f->hearing->wanted;
	atomic_fetch_add(&l->daemon->totals.digests, found->digest.alg != ASSAY_HASH_COUNT);
	atomic_fetch_add(&l->daemon->totals.digest_bytes, found->bytes);
	l->room = true;
	if (found->status == WORKER_TOO_LARGE) {
		has_grown(l, f);
		return;
	}
	if (f->leased && !assay_lease_intact(f->event.fd)) {
		loop_file_drop_lease(f);
		f->hearing->broken = true;
		atomic_fetch_add(&l->daemon->totals.broken_leases, 1);
	}
	judged(l, f, &content);
}

/* Once more, by another worker; then it is the file. */
static void on_lost(void *ctx, uint64_t id, bool died)
{
	struct loop *l = ctx;
	uint32_t part;
	struct file *f = loop_file_find(l, id, &part);

	l->room = true;
	if (!f || f->state != FILE_READ)
		return;
	file_list_remove(&l->reads, f);
	if (died && f->died++ > 0) {
		loop_file_answer_early(l, f, LEDGER_WORKER);
		make_ready(l, f);
		return;
	}
	queue(l, f);
}

const struct crew_ops loop_crew_ops = { .found = on_found, .lost = on_lost };

/* Whoever waits for us to let go of a file gets it: the digest goes on without a mark. */
void loop_file_look_at_leases(struct loop *l)
{
	for (struct file *f = l->reads.first; f; f = f->next) {
		if (!f->leased || assay_lease_intact(f->event.fd))
			continue;
		loop_file_drop_lease(f);
		f->hearing->broken = true;
		atomic_fetch_add(&l->daemon->totals.broken_leases, 1);
	}
}

/* ---- the beginning -------------------------------------------------------------------------- */

/* What was found for another opener is all that is needed for this one too. */
static bool suffices(const struct content_facts *known, const struct hearing *h)
{
	uint32_t have = known->have;

	if (have & WORKER_DIGEST || known->elf)
		have |= WORKER_DIGEST_IF_ELF;
	return (h->wanted & ~have) == 0;
}

static int hear(struct loop *l, struct file *f, const struct stat *st)
{
	const struct judge_case c = {
		.fd = f->event.fd,
		.tid = f->event.tid,
		.exec = f->event.exec,
		.late = f->late,
		.st = *st,
		.known = f->has_known ? &f->known : NULL,
	};
	int r;

	f->hearing = malloc(sizeof(*f->hearing));
	if (!f->hearing)
		return -ENOMEM;
	r = judge_begin(l->daemon, &c, f->hearing);
	f->leased = f->hearing->leased;
	return r;
}

/* What a worker must find out. False: all have enough to do, or it is not its turn. */
static bool ask_worker(struct loop *l, struct file *f, bool in_turn)
{
	if (!check_size(l, f)) {
		make_ready(l, f);
		return true;
	}
	if (f->answered && f->goes_on)
		loop_file_drop_lease(f);
	return (in_turn || is_next(l, f)) && give(l, f);
}

/* False: it is to be queued. @in_turn: it was; else it has just come. */
static bool begin(struct loop *l, struct file *f, const struct stat *st, bool in_turn)
{
	static const struct content_facts nothing = { .digest.alg = ASSAY_HASH_COUNT,
						      .verity.alg = ASSAY_HASH_COUNT };
	int r;

	f->size = st->st_size;
	r = hear(l, f, st);
	if (r < 0) {
		complain(l, f, r, strerror(-r));
		make_ready(l, f);
		return true;
	}
	if (f->hearing->wanted == 0) {
		judged(l, f, &nothing);
		return true;
	}
	if (f->has_known && suffices(&f->known, f->hearing)) {
		const struct content_facts known = f->known;

		judged(l, f, &known);
		return true;
	}
	if (!f->has_known)
		return ask_worker(l, f, in_turn);
	/* Not what this opener needs: as if nothing were known. */
	free(f->hearing);
	f->has_known = false;
	return begin(l, f, st, in_turn);
}

/* True: there is something to do, and @ret says what the file is. */
static bool look_at(struct loop *l, struct file *f, struct stat *ret)
{
	if ((!f->answered || f->goes_on) && fstat(f->event.fd, ret) == 0 && S_ISREG(ret->st_mode))
		return true;
	make_ready(l, f);
	return false;
}

/* False: another event of its inode is worked on. */
static bool enter(struct loop *l, struct file *f, const struct stat *st)
{
	if (f->late || f->owns_inode)
		return true;
	f->node.dev = st->st_dev;
	f->node.ino = st->st_ino;
	if (f->goes_on)
		return true;
	f->owns_inode = true;
	if (assay_inflight_enter(l->inflight, &f->node))
		return true;
	f->state = FILE_BEHIND;
	leave_way(l, f);
	return false;
}

void loop_file_begin(struct loop *l, struct file *f)
{
	struct stat st;

	if (!look_at(l, f, &st) || !enter(l, f, &st) || begin(l, f, &st, false))
		return;
	queue(l, f);
}

static void give_from(struct loop *l, struct fair *line)
{
	struct fair_node *node;
	struct stat st;

	while ((node = fair_take(line))) {
		struct file *f = QUEUED_FILE(node);

		if (!look_at(l, f, &st) || begin(l, f, &st, true))
			continue;
		/* Its owner has let it grow, or cut it: it holds up nobody in this line. */
		if (line_of(l, f) != line) {
			queue(l, f);
			l->room = true;
			continue;
		}
		put_off(f);
		fair_put_back(line, node);
		return;
	}
}

void loop_file_give(struct loop *l)
{
	l->room = false;
	give_from(l, &l->small);
	give_from(l, &l->big);
	if (l->big.n == 0)
		give_from(l, &l->idle);
}
