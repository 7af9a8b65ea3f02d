/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Those who ask the process control: one question at a time each, bounded in number, in time, and
 * per user on the public socket. Knows nothing of what is asked. For one thread; never blocks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "programs/common/control_msg.h"

#define CLIENTS_ROOT	   64u
#define CLIENTS_PUBLIC	   64u
#define CLIENTS_MAX	   (CLIENTS_ROOT + CLIENTS_PUBLIC)
#define CLIENTS_PER_UID	   8u	/* on the public socket */
#define CLIENT_PATIENCE_MS 5000 /* with who says nothing, or reads nothing */

enum client_state {
	CLIENT_NONE,
	CLIENT_ASKS,	/* it is his turn */
	CLIENT_OF_MAIN, /* waits for main */
	CLIENT_OF_TPM,	/* waits for the anchor */
	CLIENT_OF_ALL,	/* waits for what everybody gets */
	CLIENT_READS,	/* has not taken his answer yet */
};

struct client {
	enum client_state state;
	int fd;
	bool public;
	uid_t uid;
	uint64_t id; /* of his question; grows */
	uint64_t since_ms;
	char *reply; /* CLIENT_READS */
	size_t reply_len;
	struct control_request *request; /* CLIENT_OF_TPM */
};

struct clients {
	struct client c[CLIENTS_MAX]; /* first those of root's socket */
	uint64_t last_id;
};

void clients_init(struct clients *all);

/* Takes in who waits at @listener, so many at most; returns how many there were. */
uint32_t clients_accept(struct clients *all, int listener, bool public, uint32_t most,
			uint64_t now_ms);
void client_end(struct client *c);
/* Those whose time is over. Returns the milliseconds until the next may be, or -1. */
int clients_expire(struct clients *all, uint64_t now_ms);

/* His question; false: there is none yet, or he is gone, or he was told what is wrong with it. */
bool client_read(struct clients *all, struct client *c, struct control_request *ret,
		 uint64_t now_ms);
/* What is left for him to take. */
void client_write(struct client *c, uint64_t now_ms);
/* @text is copied. */
void client_reply(struct client *c, const char *text, size_t len, uint64_t now_ms);
/* Takes @reply; NULL: out of memory. */
void client_reply_json(struct client *c, json_t *reply, uint64_t now_ms);
void client_fail(struct client *c, int code, const char *text, uint64_t now_ms);

/* NULL: he is gone. */
struct client *clients_find(struct clients *all, uint64_t id, enum client_state state);
/* Of those who wait for the TPM, who has waited longest. NULL: none does. */
struct client *clients_next_of_tpm(struct clients *all);
