/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One audit record: what a rule with "audit" matched, or what the daemon has to say of itself. To
 * and from its JSON line, and to the text that the kernel's audit log has for the same event
 * (docs/formats/audit.md). Pure; knows nothing of journals, sockets or /proc.
 */
#pragma once

#include <stdbool.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/wr.h"

#define ASSAY_AUDIT_VERSION  1u
#define ASSAY_AUDIT_LINE_MAX 57344u /* bytes of JSON; so that a control message holds it */
#define ASSAY_AUDIT_PATH_MAX 4096u
#define ASSAY_AUDIT_TIME_MAX 253402300800000000u /* the year 10000, in microseconds */

/* id, the kernel's number (linux/audit.h), name as ausearch has it */
#define ASSAY_AUDIT_TYPE_LIST(X)                                                                   \
	X(DATA, 1800, "INTEGRITY_DATA")                                                            \
	X(STATUS, 1802, "INTEGRITY_STATUS")                                                        \
	X(RULE, 1805, "INTEGRITY_RULE")

enum assay_audit_type {
#define X(id, number, name) ASSAY_AUDIT_TYPE_##id,
	ASSAY_AUDIT_TYPE_LIST(X)
#undef X
		ASSAY_AUDIT_TYPE_COUNT
};

const char *assay_audit_type_name(enum assay_audit_type type);

/*
 * In the order of the JSON. NUMBER(id, key): at most INT64_MAX, as readers have no more.
 * WORD, QUOTED and TEXT(id, key, most bytes): any bytes; in the kernel's text a word stands bare,
 * the other two in quotes, and what has odd bytes is hexadecimal.
 */
#define ASSAY_AUDIT_FIELD_LIST(NUMBER, WORD, QUOTED, TEXT)                                         \
	NUMBER(SEQ, "seq")                                                                         \
	WORD(OP, "op", 64)                                                                         \
	WORD(CAUSE, "cause", 64)                                                                   \
	NUMBER(RES, "res")                                                                         \
	NUMBER(ERRNO, "errno")                                                                     \
	NUMBER(COUNT, "count")                                                                     \
	NUMBER(WAITED_MS, "waited_ms")                                                             \
	TEXT(FILE, "file", ASSAY_AUDIT_PATH_MAX)                                                   \
	TEXT(NAME, "name", ASSAY_AUDIT_PATH_MAX)                                                   \
	QUOTED(HASH, "hash", 160)                                                                  \
	TEXT(DEV, "dev", 32)                                                                       \
	NUMBER(INO, "ino")                                                                         \
	WORD(FUNC, "func", 32)                                                                     \
	NUMBER(RULE, "rule")                                                                       \
	TEXT(POLICY, "policy", 1024)                                                               \
	NUMBER(PPID, "ppid")                                                                       \
	NUMBER(PID, "pid")                                                                         \
	NUMBER(TID, "tid")                                                                         \
	NUMBER(AUID, "auid")                                                                       \
	NUMBER(UID, "uid")                                                                         \
	NUMBER(GID, "gid")                                                                         \
	NUMBER(EUID, "euid")                                                                       \
	NUMBER(SUID, "suid")                                                                       \
	NUMBER(FSUID, "fsuid")                                                                     \
	NUMBER(EGID, "egid")                                                                       \
	NUMBER(SGID, "sgid")                                                                       \
	NUMBER(FSGID, "fsgid")                                                                     \
	WORD(TTY, "tty", 32)                                                                       \
	NUMBER(SES, "ses")                                                                         \
	TEXT(COMM, "comm", 64)                                                                     \
	TEXT(EXE, "exe", ASSAY_AUDIT_PATH_MAX)                                                     \
	WORD(SUBJ, "subj", 256)                                                                    \
	TEXT(CGROUP, "cgroup", 1024)                                                               \
	TEXT(CONTAINER, "container", 128)                                                          \
	NUMBER(MNTNS, "mntns")                                                                     \
	NUMBER(PIDNS, "pidns")                                                                     \
	WORD(UNSEEN, "unseen", 64)

enum assay_audit_field {
#define X(id, ...) ASSAY_AUDIT_##id,
	ASSAY_AUDIT_FIELD_LIST(X, X, X, X)
#undef X
		ASSAY_AUDIT_FIELD_COUNT
};

enum assay_audit_kind {
	ASSAY_AUDIT_KIND_NUMBER,
	ASSAY_AUDIT_KIND_WORD,
	ASSAY_AUDIT_KIND_QUOTED,
	ASSAY_AUDIT_KIND_TEXT
};

/* As the list above has them. */
const char *assay_audit_field_key(enum assay_audit_field field);
enum assay_audit_kind assay_audit_field_kind(enum assay_audit_field field);
size_t assay_audit_field_max(enum assay_audit_field field); /* bytes; of a number 0 */

/* Zeroed: nothing is known. Texts are borrowed. */
struct assay_audit {
	enum assay_audit_type type;
	uint64_t time_us; /* since 1970, UTC */
	uint64_t have;	  /* 1 << ASSAY_AUDIT_... */
	union {
		uint64_t number;
		struct assay_bytes text;
	} value[ASSAY_AUDIT_FIELD_COUNT];
};
_Static_assert(ASSAY_AUDIT_FIELD_COUNT <= 64, "a bit a field");

bool assay_audit_has(const struct assay_audit *r, enum assay_audit_field field);
/* A number above INT64_MAX is left out; of a text that is too long its end is. */
void assay_audit_set_number(struct assay_audit *r, enum assay_audit_field field, uint64_t number);
void assay_audit_set_text(struct assay_audit *r, enum assay_audit_field field,
			  struct assay_bytes text);

/* RFC 3339, UTC, with microseconds. */
void assay_audit_time_print(uint64_t time_us, struct assay_wr *w);

/* One JSON object without line feed. FILE and NAME exclude each other; then @w need not have more
 * than ASSAY_AUDIT_LINE_MAX. */
void assay_audit_encode(const struct assay_audit *r, struct assay_wr *w);

/*
 * The same back, and no other writing of it: order of keys, escapes and numbers are those of
 * assay_audit_encode(). Texts are put into @space; line.len bytes are enough. Errors: -EBADMSG
 * malformed, -E2BIG over a limit, -EOPNOTSUPP another version.
 */
int assay_audit_parse(struct assay_bytes line, void *space, size_t size, struct assay_audit *ret,
		      struct assay_err *err);

/*
 * What the kernel prints after "audit(...): " for such an event: ima_audit_measurement() for RULE,
 * integrity_audit_message() for others, and then what the kernel does not say. @quoted: it will
 * stand between apostrophes, as in messages of user space, so that texts that have one are
 * hexadecimal too.
 */
void assay_audit_print(const struct assay_audit *r, bool quoted, struct assay_wr *w);
