/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/anchor_wait.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct anchor_wait {
	struct anchor_wait_config config;
	pthread_mutex_t lock;
	pthread_cond_t done;
	pthread_t thread;
	struct recording *recording;
	int wake_fd;
	bool stop, gone;
};

/* One that waits; its address is its id. */
struct waiter {
	bool done;
	struct recording_result result;
};

static void on_done(void *ctx, uint64_t id, const struct recording_result *result)
{
	struct anchor_wait *w = ctx;
	struct waiter *waiter = (struct waiter *)(uintptr_t)id;

	waiter->result = *result;
	waiter->done = true;
	pthread_cond_broadcast(&w->done);
}

static void on_anchored(void *ctx, uint64_t upto, bool released)
{
	struct anchor_wait *w = ctx;

	w->config.anchored(w->config.ctx, upto, released);
}

static void on_segment(void *ctx, enum assay_segment_start why)
{
	struct anchor_wait *w = ctx;

	w->config.segment(w->config.ctx, why);
}

static void *run(void *arg)
{
	struct anchor_wait *w = arg;
	struct pollfd p[] = {
		{ .fd = w->config.socket, .events = POLLIN },
		{ .fd = w->wake_fd, .events = POLLIN },
	};
	eventfd_t unused;
	int r = 0;

	pthread_mutex_lock(&w->lock);
	while (!w->stop) {
		r = recording_receive(w->recording);
		if (r < 0)
			break;
		p[0].events = recording_wants_to_write(w->recording) ? POLLIN | POLLOUT : POLLIN;
		pthread_mutex_unlock(&w->lock);
		poll(p, 2, -1);
		(void)eventfd_read(w->wake_fd, &unused);
		pthread_mutex_lock(&w->lock);
	}
	pthread_mutex_unlock(&w->lock);
	if (r == 0)
		return NULL;
	w->config.gone(w->config.ctx);
	pthread_mutex_lock(&w->lock);
	w->gone = true;
	pthread_cond_broadcast(&w->done);
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

int anchor_wait_new(const struct anchor_wait_config *config, struct anchor_wait **ret,
		    struct assay_err *err)
{
	static const struct recording_ops ops = {
		.done = on_done,
		.anchored = on_anchored,
		.segment = on_segment,
	};
	struct anchor_wait *w = calloc(1, sizeof(*w));
	int r = w ? recording_new(config->socket, &ops, w, &w->recording) : -ENOMEM;

	if (r == 0) {
		w->config = *config;
		pthread_mutex_init(&w->lock, NULL);
		pthread_cond_init(&w->done, NULL);
		w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		r = -pthread_create(&w->thread, NULL, run, w);
	}
	if (r == 0) {
		*ret = w;
		return 0;
	}
	if (w)
		recording_free(w->recording);
	free(w);
	return assay_err_set(err, r, "cannot start a thread: %s", strerror(-r));
}

void anchor_wait_free(struct anchor_wait *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_mutex_unlock(&w->lock);
	eventfd_write(w->wake_fd, 1);
	pthread_join(w->thread, NULL);
	recording_free(w->recording);
	close(w->wake_fd);
	pthread_cond_destroy(&w->done);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

int anchor_wait_event(struct anchor_wait *w, const struct assay_facts *facts,
		      struct assay_decision *ret, struct assay_err *err)
{
	struct waiter waiter = { 0 };
	int r;

	pthread_mutex_lock(&w->lock);
	r = w->gone ? -EPIPE : recording_submit(w->recording, (uintptr_t)&waiter, facts);
	eventfd_write(w->wake_fd, 1);
	while (r == 0 && !waiter.done && !w->gone)
		pthread_cond_wait(&w->done, &w->lock);
	pthread_mutex_unlock(&w->lock);
	if (r == 0)
		r = waiter.done ? waiter.result.error : -EPIPE;
	if (r < 0)
		return assay_err_set(err, r, "the anchor process did not record it: %s",
				     strerror(-r));
	*ret = (struct assay_decision){ .verdict = ASSAY_ALLOW,
					.need = waiter.result.need,
					.wait_for = waiter.result.wait_for };
	return 0;
}

void anchor_wait_gathered(struct anchor_wait *w)
{
	pthread_mutex_lock(&w->lock);
	recording_gathered(w->recording);
	pthread_mutex_unlock(&w->lock);
	eventfd_write(w->wake_fd, 1);
}

bool anchor_wait_is_gone(struct anchor_wait *w)
{
	bool gone;

	pthread_mutex_lock(&w->lock);
	gone = w->gone;
	pthread_mutex_unlock(&w->lock);
	return gone;
}
