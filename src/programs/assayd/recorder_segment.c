/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Segments: taking one back into the core, and beginning one. */
#include "programs/assayd/recorder_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <syslog.h>
#include <time.h>

#include "base/fmt.h"

/* Address space for the core: some 12 million known files. Only what is used costs memory. */
#define ARENA_SIZE (1ull << 30)

static const struct assay_list_form form = { .column = ASSAY_HASH_SHA1 };

void recorder_drop_core(struct recorder *r)
{
	assay_core_done(r->core);
	if (r->arena)
		munmap(r->arena, ARENA_SIZE);
	r->core = NULL;
	r->arena = NULL;
}

static int new_core(struct recorder *r, const struct assay_banks *banks, struct assay_err *err)
{
	struct assay_ports ports = { .crypto = r->config.crypto,
				     .append = assay_list_file_port(r->list) };
	struct assay_arena arena;
	void *base;
	int rc;

	recorder_drop_core(r);
	base = mmap(NULL, ARENA_SIZE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return assay_err_set(err, -errno, "no memory for the core");
	r->arena = base;
	r->config.core.banks = *banks;
	/* The arena's own head lives in it, as the core keeps a pointer to it. */
	assay_arena_init(&arena, base, ARENA_SIZE);
	memcpy(assay_arena_alloc(&arena, 1, sizeof(arena)), &arena, sizeof(arena));
	rc = assay_core_new((struct assay_arena *)base, &ports, &r->config.core, &r->core, err);
	if (rc == 0 && r->policy)
		rc = assay_core_set_policy(r->core, r->policy, err);
	return rc;
}

int recorder_load_core(struct recorder *r, const struct assay_banks *banks,
		       const struct assay_recover_plan *plan, struct assay_err *err)
{
	struct assay_rd in = assay_rd(assay_list_file_records(r->list));
	struct assay_record record;
	int rc = new_core(r, banks, err);

	r->past.kernel_left = 0;
	for (uint64_t i = 0; rc == 0 && !assay_rd_end(&in); i++) {
		bool kernel;

		rc = assay_record_parse(&in, &form, &record, err);
		if (rc < 0)
			break;
		recorder_past_add(&r->past, &record, &kernel);
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

/* Copies the bytes from the first record that was not anchored on: the old list is unmapped soon.
 */
static int keep_unanchored(struct recorder *r, struct recorder_carried *ret)
{
	struct assay_bytes all = assay_list_file_records(r->list);
	struct assay_rd in = assay_rd(all);
	struct assay_record record;
	uint64_t first = r->upto > r->index_base ? r->upto - r->index_base : 0;

	for (uint64_t i = 0; i < first && !assay_rd_end(&in); i++)
		if (assay_record_parse(&in, &form, &record, NULL) < 0)
			return -EBADMSG;
	*ret = (struct recorder_carried){ .len = assay_rd_left(&in),
					  .closed = assay_core_records(r->core) };
	if (ret->len == 0)
		return 0;
	ret->bytes = malloc(ret->len);
	if (!ret->bytes)
		return -ENOMEM;
	memcpy(ret->bytes, in.at, ret->len);
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

/* The kernel's records, or else our own boot_aggregate; then what this segment is. */
static int first_records(struct recorder *r, const struct recorder_seen *seen, bool adopted,
			 const char *why, struct assay_err *err)
{
	struct segment_args args = { assay_list_file_head(r->list),
				     assay_list_file_checksum(r->list), why,
				     adopted ? 0 : r->kernel_total };
	uint32_t pcr = r->config.core.pcr;
	int rc = 0;

	if (!adopted && !is_initial(seen, pcr))
		rc = recorder_state_base(r, seen, pcr, err);
	if (rc == 0 && !adopted)
		rc = assay_core_boot_aggregate(r->core, seen->banks.n ? seen->pcr : NULL, NULL,
					       err);
	if (rc == 0)
		rc = recorder_state_locked(r, "segment", fill_segment, &args,
					   args.head->start == ASSAY_SEGMENT_BROKEN, NULL, err);
	return rc;
}

static void fill_head(struct recorder *r, enum assay_segment_start start,
		      const struct recorder_seen *seen, const struct kernel_list *kernel,
		      struct assay_segment_head *ret)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	*ret = (struct assay_segment_head){ .start = start,
					    .clock = seen->clock,
					    .banks = seen->banks,
					    .created_ns = (uint64_t)now.tv_sec * 1000000000u +
							  (uint64_t)now.tv_nsec };
	memcpy(ret->boot_id, r->boot_id, sizeof(ret->boot_id));
	for (uint32_t p = 0; seen->banks.n && p < ASSAY_PCRS; p++)
		if (!kernel || !(kernel->pcrs & 1u << p))
			ret->base[p] = seen->pcr[p];
}

/* The list goes on in a new file; the walk over it starts again. */
static int open_segment(struct recorder *r, enum assay_segment_start start,
			const struct recorder_seen *seen, const struct kernel_list *kernel,
			struct assay_err *err)
{
	struct assay_segment_head head;
	int rc;

	fill_head(r, start, seen, kernel, &head);
	rc = assay_list_file_begin(r->list, &head, err);
	if (rc == 0)
		rc = new_core(r, &seen->banks, err);
	if (rc < 0)
		return rc;
	r->cursor = r->synced = r->check_from = 0;
	r->kernel_total = r->kernel_doubt = 0;
	r->padded = 0;
	memset(r->seen, 0, sizeof(r->seen));
	memset(r->have, 0, sizeof(r->have));
	r->mode_word[0] = '\0';
	assay_replay_free(r->replay);
	r->replay = NULL;
	rc = assay_replay_new(&r->config.crypto, &seen->banks, assay_list_file_head(r->list)->base,
			      &r->replay);
	return rc < 0 ? assay_err_set(err, rc, "cannot replay the list") : 0;
}

static int begin_locked(struct recorder *r, enum assay_segment_start start,
			const struct recorder_seen *seen, const struct kernel_list *kernel,
			const char *why, struct assay_err *err)
{
	int rc = open_segment(r, start, seen, kernel, err);

	if (rc == 0 && !kernel)
		r->kernel_total = r->kernel_unexplained;
	if (rc == 0 && kernel)
		rc = recorder_adopt_first(r, kernel, err);
	if (rc == 0)
		rc = first_records(r, seen, kernel != NULL, why, err);
	if (rc == 0)
		rc = recorder_set_mode(r, err);
	if (rc == 0 && r->policy)
		rc = recorder_state_policy(r, err);
	if (rc == 0)
		rc = carry_over(r, &r->carried, err);
	return rc < 0 ? rc : assay_list_file_keep(r->list, err);
}

/* A run that could not finish a segment keeps what goes into it, and writes to none meanwhile:
 * whoever waits for a record of the closed one must not be released by others in its place. */
static void end_begin(struct recorder *r, int rc, enum assay_segment_start start, const char *why)
{
	if (rc < 0 && assay_list_file_drop(r->list)) {
		recorder_drop_core(r);
		r->carried.unfinished = r->has_thread;
		r->carried.start = start;
		memmove(r->carried.why, why, strlen(why) + 1);
	}
	if (rc == 0) {
		r->index_base += r->carried.closed;
		r->counts.segment = assay_list_file_head(r->list)->number;
	}
	if (r->carried.unfinished && rc < 0)
		return;
	free(r->carried.bytes);
	r->carried = (struct recorder_carried){ 0 };
}

int recorder_begin_segment(struct recorder *r, enum assay_segment_start start,
			   struct recorder_seen *seen, const char *why, struct assay_err *err)
{
	AUTO(kernel_list) struct kernel_list *kernel = NULL;
	int rc = recorder_kernel_read(r, seen, &kernel, err); /* can wait for the TPM: no lock */

	if (rc < 0)
		return rc;
	pthread_mutex_lock(&r->lock);
	if (r->has_thread && !r->carried.unfinished)
		rc = keep_unanchored(r, &r->carried);
	if (rc == 0)
		rc = begin_locked(r, start, seen, kernel, why, err);
	else
		assay_err_set(err, rc, "cannot keep what was not anchored");
	end_begin(r, rc, start, why);
	pthread_mutex_unlock(&r->lock);
	if (rc == 0 && r->has_thread && r->config.segment)
		r->config.segment(r->config.ctx, start);
	return rc;
}
