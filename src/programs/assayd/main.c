/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The command line of assayd: options over the configuration file, then the daemon. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "programs/assayd/fetch/fetch.h"
#include "programs/assayd/main/daemon.h"
#include "programs/assayd/main/takeover.h"
#include "programs/assayd/process/log.h"
#include "programs/assayd/process/memory.h"

#define CONF_PATH "/etc/assay/assayd.conf"

enum { EXIT_TROUBLE = 2 };
enum { OPT_CONFIG = 256, OPT_CHECK, OPT_VERSION, OPT_HELP, OPT_KEY };

/* Options that stand for a key of the configuration: name, key, argument, what it does. */
#define KEY_OPTIONS(X)                                                                             \
	X("policy", policy, "NAME|FILE", "built-in policy, or a file of rules")                    \
	X("list", list_dir, "DIR", "folder of the measurement list")                               \
	X("tcti", tcti, "TCTI", "how to reach the TPM, as tpm2-tools have it")                     \
	X("anchor", anchor, "KIND", "tpm2, soft, none or auto")                                    \
	X("mode", anchor_mode, "MODE", "each, group or ordered")                                   \
	X("first-sight", first_sight, "WHICH", "auto, exact or eager")                             \
	X("mount", mount, "PATH", "watch its filesystem and not all; may be repeated")             \
	X("exempt-pid", exempt_pid, "PID", "let this process open at once; may be repeated")       \
	X("control", control_socket, "PATH", "the control socket")

static const struct option options[] = {
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "check-config", no_argument, NULL, OPT_CHECK },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, OPT_HELP },
#define X(name, key, argument, text) { name, required_argument, NULL, OPT_KEY },
	KEY_OPTIONS(X)
#undef X
		{ 0 },
};

static const struct {
	const char *name, *key;
} keys[] = {
#define X(name, key, argument, text) { name, #key },
	KEY_OPTIONS(X)
#undef X
};

static const char help[] =
	"usage: assayd [OPTION]...\n\n"
	"Measures what is opened and executed, by an IMA policy, and anchors the list in a TPM.\n"
	"Stays in the foreground.\n\n"
	"  --config FILE          configuration (" CONF_PATH ", if it is there)\n"
	"  --check-config         check it and the policy, print every key, and end\n"
	"  --version              print the version, and end\n"
#define X(name, key, argument, text)                                                               \
	"  --" name " " argument "\n                         " text "\n"
	KEY_OPTIONS(X)
#undef X
		"\nExit status: 0 it was asked to stop, 2 trouble. See assayd(8) and "
		"assayd.conf(5).\n";

struct arguments {
	const char *config;
	bool check;
	/* in the order of the command line */
	struct {
		const char *name, *value;
	} set[64];
	size_t n_set;
};

static struct arguments arguments; /* of main(), which are read again with the file */

static int trouble(const struct assay_err *err)
{
	fprintf(stderr, "assayd: %s\n", err->text);
	return EXIT_TROUBLE;
}

/* What getopt_long() has returned ':' or '?' for. */
static int refuse_option(int c, const char *word)
{
	const char *what = c == ':'		? "an argument is missing after"
			   : optopt > UCHAR_MAX ? "it takes no argument:"
						: "unknown option";

	fprintf(stderr, "assayd: %s '%s'; see 'assayd --help'\n", what, word);
	return EXIT_TROUBLE;
}

/* The status to exit with, or -1 to go on. */
static int parse_arguments(int argc, char **argv, struct arguments *a)
{
	int c, index;

	opterr = 0; /* it would say the whole path of the program */
	while ((c = getopt_long(argc, argv, ":h", options, &index)) >= 0) {
		switch (c) {
		case OPT_CONFIG:
			a->config = optarg;
			break;
		case OPT_CHECK:
			a->check = true;
			break;
		case OPT_VERSION:
			puts("assayd " ASSAY_VERSION);
			return 0;
		case 'h':
		case OPT_HELP:
			fputs(help, stdout);
			return 0;
		case OPT_KEY:
			if (a->n_set == ARRAY_LEN(a->set)) {
				fputs("assayd: too many options\n", stderr);
				return EXIT_TROUBLE;
			}
			a->set[a->n_set].name = options[index].name;
			a->set[a->n_set++].value = optarg;
			break;
		default:
			return refuse_option(c, argv[optind - 1]);
		}
	}
	if (optind == argc)
		return -1;
	fprintf(stderr, "assayd: it takes no arguments, not '%s'; see 'assayd --help'\n",
		argv[optind]);
	return EXIT_TROUBLE;
}

static const char *key_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		if (strcmp(keys[i].name, name) == 0)
			return keys[i].key;
	return NULL;
}

/* Keys that are judged by more than the text, and where the file that was read last has them. */
static struct later {
	const char *key;
	uint32_t line, column; /* 0: not there, or an option stands for it */
} later[] = { { .key = "policy" }, { .key = "template" } };

/* NULL: the text is enough to judge it. */
static struct later *later_of(const char *key)
{
	for (size_t i = 0; i < ARRAY_LEN(later); i++)
		if (strcmp(later[i].key, key) == 0)
			return &later[i];
	return NULL;
}

/* What is given here replaces what the file says, lists too. */
static int apply(const struct arguments *a, struct assay_conf *c, struct assay_err *err)
{
	bool first_mount = true, first_pid = true;
	int r;

	for (size_t i = 0; i < a->n_set; i++) {
		const char *key = key_of(a->set[i].name);
		struct later *l = later_of(key);

		if (strcmp(key, "mount") == 0 && first_mount)
			c->mount.n = first_mount = 0;
		if (strcmp(key, "exempt_pid") == 0 && first_pid)
			c->exempt_pid.n = first_pid = 0;
		r = assay_conf_set(c, key, assay_bytes_str(a->set[i].value), err);
		if (r < 0) {
			assay_err_prefix(err, "--%s", a->set[i].name);
			return r;
		}
		if (l)
			l->line = 0;
	}
	return 0;
}

static void find_later(struct assay_bytes text)
{
	for (size_t i = 0; i < ARRAY_LEN(later); i++)
		if (!assay_conf_place(text, later[i].key, &later[i].line, &later[i].column))
			later[i].line = 0;
}

static void blame(const char *key, struct assay_err *err)
{
	const struct later *l = later_of(key);

	if (err->line)
		return;
	if (l && l->line)
		assay_err_prefix(err, "%s:%u:%u: %s", arguments.config, l->line, l->column, key);
	else
		assay_err_prefix(err, "%s", key);
}

/* With its name and the place in the text. */
static int parse_file(struct fetch *by, const char *path, struct assay_conf *ret,
		      struct assay_err *err)
{
	AUTO(file) struct assay_file file = { 0 };
	int r = fetch_file(by, path, ASSAY_CONF_SIZE_MAX, &file, err);

	if (r < 0)
		return r;
	r = assay_conf_parse(file.bytes, ret, err);
	if (r < 0 && err->line)
		assay_err_prefix(err, "%s:%u:%u", path, err->line, err->column);
	else if (r < 0)
		assay_err_prefix(err, "%s", path);
	else
		find_later(file.bytes);
	return r;
}

static int read_conf(struct fetch *by, struct assay_conf *ret, struct assay_err *err)
{
	struct arguments *a = &arguments;
	int r = 0;

	assay_conf_init(ret);
	if (!a->config && access(CONF_PATH, F_OK) == 0)
		a->config = CONF_PATH;
	if (a->config)
		r = parse_file(by, a->config, ret, err);
	return r < 0 ? r : apply(a, ret, err);
}

static int check_config(const struct daemon *d)
{
	static char text[2 * ASSAY_CONF_SIZE_MAX];
	struct assay_wr w = assay_wr(text, sizeof(text));
	const struct loaded_policy *policy;
	struct assay_err err = { 0 };

	if (policy_load(NULL, d->conf.policy, &d->crypto, &d->core, &policy, &err) < 0) {
		blame("policy", &err);
		return trouble(&err);
	}
	assay_conf_print(&d->conf, &w);
	fwrite(text, 1, w.len, stdout);
	policy_free(policy);
	return 0;
}

static int set_core(struct daemon *d, struct assay_err *err)
{
	int r;

	if (!assay_hash_by_name(assay_bytes_str(d->conf.hash), &d->hash))
		return assay_err_set(err, -EINVAL, "there is no hash '%s'", d->conf.hash);
	d->core = (struct assay_core_config){
		.hash = d->hash,
		.template = assay_bytes_str(d->conf.template),
		.pcr = d->conf.pcr,
	};
	r = assay_core_check_policy(&d->core, NULL, err);
	if (r < 0)
		blame("template", err);
	return r;
}

/* The one that goes on in our place says it too. */
static int trouble_before(const struct daemon *d, const struct assay_err *err)
{
	if (d->takeover)
		takeover_fail(d->takeover, err->text);
	return trouble(err);
}

int main(int argc, char **argv)
{
	static struct daemon d;
	AUTO(crypto_openssl) struct assay_crypto_openssl *openssl = NULL;
	struct assay_err err = { 0 };
	int status;

	memory_spare();
	if (argc > 1 && strcmp(argv[1], HANDOVER_OPTION) == 0) {
		if (takeover_begin(&d.takeover, &err) < 0)
			return trouble(&err);
		optind = 2;
	}
	status = parse_arguments(argc, argv, &arguments);
	if (status >= 0)
		return status;
	setenv("TSS2_LOG", "all+NONE", 0); /* its own lines could wait for who reads stderr */
	if (read_conf(NULL, &d.given, &err) < 0)
		return trouble_before(&d, &err);
	d.conf = d.given;
	d.read_conf = read_conf;
	d.blame = blame;
	d.conf_path = arguments.config;
	if (set_core(&d, &err) < 0 || assay_crypto_openssl_new(&openssl, &err) < 0)
		return trouble_before(&d, &err);
	d.crypto = assay_crypto_openssl_port(openssl);
	if (arguments.check)
		return check_config(&d);
	if (daemon_run(&d, &err) == 0)
		return 0;
	log_line(LOG_CRIT, "%s", err.text);
	return EXIT_TROUBLE;
}
