/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A kernel that counts and extends at random beside a recorder, extends whose outcome is not known,
 * and runs that are killed anywhere: between any two writes to the list, and before or behind any
 * command to the TPM. One list comes of it, with each of the kernel's records once, that leads to
 * what the PCRs hold.
 */
#include "unit/kernel_fixture.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define RUNS	    4
#define EXTENDS_MAX 8192
#define KILLED	    9

/* What outlives a run: the TPM's commands, and how far the kernel and the events got. */
struct outside {
	uint32_t n, counted, files;
	struct {
		bool kernel;
		uint32_t pcr;
		struct assay_pcr_value digests;
	} extend[EXTENDS_MAX];
};

static struct outside *outside;
static struct kernel *other;
static const struct assay_anchor_ops *alone;
static unsigned seed;	     /* of the anchor thread's choices */
static unsigned fast, still; /* how much the kernel does at once at most; records to come */
static unsigned doubtful;    /* one of so many extends has no known outcome; 0: none */
static atomic_int left = INT32_MAX;

static unsigned below(unsigned n)
{
	return n ? (unsigned)rand_r(&seed) % n : 0;
}

/* The process may end here. */
static void pass(void)
{
	if (atomic_fetch_sub(&left, 1) <= 0)
		_exit(KILLED);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
	pass();
	return syscall(SYS_pwrite64, fd, data, len, at);
}

static void kernel_acts(void)
{
	unsigned counts = below(fast + 1), extends = below(2 * fast + 1);

	counts = counts < still ? counts : still;
	still -= counts;
	if (counts > 0)
		kernel_counts(other, counts);
	outside->counted += counts;
	for (; extends > 0 && other->extended < other->len; extends--) {
		kernel_extend(other, 1);
		outside->extend[outside->n++].kernel = true;
	}
}

static void execute(uint32_t pcr, const struct assay_pcr_value *digests)
{
	assay_fake_anchor_foreign(other->f->tpm, pcr, digests);
	outside->extend[outside->n].pcr = pcr;
	outside->extend[outside->n].digests = *digests;
	outside->n++;
}

static struct {
	bool any;
	uint32_t pcr;
	struct assay_pcr_value digests;
} late;

static int race_extend(void *ctx, uint32_t pcr, const struct assay_pcr_value *digests,
		       struct assay_err *err)
{
	unsigned what = doubtful && below(doubtful) == 0 ? 1 + below(3) : 0;

	pass();
	kernel_acts();
	if (what < 2)
		execute(pcr, digests);
	kernel_acts();
	pass();
	if (what == 3) {
		late.any = true;
		late.pcr = pcr;
		late.digests = *digests;
	}
	return what ? assay_err_set(err, -ETIMEDOUT, "no answer") : 0;
}

static int race_reopen(void *ctx, struct assay_err *err)
{
	if (late.any)
		execute(late.pcr, &late.digests);
	late.any = false;
	return alone->reopen(ctx, err);
}

static int race_read(void *ctx, uint32_t pcrs, struct assay_pcr_value values[ASSAY_PCRS],
		     struct assay_tpm_clock *clock, struct assay_err *err)
{
	int rc;

	kernel_acts();
	rc = alone->read(ctx, pcrs, values, clock, err);
	kernel_acts();
	pass();
	return rc;
}

static void ask(struct fixture *f)
{
	struct assay_pcr_value values[ASSAY_PCRS];
	struct assay_tpm_clock clock;
	struct assay_banks banks;

	(void)recorder_read_pcrs(f->recorder, 1u << 10, values, &banks, &clock, NULL);
}

static void run(struct fixture *f, unsigned events)
{
	struct assay_anchor_ops ops = *alone;
	unsigned s = seed + 1;

	ops.extend = race_extend;
	ops.read = race_read;
	ops.reopen = race_reopen;
	f->config.anchor.ops = &ops;
	fixture_start(f);
	while (events-- > 0) {
		outside->files = f->files + 1;
		measure_files(f, 1);
		if (rand_r(&s) % 4 == 0)
			assert_int_equal(recorder_flush(f->recorder, FLUSH_MS), 0);
		if (rand_r(&s) % 4 == 0)
			ask(f);
		if (rand_r(&s) % 8 == 0)
			usleep((useconds_t)rand_r(&s) % 1000);
	}
	if (rand_r(&s) % 2)
		_exit(KILLED);
	fixture_stop(f);
	_exit(0);
}

/* What the run did to the world is done here too. */
static void catch_up(struct kernel *k)
{
	kernel_counts(k, outside->counted);
	for (uint32_t i = 0; i < outside->n; i++)
		if (outside->extend[i].kernel)
			kernel_extend(k, 1);
		else
			assay_fake_anchor_foreign(k->f->tpm, outside->extend[i].pcr,
						  &outside->extend[i].digests);
}

static void run_and_die(struct kernel *k, unsigned events)
{
	int status, commands = (int)below(below(2) ? 60u : 400u);
	pid_t pid;

	memset(outside, 0, sizeof(*outside));
	outside->files = k->f->files;
	fast = below(5);
	still = below(60);
	doubtful = below(2) ? 10 : 0;
	pid = fork();
	if (pid == 0) {
		alarm(120);
		atomic_store(&left, commands);
		run(k->f, events);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFEXITED(status) || (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != KILLED))
		fail_msg("status %x", (unsigned)status);
	catch_up(k);
	seed += outside->n; /* other choices than those of the child */
}

static void assert_kernels_once(struct kernel *k)
{
	for (unsigned i = 0; i < assay_core_records(k->core); i++) {
		char name[32];
		size_t len = assay_fmt(name, sizeof(name), "kernel-%u", i) + 1;
		unsigned n = count_in_list(k->f, 1, name, len);

		if (n != 1)
			fail_msg("%s is there %u times", name, n);
	}
}

static void race(unsigned number)
{
	struct fixture f;
	struct kernel k;
	unsigned segments;

	seed = number * 7919;
	kernel_init(&k, &f, (enum anchor_mode)below(3));
	k.pads = below(4) == 0;
	k.two_pcrs = below(2);
	other = &k;
	alone = f.config.anchor.ops;
	kernel_measures(&k, 2 + below(4));
	for (unsigned i = 0; i < RUNS; i++) {
		run_and_die(&k, below(15));
		f.files = outside->files;
		if (number % 2)
			f.config.mode = (enum anchor_mode)below(3);
	}
	kernel_extend(&k, UINT32_MAX);
	fixture_run(&f, 3);
	segments = assert_agrees(&f);
	if (segments != 1)
		fail_msg("race %u: %u segments", number, segments);
	assert_kernels_once(&k);
	kernel_done(&k);
}

static void killed_anywhere_beside_a_busy_kernel(void **state)
{
	unsigned first = 20, many = getenv("ASSAY_TEST_LONG") ? 1000 : 20;

	outside = mmap(NULL, sizeof(*outside), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	assert_true(outside != MAP_FAILED);
	for (unsigned i = first; i < first + many; i++)
		race(i);
	munmap(outside, sizeof(*outside));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(killed_anywhere_beside_a_busy_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
