/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The workers as main sees them; the test plays them, honest and not. */
#include "unit/test.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/macros.h"
#include "programs/assayd/main/crew.h"
#include "programs/assayd/process/ipc.h"

#define WORKERS 2u /* and the one for small files */
#define SECOND	1000000000ull

struct player {
	pid_t pid;
	int socket;
};

struct fixture {
	struct crew *crew;
	struct player player[WORKERS + 1];
	int epoll_fd, wake_fd, file;
	uint32_t n_found, n_lost, n_died;
	uint64_t last_lost;
	uint64_t cancels; /* when it hears of a loss; 0: nothing */
	struct worker_finding found;
};

static void on_found(void *ctx, const struct worker_finding *f)
{
	struct fixture *x = ctx;

	x->n_found++;
	x->found = *f;
}

static void on_lost(void *ctx, uint64_t id, bool died)
{
	struct fixture *x = ctx;

	x->n_lost++;
	x->n_died += died;
	x->last_lost = id;
	if (x->cancels)
		crew_cancel(x->crew, x->cancels);
}

static void join(struct fixture *x, struct player *p)
{
	struct child c;
	int pair[2];

	assert_int_equal(ipc_pair(pair), 0);
	p->pid = fork();
	if (p->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	p->socket = pair[1];
	c.pid = p->pid;
	c.pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
	c.socket = pair[0];
	assert_int_equal(fcntl(c.socket, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(fcntl(p->socket, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(crew_join(x->crew, &c), 0);
}

static void begin(struct fixture *x, uint32_t n_workers)
{
	static const struct crew_ops ops = { .found = on_found, .lost = on_lost };

	*x = (struct fixture){ .epoll_fd = epoll_create1(EPOLL_CLOEXEC),
			       .wake_fd = eventfd(0, EFD_CLOEXEC),
			       .file = open("/dev/null", O_RDONLY | O_CLOEXEC) };
	assert_int_equal(crew_new(n_workers, &ops, x, x->epoll_fd, x->wake_fd, &x->crew), 0);
}

static void fixture_init(struct fixture *x)
{
	begin(x, WORKERS);
	assert_int_equal(crew_missing(x->crew), WORKERS + 1);
	for (uint32_t i = 0; i <= WORKERS; i++)
		join(x, &x->player[i]);
	assert_int_equal(crew_missing(x->crew), 0);
	assert_true(crew_tick(x->crew, 0) == UINT64_MAX);
}

static void end_all(struct fixture *x, struct player *p, uint32_t n)
{
	struct child c;

	while (crew_take_gone(x->crew, &c))
		child_close(&c);
	crew_free(x->crew);
	for (uint32_t i = 0; i < n; i++) {
		if (p[i].socket >= 0)
			close(p[i].socket);
		kill(p[i].pid, SIGKILL);
		waitpid(p[i].pid, NULL, 0);
	}
	close(x->epoll_fd);
	close(x->wake_fd);
	close(x->file);
}

static void fixture_done(struct fixture *x)
{
	end_all(x, x->player, WORKERS + 1);
}

static bool give(struct fixture *x, uint64_t id, uint32_t wanted, uint64_t size)
{
	const struct crew_job job = {
		.job = { .id = id,
			 .wanted = wanted,
			 .alg = ASSAY_HASH_SHA256,
			 .size_max = 1 << 30 },
		.fd = x->file,
		.size = size,
	};

	return crew_give(x->crew, &job);
}

/* Ids that came to @p since the last call. */
static uint32_t take_jobs(struct player *p, uint64_t id[WORKER_BATCH_MAX])
{
	struct worker_job job[WORKER_BATCH_MAX];
	struct ipc_buffer buffer;
	struct ipc_message m;
	uint32_t n;

	if (ipc_receive(p->socket, &buffer, &m) < 0)
		return 0;
	assert_int_equal(m.type, WORKER_JOBS);
	assert_int_equal(worker_jobs_parse(m.body, job, &n), 0);
	assert_int_equal(m.n_fds, n);
	ipc_close_fds(&m);
	for (uint32_t i = 0; i < n; i++)
		id[i] = job[i].id;
	return n;
}

static struct worker_finding finding(uint64_t id)
{
	return (struct worker_finding){ .id = id,
					.bytes = 100,
					.digest.alg = ASSAY_HASH_SHA256,
					.verity.alg = ASSAY_HASH_COUNT };
}

static void send_body(struct player *p, uint32_t type, struct assay_bytes body)
{
	assert_int_equal(ipc_send(p->socket, &(struct ipc_message){ .type = type, .body = body }),
			 0);
}

static void send_finding(struct player *p, const struct worker_finding *f)
{
	uint8_t space[WORKER_FINDING_SIZE_MAX];
	struct assay_wr w = assay_wr(space, sizeof(space));

	worker_finding_put(&w, f);
	send_body(p, WORKER_FINDINGS, assay_wr_done(&w));
}

/* What has come, all of one wait first, as the loop does it. */
static void turn(struct fixture *x)
{
	struct epoll_event e[WORKERS + 1];
	int n;

	while ((n = epoll_wait(x->epoll_fd, e, WORKERS + 1, 0)) > 0)
		for (int i = 0; i < n; i++)
			crew_receive(x->crew, e[i].data.ptr);
	crew_tick(x->crew, 0);
}

/* Who of them has something to do. */
static struct player *who(struct fixture *x, uint64_t id[WORKER_BATCH_MAX], uint32_t *ret_n)
{
	for (uint32_t i = 0; i <= WORKERS; i++)
		if ((*ret_n = take_jobs(&x->player[i], id)))
			return &x->player[i];
	return NULL;
}

/* Files 1 to @n, of 100 bytes each. */
static void give_many(struct fixture *x, uint64_t n)
{
	for (uint64_t i = 1; i <= n; i++)
		assert_true(give(x, i, WORKER_DIGEST, 100));
	crew_flush(x->crew);
}

/* File 7, of 100 bytes, goes to one of them. */
static struct player *who_has_seven(struct fixture *x, uint32_t wanted)
{
	uint64_t id[WORKER_BATCH_MAX];
	struct player *p;
	uint32_t n;

	assert_true(give(x, 7, wanted, 100));
	crew_flush(x->crew);
	p = who(x, id, &n);
	assert_non_null(p);
	assert_int_equal(n, 1);
	assert_int_equal(id[0], 7);
	return p;
}

static bool is_dead(const struct player *p)
{
	siginfo_t info = { 0 };

	return waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOWAIT) == 0 && info.si_pid == p->pid;
}

static void findings_come_back(void **state)
{
	struct worker_finding f;
	struct fixture x;
	struct player *p;

	fixture_init(&x);
	p = who_has_seven(&x, WORKER_DIGEST);
	f = finding(7);
	send_finding(p, &f);
	turn(&x);
	assert_int_equal(x.n_found, 1);
	assert_int_equal(x.found.id, 7);
	assert_int_equal(x.found.bytes, 100);
	assert_int_equal(x.n_lost, 0);
	assert_int_equal(crew_missing(x.crew), 0);
	fixture_done(&x);
}

/* Small files never wait behind big ones, and those never have the last worker. */
static void big_files_leave_a_worker(void **state)
{
	uint64_t id[WORKER_BATCH_MAX];
	struct player *a, *b, *c;
	struct fixture x;
	uint32_t n;

	fixture_init(&x);
	for (uint64_t i = 1; i <= WORKERS; i++)
		assert_true(give(&x, i, WORKER_DIGEST, CREW_BIG_SIZE + 1));
	assert_false(give(&x, 3, WORKER_DIGEST, CREW_BIG_SIZE + 1));
	crew_flush(x.crew);
	a = who(&x, id, &n);
	b = who(&x, id, &n);
	assert_true(a && b && a != b);
	assert_true(give(&x, 4, WORKER_DIGEST, 1));
	crew_flush(x.crew);
	c = who(&x, id, &n);
	assert_true(c && c != a && c != b);
	assert_int_equal(id[0], 4);
	fixture_done(&x);
}

static void there_is_an_end_to_what_is_given(void **state)
{
	struct fixture x;
	uint64_t n = 0;

	fixture_init(&x);
	while (give(&x, n + 1, WORKER_DIGEST, 1))
		assert_true(++n < 1000);
	assert_int_equal(n, WORKERS * WORKER_BATCH_MAX);
	fixture_done(&x);
	fixture_init(&x);
	for (n = 0; give(&x, n + 1, WORKER_DIGEST, CREW_BIG_SIZE);)
		assert_true(++n < 1000);
	assert_int_equal(n, WORKERS * 2);
	fixture_done(&x);
}

/* ---- liars ---------------------------------------------------------------------------------- */

static void check_liar(uint32_t wanted, const struct worker_finding *f, uint32_t type)
{
	uint8_t space[WORKER_FINDING_SIZE_MAX];
	struct assay_wr w = assay_wr(space, sizeof(space));
	struct fixture x;
	struct player *p;

	fixture_init(&x);
	p = who_has_seven(&x, wanted);
	worker_finding_put(&w, f);
	send_body(p, type, assay_wr_done(&w));
	turn(&x);
	assert_int_equal(x.n_found, 0);
	assert_int_equal(x.n_died, 1);
	assert_int_equal(x.last_lost, 7);
	assert_int_equal(crew_missing(x.crew), 1);
	assert_true(is_dead(p));
	fixture_done(&x);
}

static void a_liar_is_ended(void **state)
{
	struct worker_finding f = finding(7);

	check_liar(WORKER_DIGEST, &f, WORKER_JOBS);
	check_liar(WORKER_HEAD, &f, WORKER_FINDINGS);
	f = finding(8);
	check_liar(WORKER_DIGEST, &f, WORKER_FINDINGS);
	f = finding(7);
	f.digest.alg = ASSAY_HASH_SHA1;
	check_liar(WORKER_DIGEST, &f, WORKER_FINDINGS);
	f.digest.alg = ASSAY_HASH_COUNT;
	f.bytes = 0;
	check_liar(WORKER_DIGEST, &f, WORKER_FINDINGS);
	f = finding(7);
	f.verity.alg = ASSAY_HASH_SHA256;
	check_liar(WORKER_DIGEST, &f, WORKER_FINDINGS);
	f.verity.alg = ASSAY_HASH_SHA1;
	check_liar(WORKER_DIGEST | WORKER_VERITY, &f, WORKER_FINDINGS);
	f = finding(7);
	f.elf = true;
	check_liar(WORKER_DIGEST, &f, WORKER_FINDINGS);
	f = finding(7);
	check_liar(WORKER_DIGEST_IF_ELF, &f, WORKER_FINDINGS);
	f.bytes = 1ull << 31;
	check_liar(WORKER_DIGEST, &f, WORKER_FINDINGS);
	f = finding(7);
	f.status = WORKER_UNREADABLE;
	check_liar(WORKER_DIGEST, &f, WORKER_FINDINGS);
	f.status = WORKER_CANCELED;
	f.digest.alg = ASSAY_HASH_COUNT;
	f.bytes = 0;
	check_liar(WORKER_DIGEST, &f, WORKER_FINDINGS);
}

/* Every truncation of a good answer, and twice the same. */
static void what_is_malformed_ends_it(void **state)
{
	uint8_t space[2 * WORKER_FINDING_SIZE_MAX];
	struct assay_wr w = assay_wr(space, sizeof(space));
	const struct worker_finding f = finding(7);
	size_t len;

	worker_finding_put(&w, &f);
	len = w.len;
	worker_finding_put(&w, &f);
	for (size_t i = 0; i <= len; i++) {
		struct fixture x;
		struct player *p;

		fixture_init(&x);
		p = who_has_seven(&x, WORKER_DIGEST);
		send_body(p, WORKER_FINDINGS, assay_bytes(space, i < len ? i : w.len));
		turn(&x);
		assert_int_equal(x.n_found, i == len);
		assert_int_equal(crew_missing(x.crew), 1);
		fixture_done(&x);
	}
}

/* ---- death and time ------------------------------------------------------------------------- */

static void files_of_the_dead_come_back(void **state)
{
	uint64_t id[WORKER_BATCH_MAX];
	struct fixture x;
	struct child c;
	struct player *p;
	uint32_t n;

	fixture_init(&x);
	give_many(&x, 6);
	p = who(&x, id, &n);
	assert_non_null(p);
	assert_int_equal(n, 3);
	shutdown(p->socket, SHUT_RDWR); /* the other players have copies */
	turn(&x);
	assert_int_equal(x.n_lost, 3);
	assert_int_equal(x.n_died, 3);
	assert_true(crew_take_gone(x.crew, &c));
	assert_int_equal(c.pid, p->pid);
	child_close(&c);
	assert_false(crew_take_gone(x.crew, &c));
	assert_int_equal(crew_missing(x.crew), 1);
	/* Its last reader died: it goes to one that has nothing else. */
	for (uint64_t i = 7; i < 9; i++) {
		const struct crew_job job = { .job = { .id = i, .wanted = WORKER_DIGEST },
					      .fd = x.file,
					      .alone = true };

		assert_false(crew_give(x.crew, &job));
	}
	fixture_done(&x);
}

/* Two end in one turn, and who hears of the first one's files calls one back from the second. */
static void two_may_end_at_once(void **state)
{
	for (uint64_t first = 1; first <= 2; first++) {
		struct fixture x;

		fixture_init(&x);
		give_many(&x, 2);
		x.cancels = first;
		for (uint32_t i = 0; i <= WORKERS; i++)
			shutdown(x.player[i].socket, SHUT_RDWR);
		turn(&x);
		assert_in_range(x.n_lost, 1, 2);
		assert_int_equal(crew_missing(x.crew), WORKERS + 1);
		fixture_done(&x);
	}
}

static void who_does_not_let_go_is_ended(void **state)
{
	uint64_t due;
	struct worker_finding f = finding(7);
	struct fixture x;
	struct player *p;

	fixture_init(&x);
	p = who_has_seven(&x, WORKER_DIGEST);
	crew_cancel(x.crew, 7);
	due = crew_tick(x.crew, 0);
	assert_true(due < UINT64_MAX);
	assert_int_equal(crew_missing(x.crew), 0);
	assert_true(crew_tick(x.crew, due) == UINT64_MAX);
	assert_int_equal(crew_missing(x.crew), 1);
	assert_true(is_dead(p));
	/* It was cancelled: nobody hears of it. */
	assert_int_equal(x.n_lost + x.n_found, 0);
	fixture_done(&x);

	/* One that answers all the same, or says that it has let go. */
	for (int canceled = 0; canceled < 2; canceled++) {
		fixture_init(&x);
		p = who_has_seven(&x, WORKER_DIGEST);
		crew_cancel(x.crew, 7);
		if (canceled)
			f = (struct worker_finding){ .id = 7,
						     .status = WORKER_CANCELED,
						     .digest.alg = ASSAY_HASH_COUNT,
						     .verity.alg = ASSAY_HASH_COUNT };
		send_finding(p, &f);
		turn(&x);
		assert_true(crew_tick(x.crew, UINT64_MAX - SECOND) == UINT64_MAX);
		assert_int_equal(crew_missing(x.crew), 0);
		assert_int_equal(x.n_lost + x.n_found, 0);
		fixture_done(&x);
	}
}

/* Others do not wait behind a file that hangs its worker. */
static void who_is_stuck_keeps_no_others(void **state)
{
	uint64_t id[WORKER_BATCH_MAX], due;
	struct fixture x;
	struct player *p;
	uint32_t n;

	fixture_init(&x);
	give_many(&x, 6);
	due = crew_tick(x.crew, 0);
	crew_tick(x.crew, due + SECOND);
	assert_int_equal(x.n_lost, 4);
	assert_int_equal(x.n_died, 0);
	/* Only the one kept for small files has time. */
	assert_true(give(&x, 8, WORKER_DIGEST, 100));
	crew_flush(x.crew);
	p = &x.player[0];
	for (uint32_t i = 0; i <= WORKERS; i++)
		if (take_jobs(&x.player[i], id) == 1)
			p = &x.player[i];
	n = x.n_found;
	send_finding(p, &(struct worker_finding){ .id = 8,
						  .bytes = 1,
						  .digest.alg = ASSAY_HASH_SHA256,
						  .verity.alg = ASSAY_HASH_COUNT });
	turn(&x);
	assert_int_equal(x.n_found, n + 1);
	assert_int_equal(crew_missing(x.crew), 0);
	fixture_done(&x);
}

/* ---- as many as there is need of ---------------------------------------------------------------
 */

#define MOST 5u

/* All that was given comes back. */
static void do_all(struct fixture *x, struct player *p, uint32_t n_players)
{
	uint64_t id[WORKER_BATCH_MAX];

	for (uint32_t i = 0; i < n_players; i++) {
		uint32_t n = take_jobs(&p[i], id);

		for (uint32_t j = 0; j < n; j++) {
			struct worker_finding f = finding(id[j]);

			send_finding(&p[i], &f);
		}
	}
	turn(x);
}

/* They end when they are told so; how many were. */
static uint32_t end_who_is_told(struct player *p, uint32_t n)
{
	uint32_t n_told = 0;
	char byte;

	for (uint32_t i = 0; i < n; i++) {
		if (p[i].socket < 0 || recv(p[i].socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 0)
			continue;
		shutdown(p[i].socket, SHUT_RDWR); /* the others have it too: they are forks */
		close(p[i].socket);
		p[i].socket = -1;
		n_told++;
	}
	return n_told;
}

/* A few files at a time are for those who are always there; who opens many gets more workers, one
 * after the other, and these go when there was no need of them for a minute. */
static void workers_come_and_go(void **state)
{
	struct player player[MOST + 1];
	uint32_t n = 0, n_gone = 0;
	uint64_t now, id = 0;
	struct fixture x;
	struct child c;

	begin(&x, MOST);
	for (; crew_missing(x.crew); n++)
		join(&x, &player[n]);
	assert_int_equal(n, 3);
	while (id < 4)
		assert_true(give(&x, ++id, WORKER_DIGEST, 100));
	assert_int_equal(crew_missing(x.crew), 0);
	for (; n <= MOST; n++) {
		while (crew_missing(x.crew) == 0)
			assert_true(give(&x, ++id, WORKER_DIGEST, 100) && id < 4 * n);
		assert_int_equal(crew_missing(x.crew), 1);
		join(&x, &player[n]);
	}
	while (give(&x, id + 1, WORKER_DIGEST, 100))
		id++;
	assert_int_equal(crew_missing(x.crew), 0); /* there are no more than that */
	crew_flush(x.crew);
	do_all(&x, player, n);
	assert_int_equal(x.n_found, id);
	now = assay_clock_ns();
	assert_true(crew_tick(x.crew, now) > now + 50 * SECOND);
	assert_int_equal(end_who_is_told(player, n), 0);
	for (unsigned s = 61; s < 65; s++) {
		crew_tick(x.crew, now + s * SECOND);
		n_gone += end_who_is_told(player, n);
		turn(&x);
	}
	assert_int_equal(n_gone, MOST + 1 - 3);
	for (; crew_take_gone(x.crew, &c); n_gone--)
		child_close(&c);
	assert_int_equal(n_gone, 0);
	assert_int_equal(crew_missing(x.crew), 0);
	assert_int_equal(x.n_lost, 0);
	assert_true(give(&x, ++id, WORKER_DIGEST, 100));
	end_all(&x, player, n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(findings_come_back),
		cmocka_unit_test(big_files_leave_a_worker),
		cmocka_unit_test(there_is_an_end_to_what_is_given),
		cmocka_unit_test(a_liar_is_ended),
		cmocka_unit_test(what_is_malformed_ends_it),
		cmocka_unit_test(files_of_the_dead_come_back),
		cmocka_unit_test(two_may_end_at_once),
		cmocka_unit_test(who_does_not_let_go_is_ended),
		cmocka_unit_test(who_is_stuck_keeps_no_others),
		cmocka_unit_test(workers_come_and_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
