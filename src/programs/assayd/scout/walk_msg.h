/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What main and the walker say to each other (docs/formats/ipc.md). Pure; main believes no field
 * that it has not checked. */
#pragma once

#include <sys/types.h>

#include "base/bytes.h"
#include "base/rd.h"
#include "base/wr.h"
#include "programs/assayd/process/ipc.h"

enum walk_message {
	WALK_DEVICES = 1, /* to the walker: some, ascending */
	WALK_GO,	  /* to it; body: which processes */
	WALK_MORE,	  /* to it: FILES are taken */
	WALK_LOOKING,	  /* at the process @id next; if nothing follows, it hangs */
	WALK_FILES,	  /* files of that, a descriptor each; it waits for MORE */
	WALK_FAILED,	  /* one that cannot be opened, or the process's maps cannot be read */
	WALK_DONE,	  /* id: so many mappings were of devices that are counted */
};

/* What is done with a device's files. */
#define WALK_OPEN      1u  /* they are opened */
#define WALK_LOOK      2u  /* of processes in other mount namespaces: some may be an overlay's */
#define WALK_COUNT     4u  /* they are counted */
#define WALK_OVERLAY   8u  /* it is one */
#define WALK_LOOK_HERE 16u /* as WALK_LOOK, of any process */

struct walk_device {
	uint64_t dev;
	uint32_t flags;
};

#define WALK_DEVICE_SIZE 12u				   /* bytes */
#define WALK_DEVICES_MAX (IPC_BODY_MAX / WALK_DEVICE_SIZE) /* in one message */
#define WALK_PATH_MAX	 256u				   /* longer ones are cut */

struct walk_request {
	uint32_t except;      /* the process of main */
	uint32_t first, last; /* process ids */
	uint64_t dev, ino;    /* no other files than this one, as maps shows it; inode 0: all */
	uint32_t unknown;     /* 1: mappings of devices that nobody knows are told as failures */
};

struct walk_file {
	uint64_t dev, ino; /* what it is, which maps may show otherwise */
	uint32_t is_exe;
};

struct walk_failure {
	uint64_t dev, ino; /* as maps shows them; inode 0: the process's maps cannot be read */
	uint32_t error;	   /* errno */
	char path[WALK_PATH_MAX];
};

void walk_device_write(struct assay_wr *w, const struct walk_device *d);
bool walk_device_read(struct assay_rd *in, struct walk_device *ret) ASSAY_MUST_CHECK;
void walk_request_encode(const struct walk_request *r, struct assay_wr *w);
int walk_request_parse(struct assay_bytes body, struct walk_request *ret);
void walk_files_encode(const struct walk_file *files, uint32_t n, struct assay_wr *w);
int walk_files_parse(struct assay_bytes body, struct walk_file ret[static IPC_FDS_MAX],
		     uint32_t *ret_n);
void walk_failure_encode(const struct walk_failure *f, struct assay_wr *w);
int walk_failure_parse(struct assay_bytes body, struct walk_failure *ret);
