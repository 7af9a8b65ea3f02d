/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Segments: taking one back into the core, and beginning one. */
#include "programs/assayd/anchor/recorder_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <syslog.h>
#include <time.h>

#include "base/clock.h"
#include "base/fmt.h"

/* Address space for the core: some 12 million known files. Only what is used costs memory. */
#define ARENA_SIZE (1ull << 30)

static const struct assay_list_form form = { .column = ASSAY_HASH_SHA1 };

/* A core, and the memory that it lives in. */
struct core_home {
	struct assay_core *core;
	void *arena;
};

static void drop_home(struct core_home *h)
{
	assay_core_done(h->core);
	if (h->arena)
		munmap(h->arena, ARENA_SIZE);
	*h = (struct core_home){ 0 };
}

/* The recorder's becomes that of @h, and the other way round. */
static void swap_home(struct recorder *r, struct core_home *h)
{
	struct core_home old = { r->core, r->arena };

	r->core = h->core;
	r->arena = h->arena;
	*h = old;
}

void recorder_drop_core(struct recorder *r)
{
	struct core_home h = { 0 };

	swap_home(r, &h);
	drop_home(&h);
}

/* The core writes to the list, but for what would be taken for a record of the kernel's that was
 * announced and could not be written. */
static int append(void *ctx, struct assay_bytes record, bool reserve)
{
	struct recorder *r = ctx;
	struct assay_append port = assay_list_file_port(r->list);

	return r->owed > 0 ? -EIO : port.ops->append(port.ctx, record, reserve);
}

static const struct assay_append_ops append_ops = { .append = append };

static int new_core(struct recorder *r, const struct assay_banks *banks, struct core_home *ret,
		    struct assay_err *err)
{
	struct assay_ports ports = { .crypto = r->config.crypto, .append = { &append_ops, r } };
	struct assay_core_config config = r->config.core;
	struct core_home h = { 0 };
	struct assay_arena arena;
	int rc;

	h.arena = mmap(NULL, ARENA_SIZE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (h.arena == MAP_FAILED)
		return assay_err_set(err, -errno, "no memory for the core");
	config.banks = *banks;
	/* The arena's own head lives in it, as the core keeps a pointer to it. */
	assay_arena_init(&arena, h.arena, ARENA_SIZE);
	memcpy(assay_arena_alloc(&arena, 1, sizeof(arena)), &arena, sizeof(arena));
	rc = assay_core_new((struct assay_arena *)h.arena, &ports, &config, &h.core, err);
	if (rc < 0)
		drop_home(&h);
	else
		*ret = h;
	return rc;
}

int recorder_load_core(struct recorder *r, const struct assay_banks *banks,
		       const struct assay_recover_plan *plan, struct assay_err *err)
{
	struct assay_rd in = assay_rd(assay_list_file_records(r->list));
	struct core_home home = { 0 };
	struct assay_record record;
	int rc = new_core(r, banks, &home, err);

	swap_home(r, &home);
	r->past.kernel_left = 0;
	for (uint64_t i = 0; rc == 0 && !assay_rd_end(&in); i++) {
		bool kernel;

		rc = assay_record_parse(&in, &form, &record, err);
		if (rc < 0)
			break;
		recorder_past_add(&r->past, &record, &kernel);
		r->announced += kernel;
		rc = assay_core_restore(r->core, &record,
					!kernel && record.pcr < ASSAY_PCRS &&
						i >= plan->pcr[record.pcr].upto,
					err);
	}
	r->kernel_total = r->past.kernel_total;
	r->past.other_boot = r->past.kernel_total > 0 &&
			     memcmp(r->past.boot, r->boot_id, sizeof(r->boot_id)) != 0;
	memcpy(r->mode_word, r->past.mode_word, sizeof(r->mode_word));
	return rc;
}

int recorder_set_mode(struct recorder *r, struct assay_err *err)
{
	static const char *const words[] = {
		[ANCHOR_EACH] = "each",
		[ANCHOR_GROUP] = "group",
		[ANCHOR_ORDERED] = "ordered",
	};
	/* Without an anchor there is nothing that a batch record would be extended into. */
	enum anchor_mode mode = recorder_has_anchor(r) ? r->config.mode : ANCHOR_EACH;
	const char *now = r->mode_word[0] ? r->mode_word : "each";
	int rc;

	if (strcmp(now, words[mode]) == 0)
		return 0;
	rc = assay_core_set_batching(r->core,
				     mode == ANCHOR_EACH ? ASSAY_BATCHING_EACH
							 : ASSAY_BATCHING_GROUP,
				     words[mode], err);
	if (rc == 0)
		assay_fmt(r->mode_word, sizeof(r->mode_word), "%s", words[mode]);
	return rc;
}

/* Where the first record is that was not anchored. The anchor thread asks: nobody else anchors. */
static int find_unanchored(struct recorder *r, size_t *ret)
{
	struct assay_rd in = assay_rd(assay_list_file_records(r->list));
	struct assay_record record;
	uint64_t first = r->upto > r->index_base ? r->upto - r->index_base : 0;

	if (first < r->carry_from) /* the next one begins with its own */
		first = r->carry_from;
	for (uint64_t i = 0; i < first && !assay_rd_end(&in); i++)
		if (assay_record_parse(&in, &form, &record, NULL) < 0)
			return -EBADMSG;
	*ret = assay_rd_offset(&in);
	return 0;
}

/* Adds what the segment has from byte @from on: its list is unmapped soon. What it announces as the
 * kernel's is not ours to extend: what the new one begins with has it. */
static int carry(struct recorder *r, size_t from)
{
	struct assay_bytes all = assay_list_file_records(r->list);
	struct recorder_carried *c = &r->carried;
	struct assay_rd in = assay_rd(assay_bytes(all.data + from, all.len - from));
	uint8_t *bytes = realloc(c->bytes, c->len + all.len - from + 1);
	struct recorder_past past = { 0 };
	struct assay_record record;
	size_t len = c->len;

	if (!bytes)
		return -ENOMEM;
	c->bytes = bytes;
	while (!assay_rd_end(&in)) {
		const uint8_t *at = in.at;
		bool kernel;

		if (assay_record_parse(&in, &form, &record, NULL) < 0)
			return -EBADMSG;
		recorder_past_add(&past, &record, &kernel);
		if (kernel)
			continue;
		memcpy(bytes + len, at, record.size);
		len += record.size;
	}
	c->len = len;
	c->closed += assay_core_records(r->core);
	return 0;
}

static bool holds(struct assay_bytes data, const void *needle, size_t len)
{
	return memmem(data.data, data.len, needle, len) != NULL;
}

/* Batch and mode records, and those about the kernel's, spoke of the old segment. */
static bool is_of_segment(const struct assay_record *record)
{
	static const char batch[] = ASSAY_BATCH_NAME, mode[] = "event=mode;",
			  kernel[] = ";kernel_total=";

	return assay_bytes_is(record->template_name, "ima-buf") &&
	       (holds(record->data, batch, sizeof(batch)) ||
		holds(record->data, mode, sizeof(mode) - 1) ||
		holds(record->data, kernel, sizeof(kernel) - 1));
}

static int carry_over(struct recorder *r, const struct recorder_carried *c, struct assay_err *err)
{
	struct assay_rd in = assay_rd(assay_bytes(c->bytes, c->len));
	struct assay_record record;
	int rc = 0;

	r->carry_from = assay_core_records(r->core);
	while (rc == 0 && !assay_rd_end(&in)) {
		rc = assay_record_parse(&in, &form, &record, err);
		if (rc == 0 && !is_of_segment(&record))
			rc = assay_core_adopt(r->core, &record, false, err);
	}
	r->carry_until = assay_core_records(r->core);
	return rc;
}

struct segment_args {
	const struct assay_segment_head *head;
	struct assay_bytes checksum; /* of the head */
	const char *why;
	uint64_t kernel_total; /* that the base stands for */
};

static void fill_segment(void *ctx, struct assay_wr *w)
{
	static const char *const starts[] = {
		[ASSAY_SEGMENT_FIRST] = "first",
		[ASSAY_SEGMENT_RESET] = "reset",
		[ASSAY_SEGMENT_BROKEN] = "broken",
	};
	const struct segment_args *a = ctx;

	assay_state_add_u64(w, "number", a->head->number);
	assay_state_add(w, "start", assay_bytes_str(starts[a->head->start]));
	assay_state_add(w, "why", assay_bytes_str(a->why));
	assay_state_add_hex(w, "previous",
			    assay_bytes(a->head->previous, sizeof(a->head->previous)));
	assay_state_add_u64(w, "previous_len", a->head->previous_len);
	assay_state_add_hex(w, "head", a->checksum);
	recorder_state_clock(w, &a->head->clock);
	if (a->kernel_total > 0)
		assay_state_add_u64(w, "kernel_total", a->kernel_total);
}

static bool is_initial(const struct recorder_seen *seen, uint32_t pcr)
{
	for (uint32_t i = 0; i < seen->banks.n; i++)
		if (!assay_bytes_all(assay_bytes(seen->pcr[pcr].value[i],
						 assay_hash_size(seen->banks.alg[i])),
				     0))
			return false;
	return true;
}

/* A kernel that has no record yet may have its first before ours is extended. Nothing can go before
 * the records that a list has before its first state record. */
static bool may_be_first(const struct recorder *r)
{
	return r->config.kernel_list && recorder_has_anchor(r) && r->kernel_unexplained == 0;
}

/* The kernel's records, or else our own boot_aggregate; then what this segment is. */
static int first_records(struct recorder *r, const struct recorder_seen *seen, bool adopted,
			 const char *why, struct assay_err *err)
{
	struct segment_args args = { assay_list_file_head(r->list),
				     assay_list_file_checksum(r->list), why,
				     adopted ? 0 : r->kernel_total };
	uint32_t pcr = r->config.core.pcr;
	int rc = 0;

	if (!adopted && (!is_initial(seen, pcr) || may_be_first(r)))
		rc = recorder_state_base(r, seen, pcr, err);
	if (rc == 0 && !adopted)
		rc = assay_core_boot_aggregate(r->core, seen->banks.n ? seen->pcr : NULL, NULL,
					       err);
	if (rc == 0)
		rc = recorder_state_locked(r, "segment", fill_segment, &args,
					   args.head->start == ASSAY_SEGMENT_BROKEN, NULL, err);
	return rc;
}

/* A segment that is to begin. What takes long to make is made before the lock is taken; afterwards
 * the core and the replay of the closed one are here. */
struct next {
	enum assay_segment_start start;
	struct recorder_seen *seen;
	struct kernel_list *kernel; /* NULL: none */
	const char *why;
	struct assay_segment_head head;
	struct core_home home;
	struct assay_replay *replay;
	size_t unanchored; /* bytes of the closed segment before that */
};

static void free_next(struct next *n)
{
	recorder_kernel_free(n->kernel);
	assay_replay_free(n->replay);
	drop_home(&n->home);
}

static void fill_head(struct recorder *r, struct next *n)
{
	const struct recorder_seen *seen = n->seen;

	n->head = (struct assay_segment_head){ .start = n->start,
					       .clock = seen->clock,
					       .banks = seen->banks,
					       .created_ns = assay_clock_read(CLOCK_REALTIME) };
	memcpy(n->head.boot_id, r->boot_id, sizeof(n->head.boot_id));
	for (uint32_t p = 0; seen->banks.n && p < ASSAY_PCRS; p++)
		if (!n->kernel || !(n->kernel->pcrs & 1u << p))
			n->head.base[p] = seen->pcr[p];
}

/* Can wait for the TPM and the medium, and reads the whole list: without the lock. */
static int prepare(struct recorder *r, struct next *n, struct assay_err *err)
{
	int rc = recorder_kernel_read(r, n->seen, &n->kernel, err);

	if (rc < 0)
		return rc;
	fill_head(r, n);
	rc = assay_list_file_prepare(r->list, err);
	if (rc == 0)
		rc = new_core(r, &n->seen->banks, &n->home, err);
	if (rc < 0)
		return rc;
	rc = assay_replay_new(&r->config.crypto, &n->seen->banks, n->head.base, &n->replay);
	if (rc < 0)
		return assay_err_set(err, rc, "cannot replay the list");
	if (r->has_thread && !r->carried.unfinished)
		rc = find_unanchored(r, &n->unanchored);
	return rc < 0 ? assay_err_set(err, rc, "cannot keep what was not anchored") : 0;
}

/* The list goes on in a new file; the walk over it starts again. */
static int open_segment(struct recorder *r, struct next *n, struct assay_err *err)
{
	struct assay_replay *closed = r->replay;
	int rc = assay_list_file_begin(r->list, &n->head, err);

	if (rc < 0)
		return rc;
	swap_home(r, &n->home);
	r->replay = n->replay;
	n->replay = closed;
	recorder_drop_tip(r);
	r->places++;
	r->cursor = r->taken = r->synced = r->check_from = 0;
	r->announced = r->announced_upto = r->owed = 0;
	pthread_cond_broadcast(&r->progress);
	r->kernel_total = r->kernel_doubt = 0;
	r->padded = 0;
	memset(r->seen, 0, sizeof(r->seen));
	memset(r->have, 0, sizeof(r->have));
	r->mode_word[0] = '\0';
	return r->policy ? assay_core_set_policy(r->core, r->policy, err) : 0;
}

static int fill_segment_file(struct recorder *r, struct next *n, struct assay_err *err)
{
	int rc = open_segment(r, n, err);

	if (rc == 0 && !n->kernel)
		r->kernel_total = r->kernel_unexplained;
	if (rc == 0 && n->kernel)
		rc = recorder_adopt_first(r, n->kernel, err);
	if (rc == 0)
		rc = first_records(r, n->seen, n->kernel != NULL, n->why, err);
	if (rc == 0)
		rc = recorder_set_mode(r, err);
	if (rc == 0 && r->policy)
		rc = recorder_state_policy(r, err);
	if (rc == 0)
		rc = carry_over(r, &r->carried, err);
	return rc;
}

static void forget_carried(struct recorder *r)
{
	free(r->carried.bytes);
	r->carried = (struct recorder_carried){ 0 };
}

/* A run that could not finish a segment keeps what goes into it, and writes to none meanwhile:
 * whoever waits for a record of the closed one must not be released by others in its place. */
static void set_unfinished(struct recorder *r, enum assay_segment_start start, const char *why)
{
	r->carried.unfinished = r->has_thread;
	r->carried.start = start;
	memmove(r->carried.why, why, strlen(why) + 1);
}

/* With the lock, so no longer than it must: the last that others wrote to the closed segment goes
 * with the rest, and from then on they write to the new one. */
static int begin_locked(struct recorder *r, struct next *n, struct assay_err *err)
{
	int rc;

	if (r->has_thread && !r->carried.unfinished && carry(r, n->unanchored) < 0)
		return assay_err_set(err, -ENOMEM, "cannot keep what was not anchored");
	rc = fill_segment_file(r, n, err);
	if (rc == 0) {
		r->index_base += r->carried.closed;
		r->counts.segment = assay_list_file_head(r->list)->number;
		r->begun = true;
		r->begun_len = assay_list_file_records(r->list).len;
	} else if (assay_list_file_drop(r->list)) {
		recorder_drop_core(r);
		set_unfinished(r, n->start, n->why);
	} else if (!r->carried.unfinished) {
		forget_carried(r);
	}
	return rc;
}

/* With the lock: a segment that could not get its name is dropped. What others wrote to it goes
 * behind what is in the closed one, as if it had come before, and with the rest into the next. */
static int drop_begun(struct recorder *r, struct assay_err *err)
{
	struct assay_append port = assay_list_file_port(r->list);
	struct recorder_carried *c = &r->carried;
	uint64_t closed = c->closed;
	size_t len = c->len;

	if (!r->begun)
		return 0;
	if (carry(r, r->begun_len) < 0)
		return assay_err_set(err, -ENOMEM, "cannot keep what was not anchored");
	r->index_base -= closed;
	r->begun = false;
	recorder_drop_tip(r);
	recorder_drop_core(r);
	if (assay_list_file_drop(r->list) && c->len > len)
		(void)port.ops->append(port.ctx, assay_bytes(c->bytes + len, c->len - len), true);
	return 0;
}

/* Gives the segment its name, when it is on the medium. Others write to it meanwhile. */
static int keep(struct recorder *r, const struct next *n, struct assay_err *err)
{
	int rc = assay_list_file_keep(r->list, err);

	pthread_mutex_lock(&r->lock);
	if (rc < 0) {
		set_unfinished(r, n->start, n->why);
		(void)drop_begun(r, NULL); /* else the next try begins with that */
	} else {
		r->begun = false;
		forget_carried(r);
	}
	pthread_mutex_unlock(&r->lock);
	return rc;
}

int recorder_begin_segment(struct recorder *r, enum assay_segment_start start,
			   struct recorder_seen *seen, const char *why, struct assay_err *err)
{
	struct next n = { .start = start, .seen = seen, .why = why };
	int rc;

	pthread_mutex_lock(&r->lock);
	rc = drop_begun(r, err);
	pthread_mutex_unlock(&r->lock);
	if (rc == 0)
		rc = prepare(r, &n, err);
	if (rc == 0) {
		pthread_mutex_lock(&r->lock);
		rc = begin_locked(r, &n, err);
		pthread_mutex_unlock(&r->lock);
	}
	if (rc == 0)
		rc = keep(r, &n, err);
	free_next(&n);
	if (rc == 0 && r->has_thread && r->config.segment)
		r->config.segment(r->config.ctx, start);
	return rc;
}
