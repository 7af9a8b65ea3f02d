/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/anchor/anchor_sandbox.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/macros.h"
#include "programs/assayd/anchor/recorder.h"

#define PATHS_MAX 16u
#define FILES_MAX 64u

/* Ways to a TPM that the process can take from inside. The others start programs, or look for
 * devices of their own. */
static const struct way {
	const char *name;
	enum assay_sandbox_sockets sockets;
	bool is_module; /* of tpm2-tss; else it is in assayd */
} ways[] = {
	{ "device", ASSAY_SANDBOX_NO_SOCKETS, true },
	{ "tabrmd", ASSAY_SANDBOX_UNIX_SOCKETS, true },
	{ "swtpm", ASSAY_SANDBOX_UNIX_SOCKETS, false }, /* with path=; else the network */
	{ "mssim", ASSAY_SANDBOX_ANY_SOCKETS, true },
};

/* Messages, the list, the PCRs of the software anchor, a device: what assayd itself calls. Nothing
 * of it makes another process, changes another one, or sends a descriptor away but to main. */
#define OWN_SYSCALLS                                                                               \
	"recvmsg", "sendmsg", "poll", "openat", "fcntl", "flock", "fstat", "newfstatat",           \
		"fstatfs", "lseek", "getdents64", "pread64", "pwrite64", "fallocate", "fadvise64", \
		"ftruncate", "fdatasync", "fsync", "fchmod", "renameat", "unlinkat", "mkdir",      \
		"recvfrom", "sendto", "setsockopt"

static const char *const own_syscalls[] = { OWN_SYSCALLS, NULL };

/* What the libraries of the modules call beside that: D-Bus, the resolver. */
static const char *const module_syscalls[] = {
	OWN_SYSCALLS, "ppoll",	  "getsockopt",	   "getpeername",   "getsockname",
	"getuid",     "geteuid",  "getgid",	   "getegid",	    "eventfd2",
	"pipe2",      "writev",	  "prctl",	   "access",	    "readlink",
	"stat",	      "statx",	  "uname",	   "ioctl",	    "bind",
	"recvmmsg",   "sendmmsg", "sched_getattr", "sched_setattr", NULL
};

/* What names of hosts are looked up with. */
static const char *const net_files[] = { "/etc/hosts",	   "/etc/resolv.conf", "/etc/nsswitch.conf",
					 "/etc/host.conf", "/etc/gai.conf",    "/etc/services" };

struct paths {
	struct assay_sandbox_path path[PATHS_MAX];
	size_t n;
};

/* One that is not there is not needed now, and cannot be reached later. */
static void keep_path(struct paths *p, const char *path, bool writable)
{
	int fd = open(path, O_PATH | O_CLOEXEC);

	if (fd >= 0 && p->n < PATHS_MAX)
		p->path[p->n++] = (struct assay_sandbox_path){ .fd = fd, .writable = writable };
	else if (fd >= 0)
		close(fd);
}

/* The list, and beside it how long it is. */
static void keep_kernel_list(struct paths *p, const char *list)
{
	const char *slash = strrchr(list, '/');
	char count[ASSAY_CONF_STRING_MAX + sizeof(RECORDER_COUNT_FILE)];

	if (strcmp(list, "none") == 0 || !slash)
		return;
	keep_path(p, list, false);
	snprintf(count, sizeof(count), "%.*s/" RECORDER_COUNT_FILE, (int)(slash - list), list);
	keep_path(p, count, false);
}

static const struct way *find_way(const char *tcti)
{
	size_t len = strcspn(tcti, ":");

	for (size_t i = 0; i < ARRAY_LEN(ways); i++)
		if (strlen(ways[i].name) == len && strncmp(tcti, ways[i].name, len) == 0)
			return &ways[i];
	return NULL;
}

/* The loader opens it again for each connection; what is there already it does not have to open. */
static int load_module(const struct way *way, struct assay_err *err)
{
	char name[64];

	snprintf(name, sizeof(name), "libtss2-tcti-%s.so.0", way->name);
	if (dlopen(name, RTLD_NOW | RTLD_NODELETE))
		return 0;
	return assay_err_set(err, -ENOENT, "cannot load '%s', which the TPM is reached with", name);
}

/* The resolver loads its modules the first time. */
static void load_resolver(void)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found = NULL;

	if (getaddrinfo("localhost", "1", &hints, &found) == 0)
		freeaddrinfo(found);
}

static void keep_device(struct paths *p, const char *tcti)
{
	const char *path = strchr(tcti, ':');

	if (path && path[1]) {
		keep_path(p, path + 1, true);
		return;
	}
	keep_path(p, "/dev/tpmrm0", true);
	keep_path(p, "/dev/tpm0", true);
}

static int prepare_tpm(const struct assay_conf *conf, struct assay_sandbox *s, struct paths *p,
		       struct assay_err *err)
{
	const struct way *way = find_way(conf->tcti);
	int r;

	if (!way)
		return assay_err_set(err, -EOPNOTSUPP,
				     "tcti '%s': assayd reaches a TPM by device, tabrmd, swtpm or "
				     "mssim",
				     conf->tcti);
	s->sockets = way->sockets;
	if (strcmp(way->name, "swtpm") == 0 && !strstr(conf->tcti, "path="))
		s->sockets = ASSAY_SANDBOX_ANY_SOCKETS;
	if (strcmp(way->name, "device") == 0)
		keep_device(p, conf->tcti);
	if (s->sockets == ASSAY_SANDBOX_ANY_SOCKETS || strcmp(way->name, "tabrmd") == 0) {
		s->syscalls = module_syscalls;
		s->only_ioctl = FIONREAD; /* how much has come */
	}
	r = way->is_module ? load_module(way, err) : 0;
	if (r == 0 && s->sockets == ASSAY_SANDBOX_ANY_SOCKETS) {
		load_resolver();
		for (size_t i = 0; i < ARRAY_LEN(net_files); i++)
			keep_path(p, net_files[i], false);
	}
	return r;
}

int anchor_sandbox_enter(const struct assay_conf *conf, int list_dirfd,
			 struct assay_sandbox_report *ret, struct assay_err *err)
{
	struct paths p = { 0 };
	struct assay_sandbox s = {
		.uid = ASSAY_SANDBOX_SAME_ID, /* the list, the device and the kernel's list are
						 root's */
		.max_files = FILES_MAX,
		.max_file_size = RLIM_INFINITY,
		.may_thread = true,
		.paths = p.path,
		.syscalls = own_syscalls,
	};
	int r = 0;

	p.path[p.n++] = (struct assay_sandbox_path){ .fd = list_dirfd, .writable = true };
	keep_path(&p, "/proc/sys/kernel/random/boot_id", false);
	keep_kernel_list(&p, conf->kernel_list);
	if (conf->anchor == ASSAY_CONF_ANCHOR_SOFT) {
		(void)mkdir(conf->soft_anchor_dir, 0700);
		keep_path(&p, conf->soft_anchor_dir, true);
	}
	if (conf->anchor == ASSAY_CONF_ANCHOR_TPM2)
		r = prepare_tpm(conf, &s, &p, err);
	s.n_paths = p.n;
	if (r == 0)
		r = assay_sandbox_enter(&s, ret, err);
	while (p.n > 1)
		close(p.path[--p.n].fd);
	return r;
}
