#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# assay doctor: over a made /proc and /sys, here as root and as nobody, over swtpm.
. "${TEST_LIB:?}"
. "$(dirname "$TEST_LIB")/lib/doctor.sh"

# put FILE TEXT: in the machine that is made.
put() {
	mkdir -p "$(dirname "$FAKE$1")"
	printf '%b' "$2" >"$FAKE$1"
}

FAKE=$SCRATCH/machine
security=/sys/kernel/security
put /proc/sys/kernel/osrelease '6.12.95-amd64\n'
put /proc/cmdline 'root=/dev/vda ima_policy="tcb|critical_data" ima_hash=sha256 quiet\n'
put /proc/filesystems 'nodev\tsysfs\nnodev\toverlay\n\text4\nnodev\tfuse\n'
put /proc/modules ''
put /proc/sys/kernel/kexec_load_disabled '0\n'
put /proc/sys/vm/memfd_noexec '2\n'
put /proc/sys/fs/leases-enable '1\n'
put /proc/sys/fs/lease-break-time '45\n'
put /proc/self/mountinfo '27 1 254:0 / / rw - ext4 /dev/vda rw\n'
put $security/lsm 'lockdown,capability,landlock,yama,apparmor,bpf,ipe,ima,evm'
put $security/lockdown '[none] integrity confidentiality\n'
put $security/integrity/ima/runtime_measurements_count '20\n'
put $security/tpm0/binary_bios_measurements 'x'
vector=$(find "$SOURCE/tests/vectors/kernel" -path '*6.12*' -name binary_runtime_measurements | sort | head -n 1)
cp "$vector" "$FAKE$security/integrity/ima/binary_runtime_measurements"
put /sys/kernel/btf/vmlinux ''
put /sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c '\x06\x00\x00\x00\x01'
put /sys/class/tpm/tpm0/tpm_version_major '2\n'
mkdir -p "$FAKE/sys/bus/tpm_tis_spi"
mkdir -p "$FAKE/sys/class/tpm/tpm0/device"
ln -s ../../../../bus/tpm_tis_spi "$FAKE/sys/class/tpm/tpm0/device/driver"
for i in {0..23}; do
	case $i in
	0 | 10 | 11) put "/sys/class/tpm/tpm0/pcr-sha1/$i" "$(printf 'AB%.0s' {1..20})\n" ;;
	17 | 18 | 19 | 20 | 21 | 22) put "/sys/class/tpm/tpm0/pcr-sha1/$i" "$(printf 'FF%.0s' {1..20})\n" ;;
	*) put "/sys/class/tpm/tpm0/pcr-sha1/$i" "$(printf '00%.0s' {1..20})\n" ;;
	esac
done
cp "$SOURCE/tests/fuzz/corpus/measure_log/boot" "$SCRATCH/log"
mkdir -p "$FAKE/run/log/systemd"
cp "$SCRATCH/log" "$FAKE/run/log/systemd/tpm2-measure.log"
put /etc/assay/assayd.conf "policy = tcb\nanchor = none\nlist_dir = $SCRATCH/list\n"
mkdir "$SCRATCH/list"

# A machine that has everything: what is read is read right.
status=0
[ "$(id -u)" = 0 ] || status=2 # fanotify cannot be tried
doctor $status --root "$FAKE"
has kernel-version ok '"6.12.95" in x["found"]'
has lsm ok 'f["bpf"] and f["ima"]'
has bpf-lsm ok 'f["active"] and f["btf"]'
has lockdown note
has secure-boot ok
has kexec note
has module-signatures note
has memfd ok
has leases ok
has filesystem-types note 'f["fuse"]'
has ima ok 'f["there"]'
has ima-policy note 'f["boot_policy"] and not f["loadable"]'
has ima-list ok 'f["records"] > 100 and f["pcrs"]["10"] > 100 and f["violations"] == 6'
has command-line ok 'f["ima_policy"] == "tcb|critical_data" and f["ima_hash"] == "sha256"'
has tpm-version ok '"2.0" in x["found"]'
has tpm-bus note '"tpm_tis_spi" in x["found"]'
has tpm-banks warn 'f["banks"] == ["sha1"]'
has pcr ok 'f["pcr"] == 0 and f["owner"] == "firmware" and f["initial"] is False'
has pcr ok 'f["pcr"] == 7 and f["initial"] is True'
has pcr ok 'f["pcr"] == 11 and f["owner"] == "systemd" and f["systemd_events"] == 4 and "enter-initrd" in f["systemd_names"]'
has pcr ok 'f["pcr"] == 15 and f["systemd_events"] == 3'
has pcr ok 'f["pcr"] == 10 and f["ima_records"] > 100'
has configuration ok
has assayd warn
has rule-func warn 'f["rule"].strip() == "measure func=MODULE_CHECK"'

# Of what another machine has: each in turn.
put /proc/sys/kernel/osrelease '4.19.0\n'
doctor 1 --root "$FAKE"
has kernel-version bad
put /proc/sys/kernel/osrelease '6.12.95-amd64\n'
put $security/lsm 'lockdown,capability,yama'
doctor $status --root "$FAKE"
has bpf-lsm note 'not f["active"]'
put /proc/sys/fs/leases-enable '0\n'
put /proc/sys/vm/memfd_noexec '1\n'
put $security/lockdown 'none [integrity] confidentiality\n'
doctor $status --root "$FAKE"
has leases warn
has memfd warn
has lockdown ok
has kexec ok
has module-signatures ok
printf 'x' >>"$FAKE/run/log/systemd/tpm2-measure.log"
printf '\0\0\0\0' >>"$FAKE$security/integrity/ima/binary_runtime_measurements"
doctor $status --root "$FAKE"
has systemd-log warn
has ima-list warn
cp "$SCRATCH/log" "$FAKE/run/log/systemd/tpm2-measure.log"
cp "$vector" "$FAKE$security/integrity/ima/binary_runtime_measurements"

# PCRs that are somebody else's.
conf() {
	printf '%b\n' "list_dir = $SCRATCH/list\ntcti = device:$SCRATCH/none\n$1" >"$FAKE/etc/assay/assayd.conf"
}
for case in 10:note 11:bad 12:warn 7:bad 16:bad 23:bad 17:bad; do
	conf "pcr = ${case%:*}"
	expect 1 timeout $((2 * PATIENCE)) "$ASSAY" doctor --root "$FAKE" --control "$SCRATCH/none" --json
	cp "$SCRATCH/stdout" "$SCRATCH/json"
	has pcr "${case#*:}" "f['pcr'] == ${case%:*} and f['ours']"
done
rm -r "$FAKE/sys/class/tpm"
conf ""
doctor 1 --root "$FAKE"
has tpm-device bad
conf "anchor = none"
doctor $status --root "$FAKE"
has tpm-device note
conf "frob = 1"
doctor 1 --root "$FAKE"
has configuration bad

mkdir -p "$FAKE/sys/class/tpmrm/tpmrm0"
conf "anchor = auto"
doctor 1 --root "$FAKE"
has tpm-device bad
rm -r "$FAKE/sys/class/tpmrm"
conf "anchor = none"
for case in off:obey:1:bad log:obey:$status:warn off:ignore:$status:ok; do
	IFS=: read -r order rule want state <<<"$case"
	put /proc/cmdline "quiet assay=$order\n"
	conf "anchor = none\nkernel_cmdline = $rule"
	doctor "$want" --root "$FAKE"
	has assay-order "$state"
done

# Policies.
put /proc/cmdline 'quiet\n'
conf "anchor = none"
policy() { # STATUS TEXT
	printf '%b' "$2" >"$SCRATCH/policy"
	doctor "$1" --root "$FAKE" --policy "$SCRATCH/policy"
}
policy 1 'measure\nappraise func=BPRM_CHECK\n'
has rule-appraise bad 'f["line"] == 2 and "BPRM_CHECK" in f["rule"]'
policy $status '# hash\nhash func=BPRM_CHECK\nmeasure\nmeasure fowner=0\naudit func=BPRM_CHECK\n'
has rule-action warn 'f["line"] == 2'
has_not rule-action warn 'f["line"] > 2'
has rule-owner note 'f["line"] == 4'
has_not rule-mmap note
policy 1 'measure\nmeasure func=BPRM_CHECK obj_type=x_t\n'
has rule-label bad 'f["line"] == 2'
policy $status 'dont_measure subj_type=x_t\nmeasure\n'
has rule-label note 'f["line"] == 1'
policy 1 'measure func=FILE_CHECK\nmeasure func=BPRM_CHECK template=ima-sig\n'
has policy bad '"2:" in x["found"] and "ima-sig" in x["found"]'
policy 1 'measure func=FILE_CHECK\nmeasure func=BPRM_CHECK pcr=30\n'
has policy bad '"30" in x["found"]'
policy 1 'measure frob=1\n'
has policy bad
policy 1 'measure func=MODULE_CHECK\n'
has policy-empty bad
has rule-func warn
conf ""
policy 1 'measure func=BPRM_CHECK\nmeasure func=FILE_CHECK pcr=11\nmeasure func=MMAP_CHECK pcr=12\n'
has rule-pcr bad 'f["line"] == 2'
has rule-pcr warn 'f["line"] == 3'
has pcr bad 'f["pcr"] == 11 and f["ours"]'
conf "anchor = none"
cd "$SCRATCH"
echo measure >frob
doctor 1 --root "$FAKE" --policy frob
has policy bad "\"no built-in policy 'frob'; allowed: tcb \" in x['found'] and \"file has a '/'\" in x['found']"
doctor $status --root "$FAKE" --policy ./frob
expect 2 "$ASSAY" doctor --root "$SCRATCH/nowhere"
expect_text "$ERR" "^assay doctor: --root: '$SCRATCH/nowhere': No such file or directory"
doctor $status --root "$FAKE" --policy tcb
has rule-mmap note

# Text: the summary has the worst first, and no finding is lost in it.
expect 1 timeout $((2 * PATIENCE)) "$ASSAY" doctor --root "$FAKE" --control "$SCRATCH/none" --policy frob
expect_text "$OUT" "^kernel$"
expect_text "$OUT" "^summary: [0-9]+ bad, [0-9]+ warn, [0-9]+ unseen, [0-9]+ note, [0-9]+ ok$"
[ "$(sed -n '/^summary/,$ p' <<<"$OUT" | sed -n 2p | cut -c 3-5)" = bad ] || fail "the worst is not first: $OUT"
[ "$(tail -n 1 <<<"$OUT")" = "verdict: something stands in the way of policy 'frob'" ] || fail "$OUT"

# Here, whatever here is; and over a TPM, of which nothing may change.
expect_here() {
	local got=0
	timeout $((2 * PATIENCE)) "$@" >"$SCRATCH/json" 2>"$SCRATCH/stderr" || got=$?
	[ $got -le 2 ] || fail "'$*' exits $got: $(cat "$SCRATCH/stderr")"
	[ ! -s "$SCRATCH/stderr" ] || fail "'$*' says: $(cat "$SCRATCH/stderr")"
	python3 -m json.tool "$SCRATCH/json" >/dev/null || fail "no JSON"
}
expect_here "$ASSAY" doctor --json
has filesystem any 'x["subject"] == "/"'
if command -v swtpm tpm2_pcrread tpm2_pcrextend >/dev/null; then
	start_swtpm
	tpm2_pcrextend -T "$TCTI" 11:sha256="$(printf '11%.0s' {1..32})"
	tpm2_pcrread -T "$TCTI" >"$SCRATCH/before"
	expect_here "$ASSAY" doctor --tcti "$TCTI" --json
	tpm2_pcrread -T "$TCTI" >"$SCRATCH/after"
	cmp -s "$SCRATCH/before" "$SCRATCH/after" || fail "PCRs have changed"
	has tpm-maker ok 'f["manufacturer"] == "IBM"'
	has tpm-clock any 'f["resets"] >= 1'
	has tpm-lockout ok
	has tpm-ek note
	has tpm-banks ok '"sha256" in f["banks"]'
	has pcr ok 'f["pcr"] == 11 and f["initial"] is False'
	has pcr ok 'f["pcr"] == 12 and f["initial"] is True'
	has_not tpm-owner warn
	# One that says its banks, and fails when it is to give their values: nobody else is said to have given them.
	cat >"$SCRATCH/unread.py" <<-'PY'
		import os, socket, struct, sys
		def message(s):
		    m = b''
		    while len(m) < 10 or len(m) < struct.unpack('>I', m[2:6])[0]:
		        got = s.recv(4096)
		        if not got:
		            return None
		        m += got
		    return m
		front = socket.socket(socket.AF_UNIX)
		front.bind(sys.argv[1] + '.new')
		front.listen()
		os.rename(sys.argv[1] + '.new', sys.argv[1])
		reads = 0
		while True:
		    client, tpm = front.accept()[0], socket.socket(socket.AF_UNIX)
		    tpm.connect(sys.argv[2])
		    while m := message(client):
		        reads += struct.unpack('>I', m[6:10])[0] == 0x17e # TPM2_PCR_Read
		        if reads > int(sys.argv[3]): # TPM_RC_FAILURE
		            client.sendall(struct.pack('>HII', 0x8001, 10, 0x101))
		            continue
		        tpm.sendall(m)
		        client.sendall(message(tpm))
		    client.close()
		    tpm.close()
	PY
	background python3 "$SCRATCH/unread.py" "$SCRATCH/unread" "$SCRATCH/swtpm/sock" 11
	wait_for 10 test -S "$SCRATCH/unread"
	expect_here "$ASSAY" doctor --root "$FAKE" --tcti "swtpm:path=$SCRATCH/unread" --json
	has tpm-answer any '"TPM2_PCR_Read" in x["found"]'
	has_not tpm-banks any
	tpm2_changeauth -T "$TCTI" -c owner secret
	expect_here "$ASSAY" doctor --tcti "$TCTI" --json
	has tpm-owner warn
fi
