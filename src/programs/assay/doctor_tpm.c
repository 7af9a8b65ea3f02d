/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The TPM: there, of which kind, well, and what its PCRs hold. It is asked, never extended. A
 * running assayd has it to itself unless a resource manager shares it.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "backends/anchor_tpm2/anchor_tpm2.h"
#include "base/macros.h"
#include "programs/assay/doctor.h"

#define TPM0	   "/sys/class/tpm/tpm0"
#define TIMEOUT_MS 5000

/* anchor = auto takes the one that is there, or that the configuration names. */
bool doctor_uses_tpm(const struct doctor *d)
{
	static struct assay_conf standard;

	if (d->conf.anchor != ASSAY_CONF_ANCHOR_AUTO)
		return d->conf.anchor == ASSAY_CONF_ANCHOR_TPM2;
	assay_conf_init(&standard);
	return doctor_has(d, "/sys/class/tpmrm/tpmrm0") || strcmp(d->conf.tcti, standard.tcti) != 0;
}

static const char *tcti_of(const struct doctor *d)
{
	return d->tcti ? d->tcti : doctor_uses_tpm(d) ? d->conf.tcti : NULL;
}

static bool is_device(const char *tcti)
{
	return strncmp(tcti, "device", 6) == 0;
}

/* ---- what the kernel says ------------------------------------------------------------------- */

static void look_at_device(struct doctor *d)
{
	struct doctor_advice a = { .check = "tpm-device", .subject = "device" };
	const char *tcti = tcti_of(d);

	d->tpm.there = doctor_has(d, TPM0);
	if (d->tpm.there) {
		doctor_add(d, &a, "tpm0%s",
			   doctor_has(d, "/dev/tpmrm0") ? ", with a resource manager" : "");
		return;
	}
	if (tcti && !is_device(tcti)) {
		doctor_add(d, &a, "none of this machine; asked is '%s'", tcti);
		return;
	}
	a.state = doctor_uses_tpm(d) ? DOCTOR_BAD : DOCTOR_NOTE;
	a.means = doctor_uses_tpm(d) ? "assayd does not start: its list is to be anchored in one."
				     : "Nobody can prove to another machine what ran here.";
	a.todo = "Switch it on in the firmware's setup (fTPM, PTT, TPM device). Without any: "
		 "anchor = soft (or auto), which proves nothing against root.";
	doctor_add(d, &a, "the kernel knows of none");
}

static void look_at_version(struct doctor *d)
{
	struct doctor_advice a = { .check = "tpm-version", .subject = "version" };
	uint64_t major = 0;

	if (!d->tpm.there)
		return;
	/* Kernels before 5.6 say it only by what 1.2 alone has. */
	if (doctor_read_number(d, TPM0 "/tpm_version_major", &major) < 0)
		major = doctor_has(d, TPM0 "/pcrs") ? 1 : 2;
	d->tpm.version = (unsigned)major;
	if (major < 2) {
		a.state = doctor_uses_tpm(d) ? DOCTOR_BAD : DOCTOR_NOTE;
		a.means = "A TPM 1.2 has SHA-1 alone, and is not used.";
		a.todo = "Some can be changed to 2.0 by their maker's firmware. Else: anchor = "
			 "soft.";
	}
	doctor_add(d, &a, "%s", major < 2 ? "1.2" : "2.0");
}

static void look_at_bus(struct doctor *d)
{
	struct doctor_advice a = { .check = "tpm-bus", .subject = "bus" };
	char path[4096], link[4096];
	const char *driver;
	ssize_t n;

	if (!d->tpm.there || !doctor_path(d, TPM0 "/device/driver", path))
		return;
	n = readlink(path, link, sizeof(link) - 1);
	if (n < 0)
		return;
	link[n] = '\0';
	driver = strrchr(link, '/') ? strrchr(link, '/') + 1 : link;
	if (strstr(driver, "crb")) {
		doctor_add(d, &a, "%s: mostly within the processor or chipset", driver);
		return;
	}
	if (d->conf.tpm_session == ASSAY_CONF_SESSION_NONE) {
		a.state = DOCTOR_NOTE;
		a.means = "Who has the machine in hand can sit on the wires of such a TPM and "
			  "change what it is sent.";
		a.todo = "tpm_session = hmac, where that is feared; the kernel's own extends need "
			 "Linux 6.10.";
	}
	doctor_add(d, &a, "%s: mostly a chip of its own", driver);
}

/* ---- what it says itself -------------------------------------------------------------------- */

static void look_at_maker(struct doctor *d, const struct assay_tpm_info *info)
{
	static const struct doctor_advice advice = { .check = "tpm-maker", .subject = "maker" };

	doctor_facts(doctor_add(d, &advice, "%s, firmware %x.%x, specification %u.%02u",
				info->manufacturer, info->firmware[0], info->firmware[1],
				info->spec_revision / 100, info->spec_revision % 100),
		     json_pack("{s:s, s:i}", "manufacturer", info->manufacturer, "revision",
			       (int)info->spec_revision));
}

static void look_at_clock(struct doctor *d, const struct assay_tpm_clock *c)
{
	struct doctor_advice a = { .check = "tpm-clock", .subject = "clock" };

	if (!c->safe) {
		a.state = DOCTOR_NOTE;
		a.means = "The power went without a shutdown: its clock may have gone back a "
			  "little, and quotes say so.";
		a.todo = "Nothing: it is safe again after some minutes.";
	}
	doctor_facts(doctor_add(d, &a, "%s, %u resets, %u restarts since the last",
				c->safe ? "safe" : "not safe", c->reset_count, c->restart_count),
		     json_pack("{s:b, s:I, s:I}", "safe", c->safe, "resets",
			       (json_int_t)c->reset_count, "restarts",
			       (json_int_t)c->restart_count));
}

static void look_at_lockout(struct doctor *d, const struct assay_tpm_health *h)
{
	struct doctor_advice a = { .check = "tpm-lockout", .subject = "lockout" };

	if (h->in_lockout || h->lockout_counter) {
		a.state = h->in_lockout ? DOCTOR_WARN : DOCTOR_NOTE;
		a.means = "Wrong passwords were given. In lockout, keys that have one cannot be "
			  "used; extends and our quotes need none.";
		a.todo = "It ends by itself; tpm2_dictionarylockout --clear-lockout ends it now.";
	}
	doctor_facts(doctor_add(d, &a, "%s, %u of %u failures",
				h->in_lockout ? "locked out" : "not locked out", h->lockout_counter,
				h->lockout_max),
		     json_pack("{s:b, s:I}", "in_lockout", h->in_lockout, "failures",
			       (json_int_t)h->lockout_counter));
}

static void look_at_keys(struct doctor *d, const struct assay_tpm_health *h)
{
	struct doctor_advice owner = {
		.state = DOCTOR_WARN,
		.check = "tpm-owner",
		.subject = "owner password",
		.means =
			"'assay tpm create-ak' and 'assay quote' make the owner's primary key, for "
			"which they give no password.",
		.todo = "tpm2_changeauth -c owner, back to none.",
	};
	struct doctor_advice ek = { .check = "tpm-ek", .subject = "endorsement key" };

	if (h->owner_auth)
		doctor_add(d, &owner, "it is set");
	if (h->endorsement_auth && d->conf.tpm_session == ASSAY_CONF_SESSION_HMAC) {
		owner.state = DOCTOR_BAD;
		owner.check = "tpm-endorsement";
		owner.subject = "endorsement password";
		owner.means = "tpm_session = hmac makes the endorsement key without a password.";
		owner.todo = "tpm2_changeauth -c endorsement, back to none; or tpm_session = none.";
		doctor_add(d, &owner, "it is set");
	}
	if (!h->ek_certificate) {
		ek.state = DOCTOR_NOTE;
		ek.means = "Who enrols this machine cannot tell from the TPM alone that it is a "
			   "real one of its maker's.";
		ek.todo = "Some makers give the certificate on-line; else enrol it by hand.";
	}
	doctor_add(d, &ek, "%s",
		   h->ek_certificate ? "its maker's certificate is in the TPM"
				     : "no certificate in the TPM");
}

/* Not to be reached. As an ordinary user that was to be expected. */
static void no_answer(struct doctor *d, const struct assay_err *err)
{
	struct doctor_advice a = {
		.state = d->is_root ? DOCTOR_BAD : DOCTOR_UNSEEN,
		.check = "tpm-answer",
		.subject = "answer",
		.needed = doctor_uses_tpm(d),
		.means = d->is_root && doctor_uses_tpm(d) ? "assayd does not start without it."
							  : NULL,
		.todo = d->is_root ? "See dmesg, and tcti in assayd.conf." : "Run it as root.",
	};

	if (d->is_root && !doctor_uses_tpm(d))
		a.state = DOCTOR_WARN;
	doctor_add(d, &a, "%s", err->text);
}

/* A running assayd answers, and has a TPM that is not shared: mostly the one that was asked. */
static void no_answer_beside_assayd(struct doctor *d, const struct assay_err *err)
{
	static const struct doctor_advice advice = {
		.state = DOCTOR_UNSEEN,
		.check = "tpm-answer",
		.subject = "answer",
		.means = "The running assayd has its TPM to itself, and this is mostly that one.",
		.todo = "Leave out --tcti: assayd is asked for the PCRs then.",
	};

	doctor_add(d, &advice, "%s", err->text);
}

static bool is_shared(const char *tcti)
{
	return strstr(tcti, "tpmrm") || strncmp(tcti, "tabrmd", 6) == 0;
}

/* Banks without values are nobody's: others may still be asked for them. */
static int read_values(struct doctor_tpm *t, struct assay_anchor_tpm2 *tpm, struct assay_err *err)
{
	struct assay_anchor port = assay_anchor_tpm2_port(tpm);
	struct assay_banks banks = { 0 };
	struct assay_tpm_clock clock;
	int r = port.ops->banks(port.ctx, &banks, err);

	if (r == 0)
		r = port.ops->read(port.ctx, (1u << ASSAY_PCRS) - 1, t->value, &clock, err);
	if (r < 0)
		return r;
	t->banks = banks;
	t->source = "the TPM";
	for (unsigned i = 0; i < ASSAY_PCRS; i++)
		t->read[i] = true;
	return 0;
}

static void look_inside(struct doctor *d)
{
	struct assay_anchor_tpm2_config config = { .size = sizeof(config),
						   .tcti = tcti_of(d),
						   .timeout_ms = TIMEOUT_MS };
	AUTO(anchor_tpm2) struct assay_anchor_tpm2 *tpm = NULL;
	struct assay_tpm_health health;
	struct assay_tpm_info info;
	struct assay_err err = { 0 };

	if (!config.tcti || (is_device(config.tcti) && !d->tpm.there))
		return;
	if (d->status && !d->tcti && !strstr(config.tcti, "tpmrm"))
		return; /* assayd's alone */
	if (assay_anchor_tpm2_new(&config, &tpm, &err) < 0 ||
	    assay_anchor_tpm2_info(tpm, &info, &err) < 0 ||
	    assay_anchor_tpm2_health(tpm, &health, &err) < 0 ||
	    read_values(&d->tpm, tpm, &err) < 0) {
		if (d->status && d->tcti && !is_shared(d->tcti))
			no_answer_beside_assayd(d, &err);
		else
			no_answer(d, &err);
		return;
	}
	d->tpm.there = true;
	d->tpm.version = 2;
	look_at_maker(d, &info);
	look_at_clock(d, &info.clock);
	look_at_lockout(d, &health);
	look_at_keys(d, &health);
}

/* ---- PCRs by assayd ------------------------------------------------------------------------- */

static bool take_bank(struct doctor_tpm *t, enum assay_hash alg, const struct assay_quote_pcrs *got)
{
	for (uint32_t i = 0; i < got->n; i++) {
		if (got->v[i].bank != alg || got->v[i].pcr >= ASSAY_PCRS)
			continue;
		memcpy(t->value[got->v[i].pcr].value[0], got->v[i].value, assay_hash_size(alg));
		t->read[got->v[i].pcr] = true;
	}
	if (got->n)
		t->banks = (struct assay_banks){ .alg = { alg }, .n = 1 };
	return got->n;
}

/* One bank is enough to see what was extended; which ones there are is not told. */
static void look_through_assayd(struct doctor *d)
{
	static const enum assay_hash banks[] = { ASSAY_HASH_SHA256, ASSAY_HASH_SHA384,
						 ASSAY_HASH_SHA512, ASSAY_HASH_SHA1 };
	static struct assay_quote_pcrs got;

	for (size_t i = 0; i < ARRAY_LEN(banks) && d->status && !d->tpm.banks.n; i++) {
		struct control_request request = {
			.op = CONTROL_PCRS,
			.selection = { .n = 1,
				       .bank = { { .alg = banks[i],
						   .mask = (1u << ASSAY_PCRS) - 1 } } },
		};
		struct assay_err err;
		json_t *reply = NULL;

		if (doctor_ask(d, &request, &reply, &err) == 0 &&
		    control_pcrs_parse(reply, &got, &err) == 0 &&
		    take_bank(&d->tpm, banks[i], &got))
			d->tpm.source = "assayd";
		json_decref(reply);
	}
	d->tpm.there |= d->tpm.source != NULL;
}

/* ---- PCRs by sysfs -------------------------------------------------------------------------- */

static bool read_bank(struct doctor *d, enum assay_hash alg)
{
	struct doctor_tpm *t = &d->tpm;
	unsigned n = 0;

	for (unsigned i = 0; i < ASSAY_PCRS; i++) {
		AUTO(file) struct assay_file f = { 0 };
		char path[64];

		snprintf(path, sizeof(path), TPM0 "/pcr-%s/%u", assay_hash_name(alg), i);
		if (doctor_read(d, path, 4096, &f) < 0 ||
		    !doctor_pcr_parse(f.bytes, alg, t->value[i].value[t->banks.n]))
			continue;
		t->read[i] = true;
		n++;
	}
	return n != 0;
}

/* Linux 5.12. Everybody may read them there, and assayd is not in the way. */
static void look_at_sysfs(struct doctor *d)
{
	for (unsigned alg = 0; alg < ASSAY_HASH_COUNT && !d->tpm.source; alg++) {
		char path[64];

		snprintf(path, sizeof(path), TPM0 "/pcr-%s", assay_hash_name((enum assay_hash)alg));
		if (!assay_hash_tpm_id((enum assay_hash)alg) || !doctor_has(d, path) ||
		    d->tpm.banks.n == ASSAY_BANKS_MAX)
			continue;
		if (read_bank(d, (enum assay_hash)alg))
			d->tpm.banks.alg[d->tpm.banks.n++] = (enum assay_hash)alg;
	}
	if (!d->tpm.source && d->tpm.banks.n)
		d->tpm.source = "sysfs";
}

static void look_at_banks(struct doctor *d)
{
	struct doctor_advice a = { .check = "tpm-banks", .subject = "PCR banks" };
	const struct assay_banks *b = &d->tpm.banks;
	char text[128] = "";
	json_t *names = json_array();
	size_t n = 0;

	for (uint32_t i = 0; i < b->n; i++) {
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", n ? " " : "",
				      assay_hash_name(b->alg[i]));
		json_array_append_new(names, json_string(assay_hash_name(b->alg[i])));
	}
	if (b->n == 0 || strcmp(d->tpm.source, "assayd") == 0) {
		json_decref(names);
		return;
	}
	if (b->n == 1 && b->alg[0] == ASSAY_HASH_SHA1) {
		a.state = DOCTOR_WARN;
		a.means = "Two contents with one SHA-1 can be made: who chooses the files can make "
			  "the list mean another one.";
		a.todo = "tpm2_pcrallocate sha256:all, and reboot.";
	}
	doctor_facts(doctor_add(d, &a, "%s (by %s)", text, d->tpm.source),
		     json_pack("{s:o}", "banks", names));
}

void doctor_tpm(struct doctor *d)
{
	static doctor_probe *const probes[] = {
		look_at_device, look_at_version,     look_at_bus,   look_inside,
		look_at_sysfs,	look_through_assayd, look_at_banks,
	};

	for (size_t i = 0; i < ARRAY_LEN(probes); i++)
		probes[i](d);
}
