/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What cmd_policy.c and cmd_policy_explain.c share. */
#pragma once

#define CMD_POLICY_EXPLAIN_OPTIONS                                                                 \
	"  --func HOOK         what happens: FILE_CHECK, BPRM_CHECK, MMAP_CHECK, KEY_CHECK...\n"   \
	"  --mask MASK         MAY_READ, MAY_WRITE, MAY_EXEC, MAY_APPEND, joined by |\n"           \
	"  --policy POLICY     a file, or built-in policies by name; tcb if not given\n"           \
	"  --uid ID            of the process, as are the next; yours if not given\n"              \
	"  --euid ID           like --uid if not given, as --suid\n"                               \
	"  --suid ID\n"                                                                            \
	"  --gid ID\n"                                                                             \
	"  --egid ID           like --gid if not given, as --sgid\n"                               \
	"  --sgid ID\n"                                                                            \
	"  --cap-setuid BOOL   has CAP_SETUID: yes or no; yes for euid 0 if not given\n"           \
	"  --cap-setgid BOOL   the same for CAP_SETGID\n"                                          \
	"  --fowner ID         of the file, as are the next; PATH's if not given\n"                \
	"  --fgroup ID\n"                                                                          \
	"  --fsmagic HEX\n"                                                                        \
	"  --fsname NAME\n"                                                                        \
	"  --fs-subtype NAME\n"                                                                    \
	"  --fsuuid UUID\n"                                                                        \
	"  --label NAME        keyring of KEY_CHECK, label of CRITICAL_DATA\n"                     \
	"  --any-subject       what would be done for somebody, as with first_sight=eager\n"       \
	"  --json              for a machine\n"

int cmd_policy_explain(int argc, char **argv);
