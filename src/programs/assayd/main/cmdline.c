/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/cmdline.h"

#include <fcntl.h>
#include <syslog.h>

#include "base/file.h"
#include "formats/batch.h"
#include "formats/cmdline.h"
#include "programs/assayd/process/log.h"

static enum cmdline_order order_of(struct assay_bytes value)
{
	if (assay_bytes_is(value, "off"))
		return CMDLINE_OFF;
	return assay_bytes_is(value, "log") ? CMDLINE_LOG : CMDLINE_UNKNOWN;
}

void cmdline_parse(struct assay_bytes line, const struct assay_conf *conf, struct cmdline *ret)
{
	struct assay_bytes value;

	*ret = (struct cmdline){ .order = CMDLINE_NONE };
	if (!assay_cmdline_get(line, "assay", &value))
		return;
	ret->order = order_of(value);
	ret->obeyed =
		ret->order != CMDLINE_UNKNOWN && conf->kernel_cmdline == ASSAY_CONF_CMDLINE_OBEY;
	if (value.len >= sizeof(ret->value))
		value.len = sizeof(ret->value) - 1;
	memcpy(ret->value, value.data, value.len);
}

static void tell(const struct cmdline *c)
{
	if (c->order == CMDLINE_UNKNOWN)
		log_line(LOG_WARNING,
			 "'assay=%s' on the kernel's command line is not known (off, log): it "
			 "changes nothing",
			 c->value);
	else if (c->order != CMDLINE_NONE && !c->obeyed)
		log_line(LOG_WARNING,
			 "'assay=%s' on the kernel's command line does not count, as the "
			 "configuration says (kernel_cmdline)",
			 c->value);
	else if (c->order != CMDLINE_NONE)
		log_line(LOG_WARNING, "'assay=%s' on the kernel's command line: %s", c->value,
			 c->order == CMDLINE_OFF ? "nothing is watched" : "nothing is denied");
}

void cmdline_read(const struct assay_conf *conf, struct cmdline *ret)
{
	AUTO(file) struct assay_file file = { 0 };
	struct assay_err err;

	*ret = (struct cmdline){ .order = CMDLINE_NONE };
	if (assay_file_read(AT_FDCWD, "/proc/cmdline", ASSAY_CMDLINE_SIZE_MAX, &file, &err) < 0) {
		log_line(LOG_WARNING, "what it says about assayd does not count: %s", err.text);
		return;
	}
	cmdline_parse(file.bytes, conf, ret);
	tell(ret);
}

void cmdline_apply(const struct cmdline *c, struct assay_conf *conf)
{
	if (c->order != CMDLINE_LOG || !c->obeyed)
		return;
	conf->deadline_answer = ASSAY_CONF_ANSWER_ALLOW;
	if (conf->too_large == ASSAY_CONF_TOO_LARGE_DENY)
		conf->too_large = ASSAY_CONF_TOO_LARGE_ALLOW;
}

void cmdline_fill(void *ctx, struct assay_wr *w)
{
	const struct cmdline *c = ctx;

	assay_state_add(w, "value", assay_bytes_str(c->value));
	assay_state_add_u64(w, "obeyed", c->obeyed);
}
