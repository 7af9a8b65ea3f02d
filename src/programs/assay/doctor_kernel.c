/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernel: its age, its LSMs, and what lets root or anybody get around what is measured. */
#include <errno.h>
#include <linux/netlink.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/macros.h"
#include "programs/assay/doctor.h"

#define SECURITY "/sys/kernel/security"
#define NOBODY	 65534

static void look_at_version(struct doctor *d)
{
	char release[128];
	int r = doctor_read_line(d, "/proc/sys/kernel/osrelease", release, sizeof(release));
	unsigned long major = r == 0 ? strtoul(release, NULL, 10) : 0;
	struct doctor_advice a = { .check = "kernel-version", .subject = "version" };

	if (r < 0) {
		doctor_unseen(d, a.check, a.subject, true, "/proc/sys/kernel/osrelease", -r);
		return;
	}
	if (major < 5) {
		a.state = DOCTOR_BAD;
		a.means = "assayd needs Linux 5.0: older kernels have no OPEN_EXEC_PERM.";
		a.todo = "Boot a newer kernel.";
	}
	doctor_add(d, &a, "Linux %s", release);
}

/* ---- LSMs ----------------------------------------------------------------------------------- */

static void look_at_securityfs(struct doctor *d)
{
	static const struct doctor_advice advice = {
		.state = DOCTOR_UNSEEN,
		.check = "securityfs",
		.subject = "securityfs",
		.means = "What it would show is not known here: IMA's list and policy, the LSMs, "
			 "lockdown, the firmware's event log.",
		.todo = "Mount it: mount -t securityfs securityfs /sys/kernel/security",
	};

	if (!doctor_has(d, SECURITY "/lsm"))
		doctor_add(d, &advice, "it is not mounted");
}

static void look_at_lsms(struct doctor *d)
{
	struct doctor_advice a = { .check = "lsm", .subject = "security modules" };
	char line[512];
	int r = doctor_read_line(d, SECURITY "/lsm", line, sizeof(line));

	if (r == -ENOENT)
		return; /* securityfs: said already */
	if (r < 0) {
		doctor_unseen(d, a.check, a.subject, false, SECURITY "/lsm", -r);
		return;
	}
	doctor_facts(doctor_add(d, &a, "%s", line),
		     json_pack("{s:b, s:b}", "bpf",
			       doctor_list_has(assay_bytes_str(line), ',', "bpf"), "ima",
			       doctor_list_has(assay_bytes_str(line), ',', "ima")));
}

static void look_at_bpf(struct doctor *d)
{
	struct doctor_advice a = { .check = "bpf-lsm", .subject = "BPF LSM" };
	bool btf = doctor_has(d, "/sys/kernel/btf/vmlinux");
	bool active = false;
	char line[512];

	if (doctor_read_line(d, SECURITY "/lsm", line, sizeof(line)) < 0)
		return;
	active = doctor_list_has(assay_bytes_str(line), ',', "bpf");
	if (!active || !btf) {
		a.state = DOCTOR_NOTE;
		a.means = "This version does not use it. One that does could not see mmap, memfds "
			  "and new private mounts here, and could not outlive a killed daemon.";
		a.todo = active ? "A kernel with CONFIG_DEBUG_INFO_BTF has the types that it needs."
				: "Add bpf to lsm= on the kernel's command line.";
	}
	doctor_facts(doctor_add(d, &a, "%s, types of the kernel (BTF) %s",
				active ? "active" : "not active", btf ? "there" : "not there"),
		     json_pack("{s:b, s:b}", "active", active, "btf", btf));
}

/* ---- what root can do ----------------------------------------------------------------------- */

static void look_at_lockdown(struct doctor *d)
{
	static const char *const words[] = { "", "none", "integrity", "confidentiality" };
	struct doctor_advice a = { .check = "lockdown", .subject = "lockdown" };
	AUTO(file) struct assay_file f = { 0 };
	int r = doctor_read(d, SECURITY "/lockdown", 4096, &f);

	if (r == -ENOENT)
		return; /* securityfs, or a kernel without */
	if (r < 0) {
		doctor_unseen(d, a.check, a.subject, false, SECURITY "/lockdown", -r);
		return;
	}
	d->lockdown = doctor_lockdown_parse(f.bytes);
	if (d->lockdown < DOCTOR_LOCKDOWN_INTEGRITY) {
		a.state = DOCTOR_NOTE;
		a.means = "Root can change the running kernel (/dev/mem, kexec, modules), and with "
			  "it all that is measured from then on.";
		a.todo = "Boot with lockdown=integrity, or with Secure Boot on a kernel that then "
			 "locks itself down.";
	}
	doctor_add(d, &a, "%s", words[d->lockdown]);
}

static void look_at_secure_boot(struct doctor *d)
{
	static const char path[] = "/sys/firmware/efi/efivars/"
				   "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
	struct doctor_advice a = {
		.state = DOCTOR_NOTE,
		.check = "secure-boot",
		.subject = "Secure Boot",
		.means =
			"Which kernel runs is known from the PCRs of the firmware only, if at all.",
		.todo = "Switch it on in the set-up of the firmware, where it has EFI.",
	};
	AUTO(file) struct assay_file f = { 0 };
	int r = doctor_read(d, path, 4096, &f), on = r < 0 ? -1 : doctor_efi_byte(f.bytes);

	if (r == -EACCES || r == -EPERM) {
		doctor_unseen(d, a.check, a.subject, false, path, -r);
		return;
	}
	if (on == 1)
		doctor_add(d, &(struct doctor_advice){ .check = a.check, .subject = a.subject },
			   "on");
	else if (on == 0)
		doctor_add(d, &a, "off");
	else
		doctor_add(d, &a, "no EFI variable says so (%s)",
			   doctor_has(d, "/sys/firmware/efi") ? "efivarfs is not mounted"
							      : "not booted by EFI");
}

static void look_at_kexec(struct doctor *d)
{
	struct doctor_advice a = { .check = "kexec", .subject = "kexec" };
	uint64_t disabled;

	if (doctor_read_number(d, "/proc/sys/kernel/kexec_load_disabled", &disabled) < 0) {
		doctor_add(d, &a, "not in this kernel");
		return;
	}
	if (!disabled && d->lockdown < DOCTOR_LOCKDOWN_INTEGRITY) {
		a.state = DOCTOR_NOTE;
		a.means = "Root can start any kernel without a reset of the TPM. assayd goes on "
			  "with its list there, if it is started there.";
		a.todo = "sysctl kernel.kexec_load_disabled=1";
	}
	doctor_add(d, &a, "%s", disabled ? "switched off" : "can be used by root");
}

static void look_at_modules(struct doctor *d)
{
	struct doctor_advice a = { .check = "module-signatures", .subject = "kernel modules" };
	char enforced[16] = "";
	uint64_t disabled = 0;
	bool closed;

	if (!doctor_has(d, "/proc/modules")) {
		doctor_add(d, &a, "this kernel loads none");
		return;
	}
	doctor_read_line(d, "/sys/module/module/parameters/sig_enforce", enforced,
			 sizeof(enforced));
	doctor_read_number(d, "/proc/sys/kernel/modules_disabled", &disabled);
	closed = disabled || enforced[0] == 'Y' || d->lockdown >= DOCTOR_LOCKDOWN_INTEGRITY;
	if (!closed) {
		a.state = DOCTOR_NOTE;
		a.means = "Root can load a module that makes the kernel lie to assayd.";
		a.todo = "Boot with module.sig_enforce=1, or lock the kernel down.";
	}
	doctor_add(d, &a, "%s",
		   disabled ? "no more can be loaded"
		   : closed ? "only signed ones"
			    : "unsigned ones too");
}

/* ---- what anybody can do -------------------------------------------------------------------- */

/* As nobody: a namespace of one's own, which goes with the process. */
static void try_user_namespace(const void *what, void *ret)
{
	int *error = ret;

	(void)what;
	if (getuid() == 0 &&
	    (setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0))
		*error = EIO;
	else
		*error = unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 ? errno : 0;
}

static void look_at_namespaces(struct doctor *d)
{
	struct doctor_advice a = { .check = "user-namespaces", .subject = "user namespaces" };
	int error = 0, r = doctor_child(try_user_namespace, NULL, &error, sizeof(error), 2000);

	if (r < 0 || error == EIO) {
		doctor_unseen(d, a.check, a.subject, false, "unshare(2)", r < 0 ? -r : error);
		return;
	}
	if (error == 0) {
		a.state = DOCTOR_WARN;
		a.means = "An ordinary user can mount a tmpfs that nobody else sees, and run a "
			  "program from there before assayd has found it (some seconds).";
		a.todo = doctor_has(d, "/proc/sys/kernel/unprivileged_userns_clone")
				 ? "sysctl kernel.unprivileged_userns_clone=0, where no browser or "
				   "rootless container needs it."
				 : "sysctl user.max_user_namespaces=0, where no browser or "
				   "container needs it.";
	}
	doctor_add(d, &a, "%s",
		   error ? "only root may make one" : "anybody may make one, and mount in it");
}

static void look_at_memfds(struct doctor *d)
{
	struct doctor_advice a = { .check = "memfd", .subject = "programs in memory" };
	uint64_t mode = 0;
	int r = doctor_read_number(d, "/proc/sys/vm/memfd_noexec", &mode);

	if (r == 0 && mode == 2) {
		doctor_add(d, &a, "memfds cannot be executed (vm.memfd_noexec=2)");
		return;
	}
	a.state = DOCTOR_WARN;
	a.means = "A memfd can be executed, and no fanotify event tells of it.";
	a.todo = r == 0 ? "sysctl vm.memfd_noexec=2, if nothing here needs executable memfds "
			  "(some container runtimes do)."
			: "A kernel from 6.3 on can forbid it (vm.memfd_noexec).";
	if (r == 0)
		doctor_add(d, &a, "vm.memfd_noexec=%llu", (unsigned long long)mode);
	else
		doctor_add(d, &a, "this kernel cannot forbid them");
}

static void look_at_leases(struct doctor *d)
{
	struct doctor_advice a = { .check = "leases", .subject = "leases" };
	uint64_t enabled, seconds = 0;
	int r = doctor_read_number(d, "/proc/sys/fs/leases-enable", &enabled);

	if (r < 0) {
		doctor_unseen(d, a.check, a.subject, false, "/proc/sys/fs/leases-enable", -r);
		return;
	}
	doctor_read_number(d, "/proc/sys/fs/lease-break-time", &seconds);
	if (!enabled) {
		a.state = DOCTOR_WARN;
		a.means =
			"Without a lease assayd cannot tell that a file stayed as it was read, so "
			"that every open of every file waits for it.";
		a.todo = "sysctl fs.leases-enable=1";
	}
	doctor_add(d, &a, "%s, broken after %llu s", enabled ? "enabled" : "disabled",
		   (unsigned long long)seconds);
}

/* Where audit rules write to; the socket is made, and nothing is said over it. */
static void look_at_audit(struct doctor *d)
{
	struct doctor_advice a = { .check = "audit", .subject = "audit" };
	AUTO(fd) int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_AUDIT);

	if (fd < 0) {
		a.state = DOCTOR_NOTE;
		a.means = "Records of audit rules go to the journal and to 'assay audit' alone.";
		a.todo = "A kernel with CONFIG_AUDIT, if auditd is to have them.";
	}
	doctor_facts(doctor_add(d, &a, "%s", fd < 0 ? "not in this kernel" : "in this kernel"),
		     json_pack("{s:b}", "there", fd >= 0));
}

static void look_at_types(struct doctor *d)
{
	static const struct doctor_advice advice = {
		.state = DOCTOR_NOTE,
		.check = "filesystem-types",
		.subject = "filesystems of other processes",
		.means = "Users who may mount FUSE (fusermount) can have files whose content "
			 "changes "
			 "with each read. assayd does not watch them, and says so.",
		.todo = "Where nobody needs it: remove fusermount3, or keep the module from "
			"being loaded.",
	};
	AUTO(file) struct assay_file f = { 0 };
	bool fuse = false, overlay = false;

	if (doctor_read(d, "/proc/filesystems", 65536, &f) < 0)
		return;
	for (struct assay_bytes rest = f.bytes; rest.len;) {
		const uint8_t *end = memchr(rest.data, '\n', rest.len);
		struct assay_bytes line =
			assay_bytes(rest.data, end ? (size_t)(end - rest.data) : rest.len);

		fuse |= doctor_list_has(line, '\t', "fuse");
		overlay |= doctor_list_has(line, '\t', "overlay");
		rest = assay_bytes(rest.data + line.len + (end != NULL),
				   rest.len - line.len - (end != NULL));
	}
	if (fuse)
		doctor_facts(doctor_add(d, &advice, "this kernel has FUSE%s",
					overlay ? " and overlay" : ""),
			     json_pack("{s:b, s:b}", "fuse", fuse, "overlay", overlay));
}

void doctor_kernel(struct doctor *d)
{
	static doctor_probe *const probes[] = {
		look_at_version,    look_at_securityfs,	 look_at_lsms,	 look_at_bpf,
		look_at_lockdown,   look_at_secure_boot, look_at_kexec,	 look_at_modules,
		look_at_namespaces, look_at_memfds,	 look_at_leases, look_at_audit,
		look_at_types,	    doctor_fanotify,	 doctor_ima,
	};

	for (size_t i = 0; i < ARRAY_LEN(probes); i++)
		probes[i](d);
}
