/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/main/anchor_choose.h"

#include <poll.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "base/fmt.h"
#include "formats/batch.h"
#include "programs/assayd/process/log.h"

#define KERNEL_TPM   "class/tpmrm/tpmrm0"	 /* a TPM 1.2 has no resource manager */
#define FIRMWARE_TPM "firmware/acpi/tables/TPM2" /* nor this table */
#define STEP_MS	     50u

static bool exists(const char *sys, const char *what)
{
	char path[256];

	assay_fmt(path, sizeof(path), "%s/%s", sys, what);
	return access(path, F_OK) == 0;
}

static bool tcti_is_default(const struct assay_conf *conf)
{
	struct assay_conf standard;

	assay_conf_init(&standard);
	return strcmp(conf->tcti, standard.tcti) == 0;
}

static bool wait_for_driver(const char *sys, uint32_t wait_ms)
{
	for (uint32_t waited = 0; !exists(sys, KERNEL_TPM); waited += STEP_MS) {
		if (waited >= wait_ms)
			return false;
		poll(NULL, 0, STEP_MS);
	}
	return true;
}

/* Why there is a TPM 2.0 to be used; NULL: there is none. */
static const char *find_tpm(const struct assay_conf *conf, const char *sys, uint32_t wait_ms)
{
	if (!tcti_is_default(conf))
		return "configured";
	if (exists(sys, KERNEL_TPM) || (exists(sys, FIRMWARE_TPM) && wait_for_driver(sys, wait_ms)))
		return "found";
	return NULL;
}

void anchor_choose(struct assay_conf *conf, const char *sys, uint32_t wait_ms,
		   struct anchor_choice *ret)
{
	*ret = (struct anchor_choice){ 0 };
	if (conf->anchor != ASSAY_CONF_ANCHOR_AUTO)
		return;
	ret->why = find_tpm(conf, sys, wait_ms);
	ret->kind = ret->why ? "tpm2" : "soft";
	conf->anchor = ret->why ? ASSAY_CONF_ANCHOR_TPM2 : ASSAY_CONF_ANCHOR_SOFT;
	if (ret->why)
		return;
	ret->why = exists(sys, FIRMWARE_TPM) ? "no-driver" : "none";
	log_line(LOG_WARNING,
		 "there is no TPM 2.0%s: the list is anchored in software, which proves nothing to "
		 "a stranger",
		 exists(sys, FIRMWARE_TPM)
			 ? " that the kernel can drive, though the firmware has one"
			 : "");
}

void anchor_choice_fill(void *ctx, struct assay_wr *w)
{
	const struct anchor_choice *c = ctx;

	assay_state_add(w, "kind", assay_bytes_str(c->kind));
	assay_state_add(w, "why", assay_bytes_str(c->why));
}
