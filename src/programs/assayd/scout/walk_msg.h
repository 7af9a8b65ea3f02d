/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What main and the walker say to each other (docs/formats/ipc.md). Pure; main believes no field
 * that it has not checked. */
#pragma once

#include <sys/types.h>

#include "base/bytes.h"
#include "base/wr.h"
#include "programs/assayd/process/ipc.h"

enum walk_message {
	WALK_DEVICES = 1, /* to the walker; id: enum walk_devices; body: some, ascending */
	WALK_GO,	  /* to it; body: which processes */
	WALK_MORE,	  /* to it: FILES are taken */
	WALK_LOOKING,	  /* at the process @id next; if nothing follows, it hangs */
	WALK_FILES,	  /* files of that, a descriptor each; it waits for MORE */
	WALK_FAILED,	  /* one that cannot be opened, or the process's maps cannot be read */
	WALK_DONE,	  /* id: so many mappings were of devices that are counted */
};

/* What is done with files of such devices, as maps shows them. Others are left out. */
enum walk_devices {
	WALK_OPEN,	 /* they are opened */
	WALK_OPEN_APART, /* if the process is in another mount namespace */
	WALK_COUNT,	 /* they are counted */
	WALK_DEVICES_COUNT,
};

#define WALK_DEVICES_MAX (IPC_BODY_MAX / 8u) /* in one message */
#define WALK_PATH_MAX	 256u		     /* longer ones are cut */

struct walk_request {
	uint32_t except;      /* the process of main */
	uint32_t first, last; /* process ids */
	uint64_t ino;	      /* no other files; 0: all */
};

struct walk_file {
	uint64_t dev, ino; /* as maps shows them */
	uint32_t is_exe;
};

struct walk_failure {
	uint64_t dev, ino; /* ino 0: the process's maps cannot be read */
	uint32_t error;	   /* errno */
	char path[WALK_PATH_MAX];
};

void walk_request_encode(const struct walk_request *r, struct assay_wr *w);
int walk_request_parse(struct assay_bytes body, struct walk_request *ret);
void walk_files_encode(const struct walk_file *files, uint32_t n, struct assay_wr *w);
int walk_files_parse(struct assay_bytes body, struct walk_file ret[static IPC_FDS_MAX],
		     uint32_t *ret_n);
void walk_failure_encode(const struct walk_failure *f, struct assay_wr *w);
int walk_failure_parse(struct assay_bytes body, struct walk_failure *ret);
