/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Messages between processes: what arrives, and what must not. */
#include "unit/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "programs/assayd/process/ipc.h"

#define RAW_FDS_MAX 64

static int count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void open_pair(int pair[2])
{
	assert_int_equal(ipc_pair(pair), 0);
	for (int i = 0; i < 2; i++)
		fcntl(pair[i], F_SETFL, O_NONBLOCK);
}

static void close_pair(const int pair[2])
{
	close(pair[0]);
	close(pair[1]);
}

static void what_is_sent_arrives(void **state)
{
	static uint8_t big[IPC_BODY_MAX];
	const size_t sizes[] = { 0, 1, 4096, IPC_BODY_MAX };
	struct ipc_buffer buffer;
	struct ipc_message got;
	int pair[2], before;

	open_pair(pair);
	before = count_fds();
	memset(big, 0xa5, sizeof(big));
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct ipc_message m = {
			.type = 7,
			.id = 1ull << 40,
			.body = assay_bytes(big, sizes[i]),
			.fd = { 0, 1, 2, pair[0] },
			.n_fds = (uint32_t)i % (IPC_FDS_MAX + 1),
		};

		assert_int_equal(ipc_send(pair[0], &m), 0);
		assert_int_equal(ipc_receive(pair[1], &buffer, &got), 0);
		assert_int_equal(got.type, 7);
		assert_true(got.id == 1ull << 40);
		assert_true(assay_bytes_equal(got.body, m.body));
		assert_int_equal(got.n_fds, m.n_fds);
		for (uint32_t j = 0; j < got.n_fds; j++)
			assert_int_equal(fcntl(got.fd[j], F_GETFD), FD_CLOEXEC);
		ipc_close_fds(&got);
	}
	assert_int_equal(count_fds(), before);
	close_pair(pair);
}

static void limits_are_the_senders_too(void **state)
{
	static uint8_t big[IPC_BODY_MAX + 1];
	struct ipc_message m = { .type = 1, .body = assay_bytes(big, sizeof(big)) };
	struct ipc_buffer buffer;
	int pair[2], n = 0, r;

	open_pair(pair);
	assert_int_equal(ipc_send(pair[0], &m), -E2BIG);
	m = (struct ipc_message){ .type = 1, .n_fds = IPC_FDS_MAX + 1 };
	assert_int_equal(ipc_send(pair[0], &m), -E2BIG);
	assert_int_equal(ipc_receive(pair[1], &buffer, &m), -EAGAIN);
	m = (struct ipc_message){ .type = 1 };
	while ((r = ipc_send(pair[0], &m)) == 0)
		n++;
	assert_int_equal(r, -EAGAIN);
	assert_true(n > 10);
	close(pair[1]);
	assert_int_equal(ipc_send(pair[0], &m), -EPIPE);
	close(pair[0]);
}

/* A message of @len bytes at @data, with @n_fds descriptors, as an enemy sends it. */
static void send_raw(int socket, const void *data, size_t len, size_t n_fds)
{
	union {
		struct cmsghdr align;
		uint8_t data[CMSG_SPACE(sizeof(int) * RAW_FDS_MAX)];
	} space = { .data = { 0 } };
	struct iovec io = { .iov_base = (void *)data, .iov_len = len };
	struct msghdr h = { .msg_iov = &io, .msg_iovlen = 1 };

	if (n_fds) {
		struct cmsghdr *c = &space.align;

		h.msg_control = &space;
		h.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		for (size_t i = 0; i < n_fds; i++)
			memcpy(CMSG_DATA(c) + i * sizeof(int), &socket, sizeof(int));
	}
	assert_int_equal(sendmsg(socket, &h, 0), (int)len);
}

static void what_is_no_message_is_refused(void **state)
{
	static uint8_t packet[IPC_MESSAGE_MAX + 1];
	const uint32_t ok[] = { 3, 4, 0, 0, 0x61616161 };
	const uint32_t longer[] = { 3, 5, 0, 0, 0 }, shorter[] = { 3, 3, 0, 0, 0 };
	const uint32_t huge[] = { 3, UINT32_MAX, 0, 0, 0 };
	struct ipc_buffer buffer;
	struct ipc_message m;
	int pair[2], before;

	open_pair(pair);
	before = count_fds();
	send_raw(pair[0], ok, sizeof(ok), 1);
	assert_int_equal(ipc_receive(pair[1], &buffer, &m), 0);
	assert_true(assay_bytes_equal(m.body, assay_bytes_str("aaaa")));
	ipc_close_fds(&m);
	send_raw(pair[0], ok, 0, 2);
	assert_int_equal(ipc_receive(pair[1], &buffer, &m), -EPIPE);
	for (size_t len = 1; len < sizeof(ok); len++) {
		send_raw(pair[0], ok, len, 2);
		assert_int_equal(ipc_receive(pair[1], &buffer, &m), -EBADMSG);
	}
	send_raw(pair[0], longer, sizeof(longer), 0);
	assert_int_equal(ipc_receive(pair[1], &buffer, &m), -EBADMSG);
	send_raw(pair[0], shorter, sizeof(shorter), 0);
	assert_int_equal(ipc_receive(pair[1], &buffer, &m), -EBADMSG);
	send_raw(pair[0], huge, sizeof(huge), 4);
	assert_int_equal(ipc_receive(pair[1], &buffer, &m), -EBADMSG);
	send_raw(pair[0], packet, sizeof(packet), 0);
	assert_int_equal(ipc_receive(pair[1], &buffer, &m), -EBADMSG);
	for (size_t n = IPC_FDS_MAX + 1; n <= RAW_FDS_MAX; n++) {
		send_raw(pair[0], ok, sizeof(ok), n);
		assert_int_equal(ipc_receive(pair[1], &buffer, &m), -EBADMSG);
	}
	assert_int_equal(count_fds(), before);
	close(pair[0]);
	assert_int_equal(ipc_receive(pair[1], &buffer, &m), -EPIPE);
	close(pair[1]);
}

/* 'S': it sleeps, 'Z': it has ended. */
static char state_of(pid_t pid)
{
	char path[64], text[256] = "";
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	return strrchr(text, ')')[2];
}

/* With few descriptors and no capabilities. Returns what ends its process. */
static int send_one(int socket)
{
	const struct rlimit few = { 16, 16 };
	struct ipc_message m = { .type = 1, .fd = { 0 }, .n_fds = 1 };
	cap_t none = cap_init();

	if (cap_set_proc(none) < 0 || setrlimit(RLIMIT_NOFILE, &few) < 0)
		return 2;
	cap_free(none);
	return ipc_send(socket, &m) < 0;
}

/* More descriptors are on their way, of other processes of the same user, than the sender may have
 * itself: it waits until they have been taken. */
static void many_are_on_their_way(void **state)
{
	static struct ipc_buffer buffer;
	struct ipc_message m = { .type = 1, .fd = { 0 }, .n_fds = 1 };
	int busy[2], pair[2], status;
	pid_t child;
	char at;

	open_pair(busy);
	open_pair(pair);
	for (unsigned i = 0; i < 40; i++)
		assert_int_equal(ipc_send(busy[0], &m), 0);
	child = fork();
	if (child == 0) {
		close_pair(busy);
		_exit(send_one(pair[0]));
	}
	do
		at = state_of(child);
	while (at != 'S' && at != 'Z');
	close_pair(busy); /* so they are none any more */
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_int_equal(ipc_receive(pair[1], &buffer, &m), 0);
	assert_int_equal(m.n_fds, 1);
	close(m.fd[0]);
	close_pair(pair);
}

static void sealed_bytes_stay(void **state)
{
	int fd = ipc_sealed(assay_bytes_str("measure func=BPRM_CHECK\n"));
	int other = memfd_create("other", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	AUTO(file) struct assay_file back = { 0 };

	assert_true(fd >= 0);
	assert_int_equal(ipc_read_sealed(fd, 23, &back), -E2BIG);
	assert_null(back.bytes.data);
	assert_int_equal(ipc_read_sealed(fd, 24, &back), 0);
	assert_true(assay_bytes_equal(back.bytes, assay_bytes_str("measure func=BPRM_CHECK\n")));
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(ipc_read_sealed(other, 24, &back), -EBADMSG);
	assert_int_equal(fcntl(other, F_ADD_SEALS, F_SEAL_WRITE), 0);
	assert_int_equal(ipc_read_sealed(other, 24, &back), -EBADMSG);
	assert_int_equal(ipc_read_sealed(0, 24, &back), -EBADMSG);
	close(fd);
	close(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_sent_arrives),
		cmocka_unit_test(limits_are_the_senders_too),
		cmocka_unit_test(what_is_no_message_is_refused),
		cmocka_unit_test(many_are_on_their_way),
		cmocka_unit_test(sealed_bytes_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
