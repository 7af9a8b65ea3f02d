/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * "assay=off" and "assay=log" on the kernel's command line: what an administrator who cannot get
 * into his machine has left. They count unless the configuration says "kernel_cmdline = ignore",
 * and are in the list either way.
 */
#pragma once

#include "base/bytes.h"
#include "base/wr.h"
#include "formats/conf.h"

enum cmdline_order {
	CMDLINE_NONE, /* there is no "assay=" */
	CMDLINE_OFF,  /* watch nothing */
	CMDLINE_LOG,  /* deny nothing */
	CMDLINE_UNKNOWN,
};

struct cmdline {
	enum cmdline_order order;
	bool obeyed;	/* else it changes nothing */
	char value[64]; /* as it stands there, cut */
};

/* /proc/cmdline by the rule in @conf; what is forbidden, unknown or unreadable is logged. */
void cmdline_read(const struct assay_conf *conf, struct cmdline *ret);
void cmdline_parse(struct assay_bytes line, const struct assay_conf *conf, struct cmdline *ret);

/* With "assay=log" obeyed: every key by which somebody could be denied becomes one by which nobody
 * is. */
void cmdline_apply(const struct cmdline *c, struct assay_conf *conf);

static inline bool cmdline_is_off(const struct cmdline *c)
{
	return c->order == CMDLINE_OFF && c->obeyed;
}

/* Of the state record "cmdline"; @ctx is a struct cmdline. */
void cmdline_fill(void *ctx, struct assay_wr *w);
