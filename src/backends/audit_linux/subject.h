/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who did it, for an audit record: what the kernel says of a task (audit_log_task_info()) and in
 * which cgroup, container and namespaces it is, from /proc. Right for a task that is held, as an
 * opener is that waits for its answer. Opens files: not for the reader.
 */
#pragma once

#include <sys/types.h>

#include "formats/audit.h"

#define ASSAY_AUDIT_SUBJECT_SPACE (12u << 10) /* bytes that the texts of a subject take */
#define ASSAY_AUDIT_SLOW_SPACE	  (6u << 10)  /* and of what may take long */

/* Adds what can be known of @tid at once; texts are put into @space. What is not known is left out,
 * which may be all. */
void assay_audit_subject(int32_t tid, char space[static ASSAY_AUDIT_SUBJECT_SPACE],
			 struct assay_audit *ret);
/* The rest: ids, program, terminal, label and namespaces. The kernel gives them under a lock that a
 * task can hold for as long as it likes, or holds the task's memory meanwhile (decision 61): who
 * waits for the one can be killed, who waits for the other cannot. */
void assay_audit_subject_slow(int32_t tid, char space[static ASSAY_AUDIT_SLOW_SPACE],
			      struct assay_audit *ret);

/* ---- for tests: the texts of /proc/TID/status, stat and cgroup ------------------------------ */

void assay_audit_parse_status(struct assay_bytes text, struct assay_audit *ret);
/* @tty: at least 32 bytes, borrowed by @ret. */
void assay_audit_parse_stat(struct assay_bytes text, char *tty, struct assay_audit *ret);
/* Borrows @text. */
void assay_audit_parse_cgroup(struct assay_bytes text, struct assay_audit *ret);
/* The container that a cgroup is of, by the names that docker, podman, containerd, CRI-O, LXC and
 * systemd-machined give; len 0: none. */
struct assay_bytes assay_audit_container(struct assay_bytes cgroup);
