/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The measurement list on disk: a folder of segment files, one of them current. Appended bytes are
 * *written* (survive this process) when append returns, *synced* (survive the kernel) after sync.
 * Preallocated and mapped for reading; one process holds the folder's lock. The append port's home.
 */
#pragma once

#include "base/err.h"
#include "engine/ports.h"
#include "formats/segment.h"

struct assay_list_file;

struct assay_list_file_config {
	size_t size;
	uint8_t boot_id[16]; /* of the running kernel */
	uint64_t prealloc;   /* bytes to preallocate at a time, 0: 1 MiB */
	uint64_t size_max;   /* bytes of one segment, 0: 16 GiB */
	uint64_t reserve;    /* bytes kept for gap records, 0: 64 KiB */
};

/*
 * Opens the folder @dirfd (borrowed; made by the caller, mode 0700), takes its lock, and opens the
 * newest segment. What the kernel lost when it crashed is cut from its end: records from the first
 * one that is damaged, if they were not synced and another boot wrote them. Errors: -EWOULDBLOCK
 * another process holds the lock (its pid is in the message), -EBADMSG a segment that is damaged
 * otherwise (offset in @err; nothing is changed), -ENOSPC, errno of the file calls.
 */
int assay_list_file_open(int dirfd, const struct assay_list_file_config *config,
			 const struct assay_crypto *crypto, struct assay_list_file **ret,
			 struct assay_err *err);
void assay_list_file_free(struct assay_list_file *l);
AUTO_DEFINE(list_file);

/* Whether a file of this name in the folder is a segment, and its number. */
bool assay_list_file_is_segment(const char *name, uint64_t *ret);

/* The current segment; NULL if there is none yet. */
const struct assay_segment_head *assay_list_file_head(const struct assay_list_file *l);

/* The checksum of its head, 32 bytes; there must be a segment. */
struct assay_bytes assay_list_file_checksum(const struct assay_list_file *l);

/* The records written so far. The address stays valid, and what is below the length unchanged,
 * until the next segment begins: another thread may read them. */
struct assay_bytes assay_list_file_records(const struct assay_list_file *l);

/* Bytes that were cut from the end when it was opened. */
uint64_t assay_list_file_cut(const struct assay_list_file *l);

/*
 * Does what takes long before a segment can begin: the current one's digest, and all of it on the
 * medium; a file with its space. Others may append meanwhile; what they do is made up for later.
 * Without it assay_list_file_begin() does it. Errors: -ENOSPC, errno of the file calls.
 */
int assay_list_file_prepare(struct assay_list_file *l, struct assay_err *err);

/*
 * Begins the next segment, in little time: nothing waits for the medium. It is the current one, but
 * has no name yet and ends nothing until assay_list_file_keep(). A segment that another process
 * finds therefore has all that its writer wrote before that. Number, previous and previous_len of
 * @head are filled in here; nothing of the old segment is changed. On failure the old one is the
 * current one.
 */
int assay_list_file_begin(struct assay_list_file *l, const struct assay_segment_head *head,
			  struct assay_err *err);

/* What was begun, and is on the medium on return, takes its place in the list. May be called from
 * another thread than append. */
int assay_list_file_keep(struct assay_list_file *l, struct assay_err *err);

/* The segment before is the current one again; what was written to the new one is gone. False:
 * there is none that was begun and not kept. */
bool assay_list_file_drop(struct assay_list_file *l);

/* Everything written before the call is on the medium when it returns. May be called from another
 * thread than append. */
int assay_list_file_sync(struct assay_list_file *l);

/* The append port over the current segment; the caller serialises appends. */
struct assay_append assay_list_file_port(struct assay_list_file *l);
