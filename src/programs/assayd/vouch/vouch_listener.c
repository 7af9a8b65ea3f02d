/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "programs/assayd/vouch/vouch_listener.h"

#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fmt.h"
#include "base/num.h"
#include "programs/assayd/process/proc_text.h"
#include "programs/assayd/vouch/vouch_lines.h"

#define SOCKETS_MAX	 (16u << 20)
#define SOCKETS_SAME_MAX 32u   /* that listen under the name of one */
#define PORT		 2321u /* of tpm2-tss's, if none is given */

/* All four ids. What is not his by its effective id is not looked into, as that means to hold its
 * memory, and to free it if it ends meanwhile: a user may have that wait for a server of his. */
static bool is_roots(pid_t pid)
{
	char *text, *at, *line, path[64];
	bool is = false;
	struct stat st;

	assay_fmt(path, sizeof(path), "/proc/%d", (int)pid);
	if (stat(path, &st) < 0 || st.st_uid != 0)
		return false;
	text = at = proc_text_read_of(pid, "status");
	while (text && (line = proc_text_line(&at)))
		is |= strcmp(line, "Uid:\t0\t0\t0\t0") == 0;
	free(text);
	return is;
}

/* ---- who listens ---------------------------------------------------------------------------- */

/* A name can be that of many: any user may bind() the same one in a mount namespace of his own. */
struct sockets {
	uint64_t ino[SOCKETS_SAME_MAX];
	size_t n;
};

static void find_sockets(const char *table, const char *what,
			 uint64_t (*look)(char *line, const char *what), struct sockets *ret)
{
	char *text = proc_text_read(table, SOCKETS_MAX), *at = text, *line;

	while (text && ret->n < ARRAY_LEN(ret->ino) && (line = proc_text_line(&at)))
		if ((ret->ino[ret->n] = look(line, what)))
			ret->n++;
	free(text);
}

static void sockets_of(const char *tcti, struct sockets *ret)
{
	char text[PATH_MAX], port[8];
	uint64_t number = PORT;

	*ret = (struct sockets){ 0 };
	if (vouch_option(tcti, "path", text, sizeof(text))) {
		find_sockets("/proc/net/unix", text, vouch_unix_inode, ret);
		return;
	}
	if (vouch_option(tcti, "host", text, sizeof(text)) && strcmp(text, "localhost") != 0 &&
	    strcmp(text, "127.0.0.1") != 0 && strcmp(text, "::1") != 0)
		return;
	if (vouch_option(tcti, "port", text, sizeof(text)) &&
	    assay_num_parse(assay_bytes_str(text), 10, UINT16_MAX, &number) < 0)
		return;
	assay_fmt(port, sizeof(port), "%04X", (unsigned)number);
	find_sockets("/proc/net/tcp", port, vouch_tcp_inode, ret);
	find_sockets("/proc/net/tcp6", port, vouch_tcp_inode, ret);
}

static bool is_one_of(const struct sockets *s, const char *link)
{
	char name[64];

	for (size_t i = 0; i < s->n; i++) {
		assay_fmt(name, sizeof(name), "socket:[%llu]", (unsigned long long)s->ino[i]);
		if (strcmp(link, name) == 0)
			return true;
	}
	return false;
}

static bool holds(pid_t pid, const struct sockets *sockets)
{
	char path[64], link[64];
	struct dirent *entry;
	bool found = false;
	DIR *fds;

	assay_fmt(path, sizeof(path), "/proc/%d/fd", (int)pid);
	fds = opendir(path);
	while (fds && !found && (entry = readdir(fds))) {
		ssize_t n = readlinkat(dirfd(fds), entry->d_name, link, sizeof(link) - 1);

		link[n < 0 ? 0 : n] = '\0';
		found = is_one_of(sockets, link);
	}
	if (fds)
		closedir(fds);
	return found;
}

/* Root of a container is not the machine's. */
static bool is_in_our(pid_t pid, const char *ns)
{
	char path[64], own[64];
	struct stat theirs, ours;

	assay_fmt(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, ns);
	assay_fmt(own, sizeof(own), "/proc/self/ns/%s", ns);
	return stat(path, &theirs) == 0 && stat(own, &ours) == 0 && theirs.st_ino == ours.st_ino &&
	       theirs.st_dev == ours.st_dev;
}

/* Two who could be meant: neither is. */
pid_t vouch_find_listener(const char *tcti)
{
	struct sockets sockets;
	struct dirent *entry;
	pid_t pid, found = 0;
	bool several = false;
	DIR *proc;

	sockets_of(tcti, &sockets);
	proc = sockets.n ? opendir("/proc") : NULL;
	while (proc && !several && (entry = readdir(proc))) {
		if (!proc_text_pid(entry->d_name, &pid) || pid == 1 || pid == getpid() ||
		    !is_roots(pid) || !is_in_our(pid, "pid") || !is_in_our(pid, "user") ||
		    !holds(pid, &sockets))
			continue;
		several = found != 0;
		found = pid;
	}
	if (proc)
		closedir(proc);
	return several ? 0 : found;
}
