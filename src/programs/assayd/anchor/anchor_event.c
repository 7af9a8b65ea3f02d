/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Events and their results, many in one message: what the speed of the daemon depends on. */
#include "programs/assayd/anchor/anchor_msg.h"

#include <errno.h>

#define FACTS_ALL (2u * ASSAY_FACT_BUFFER - 1) /* the last one that there is */
#define NO_DIGEST 0xff
#define ERRNO_MAX 4095u

enum {
	FLAG_ANY_SUBJECT = 1u << 0,
	FLAG_CAP_SETUID = 1u << 1,
	FLAG_CAP_SETGID = 1u << 2,
	FLAG_OPEN_WRITERS = 1u << 3,
	FLAG_UNREADABLE = 1u << 4,
	FLAG_UNSEEN_SUBJECT = 1u << 5,
	FLAGS_ALL = 0x3f,
};

void anchor_many_head(bool more, uint32_t n, uint8_t ret[static ANCHOR_MANY_HEAD])
{
	struct assay_wr w = assay_wr(ret, ANCHOR_MANY_HEAD);

	assay_wr_u32(&w, more);
	assay_wr_u32(&w, n);
}

int anchor_many_begin(struct assay_rd *in, bool *ret_more, uint32_t *ret_n)
{
	uint32_t more, n;

	if (!assay_rd_u32(in, &more) || !assay_rd_u32(in, &n) || more > 1 || n == 0)
		return -EBADMSG;
	*ret_more = more;
	*ret_n = n;
	return 0;
}

/* ---- pieces --------------------------------------------------------------------------------- */

static void put_field(struct assay_wr *w, struct assay_bytes b)
{
	if (b.len > UINT16_MAX)
		w->full = true;
	assay_wr_u16(w, (uint16_t)b.len);
	assay_wr_bytes(w, b);
}

static bool get_field(struct assay_rd *in, struct assay_bytes *ret)
{
	uint16_t len;

	return assay_rd_u16(in, &len) && assay_rd_bytes(in, len, ret);
}

static void put_digest(struct assay_wr *w, const struct assay_digest *d)
{
	size_t size = assay_hash_size(d->alg);

	assay_wr_u8(w, size ? (uint8_t)d->alg : NO_DIGEST);
	assay_wr_raw(w, d->data, size);
}

static bool get_digest(struct assay_rd *in, struct assay_digest *ret)
{
	uint8_t alg;

	if (!assay_rd_u8(in, &alg))
		return false;
	*ret = (struct assay_digest){ .alg = alg };
	if (alg == NO_DIGEST)
		ret->alg = ASSAY_HASH_COUNT;
	else if (alg >= ASSAY_HASH_COUNT)
		return false;
	return assay_rd_copy(in, ret->data, assay_hash_size(ret->alg));
}

/* ---- who and where -------------------------------------------------------------------------- */

static void put_match(struct assay_wr *w, const struct assay_match_facts *m)
{
	const uint32_t numbers[] = { m->mask,	      m->subject.uid, m->subject.euid,
				     m->subject.suid, m->subject.gid, m->subject.egid,
				     m->subject.sgid, m->fowner,      m->fgroup };

	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		assay_wr_u32(w, numbers[i]);
	assay_wr_u64(w, m->fs.magic);
	assay_wr_raw(w, m->fs.uuid, sizeof(m->fs.uuid));
	put_field(w, m->fs.name);
	put_field(w, m->fs.subtype);
	put_field(w, m->label);
}

static bool get_match(struct assay_rd *in, struct assay_match_facts *m)
{
	uint32_t *const numbers[] = { &m->mask,		&m->subject.uid, &m->subject.euid,
				      &m->subject.suid, &m->subject.gid, &m->subject.egid,
				      &m->subject.sgid, &m->fowner,	 &m->fgroup };

	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		if (!assay_rd_u32(in, numbers[i]))
			return false;
	return assay_rd_u64(in, &m->fs.magic) &&
	       assay_rd_copy(in, m->fs.uuid, sizeof(m->fs.uuid)) && get_field(in, &m->fs.name) &&
	       get_field(in, &m->fs.subtype) && get_field(in, &m->label);
}

static uint8_t flags_of(const struct assay_facts *f)
{
	return (uint8_t)((f->match.any_subject ? FLAG_ANY_SUBJECT : 0) |
			 (f->match.unseen_subject ? FLAG_UNSEEN_SUBJECT : 0) |
			 (f->match.subject.cap_setuid ? FLAG_CAP_SETUID : 0) |
			 (f->match.subject.cap_setgid ? FLAG_CAP_SETGID : 0) |
			 (f->open_writers ? FLAG_OPEN_WRITERS : 0) |
			 (f->unreadable ? FLAG_UNREADABLE : 0));
}

static void set_flags(struct assay_facts *f, uint8_t flags)
{
	f->match.any_subject = flags & FLAG_ANY_SUBJECT;
	f->match.unseen_subject = flags & FLAG_UNSEEN_SUBJECT;
	f->match.subject.cap_setuid = flags & FLAG_CAP_SETUID;
	f->match.subject.cap_setgid = flags & FLAG_CAP_SETGID;
	f->open_writers = flags & FLAG_OPEN_WRITERS;
	f->unreadable = flags & FLAG_UNREADABLE;
}

/* ---- the file ------------------------------------------------------------------------------- */

static void put_file(struct assay_wr *w, const struct assay_facts *f)
{
	const struct assay_bytes fields[] = { f->path,	       f->sig,	       f->evmsig,
					      f->modsig,       f->xattr_names, f->xattr_lengths,
					      f->xattr_values, f->buffer_name, f->buffer };

	put_digest(w, &f->digest);
	put_digest(w, &f->verity);
	put_digest(w, &f->modsig_digest);
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		put_field(w, fields[i]);
}

static bool get_file(struct assay_rd *in, struct assay_facts *f)
{
	struct assay_bytes *const fields[] = { &f->path,	 &f->sig,	  &f->evmsig,
					       &f->modsig,	 &f->xattr_names, &f->xattr_lengths,
					       &f->xattr_values, &f->buffer_name, &f->buffer };

	if (!get_digest(in, &f->digest) || !get_digest(in, &f->verity) ||
	    !get_digest(in, &f->modsig_digest))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		if (!get_field(in, fields[i]))
			return false;
	return true;
}

/* ---- whole ---------------------------------------------------------------------------------- */

void anchor_event_encode(const struct anchor_event *e, struct assay_wr *w)
{
	const struct assay_facts *f = &e->facts;

	assay_wr_u64(w, e->id);
	assay_wr_u32(w, f->have & FACTS_ALL);
	assay_wr_u8(w, (uint8_t)f->match.hook);
	assay_wr_u8(w, flags_of(f));
	assay_wr_u16(w, f->mode);
	put_match(w, &f->match);
	put_file(w, f);
}

int anchor_event_decode(struct assay_rd *in, struct anchor_event *ret)
{
	struct anchor_event e = { 0 };
	struct assay_facts *f = &e.facts;
	uint8_t hook, flags;

	if (!assay_rd_u64(in, &e.id) || !assay_rd_u32(in, &f->have) || !assay_rd_u8(in, &hook) ||
	    !assay_rd_u8(in, &flags) || !assay_rd_u16(in, &f->mode) || !get_match(in, &f->match) ||
	    !get_file(in, f))
		return -EBADMSG;
	if (f->have & ~FACTS_ALL || hook >= ASSAY_HOOK_COUNT || flags & ~FLAGS_ALL)
		return -EBADMSG;
	f->match.hook = hook;
	set_flags(f, flags);
	*ret = e;
	return 0;
}

void anchor_result_encode(const struct anchor_result *r, struct assay_wr *w)
{
	assay_wr_u64(w, r->id);
	assay_wr_u32(w, (uint32_t)-r->error);
	assay_wr_u32(w, r->need);
	assay_wr_u64(w, r->wait_for);
}

/* One that was not recorded waits for no record. */
int anchor_result_decode(struct assay_rd *in, struct anchor_result *ret)
{
	struct anchor_result r;
	uint32_t error;

	if (!assay_rd_u64(in, &r.id) || !assay_rd_u32(in, &error) || !assay_rd_u32(in, &r.need) ||
	    !assay_rd_u64(in, &r.wait_for))
		return -EBADMSG;
	if (error > ERRNO_MAX || r.need & ~FACTS_ALL || (error && r.need) ||
	    ((error || r.need) && r.wait_for != ASSAY_NO_RECORD))
		return -EBADMSG;
	r.error = -(int)error;
	*ret = r;
	return 0;
}
