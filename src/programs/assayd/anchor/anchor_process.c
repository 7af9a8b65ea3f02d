/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Three threads beside the recorder's own: this one takes events, many with one message, and
 * answers them with one; one serves calls that need the list alone, one those that wait for the
 * TPM. One more serves the few that the process control may make. What main does not decode or says
 * out of turn ends the process: main is the only one that it has to believe, and main's end is its
 * own.
 */
#include "programs/assayd/anchor/anchor_process.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "backends/crypto_openssl/crypto_openssl.h"
#include "base/file.h"
#include "base/fmt.h"
#include "programs/assayd/anchor/anchor_msg.h"
#include "programs/assayd/anchor/anchor_open.h"
#include "programs/assayd/anchor/anchor_sandbox.h"
#include "programs/assayd/anchor/anchor_serve.h"
#include "programs/assayd/process/spawner.h"

#define LOCK_WAIT_MS  5000 /* for the one before, whose main was killed */
#define LOCK_RETRY_MS 50

enum { END_ASKED, END_TROUBLE = 2 };

/* ---- what it says by itself ----------------------------------------------------------------- */

/* To main, which is gone if that fails. */
static void say(const struct anchor_msg *m)
{
	uint8_t body[ANCHOR_SAY_MAX];
	struct assay_wr w = assay_wr(body, sizeof(body));

	anchor_msg_encode(m, &w);
	if (ipc_send(CHILD_SOCKET,
		     &(struct ipc_message){ .type = m->type, .body = assay_wr_done(&w) }) < 0)
		_exit(END_TROUBLE);
}

/* Before main waits for it nobody does: it begins with what it is told then. */
static void on_anchored(void *ctx, uint64_t upto, bool released)
{
	struct anchor_server *s = ctx;

	pthread_mutex_lock(&s->told_lock);
	s->upto = upto;
	if (s->told)
		say(&(struct anchor_msg){ .type = ANCHOR_MSG_ANCHORED,
					  .anchored = { upto, released } });
	pthread_mutex_unlock(&s->told_lock);
}

static void on_segment(void *ctx, enum assay_segment_start why)
{
	struct anchor_server *s = ctx;

	pthread_mutex_lock(&s->told_lock);
	if (s->told)
		say(&(struct anchor_msg){ .type = ANCHOR_MSG_SEGMENT, .segment = why });
	pthread_mutex_unlock(&s->told_lock);
}

static bool more_coming(void *ctx)
{
	const struct anchor_server *s = ctx;

	return atomic_load(&s->more);
}

/* A line that main has no room for is dropped, as it may be written with a lock held. */
static void on_log(void *ctx, int priority, const char *text)
{
	struct anchor_msg m = { .type = ANCHOR_MSG_LOG, .text = { .number = (uint32_t)priority } };
	struct pollfd p = { .fd = CHILD_SOCKET, .events = POLLOUT };

	(void)ctx;
	assay_fmt(m.text.text, sizeof(m.text.text), "%s", text);
	if (poll(&p, 1, 0) == 1 && p.revents & POLLOUT)
		say(&m);
}

/* ---- start ---------------------------------------------------------------------------------- */

static int read_conf(int fd, struct assay_conf *ret, struct assay_err *err)
{
	AUTO(file) struct assay_file file = { 0 };
	int r = ipc_read_sealed(fd, ASSAY_CONF_SIZE_MAX, &file);

	assay_conf_init(ret);
	if (r < 0)
		return assay_err_set(err, r, "cannot read the configuration: %s", strerror(-r));
	return assay_conf_parse(file.bytes, ret, err);
}

static int take_start(struct anchor_server *s, struct assay_err *err)
{
	struct ipc_message m;
	int r = ipc_receive(CHILD_SOCKET, &s->events_in, &m);

	if (r == 0 && (m.type != ANCHOR_MSG_START || m.body.len ||
		       m.n_fds != anchor_msg_fds(ANCHOR_MSG_START))) {
		ipc_close_fds(&m);
		r = -EBADMSG;
	}
	if (r < 0)
		return assay_err_set(err, r, "no word of how to start");
	s->list_dirfd = m.fd[ANCHOR_START_LIST];
	s->line[0].socket = m.fd[ANCHOR_START_RECORDS];
	s->line[1].socket = m.fd[ANCHOR_START_TPM];
	r = read_conf(m.fd[ANCHOR_START_CONF], &s->conf, err);
	close(m.fd[ANCHOR_START_CONF]);
	return r;
}

/* Before the sandbox, in which there is no right to. */
static int lock_memory(const struct assay_conf *conf, struct assay_err *err)
{
	const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };

	if (!conf->lock_memory)
		return 0;
	if (setrlimit(RLIMIT_MEMLOCK, &all) < 0 ||
	    mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0)
		return assay_err_set(err, -errno, "cannot lock memory: %s", strerror(errno));
	return 0;
}

static int prepare(struct anchor_server *s, struct assay_err *err)
{
	int r = assay_crypto_openssl_new(&s->openssl, err);

	if (r < 0)
		return r;
	s->crypto = assay_crypto_openssl_port(s->openssl);
	s->core = (struct assay_core_config){
		.template = assay_bytes_str(s->conf.template),
		.pcr = s->conf.pcr,
	};
	if (!assay_hash_by_name(assay_bytes_str(s->conf.hash), &s->core.hash))
		return assay_err_set(err, -EINVAL, "there is no hash '%s'", s->conf.hash);
	r = lock_memory(&s->conf, err);
	return r < 0 ? r : anchor_sandbox_enter(&s->conf, s->list_dirfd, &s->sandbox, err);
}

/* Which list, where in it, and what to do. */
static int explain_list(const struct anchor_server *s, struct assay_err *err)
{
	const char *hint = "", *dir = s->conf.list_dir;
	struct assay_err why = *err;

	if (why.code == -ENOSPC || why.code == -EDQUOT)
		hint = "; make room on its filesystem";
	else if (why.code == -EBADMSG || why.code == -EKEYREJECTED)
		hint = "; nothing was changed: keep the folder for whoever looks into it, and move "
		       "it away to begin a new list";
	if (strstr(why.text, "move the folder away"))
		hint = "";
	if (!why.has_offset)
		return assay_err_set(err, why.code, "list '%s': %s%s", dir, why.text, hint);
	/* Who replays it knows nothing of the file around the records. */
	return assay_err_set(err, why.code, "list '%s', offset %llu%s: %s%s", dir,
			     (unsigned long long)why.offset,
			     why.code == -EKEYREJECTED ? " of the records" : "", why.text, hint);
}

/* One that was killed with its main may need a moment to be gone. */
static int start_recorder(struct anchor_server *s, const struct recorder_config *config,
			  struct assay_err *err)
{
	const struct timespec pause = { .tv_nsec = LOCK_RETRY_MS * 1000000 };
	int r, waited = 0;

	while ((r = recorder_start(config, &s->recorder, err)) == -EWOULDBLOCK &&
	       waited < LOCK_WAIT_MS) {
		nanosleep(&pause, NULL);
		waited += LOCK_RETRY_MS;
	}
	return r < 0 ? explain_list(s, err) : 0;
}

static int open_all(struct anchor_server *s, struct assay_err *err)
{
	const struct assay_conf *conf = &s->conf;
	struct recorder_config config = {
		.list_dirfd = s->list_dirfd,
		.list_dir = conf->list_dir,
		.kernel_list = strcmp(conf->kernel_list, "none") == 0 ? NULL : conf->kernel_list,
		.crypto = s->crypto,
		.mode = (enum anchor_mode)conf->anchor_mode,
		.sync = (enum list_sync)conf->list_sync,
		.on_tpm_loss = (enum on_stall)conf->on_tpm_loss,
		.gather_us = conf->gather_us,
		.core = s->core,
		.anchored = on_anchored,
		.segment = on_segment,
		.more_coming = more_coming,
		.log = on_log,
		.ctx = s,
	};
	int r = anchor_open(conf, &s->crypto, s->list_dirfd, &s->anchor, err);

	config.anchor = s->anchor.port;
	return r < 0 ? r : start_recorder(s, &config, err);
}

static void say_ready(struct anchor_server *s)
{
	struct anchor_msg m = { .type = ANCHOR_MSG_READY, .ready.landlock = s->sandbox.landlock };

	if (s->conf.tpm_session == ASSAY_CONF_SESSION_HMAC)
		anchor_ek_name(&s->anchor, m.ready.ek_name);
	pthread_mutex_lock(&s->told_lock);
	m.ready.upto = s->upto;
	s->told = true;
	say(&m);
	pthread_mutex_unlock(&s->told_lock);
}

static int start(struct anchor_server *s, struct assay_err *err)
{
	int r = take_start(s, err);

	if (r == 0)
		r = prepare(s, err);
	if (r == 0)
		r = open_all(s, err);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(s->line); i++) {
		s->line[i].server = s;
		r = anchor_start_line(&s->line[i], err);
	}
	return r;
}

/* Without the ways that exit() takes: threads are under way, and there is nothing to be done. */
int anchor_process(void)
{
	static struct anchor_server s;
	struct anchor_msg m = { .type = ANCHOR_MSG_FAILED };
	struct assay_err err = { 0 };
	int r;

	setenv("TSS2_LOG", "all+NONE", 0);
	pthread_mutex_init(&s.told_lock, NULL);
	pthread_rwlock_init(&s.recorder_lock, NULL);
	r = start(&s, &err);
	if (r < 0) {
		m.text.number = (uint32_t)-r;
		assay_fmt(m.text.text, sizeof(m.text.text), "%s", err.text);
		say(&m);
		_exit(END_TROUBLE);
	}
	say_ready(&s);
	r = anchor_serve_events(&s);
	_exit(r == -EPIPE ? END_ASKED : END_TROUBLE);
}
