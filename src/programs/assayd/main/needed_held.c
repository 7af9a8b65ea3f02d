/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/needed_private.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/fmt.h"
#include "programs/assayd/process/log.h"

#define UNSEEN_NS 10000000000ull /* so long without a look is worth a word */

bool needed_has_ended(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	return poll(&p, 1, 0) != 0;
}

void needed_hold(struct needed *n, const struct needed_held *h)
{
	pthread_mutex_lock(&n->lock);
	n->held[n->n++] = *h;
	pthread_mutex_unlock(&n->lock);
	log_line(LOG_NOTICE, "%s (process %d) opens what it likes, and is measured afterwards",
		 h->name, (int)h->pid);
}

static void drop(struct needed *n, size_t i)
{
	assay_fanotify_unexempt(n->daemon->group, n->held[i].pid);
	close(n->held[i].pidfd);
	pthread_mutex_lock(&n->lock);
	n->held[i] = n->held[--n->n];
	pthread_mutex_unlock(&n->lock);
	n->listener_ns = 0;
}

void needed_drop_ended(struct needed *n)
{
	for (size_t i = 0; i < n->n;)
		if (needed_has_ended(n->held[i].pidfd))
			drop(n, i);
		else
			i++;
}

const char *needed_drop(struct needed *n, pid_t pid)
{
	for (size_t i = 0; i < n->n; i++)
		if (n->held[i].pid == pid) {
			const char *name = n->held[i].name;

			drop(n, i);
			return name;
		}
	return NULL;
}

bool needed_is_held(const struct needed *n, const char *name, pid_t pid)
{
	for (size_t i = 0; i < n->n; i++)
		if (n->held[i].pid == pid || strcmp(n->held[i].name, name) == 0)
			return true;
	return false;
}

struct needed_held *needed_find_due(struct needed *n, uint64_t now_ns)
{
	struct needed_held *found = NULL;

	for (size_t i = 0; i < n->n; i++) {
		struct needed_held *h = &n->held[i];

		if (h->next_ns <= now_ns && (!found || h->next_ns < found->next_ns))
			found = h;
	}
	return found;
}

static void record(struct needed *n, enum needed_event event, const struct needed_held *h,
		   const char *path)
{
	struct needed_about about = { .name = h->name, .pid = h->pid };
	int r;

	assay_fmt(about.path, sizeof(about.path), "%s", path);
	r = needed_record(n, n->daemon, event, &about);
	if (r < 0)
		log_line(LOG_ERR, "that is not in the list: %s", strerror(-r));
}

/* It stays exempt: who hangs in exec does nothing else, and whoever needs journald would else wait
 * for ourselves. */
static void miss(struct needed *n, struct needed_held *h, int r, uint64_t now_ns)
{
	h->has_hung = r == -ETIMEDOUT;
	h->next_ns = now_ns + (h->has_hung ? NEEDED_AGAIN_NS : NEEDED_LOOK_NS);
	if (h->is_unseen || now_ns - h->seen_ns < UNSEEN_NS)
		return;
	h->is_unseen = true;
	log_line(LOG_WARNING, "%s (process %d) cannot be looked at: what it runs is not known",
		 h->name, (int)h->pid);
	record(n, NEEDED_UNSEEN, h, "");
}

static void see(struct needed_held *h, uint64_t now_ns)
{
	if (h->is_unseen)
		log_line(LOG_NOTICE, "%s (process %d) can be looked at again", h->name,
			 (int)h->pid);
	h->has_hung = h->is_unseen = false;
	h->seen_ns = now_ns;
	h->next_ns = now_ns + NEEDED_LOOK_NS;
}

/* It is another program that would open what it likes. */
static void end_exemption(struct needed *n, size_t i)
{
	const char *path = n->told.error ? "" : n->told.path;
	const struct needed_held h = n->held[i];

	drop(n, i);
	log_line(LOG_WARNING, "%s (process %d) runs '%s' now, and is exempt no more", h.name,
		 (int)h.pid, path);
	record(n, NEEDED_ENDED, &h, path);
}

/* One that ends has no program any more, before it has ended. */
void needed_take_look(struct needed *n, int r, uint64_t now_ns)
{
	const int error = n->told.error;
	size_t i = 0;

	while (i < n->n && n->held[i].pid != n->one.pid)
		i++;
	if (i == n->n)
		return;
	if (r < 0)
		miss(n, &n->held[i], r, now_ns);
	else if (error == -ENOENT || error == -ESRCH ||
		 (error == 0 && vouch_program_is(&n->told.program, &n->held[i].program)))
		see(&n->held[i], now_ns);
	else
		end_exemption(n, i);
}
