/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Workers, a journal and somebody who asks, all at once: each record is sent, or counted as lost.
 */
#include "unit/test.h"

#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "programs/assayd/audit/audit.h"

enum { WRITERS = 4, RECORDS = 3000 };

struct journal {
	char path[64];
	int fd;
	pthread_t thread;
	uint64_t records, lost;
	_Atomic bool stop;
};

static void open_journal(struct journal *j)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(j->path, sizeof(j->path), "/tmp/assay-hub.%d", (int)getpid());
	unlink(j->path);
	j->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	strcpy(address.sun_path, j->path);
	assert_int_equal(bind(j->fd, (struct sockaddr *)&address, sizeof(address)), 0);
}

static void count(struct journal *j, const char *datagram)
{
	const char *lost = strstr(datagram, "ASSAY_OP=audit_lost");

	if (lost)
		j->lost += strtoull(strstr(datagram, "ASSAY_COUNT=") + 12, NULL, 10);
	else
		j->records++;
}

/* Begins when the ring was overwritten. */
static void *read_journal(void *arg)
{
	struct journal *j = arg;
	struct pollfd p = { .fd = j->fd, .events = POLLIN };
	char datagram[65536];
	ssize_t n;

	for (;;) {
		bool stop = atomic_load(&j->stop);

		while ((n = recv(j->fd, datagram, sizeof(datagram) - 1, MSG_DONTWAIT)) > 0) {
			datagram[n] = '\0';
			count(j, datagram);
		}
		if (stop)
			return NULL;
		poll(&p, 1, 10);
	}
}

static void *write_records(void *arg)
{
	struct audit *a = arg;
	char path[600];

	memset(path, 'x', sizeof(path));
	for (uint32_t i = 0; i < RECORDS; i++) {
		struct assay_audit r = { .type = ASSAY_AUDIT_TYPE_RULE };
		struct audit_seen_entry e = { 0 };

		memcpy(e.key, &i, sizeof(i));
		assert_int_not_equal(audit_admit(a, &e, 1, 0), AUDIT_LIMITED);
		assay_audit_set_text(&r, ASSAY_AUDIT_FILE, assay_bytes(path, sizeof(path)));
		audit_put_file(a, &r, &e);
	}
	return NULL;
}

static void *ask(void *arg)
{
	struct audit *a = arg;
	static char line[ASSAY_AUDIT_LINE_MAX];
	uint64_t cursor = 1, missed = 0, seen = 0;

	while (seen + missed < WRITERS * RECORDS)
		if (audit_read(a, &cursor, &missed, line, sizeof(line)))
			assert_int_equal(cursor - 1, ++seen + missed);
	return NULL;
}

static void nothing_is_lost_unseen(void **state)
{
	struct journal j = { 0 };
	struct audit_config config = { .journal = j.path };
	pthread_t writer[WRITERS], asker;
	struct audit_counts n;
	struct audit_loss loss;
	struct audit *a;

	open_journal(&j);
	assert_int_equal(audit_start(&config, &a, NULL), 0);
	assert_int_equal(pthread_create(&asker, NULL, ask, a), 0);
	for (unsigned i = 0; i < WRITERS; i++)
		assert_int_equal(pthread_create(&writer[i], NULL, write_records, a), 0);
	for (unsigned i = 0; i < WRITERS; i++)
		pthread_join(writer[i], NULL);
	assert_int_equal(pthread_create(&j.thread, NULL, read_journal, &j), 0);
	pthread_join(asker, NULL);
	do { /* all of them, and what says how many are lost: at the end it has only two seconds */
		audit_counts(a, &n);
	} while (poll(NULL, 0, 1) == 0 &&
		 n.sent[AUDIT_SINK_JOURNAL] + n.lost[AUDIT_SINK_JOURNAL] <= WRITERS * RECORDS);
	audit_stop(a);
	atomic_store(&j.stop, true);
	pthread_join(j.thread, NULL);
	audit_counts(a, &n);
	assert_int_equal(n.records, WRITERS * RECORDS);
	assert_true(n.lost[AUDIT_SINK_JOURNAL] > 0);
	assert_int_equal(j.records + n.lost[AUDIT_SINK_JOURNAL], WRITERS * RECORDS);
	assert_int_equal(j.lost, n.lost[AUDIT_SINK_JOURNAL]); /* and it was told */
	assert_true(audit_next_loss(a, &loss));
	assert_int_equal(loss.count, n.lost[AUDIT_SINK_JOURNAL]);
	assert_false(audit_next_loss(a, &loss));
	audit_free(a);
	close(j.fd);
	unlink(j.path);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(nothing_is_lost_unseen) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
