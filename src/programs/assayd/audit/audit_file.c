/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/audit/audit_file.h"

#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "backends/audit_linux/subject.h"
#include "base/fmt.h"
#include "base/hex.h"
#include "programs/assayd/peek/peek.h"

/* A file is a name of an inode: another link to it is recorded as well, and an inode number that is
 * given again does not hide the next file. */
static int identify(const struct assay_crypto *crypto, const struct audit_file *f,
		    struct audit_seen_entry *ret)
{
	uint8_t name[16 + ASSAY_AUDIT_PATH_MAX], digest[ASSAY_HASH_SIZE_MAX];
	struct assay_wr w = assay_wr(name, sizeof(name));
	int r;

	_Static_assert(AUDIT_SEEN_KEY <= 16, "of the weakest digest there is");
	assay_wr_u64(&w, f->dev);
	assay_wr_u64(&w, f->ino);
	assay_wr_bytes(&w, f->path);
	r = crypto->ops->hash(crypto->ctx, ASSAY_HASH_SHA256, assay_wr_done(&w), digest);
	memcpy(ret->key, digest, sizeof(ret->key));
	memcpy(ret->content, f->digest.data, sizeof(ret->content));
	return assay_wr_ok(&w) ? r : -1;
}

static void fill(const struct audit_file *f, char *hash, size_t size, char dev[static 32],
		 struct assay_audit *r)
{
	char hex[2 * ASSAY_HASH_SIZE_MAX + 1];

	assay_hex_encode(assay_digest_bytes(&f->digest), hex);
	assay_fmt(hash, size, "%s:%s", assay_hash_name(f->digest.alg), hex);
	assay_fmt(dev, 32, "%u:%u", major(f->dev), minor(f->dev));
	if (f->late)
		assay_audit_set_text(r, ASSAY_AUDIT_CAUSE, assay_bytes_str("late"));
	assay_audit_set_text(r, ASSAY_AUDIT_FILE, f->path);
	assay_audit_set_text(r, ASSAY_AUDIT_HASH, assay_bytes_str(hash));
	assay_audit_set_text(r, ASSAY_AUDIT_DEV, assay_bytes_str(dev));
	assay_audit_set_number(r, ASSAY_AUDIT_INO, f->ino);
	assay_audit_set_text(r, ASSAY_AUDIT_FUNC, assay_bytes_str(assay_hook_name(f->hook)));
	assay_audit_set_number(r, ASSAY_AUDIT_RULE, f->rule);
	assay_audit_set_text(r, ASSAY_AUDIT_POLICY, assay_bytes_str(f->policy));
}

/* What cannot be had in time is left out, and that is said. */
static void fill_subject(struct peek *peek, int32_t tid,
			 char space[static ASSAY_AUDIT_SUBJECT_SPACE], struct ipc_buffer *slow,
			 struct assay_audit *r)
{
	assay_audit_subject(tid, space, r);
	if (peek_audit(peek, tid, slow, r) == -ETIMEDOUT)
		assay_audit_set_text(r, ASSAY_AUDIT_UNSEEN, assay_bytes_str(PEEK_AUDIT_KEYS));
}

bool audit_file(struct audit *a, struct peek *peek, const struct assay_crypto *crypto,
		const struct audit_file *f)
{
	struct ipc_buffer slow;
	char space[ASSAY_AUDIT_SUBJECT_SPACE], hash[2 * ASSAY_HASH_SIZE_MAX + 32], dev[32];
	struct assay_audit r = { .type = ASSAY_AUDIT_TYPE_RULE };
	struct audit_seen_entry e;
	enum audit_admission admission;

	if (identify(crypto, f, &e) < 0)
		return false;
	admission = audit_admit(a, &e, f->rule, f->uid);
	if (admission != AUDIT_ADMITTED)
		return admission == AUDIT_KNOWN;
	fill(f, hash, sizeof(hash), dev, &r);
	fill_subject(peek, f->tid, space, &slow, &r);
	audit_put_file(a, &r, &e);
	return true;
}
