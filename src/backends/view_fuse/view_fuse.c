/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The requests of the kernel's FUSE, one after the other. None waits: what a policy's writer is
 * told comes when it is known. */
#define FUSE_USE_VERSION 312
#include "backends/view_fuse/view_fuse.h"

#include <errno.h>
#include <fuse_lowlevel.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "backends/view_fuse/node.h"
#include "backends/view_fuse/upload.h"

#define READ_MAX     (128u << 10) /* bytes of one answer; who asks for more asks again */
#define OPENS_MAX    1024u
#define ANCHORED_MAX 64u /* each has a replay of its own */

/* One open of a file. */
struct opened {
	struct assay_view_file file;
	void *object; /* ops->open()'s; NULL if it is for writing only */
	struct assay_view_upload *upload;
};

struct assay_view {
	const struct assay_view_ops *ops;
	void *ctx;
	struct fuse_session *session;
	struct fuse_buf buf;
	struct timespec since;
	size_t n_opens, n_anchored;
	struct opened *writer; /* of the policy: there is one at most */
	/* A write of a path, or a close, that waits for ops->load(). */
	fuse_req_t waiting;
	size_t waiting_taken; /* what the write is answered with, 0: it is a close */
	uint8_t reply[READ_MAX];
};

static struct assay_view *view_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

static struct assay_banks banks_of(struct assay_view *v)
{
	struct assay_banks banks = { .n = 0 };

	v->ops->banks(v->ctx, &banks);
	return banks;
}

static void reply_err(fuse_req_t req, int r)
{
	(void)fuse_reply_err(req, -r);
}

/* ---- names and attributes ------------------------------------------------------------------- */

static void fill_stat(const struct assay_view *v, fuse_ino_t ino,
		      const struct assay_view_node *node, struct stat *ret)
{
	static const mode_t types[] = { S_IFDIR, S_IFLNK, S_IFREG };

	*ret = (struct stat){
		.st_ino = ino,
		.st_mode = types[node->type] | node->mode,
		.st_nlink = node->type == ASSAY_VIEW_FOLDER ? 2 : 1,
		.st_blksize = 4096,
		.st_atim = v->since,
		.st_mtim = v->since,
		.st_ctim = v->since,
	};
}

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct assay_view *v = view_of(req);
	struct assay_banks banks = banks_of(v);
	struct fuse_entry_param entry = { 0 };
	struct assay_view_node node;

	entry.ino = parent == ASSAY_VIEW_ROOT ? assay_view_node_find(name, &banks) : 0;
	if (!entry.ino || !assay_view_node_get(entry.ino, &banks, &node)) {
		reply_err(req, -ENOENT);
		return;
	}
	fill_stat(v, entry.ino, &node, &entry.attr);
	(void)fuse_reply_entry(req, &entry);
}

static bool find_node(fuse_req_t req, fuse_ino_t ino, struct assay_view_node *ret)
{
	struct assay_banks banks = banks_of(view_of(req));

	if (assay_view_node_get(ino, &banks, ret))
		return true;
	reply_err(req, -ENOENT);
	return false;
}

static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct assay_view_node node;
	struct stat st;

	(void)fi;
	if (!find_node(req, ino, &node))
		return;
	fill_stat(view_of(req), ino, &node, &st);
	(void)fuse_reply_attr(req, &st, 0);
}

/* A shell's ">" truncates. Modes and owners are what they are. */
static void on_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		       struct fuse_file_info *fi)
{
	(void)attr;
	if (to_set & (FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID))
		reply_err(req, -EPERM);
	else
		on_getattr(req, ino, fi);
}

static void on_readlink(fuse_req_t req, fuse_ino_t ino)
{
	char target[ASSAY_VIEW_NAME_MAX];
	struct assay_view_node node;

	if (!find_node(req, ino, &node))
		return;
	if (node.type != ASSAY_VIEW_LINK) {
		reply_err(req, -EINVAL);
		return;
	}
	assay_view_node_target(&node, target);
	(void)fuse_reply_readlink(req, target);
}

/* "." and ".." are the folder, whose number comes first; an offset is the number to go on with. */
static void on_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		       struct fuse_file_info *fi)
{
	struct assay_view *v = view_of(req);
	struct assay_banks banks = banks_of(v);
	size_t used = 0;

	(void)fi;
	if (ino != ASSAY_VIEW_ROOT) {
		reply_err(req, -ENOTDIR);
		return;
	}
	if (size > READ_MAX)
		size = READ_MAX;
	for (uint64_t at = (uint64_t)off; at < assay_view_node_end(); at++) {
		uint64_t number = at < 2 ? ASSAY_VIEW_ROOT : at;
		const char *dots = at == 0 ? "." : "..";
		struct assay_view_node node;
		struct stat st;
		size_t need;

		if (!assay_view_node_get(number, &banks, &node))
			continue;
		fill_stat(v, number, &node, &st);
		need = fuse_add_direntry(req, (char *)v->reply + used, size - used,
					 at < 2 ? dots : node.name, &st, (off_t)at + 1);
		if (need > size - used)
			break;
		used += need;
	}
	(void)fuse_reply_buf(req, (const char *)v->reply, used);
}

static void on_statfs(fuse_req_t req, fuse_ino_t ino)
{
	const struct statvfs st = { .f_bsize = 4096, .f_frsize = 4096, .f_namemax = 255 };

	(void)ino;
	(void)fuse_reply_statfs(req, &st);
}

/* ---- open and close ------------------------------------------------------------------------- */

static int open_upload(struct assay_view *v, struct opened *o)
{
	if (v->writer)
		return -EBUSY;
	o->upload = calloc(1, sizeof(*o->upload));
	if (!o->upload)
		return -ENOMEM;
	v->writer = o;
	return 0;
}

static int open_file(struct assay_view *v, struct opened *o, int flags)
{
	bool writes = (flags & O_ACCMODE) != O_RDONLY;

	if (v->n_opens >= OPENS_MAX || (o->file.anchored && v->n_anchored >= ANCHORED_MAX))
		return -ENFILE;
	if (o->file.what == ASSAY_VIEW_POLICY && (flags & O_ACCMODE) == O_RDWR)
		return -EACCES;
	if (o->file.what == ASSAY_VIEW_POLICY && writes)
		return open_upload(v, o);
	return v->ops->open(v->ctx, &o->file, &o->object);
}

static void close_file(struct assay_view *v, struct opened *o)
{
	if (o->object)
		v->ops->close(v->ctx, o->object);
	if (v->writer == o)
		v->writer = NULL;
	if (o->upload)
		assay_view_upload_done(o->upload);
	free(o->upload);
	free(o);
}

static void on_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct assay_view *v = view_of(req);
	struct assay_view_node node;
	struct opened *o;
	int r;

	if (!find_node(req, ino, &node))
		return;
	o = calloc(1, sizeof(*o));
	if (!o) {
		reply_err(req, -ENOMEM);
		return;
	}
	o->file = node.file;
	r = open_file(v, o, fi->flags);
	if (r < 0) {
		close_file(v, o);
		reply_err(req, r);
		return;
	}
	v->n_opens++;
	v->n_anchored += o->file.anchored;
	fi->fh = (uintptr_t)o;
	fi->direct_io = 1; /* the size is 0, as in securityfs: one reads until the end */
	(void)fuse_reply_open(req, fi);
}

static struct opened *opened_of(const struct fuse_file_info *fi)
{
	return (struct opened *)(uintptr_t)fi->fh;
}

static void on_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct assay_view *v = view_of(req);
	struct opened *o = opened_of(fi);

	(void)ino;
	v->n_opens--;
	v->n_anchored -= o->file.anchored;
	close_file(v, o);
	reply_err(req, 0);
}

/* ---- read and write ------------------------------------------------------------------------- */

static void on_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	struct assay_view *v = view_of(req);
	struct opened *o = opened_of(fi);
	struct assay_wr w = assay_wr(v->reply, size < READ_MAX ? size : READ_MAX);
	int r = -EBADF;

	(void)ino;
	if (o->object && off >= 0)
		r = v->ops->read(v->ctx, o->object, (uint64_t)off, &w);
	if (r < 0)
		reply_err(req, r == -ENOMEM ? r : -EIO);
	else
		(void)fuse_reply_buf(req, (const char *)w.data, w.len);
}

/* @req is answered when the policy is in force, or is not. */
static void load(struct assay_view *v, fuse_req_t req, size_t taken, bool is_path,
		 struct assay_bytes text)
{
	int r;

	if (v->waiting) { /* two threads with one descriptor */
		reply_err(req, -EBUSY);
		return;
	}
	v->waiting = req;
	v->waiting_taken = taken;
	r = v->ops->load(v->ctx, is_path, text);
	if (r < 0)
		assay_view_loaded(v, r);
}

void assay_view_loaded(struct assay_view *v, int result)
{
	fuse_req_t req = v->waiting;

	if (!req)
		return;
	v->waiting = NULL;
	if (result < 0 && v->writer)
		assay_view_upload_failed(v->writer->upload);
	if (result < 0 || v->waiting_taken == 0)
		reply_err(req, result);
	else
		(void)fuse_reply_write(req, v->waiting_taken);
}

static void on_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t off,
		     struct fuse_file_info *fi)
{
	struct assay_view *v = view_of(req);
	struct assay_view_check check = { v->ops->check_rule, v->ctx };
	struct opened *o = opened_of(fi);
	struct assay_bytes path;
	size_t taken;
	int r = -EINVAL; /* all but the policy, as in the kernel */

	(void)ino;
	if (o->upload && off >= 0)
		r = assay_view_upload_write(o->upload, &check, assay_bytes(data, size),
					    (uint64_t)off, &taken, &path);
	if (r < 0)
		reply_err(req, r);
	else if (path.len)
		load(v, req, taken, true, path);
	else
		(void)fuse_reply_write(req, taken);
}

/* A close: what was written by then is loaded, so that who wrote it learns whether it is. */
static void on_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct opened *o = opened_of(fi);
	struct assay_bytes text = { 0 };

	(void)ino;
	if (o->upload)
		text = assay_view_upload_take(o->upload);
	if (text.len)
		load(view_of(req), req, 0, false, text);
	else
		reply_err(req, 0);
}

/* ---- what is not done here, with the kernel's answers -----------------------------------------
 */

static void refuse_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
			  struct fuse_file_info *fi)
{
	(void)parent;
	(void)name;
	(void)mode;
	(void)fi;
	reply_err(req, -EACCES);
}

static void refuse_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
			 dev_t rdev)
{
	(void)parent;
	(void)name;
	(void)mode;
	(void)rdev;
	reply_err(req, -EPERM);
}

static void refuse_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	refuse_mknod(req, parent, name, mode, 0);
}

static void refuse_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	refuse_mknod(req, parent, name, 0, 0);
}

static void refuse_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	(void)target;
	refuse_mknod(req, parent, name, 0, 0);
}

static void refuse_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	(void)ino;
	refuse_mknod(req, parent, name, 0, 0);
}

static void refuse_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t to,
			  const char *to_name, unsigned flags)
{
	(void)to;
	(void)to_name;
	(void)flags;
	refuse_mknod(req, parent, name, 0, 0);
}

/* Asynchronous reads would be held against a size, which is 0. Nothing is spliced. */
static void on_init(void *ctx, struct fuse_conn_info *conn)
{
	const unsigned unwanted = FUSE_CAP_ASYNC_DIO | FUSE_CAP_SPLICE_READ |
				  FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE;

	(void)ctx;
	conn->want &= ~unwanted;
	conn->max_write = ASSAY_VIEW_WRITE_MAX + 1;
}

static const struct fuse_lowlevel_ops requests = {
	.init = on_init,
	.lookup = on_lookup,
	.getattr = on_getattr,
	.setattr = on_setattr,
	.readlink = on_readlink,
	.readdir = on_readdir,
	.statfs = on_statfs,
	.open = on_open,
	.release = on_release,
	.read = on_read,
	.write = on_write,
	.flush = on_flush,
	.create = refuse_create,
	.mknod = refuse_mknod,
	.mkdir = refuse_mkdir,
	.unlink = refuse_unlink,
	.rmdir = refuse_unlink,
	.symlink = refuse_symlink,
	.link = refuse_link,
	.rename = refuse_rename,
};

/* ---- the session ---------------------------------------------------------------------------- */

int assay_view_new(int fuse_fd, const struct assay_view_ops *ops, void *ctx,
		   struct assay_view **ret, struct assay_err *err)
{
	AUTO(view) struct assay_view *v = calloc(1, sizeof(*v));
	char name[] = "assay-view", place[32];
	char *argv[] = { name, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);

	if (!v)
		return assay_err_set(err, -ENOMEM, "out of memory");
	v->ops = ops;
	v->ctx = ctx;
	clock_gettime(CLOCK_REALTIME, &v->since);
	v->session = fuse_session_new(&args, &requests, sizeof(requests), v);
	if (!v->session)
		return assay_err_set(err, -ENOMEM, "cannot begin a FUSE session");
	snprintf(place, sizeof(place), "/dev/fd/%d", fuse_fd); /* libfuse's word for "mounted" */
	if (fuse_session_mount(v->session, place) < 0)
		return assay_err_set(err, -EINVAL, "cannot serve descriptor %d", fuse_fd);
	*ret = TAKE(v);
	return 0;
}

void assay_view_free(struct assay_view *v)
{
	if (!v)
		return;
	assay_view_loaded(v, -EIO);
	if (v->session)
		fuse_session_destroy(v->session);
	free(v->buf.mem);
	free(v);
}

int assay_view_fd(const struct assay_view *v)
{
	return fuse_session_fd(v->session);
}

int assay_view_dispatch(struct assay_view *v)
{
	int n = fuse_session_receive_buf(v->session, &v->buf);

	if (n > 0)
		fuse_session_process_buf(v->session, &v->buf);
	else if (n < 0 && n != -EAGAIN && n != -EINTR)
		return n;
	return n == 0 || fuse_session_exited(v->session) ? -ENODEV : 0;
}
