/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * assayd.conf: lines of "key = value". Text to a struct and back, pure; what the values mean is in
 * assayd.conf(5). Unknown keys, keys given twice and values that do not fit are refused, with the
 * place.
 */
#pragma once

#include "base/bytes.h"
#include "base/err.h"
#include "base/wr.h"
#include "formats/hash.h"

#define ASSAY_CONF_SIZE_MAX   (64u << 10) /* bytes of text */
#define ASSAY_CONF_STRING_MAX 1024u	  /* bytes of a value, with the NUL it gets */
#define ASSAY_CONF_LIST_MAX   16u	  /* values of a key that may be given more than once */

enum assay_conf_anchor {
	ASSAY_CONF_ANCHOR_TPM2,
	ASSAY_CONF_ANCHOR_SOFT,
	ASSAY_CONF_ANCHOR_NONE,
	ASSAY_CONF_ANCHOR_AUTO,
};
enum assay_conf_mode { ASSAY_CONF_MODE_EACH, ASSAY_CONF_MODE_GROUP, ASSAY_CONF_MODE_ORDERED };
enum assay_conf_sync { ASSAY_CONF_SYNC_BATCH, ASSAY_CONF_SYNC_NEVER };
enum assay_conf_session { ASSAY_CONF_SESSION_NONE, ASSAY_CONF_SESSION_HMAC };
enum assay_conf_loss { ASSAY_CONF_LOSS_HOLD, ASSAY_CONF_LOSS_RELEASE };
enum assay_conf_sight { ASSAY_CONF_SIGHT_AUTO, ASSAY_CONF_SIGHT_EXACT, ASSAY_CONF_SIGHT_EAGER };
enum assay_conf_audit { ASSAY_CONF_AUDIT_AUTO, ASSAY_CONF_AUDIT_NO };
enum assay_conf_too_large {
	ASSAY_CONF_TOO_LARGE_ALLOW,
	ASSAY_CONF_TOO_LARGE_DENY,
	ASSAY_CONF_TOO_LARGE_LATER,
};
enum assay_conf_answer { ASSAY_CONF_ANSWER_ALLOW, ASSAY_CONF_ANSWER_DENY };
enum assay_conf_cmdline { ASSAY_CONF_CMDLINE_OBEY, ASSAY_CONF_CMDLINE_IGNORE };

/*
 * STRING(key, default, check): what check_CHECK() takes; WORD(key, words separated by blanks,
 * default index: the enum above in that order); NUMBER(key, least, most, default);
 * STRINGS(key, check) and NUMBERS(key, least, most) may be given more than once. The order is that
 * of the manual and of printing.
 */
#define ASSAY_CONF_LIST(STRING, WORD, NUMBER, STRINGS, NUMBERS)                                    \
	STRING(policy, "tcb", any)                                                                 \
	WORD(first_sight, "auto exact eager", ASSAY_CONF_SIGHT_AUTO)                               \
	STRINGS(mount, path)                                                                       \
	NUMBERS(exempt_pid, 1, 4194304)                                                            \
	NUMBER(workers, 0, 256, 0)                                                                 \
	NUMBER(deadline_ms, 100, 600000, 30000)                                                    \
	WORD(deadline_answer, "allow deny", ASSAY_CONF_ANSWER_ALLOW)                               \
	NUMBER(max_file_size_mib, 1, 16777216, 16384)                                              \
	WORD(too_large, "allow deny measure-late", ASSAY_CONF_TOO_LARGE_ALLOW)                     \
	STRING(list_dir, "/var/lib/assay/list", path)                                              \
	WORD(list_sync, "batch never", ASSAY_CONF_SYNC_BATCH)                                      \
	STRING(kernel_list, "auto", kernel_list)                                                   \
	STRING(hash, "sha256", hash)                                                               \
	STRING(template, "ima-ng", template)                                                       \
	NUMBER(pcr, 0, 23, 10)                                                                     \
	WORD(anchor, "tpm2 soft none auto", ASSAY_CONF_ANCHOR_TPM2)                                \
	WORD(anchor_mode, "each group ordered", ASSAY_CONF_MODE_GROUP)                             \
	NUMBER(gather_us, 0, 100000, 500)                                                          \
	STRING(tcti, "device:/dev/tpmrm0", tcti)                                                   \
	WORD(tpm_session, "none hmac", ASSAY_CONF_SESSION_NONE)                                    \
	NUMBER(tpm_timeout_ms, 100, 600000, 20000)                                                 \
	WORD(on_tpm_loss, "hold release", ASSAY_CONF_LOSS_HOLD)                                    \
	STRING(soft_anchor_dir, "/var/lib/assay/anchor", path)                                     \
	STRING(control_socket, "/run/assay/control", socket)                                       \
	STRING(public_socket, "/run/assay/status", socket_or_none)                                 \
	STRING(view_dir, "/run/assay", path_or_none)                                               \
	NUMBER(audit_rate, 0, 1000000, 100)                                                        \
	STRING(audit_journal, "/run/systemd/journal/socket", socket_or_none)                       \
	WORD(audit_kernel_log, "auto no", ASSAY_CONF_AUDIT_AUTO)                                   \
	WORD(lock_memory, "no yes", 0)                                                             \
	WORD(kernel_cmdline, "obey ignore", ASSAY_CONF_CMDLINE_OBEY)

struct assay_conf_strings {
	char value[ASSAY_CONF_LIST_MAX][ASSAY_CONF_STRING_MAX];
	uint32_t n;
};

struct assay_conf_numbers {
	uint32_t value[ASSAY_CONF_LIST_MAX];
	uint32_t n;
};

struct assay_conf {
#define STRING(key, ...)  char key[ASSAY_CONF_STRING_MAX];
#define NUMBER(key, ...)  uint32_t key;
#define STRINGS(key, ...) struct assay_conf_strings key;
#define NUMBERS(key, ...) struct assay_conf_numbers key;
	ASSAY_CONF_LIST(STRING, NUMBER, NUMBER, STRINGS, NUMBERS)
#undef STRING
#undef NUMBER
#undef STRINGS
#undef NUMBERS
};

/* The defaults. */
void assay_conf_init(struct assay_conf *ret);

/* A whole file, over the defaults. Errors: -EINVAL, -E2BIG, with line and column. */
int assay_conf_parse(struct assay_bytes text, struct assay_conf *ret, struct assay_err *err);

/* Where the value of @key stands in @text, which parses; the last one of a list. false: nowhere. */
bool assay_conf_place(struct assay_bytes text, const char *key, uint32_t *ret_line,
		      uint32_t *ret_column);

/* One key, by name: replaces its value, or adds one to a list. Errors: -EINVAL no such key, or a
 * value that it does not take; -E2BIG too long or too many. @c is unchanged then. */
int assay_conf_set(struct assay_conf *c, const char *key, struct assay_bytes value,
		   struct assay_err *err);

/* Bit per key, in the order above, whose values differ. */
uint64_t assay_conf_differ(const struct assay_conf *a, const struct assay_conf *b);
/* The key of a bit; NULL past the last. */
const char *assay_conf_key(unsigned bit);
/* @key of @from. */
void assay_conf_copy(struct assay_conf *to, const struct assay_conf *from, const char *key);

/* Every key with its value, in a form that parses to the same. */
void assay_conf_print(const struct assay_conf *c, struct assay_wr *w);
