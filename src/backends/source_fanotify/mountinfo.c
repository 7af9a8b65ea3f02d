/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "backends/source_fanotify/mountinfo.h"

#include <string.h>
#include <sys/sysmacros.h>

#include "base/macros.h"
#include "base/num.h"

static bool take_until(struct assay_bytes *in, uint8_t end, struct assay_bytes *ret)
{
	const uint8_t *at = in->len ? memchr(in->data, end, in->len) : NULL;

	if (!at)
		return false;
	*ret = assay_bytes(in->data, (size_t)(at - in->data));
	*in = assay_bytes(at + 1, in->len - ret->len - 1);
	return true;
}

static bool is_octal(const uint8_t *c)
{
	return c[0] >= '0' && c[0] <= '3' && c[1] >= '0' && c[1] <= '7' && c[2] >= '0' &&
	       c[2] <= '7';
}

/* Blank, tab, line feed and backslash stand there as \ooo. */
static bool unescape(struct assay_bytes in, char *to, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < in.len; i++) {
		uint8_t c = in.data[i];

		if (n + 1 >= size)
			return false;
		if (c == '\\' && in.len - i > 3 && is_octal(in.data + i + 1)) {
			c = (uint8_t)((in.data[i + 1] - '0') << 6 | (in.data[i + 2] - '0') << 3 |
				      (in.data[i + 3] - '0'));
			i += 3;
		}
		to[n++] = (char)c;
	}
	to[n] = '\0';
	return true;
}

static bool parse_dev(struct assay_bytes word, uint64_t *ret)
{
	struct assay_bytes major;
	uint64_t number[2];

	if (!take_until(&word, ':', &major) ||
	    assay_num_parse(major, 10, UINT32_MAX, &number[0]) < 0 ||
	    assay_num_parse(word, 10, UINT32_MAX, &number[1]) < 0)
		return false;
	*ret = makedev((unsigned)number[0], (unsigned)number[1]);
	return true;
}

static bool parse_id(struct assay_bytes word, int32_t *ret)
{
	uint64_t number;

	if (assay_num_parse(word, 10, INT32_MAX, &number) < 0)
		return false;
	*ret = (int32_t)number;
	return true;
}

static bool parse_type(struct assay_bytes word, struct assay_mount *ret)
{
	struct assay_bytes type = word;

	ret->subtype[0] = '\0';
	if (!take_until(&word, '.', &type))
		return unescape(type, ret->type, sizeof(ret->type));
	return unescape(type, ret->type, sizeof(ret->type)) &&
	       unescape(word, ret->subtype, sizeof(ret->subtype));
}

/* "ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [TAG]... - TYPE SOURCE SUPER" */
static bool parse_line(struct assay_bytes line, struct assay_mount *ret)
{
	struct assay_bytes id, parent, dev, root, point, word;

	if (!take_until(&line, ' ', &id) || !parse_id(id, &ret->id) ||
	    !take_until(&line, ' ', &parent) || !take_until(&line, ' ', &dev) ||
	    !parse_dev(dev, &ret->dev) || !take_until(&line, ' ', &root) ||
	    !take_until(&line, ' ', &point) || !unescape(point, ret->point, sizeof(ret->point)))
		return false;
	do {
		if (!take_until(&line, ' ', &word))
			return false;
	} while (!assay_bytes_is(word, "-"));
	if (!take_until(&line, ' ', &word) || !parse_type(word, ret))
		return false;
	ret->options = take_until(&line, ' ', &word) ? line : assay_bytes(NULL, 0);
	return true;
}

bool assay_mountinfo_next(struct assay_bytes *text, struct assay_mount *ret, unsigned *skipped)
{
	struct assay_bytes line;

	while (text->len) {
		if (!take_until(text, '\n', &line)) {
			line = *text;
			text->len = 0;
		}
		if (parse_line(line, ret))
			return true;
		++*skipped;
	}
	return false;
}

/* ---- options ----------------------------------------------------------------------------------
 */

/* Cuts the next one off @options. False: no more. */
static bool next_option(struct assay_bytes *options, struct assay_bytes *ret)
{
	if (options->len == 0)
		return false;
	if (!take_until(options, ',', ret)) {
		*ret = *options;
		options->len = 0;
	}
	return true;
}

bool assay_mount_admits_root(const struct assay_mount *mount)
{
	static const char user[] = "user_id=";
	struct assay_bytes options = mount->options, word;
	bool admits = true;

	if (strcmp(mount->type, "fuse") != 0 && strcmp(mount->type, "fuseblk") != 0)
		return true;
	while (next_option(&options, &word)) {
		if (assay_bytes_is(word, "allow_other"))
			return true;
		if (word.len >= sizeof(user) - 1 && memcmp(word.data, user, sizeof(user) - 1) == 0)
			admits = assay_bytes_is(word, "user_id=0");
	}
	return admits;
}

/* ---- layers of an overlay ------------------------------------------------------------------- */

static bool is_plain(const char *path)
{
	size_t len = strlen(path);

	return path[0] == '/' && !strstr(path, "//") && !strstr(path, "/./") &&
	       !strstr(path, "/../") && (len < 2 || strcmp(path + len - 2, "/.") != 0) &&
	       (len < 3 || strcmp(path + len - 3, "/..") != 0);
}

static bool may_be_below(const char *path, const char *point)
{
	size_t n = strlen(point);

	if (!is_plain(path))
		return true;
	if (n > 0 && point[n - 1] == '/')
		n--;
	return strncmp(path, point, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

/* "PATH:PATH::DATA"; a colon of a path stands there behind a backslash. */
static bool any_below(const char *list, const char *point)
{
	char path[ASSAY_MOUNT_PATH_MAX];
	size_t n = 0;

	for (;; list++) {
		if (*list == '\\' && list[1]) {
			path[n++] = *++list;
		} else if (*list && *list != ':') {
			path[n++] = *list;
		} else {
			path[n] = '\0';
			if (n && may_be_below(path, point))
				return true;
			n = 0;
			if (!*list)
				return false;
		}
		if (n + 1 >= sizeof(path))
			return true;
	}
}

bool assay_mount_layers_below(struct assay_bytes options, const char *point)
{
	static const char *const names[] = { "lowerdir", "lowerdir+", "datadir+", "upperdir" };
	char list[ASSAY_MOUNT_LAYERS_MAX];
	struct assay_bytes word;

	while (next_option(&options, &word)) {
		struct assay_bytes name;

		if (!take_until(&word, '=', &name))
			continue;
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			if (assay_bytes_is(name, names[i]) &&
			    (!unescape(word, list, sizeof(list)) || any_below(list, point)))
				return true;
	}
	return false;
}
