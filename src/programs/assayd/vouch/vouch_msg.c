/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/vouch/vouch_msg.h"

#include <errno.h>
#include <string.h>

#define ERRNO_MAX 4095

bool vouch_program_is(const struct vouch_program *a, const struct vouch_program *b)
{
	return a->ino == b->ino && a->major == b->major && a->minor == b->minor &&
	       a->born_s == b->born_s && a->born_ns == b->born_ns;
}

static void put_program(struct assay_wr *w, const struct vouch_told *t)
{
	assay_wr_u32(w, t->program.major);
	assay_wr_u32(w, t->program.minor);
	assay_wr_u64(w, t->program.ino);
	assay_wr_u64(w, t->program.born_s);
	assay_wr_u32(w, t->program.born_ns);
	assay_wr_field(w, assay_bytes_str(t->path));
}

void vouch_told_encode(enum vouch_message question, const struct vouch_told *t, struct assay_wr *w)
{
	assay_wr_u32(w, (uint32_t)-t->error);
	if (t->error)
		return;
	if (question == VOUCH_LISTENER) {
		assay_wr_u32(w, (uint32_t)t->listener);
		return;
	}
	put_program(w, t);
	if (question == VOUCH_RECORD)
		assay_wr_bytes(w, assay_digest_bytes(&t->digest));
}

static bool get_program(struct assay_rd *in, struct vouch_told *ret)
{
	struct vouch_program *p = &ret->program;
	struct assay_bytes path;
	uint32_t len;

	if (!assay_rd_u32(in, &p->major) || !assay_rd_u32(in, &p->minor) ||
	    !assay_rd_u64(in, &p->ino) || !assay_rd_u64(in, &p->born_s) ||
	    !assay_rd_u32(in, &p->born_ns) || !assay_rd_u32(in, &len) || len >= sizeof(ret->path) ||
	    !assay_rd_bytes(in, len, &path) || (len && memchr(path.data, '\0', len)))
		return false;
	if (len)
		memcpy(ret->path, path.data, len);
	ret->path[len] = '\0';
	return true;
}

static bool get_digest(struct assay_rd *in, enum assay_hash alg, struct assay_digest *ret)
{
	ret->alg = alg;
	return assay_rd_copy(in, ret->data, assay_hash_size(alg));
}

static bool get_listener(struct assay_rd *in, pid_t *ret)
{
	uint32_t pid;

	if (!assay_rd_u32(in, &pid) || pid > INT32_MAX)
		return false;
	*ret = (pid_t)pid;
	return true;
}

int vouch_told_parse(struct assay_bytes body, enum vouch_message question, enum assay_hash alg,
		     struct vouch_told *ret)
{
	struct assay_rd in = assay_rd(body);
	struct vouch_told t = { 0 };
	uint32_t error;
	bool good = assay_rd_u32(&in, &error) && error <= ERRNO_MAX;

	t.error = good ? -(int)error : 0;
	if (good && !error && question == VOUCH_LISTENER)
		good = get_listener(&in, &t.listener);
	else if (good && !error)
		good = get_program(&in, &t) &&
		       (question != VOUCH_RECORD || get_digest(&in, alg, &t.digest));
	if (!good || !assay_rd_end(&in))
		return -EBADMSG;
	*ret = t;
	return 0;
}
