/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Files are done in the order in which they come. Of all that wait, the medium is asked for the
 * content before the first is read: one process then waits for many files at once. Findings are
 * sent some at a time, as each message may wake main, but none is kept for long.
 */
#include "programs/assayd/worker/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fsverity.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "backends/crypto_openssl/crypto_openssl.h"
#include "backends/source_fanotify/content.h"
#include "backends/source_fanotify/readahead.h"
#include "base/clock.h"
#include "programs/assayd/process/confine.h"
#include "programs/assayd/process/ipc.h"
#include "programs/assayd/process/log.h"
#include "programs/assayd/process/spawner.h"
#include "programs/assayd/worker/worker_msg.h"

#define QUEUE_MAX  64u		  /* a power of two; main sends less */
#define FETCH_SIZE (128 << 10)	  /* bytes of a file that are asked for ahead */
#define SLICE	   (128ull << 10) /* as content.c reads: bytes between two looks at the socket */
#define KEEP_MAX   8u		  /* findings that are not sent yet */
#define KEEP_NS	   400000u
#define FILES_MAX  (QUEUE_MAX + WORKER_BATCH_MAX + 64u)

struct queued {
	struct worker_job job;
	int fd;
	bool canceled;
};

struct worker {
	struct assay_crypto crypto;
	struct assay_readahead *ahead;
	struct assay_content *content; /* for @alg; NULL: none yet */
	enum assay_hash alg;
	struct queued queue[QUEUE_MAX];
	uint32_t first, n;
	uint64_t slices; /* of the file that is read */
	/* Findings that are not sent yet. */
	uint8_t out[WORKER_BATCH_MAX * WORKER_FINDING_SIZE_MAX];
	struct assay_wr w;
	uint32_t n_out;
	uint64_t out_since_ns;
	struct ipc_buffer buffer;
};

static struct queued *nth(struct worker *w, uint32_t i)
{
	return &w->queue[(w->first + i) % QUEUE_MAX];
}

/* ---- messages ------------------------------------------------------------------------------- */

static int take_jobs(struct worker *w, struct ipc_message *m)
{
	struct worker_job job[WORKER_BATCH_MAX];
	uint32_t n;
	int r = worker_jobs_parse(m->body, job, &n);

	if (r < 0 || n != m->n_fds || w->n + n > QUEUE_MAX)
		return r < 0 ? r : -EBADMSG;
	for (uint32_t i = 0; i < n; i++) {
		*nth(w, w->n++) = (struct queued){ .job = job[i], .fd = TAKE_FD(m->fd[i]) };
		/* One that is alone is read at once. */
		if (w->n > 1 && job[i].wanted & WORKER_DIGEST)
			(void)posix_fadvise(nth(w, w->n - 1)->fd, 0, FETCH_SIZE,
					    POSIX_FADV_WILLNEED);
	}
	if (n > 1 && w->n == n && job[0].wanted & WORKER_DIGEST)
		(void)posix_fadvise(nth(w, 0)->fd, 0, FETCH_SIZE, POSIX_FADV_WILLNEED);
	return 0;
}

static int take_message(struct worker *w, struct ipc_message *m)
{
	if (m->type == WORKER_JOBS)
		return take_jobs(w, m);
	if (m->type != WORKER_CANCEL || m->n_fds || m->body.len)
		return -EBADMSG;
	for (uint32_t i = 0; i < w->n; i++)
		if (nth(w, i)->job.id == m->id)
			nth(w, i)->canceled = true;
	return 0;
}

/* All that has come. Whatever goes wrong here is main's end or main's fault: we end. */
static void take_all(struct worker *w)
{
	struct ipc_message m;
	int r;

	while ((r = ipc_receive(CHILD_SOCKET, &w->buffer, &m)) == 0) {
		r = take_message(w, &m);
		ipc_close_fds(&m);
		if (r < 0)
			break;
	}
	if (r != -EAGAIN)
		_exit(r == -EPIPE ? 0 : 1);
}

static void wait_for(short events)
{
	struct pollfd p = { .fd = CHILD_SOCKET, .events = events };

	(void)poll(&p, 1, -1);
}

static void send_findings(struct worker *w)
{
	struct ipc_message m = { .type = WORKER_FINDINGS, .body = assay_wr_done(&w->w) };
	int r;

	if (w->n_out == 0)
		return;
	while ((r = ipc_send(CHILD_SOCKET, &m)) == -EAGAIN)
		wait_for(POLLOUT);
	if (r < 0)
		_exit(r == -EPIPE ? 0 : 1);
	w->n_out = 0;
	w->w = assay_wr(w->out, sizeof(w->out));
}

static void keep_finding(struct worker *w, const struct worker_finding *f)
{
	uint64_t now = assay_clock_ns();

	if (w->n_out++ == 0)
		w->out_since_ns = now;
	worker_finding_put(&w->w, f);
	if (w->n_out >= KEEP_MAX || now - w->out_since_ns >= KEEP_NS)
		send_findings(w);
}

/* ---- a file --------------------------------------------------------------------------------- */

static bool is_elf(int fd)
{
	char magic[4];

	return pread(fd, magic, 4, 0) == 4 && memcmp(magic, "\177ELF", 4) == 0;
}

static void find_verity(int fd, struct assay_digest *ret)
{
	_Alignas(struct fsverity_digest)
		uint8_t space[sizeof(struct fsverity_digest) + ASSAY_HASH_SIZE_MAX] = { 0 };
	struct fsverity_digest *got = (void *)space;
	enum assay_hash alg;

	got->digest_size = ASSAY_HASH_SIZE_MAX;
	if (ioctl(fd, FS_IOC_MEASURE_VERITY, got) < 0)
		return;
	alg = got->digest_algorithm == FS_VERITY_HASH_ALG_SHA512 ? ASSAY_HASH_SHA512
								 : ASSAY_HASH_SHA256;
	if (got->digest_size != assay_hash_size(alg))
		return;
	ret->alg = alg;
	memcpy(ret->data, got->digest, got->digest_size);
}

static bool go_on(void *ctx)
{
	struct worker *w = ctx;
	const struct queued *q = nth(w, 0);

	if (++w->slices == 1)
		return true;
	/* Who waits for an earlier one does not wait for this one too. */
	send_findings(w);
	take_all(w);
	return !q->canceled && (w->slices - 1) * SLICE <= q->job.size_max;
}

static int use_alg(struct worker *w, enum assay_hash alg)
{
	struct assay_content *content;
	int r;

	if (w->content && w->alg == alg)
		return 0;
	r = assay_content_new(&w->crypto, &alg, 1, &content, NULL);
	if (r < 0)
		return r;
	assay_content_free(w->content);
	assay_content_read_ahead(content, w->ahead);
	w->content = content;
	w->alg = alg;
	return 0;
}

static void find_digest(struct worker *w, const struct queued *q, struct worker_finding *f)
{
	int r = use_alg(w, q->job.alg);

	w->slices = 0;
	if (r == 0)
		r = assay_content_digest(w->content, q->fd, go_on, w, &f->digest, &f->bytes);
	if (r == 0)
		return;
	f->digest.alg = ASSAY_HASH_COUNT;
	f->bytes = 0;
	if (r != -ECANCELED)
		f->status = WORKER_UNREADABLE;
	else
		f->status = q->canceled ? WORKER_CANCELED : WORKER_TOO_LARGE;
}

static void look_at(struct worker *w, const struct queued *q, struct worker_finding *f)
{
	uint32_t wanted = q->job.wanted;

	if (q->canceled) {
		f->status = WORKER_CANCELED;
		return;
	}
	if (wanted & (WORKER_HEAD | WORKER_DIGEST_IF_ELF))
		f->elf = is_elf(q->fd);
	if (wanted & WORKER_VERITY)
		find_verity(q->fd, &f->verity);
	if (wanted & WORKER_DIGEST || (wanted & WORKER_DIGEST_IF_ELF && f->elf))
		find_digest(w, q, f);
}

static void do_first(struct worker *w)
{
	struct queued *q = nth(w, 0);
	struct worker_finding f = {
		.id = q->job.id,
		.digest.alg = ASSAY_HASH_COUNT,
		.verity.alg = ASSAY_HASH_COUNT,
	};

	look_at(w, q, &f);
	/* Before main knows: whoever opened the file may want to unmount it next. */
	close(q->fd);
	w->first = (w->first + 1) % QUEUE_MAX;
	w->n--;
	keep_finding(w, &f);
}

/* ---- the process ---------------------------------------------------------------------------- */

int worker_sandbox(void)
{
	static const char *const syscalls[] = { "pread64", "fadvise64", "fstat", "newfstatat",
						"ioctl",   "poll",	"ppoll", "recvmsg",
						"sendmsg", NULL };
	const struct assay_sandbox sandbox = {
		.uid = CHILD_ID_WORKER,
		.gid = CHILD_ID_WORKER,
		.max_files = FILES_MAX,
		.only_ioctl = FS_IOC_MEASURE_VERITY,
		.syscalls = syscalls,
	};

	return confine_process("worker", &sandbox);
}

/* Whatever needs a file or a thread. */
static int prepare(struct worker *w, struct assay_crypto_openssl **openssl)
{
	struct assay_err err = { 0 };
	int r = assay_crypto_openssl_new(openssl, &err);

	if (r == 0)
		r = assay_readahead_new(&w->ahead);
	if (r < 0)
		log_line(LOG_ERR, "worker: %s", err.code ? err.text : strerror(-r));
	else
		w->crypto = assay_crypto_openssl_port(*openssl);
	if (r == 0 && fcntl(CHILD_SOCKET, F_SETFL, O_NONBLOCK) < 0)
		r = -errno;
	return r;
}

int worker_process(void)
{
	static struct worker w;
	struct assay_crypto_openssl *openssl = NULL; /* as long as the process */

	w.w = assay_wr(w.out, sizeof(w.out));
	if (prepare(&w, &openssl) < 0 || worker_sandbox() < 0 ||
	    ipc_send(CHILD_SOCKET, &(struct ipc_message){ .type = WORKER_READY }) < 0)
		return 1;
	for (;;) {
		take_all(&w);
		if (w.n) {
			do_first(&w);
			continue;
		}
		send_findings(&w);
		if (w.content)
			assay_content_rest(w.content);
		wait_for(POLLIN);
	}
}
