/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shared by the files of this folder: list_file.c has the folder, load.c opens and repairs a
 * segment, append.c writes. */
#pragma once

#include "backends/list_file/list_file.h"

#define ASSAY_LIST_FILE_NAME_MAX 40

/* An open segment. */
struct list_segment {
	int fd; /* -1: none */
	struct assay_segment_head head;
	uint8_t *front;	    /* head and commit page, writable */
	const uint8_t *map; /* the whole file and what it may grow to; what is past its end is not
			       touched */
	size_t map_len;
	uint64_t allocated; /* bytes of the file */
	uint64_t rested;    /* bytes of the map that were given back */
	uint64_t cut;
};

struct assay_list_file {
	int dirfd, lock_fd;
	struct assay_list_file_config config;
	struct assay_crypto crypto;
	struct list_segment now, before; /* before: while the one of now has no name yet */
	bool unnamed;
	/* What was prepared for the next segment; next.fd is -1: nothing was. */
	struct list_segment next;
	struct assay_hash_ctx *hash; /* of the current one's first @hashed bytes of records */
	uint64_t hashed;
};

/* The words of the commit page. They are one store each, after the bytes that they speak of. */
static inline uint64_t *assay_list_file_word(const struct list_segment *s, unsigned i)
{
	return (uint64_t *)(void *)(s->front + ASSAY_SEGMENT_COMMIT) + i;
}

uint64_t assay_list_file_written(const struct list_segment *s);
void assay_list_file_set_written(struct list_segment *s, uint64_t len);

struct assay_segment_hasher assay_list_file_hasher(struct assay_list_file *l);
void assay_list_file_name(uint64_t number, char ret[static ASSAY_LIST_FILE_NAME_MAX]);
/* The highest number of a segment in the folder; 0: there is none yet. */
int assay_list_file_newest(int dirfd, uint64_t *ret, struct assay_err *err);
void assay_list_file_unmap(struct list_segment *s); /* and closes it */
void assay_list_file_unprepare(struct assay_list_file *l);

/* Opens, checks and repairs segment @number. */
int assay_list_file_load(struct assay_list_file *l, uint64_t number, struct assay_err *err);

/* Maps the segment that is open as @fd, which @s takes. */
int assay_list_file_map(const struct assay_list_file *l, struct list_segment *s, int fd,
			struct assay_err *err);
