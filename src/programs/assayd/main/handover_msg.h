/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What an assayd and the one that takes its place say to each other (docs/formats/handover.md,
 * decision 0048). Both sides check every field, as they are of different versions. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/wr.h"

#define HANDOVER_VERSION    1u
#define HANDOVER_SOCKET	    3		  /* of the new one, where it starts */
#define HANDOVER_OPTION	    "--take-over" /* always its first */
#define HANDOVER_FLOOR	    4096u	  /* no descriptor of its own is below */
#define HANDOVER_NUMBER_MIN 3u
#define HANDOVER_EVENTS_MAX 3072u
#define HANDOVER_ONCE	    32u /* events of one message: IPC_FDS_MAX */
#define HANDOVER_REASON_MAX 255u

enum handover_type {
	/* of the old one */
	HANDOVER_OFFER = 1, /* id: version */
	HANDOVER_DONE,	    /* the process of EXEMPT is exempt; id: 0 or errno */
	HANDOVER_LIST,	    /* is the new one's */
	HANDOVER_GROUP,	    /* struct handover_group; the group */
	HANDOVER_EVENTS,    /* struct handover_event each; their descriptors */
	HANDOVER_GO,	    /* the old one has closed the group */
	/* of the new one */
	HANDOVER_HELLO = 32, /* id: version; u32: HANDOVER_FLOOR, or less */
	HANDOVER_EXEMPT,     /* id: pid */
	HANDOVER_READY,
	HANDOVER_ANCHORED,
	HANDOVER_TAKEN,
	HANDOVER_FAILED, /* text */
};

struct handover_group {
	bool tells_errors; /* assay_fanotify_tells_errors() */
	uint32_t events;   /* that follow */
	uint32_t lost;	   /* opens that are not measured, since the list was closed */
	uint64_t held_ns;  /* monotonic: since when openers are held back */
	uint64_t past;	   /* hand-overs since a start */
};

struct handover_event {
	uint32_t number; /* of the descriptor, where it was read */
	int32_t tid;
	bool exec;
	bool answered;	     /* nobody waits, but it is to be measured */
	uint64_t arrived_ns; /* monotonic */
};

void handover_group_encode(const struct handover_group *g, struct assay_wr *w);
int handover_group_decode(struct assay_bytes body, struct handover_group *ret);
void handover_event_encode(const struct handover_event *e, struct assay_wr *w);
/* @floor: of the numbers. Errors, both: -EBADMSG. */
int handover_events_decode(struct assay_bytes body, uint32_t n, uint32_t floor,
			   struct handover_event ret[HANDOVER_ONCE]);
int handover_floor_decode(struct assay_bytes body, uint32_t *ret);
