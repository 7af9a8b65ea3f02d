/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The software PCRs on disk: docs/formats/soft-anchor.md. */
#include <errno.h>
#include <fcntl.h>

#include "backends/anchor_soft/private.h"
#include "base/file.h"
#include "base/rd.h"
#include "base/wr.h"

#define FILE_NAME "soft-anchor"
#define BOOT_ID	  "/proc/sys/kernel/random/boot_id"

static const char magic[8] = { 'A', 'S', 'Y', 'S', 'O', 'F', 'T', '1' };

const struct assay_banks assay_anchor_soft_banks = {
	.alg = { ASSAY_HASH_SHA1, ASSAY_HASH_SHA256, ASSAY_HASH_SHA384, ASSAY_HASH_SHA512 },
	.n = SOFT_BANKS,
};

int assay_anchor_soft_parse(struct assay_bytes file, const struct assay_crypto *crypto,
			    struct soft_state *ret)
{
	struct assay_rd in = assay_rd(file);
	struct assay_bytes head, sum;
	struct soft_state s = { 0 };
	uint8_t want[32];
	bool ok;
	int r;

	in.big = true;
	if (file.len != SOFT_FILE_SIZE || !assay_rd_bytes(&in, sizeof(magic), &head) ||
	    memcmp(head.data, magic, sizeof(magic)) != 0)
		return -EBADMSG;
	r = crypto->ops->hash(crypto->ctx, ASSAY_HASH_SHA256,
			      assay_bytes(file.data, file.len - sizeof(want)), want);
	if (r < 0)
		return r;
	ok = assay_rd_u32(&in, &s.resets) && assay_rd_copy(&in, s.boot_id, SOFT_BOOT_ID);
	for (uint32_t i = 0; ok && i < ASSAY_PCRS * SOFT_BANKS; i++)
		ok = assay_rd_copy(&in, s.pcr[i / SOFT_BANKS].value[i % SOFT_BANKS],
				   assay_hash_size(assay_anchor_soft_banks.alg[i % SOFT_BANKS]));
	if (!ok || !assay_rd_bytes(&in, sizeof(want), &sum) || !assay_rd_end(&in) ||
	    memcmp(sum.data, want, sizeof(want)) != 0)
		return -EBADMSG;
	*ret = s;
	return 0;
}

int assay_anchor_soft_encode(const struct soft_state *state, const struct assay_crypto *crypto,
			     uint8_t ret[static SOFT_FILE_SIZE])
{
	struct assay_wr w = assay_wr(ret, SOFT_FILE_SIZE);
	uint8_t sum[32];
	int r;

	w.big = true;
	assay_wr_raw(&w, magic, sizeof(magic));
	assay_wr_u32(&w, state->resets);
	assay_wr_raw(&w, state->boot_id, SOFT_BOOT_ID);
	for (uint32_t i = 0; i < ASSAY_PCRS * SOFT_BANKS; i++)
		assay_wr_raw(&w, state->pcr[i / SOFT_BANKS].value[i % SOFT_BANKS],
			     assay_hash_size(assay_anchor_soft_banks.alg[i % SOFT_BANKS]));
	r = crypto->ops->hash(crypto->ctx, ASSAY_HASH_SHA256, assay_wr_done(&w), sum);
	if (r == 0)
		assay_wr_raw(&w, sum, sizeof(sum));
	return r;
}

int assay_anchor_soft_store(int dirfd, const struct assay_crypto *crypto,
			    const struct soft_state *state, struct assay_err *err)
{
	uint8_t file[SOFT_FILE_SIZE];
	int r = assay_anchor_soft_encode(state, crypto, file);

	if (r < 0)
		return assay_err_set(err, r, "cannot compute sha256");
	return assay_file_replace(dirfd, FILE_NAME, 0600, assay_bytes(file, sizeof(file)), err);
}

static int read_boot_id(char to[static SOFT_BOOT_ID], struct assay_err *err)
{
	AUTO(file) struct assay_file f = { 0 };
	int r = assay_file_read(AT_FDCWD, BOOT_ID, 64, &f, err);

	if (r < 0)
		return r;
	if (f.bytes.len < SOFT_BOOT_ID)
		return assay_err_set(err, -EIO, "'%s' is too short", BOOT_ID);
	memcpy(to, f.bytes.data, SOFT_BOOT_ID);
	return 0;
}

/* PC Client Platform TPM Profile, 4.6.2: 17 to 22 begin as ones. */
static void begin(struct soft_state *s, const char boot_id[static SOFT_BOOT_ID])
{
	for (uint32_t p = 0; p < ASSAY_PCRS; p++)
		memset(&s->pcr[p], p >= 17 && p <= 22 ? 0xff : 0, sizeof(s->pcr[p]));
	memcpy(s->boot_id, boot_id, SOFT_BOOT_ID);
	s->resets++;
}

int assay_anchor_soft_load(int dirfd, const struct assay_crypto *crypto, struct soft_state *ret,
			   struct assay_err *err)
{
	AUTO(file) struct assay_file f = { 0 };
	struct soft_state s = { 0 };
	char boot_id[SOFT_BOOT_ID];
	int r = read_boot_id(boot_id, err);

	if (r < 0)
		return r;
	r = assay_file_read(dirfd, FILE_NAME, SOFT_FILE_SIZE, &f, err);
	if (r < 0 && r != -ENOENT)
		return r;
	if (r == 0 && assay_anchor_soft_parse(f.bytes, crypto, &s) < 0)
		return assay_err_set(err, -EBADMSG,
				     "'%s' is damaged; without it nothing says what "
				     "was measured: move it away to begin anew",
				     FILE_NAME);
	if (r == -ENOENT || memcmp(s.boot_id, boot_id, SOFT_BOOT_ID) != 0) {
		begin(&s, boot_id);
		r = assay_anchor_soft_store(dirfd, crypto, &s, err);
	}
	if (r == 0)
		*ret = s;
	return r;
}
