#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The folder that looks like the kernel's: names, modes and error codes as a kernel 6.12 has them, lists byte
# for byte those of real kernels and of "assay log export", tools that were made for the kernel's folder, lists
# that grow while they are read, a hundred readers at once, and policies.
# shellcheck source=tests/lib.sh
. "$TEST_LIB"
# shellcheck source=tests/lib/swtpm.sh
. "$(dirname "$TEST_LIB")/lib/swtpm.sh"
# shellcheck source=tests/daemon/view_lib.sh
. "$SOURCE/tests/daemon/view_lib.sh"
view_test
vectors=$SOURCE/tests/vectors/kernel

# as_nobody COMMAND...
as_nobody() {
	setpriv --reuid 65534 --regid 65534 --clear-groups "$@"
}

# ---- the folder -----------------------------------------------------------------------------------------
list_of 6.12.95/rich-sha256-ima-sig
serve
stat -c '%n %F %a %s %u %g %h' "$VIEW" "$VIEW"/[abprv]* | sed "s|$VIEW/\\?||" | grep -v '^anchored_' >"$SCRATCH/stat"
{
	echo ' directory 755 0 0 0 2'
	for form in ascii binary; do
		echo "${form}_runtime_measurements symbolic link 444 0 0 0 1"
		for bank in sha1 sha256 sha384 sha512; do
			echo "${form}_runtime_measurements_$bank regular empty file 440 0 0 0 1"
		done
	done
	echo 'policy regular empty file 600 0 0 0 1'
	echo 'runtime_measurements_count regular empty file 440 0 0 0 1'
	echo 'violations regular empty file 440 0 0 0 1'
} >"$SCRATCH/stat.want"
diff "$SCRATCH/stat.want" "$SCRATCH/stat" >&2 || fail "names or modes are not the kernel's"
for form in ascii binary anchored_ascii anchored_binary; do
	[ "$(readlink "$VIEW/${form}_runtime_measurements")" = "${form}_runtime_measurements_sha1" ] || fail "link $form"
done
[ "$(find "$VIEW" -mindepth 1 | wc -l)" = 23 ] || fail "there is more or less: $(ls "$VIEW")"

# Each with the word that strerror() has for it.
expect_error() {
	local word=$1
	shift
	! LC_ALL=C "$@" >"$SCRATCH/stdout" 2>"$SCRATCH/stderr" || fail "'$*' succeeds"
	grep -q "$word" "$SCRATCH/stderr" || fail "'$*': not '$word' but $(cat "$SCRATCH/stderr")"
}
expect_error 'Permission denied' touch "$VIEW/new"
expect_error 'Operation not permitted' mkdir "$VIEW/new"
expect_error 'Operation not permitted' rm -f "$VIEW/violations"
expect_error 'Operation not permitted' ln -s a "$VIEW/new"
expect_error 'Operation not permitted' mv "$VIEW/violations" "$VIEW/new"
expect_error 'Operation not permitted' chmod 644 "$VIEW/violations"
expect_error 'No such file' cat "$VIEW/ascii_runtime_measurements_sm3"
expect_error 'Invalid argument' bash -c "echo 1 >$VIEW/violations"
expect_error 'Invalid argument' bash -c "echo 1 >$VIEW/ascii_runtime_measurements"
expect_error 'Permission denied' sh -c ": <>$VIEW/policy"
for file in ascii_runtime_measurements binary_runtime_measurements_sha256 anchored_ascii_runtime_measurements \
	runtime_measurements_count violations policy; do
	expect_error 'Permission denied' as_nobody cat "$VIEW/$file"
done
expect_error 'Permission denied' as_nobody bash -c "echo measure >$VIEW/policy"
as_nobody ls -l "$VIEW" >/dev/null || fail "nobody cannot list the folder"
echo "folder: as the kernel's"

# ---- lists of real kernels ------------------------------------------------------------------------------
unserve
compared=0
for run in "$vectors"/*/*/; do
	run=${run#"$vectors/"} run=${run%/}
	list_of "$run"
	serve
	for want in "$vectors/$run"/*_runtime_measurements*; do
		cmp "$want" "$VIEW/${want##*/}" || fail "$run: ${want##*/} is not the kernel's"
		compared=$((compared + 1))
	done
	# A name with a newline makes two lines.
	records=$(grep -c -E '^[ 0-9][0-9] [0-9a-f]{40} ' "$vectors/$run/ascii_runtime_measurements")
	[ "$(cat "$VIEW/runtime_measurements_count")" = "$records" ] || fail "$run: count"
	violations=$(grep -c -E '^[ 0-9][0-9] 0{40} ' "$vectors/$run/ascii_runtime_measurements")
	[ "$(cat "$VIEW/violations")" = "$violations" ] || fail "$run: violations"
	unserve
done
[ $compared -ge 30 ] || fail "only $compared files were compared"
echo "vectors: $compared files of kernels, byte for byte"

# ---- tools that were made for the kernel's folder ---------------------------------------------------------
list_of 6.12.95/sha512-ima-ng
serve
# As the Linux Test Project does it: a digest found by its file's name, and computed again.
digest=$(awk '$5 == "boot_aggregate" { print $4 }' "$VIEW/ascii_runtime_measurements")
expect_text "$digest" '^sha512:[0-9a-f]{128}$'
[ "$(grep -c -E '^1[01] [0-9a-f]{40} ' "$VIEW/ascii_runtime_measurements")" = "$(cat "$VIEW/runtime_measurements_count")" ] || fail "grep -c"
head -c 100 "$VIEW/binary_runtime_measurements" | cmp - <(head -c 100 "$vectors/6.12.95/sha512-ima-ng/binary_runtime_measurements")
cp "$VIEW/ascii_runtime_measurements_sha512" "$SCRATCH/copy"
cmp "$SCRATCH/copy" "$VIEW/ascii_runtime_measurements_sha512" || fail "cp"
expect 0 "$ASSAY" log verify --pcrs "$vectors/6.12.95/sha512-ima-ng/pcrs.txt" --ignore-violations \
	"$VIEW/binary_runtime_measurements"
# Any place, any size.
want=$vectors/6.12.95/sha512-ima-ng/ascii_runtime_measurements_sha256
for at in '1 0' '7 3' '511 20' '4097 2' '65536 1' '100000 1' '1000000 0'; do
	read -r size skip <<<"$at"
	dd if="$VIEW/${want##*/}" bs="$size" skip="$skip" count=3 iflag=fullblock status=none |
		cmp - <(dd if="$want" bs="$size" skip="$skip" count=3 status=none) || fail "dd bs=$size skip=$skip"
done
unserve
# One of those that evmctl reads.
list_of 6.1.0/plain-no-boot-policy
serve
if command -v evmctl >/dev/null; then
	evmctl_pcrs "$vectors/6.1.0/plain-no-boot-policy/pcrs.txt"
	expect 0 evmctl ima_measurement --ignore-violations --pcrs "sha1,$SCRATCH/evmctl.sha1" \
		--pcrs "sha256,$SCRATCH/evmctl.sha256" "$VIEW/binary_runtime_measurements"
	expect_text "$OUT$ERR" 'Matched per TPM bank'
fi
unserve
echo "tools: awk, grep, head, cp, dd, evmctl, assay"

# ---- a list that assayd writes, while it does -------------------------------------------------------------
rm -rf "$LIST" && mkdir "$LIST"
serve
for file in ascii binary anchored_ascii anchored_binary; do
	[ "$(wc -c <"$VIEW/${file}_runtime_measurements")" = 0 ] || fail "$file: there is no list yet"
done
[ "$(cat "$VIEW/runtime_measurements_count" "$VIEW/violations")" = $'0\n0' ] || fail "counts without a list"
command -v swtpm >/dev/null && swtpm_begin && {
	background "$RECORDER_DRIVE" run "$LIST" group "$SCRATCH/acks" 0
	drive=$PID
	has_acks() { [ "$(wc -l <"$SCRATCH/acks")" -gt "$1" ]; }
	wait_for 20 has_acks 50
	kill -HUP "$SERVE"
	has_banks() { [ -e "$VIEW/ascii_runtime_measurements_sha384" ]; }
	wait_for 20 has_banks
	# Each read is what the list begins with, and whole records.
	for i in 1 2 3 4 5 6; do
		for file in ascii_runtime_measurements_sha256 anchored_ascii_runtime_measurements; do
			cat "$VIEW/$file" >"$SCRATCH/early.$file.$i"
		done
		wait_for 20 has_acks $((50 + 100 * i))
	done
	kill -TERM $drive
	wait $drive || fail "recorder_drive"
	for file in ascii_runtime_measurements_sha256 anchored_ascii_runtime_measurements; do
		cat "$VIEW/$file" >"$SCRATCH/whole"
		for i in 1 2 3 4 5 6; do
			early=$SCRATCH/early.$file.$i
			[ -s "$early" ] || fail "$file: nothing was read"
			[ "$(tail -c 1 "$early" | xxd -p)" = 0a ] || fail "$file: half a record"
			head -c "$(stat -c %s "$early")" "$SCRATCH/whole" | cmp - "$early" || fail "$file: read $i is no prefix"
		done
	done
	segment=$LIST/segment-00000001
	for pair in binary:binary ascii:ascii anchored:anchored_binary; do
		"$ASSAY" log export --format "${pair%:*}" "$segment" 2>/dev/null >"$SCRATCH/export"
		[ -s "$SCRATCH/export" ] || fail "nothing is exported"
		cmp "$SCRATCH/export" "$VIEW/${pair#*:}_runtime_measurements" || fail "$pair: not what is exported"
	done
	[ "$(wc -c <"$VIEW/anchored_binary_runtime_measurements")" -lt "$(wc -c <"$VIEW/binary_runtime_measurements")" ] ||
		fail "the anchored form has everything"
	"$ASSAY" log show "$VIEW/anchored_binary_runtime_measurements_sha384" >"$SCRATCH/show"
	cmp "$SCRATCH/show" "$VIEW/anchored_ascii_runtime_measurements_sha384" || fail "log show"
	expect 0 "$ASSAY" log verify --tpm --tcti "$TCTI" --ignore-violations "$VIEW/anchored_binary_runtime_measurements"
	echo "live: $(cat "$VIEW/runtime_measurements_count") records, prefixes of one list, as exported"
}

# ---- a hundred readers, and a segment that ends while they read ---------------------------------------------
unserve
rm -rf "$LIST" && mkdir "$LIST"
expect 0 "$LIST_MAKE" "$LIST" grow 20000
serve
sum=$(sha256sum <"$VIEW/ascii_runtime_measurements_sha256")
readers=()
for i in $(seq 100); do
	(cat "$VIEW/ascii_runtime_measurements_sha256" | sha256sum >"$SCRATCH/sum.$i") &
	readers+=($!)
done
expect 0 "$LIST_MAKE" "$LIST" segment
exec 8<"$VIEW/ascii_runtime_measurements_sha256" # of the old one
kill -HUP "$SERVE"
for pid in "${readers[@]}"; do wait "$pid"; done
n=$(cat "$SCRATCH"/sum.* | grep -c -F "$sum" || true)
[ "$n" -gt 0 ] || fail "no reader has the list"
is_empty() { [ "$(cat "$VIEW/runtime_measurements_count")" = 0 ]; }
wait_for 20 is_empty
[ "$(sha256sum <&8)" = "$sum" ] || fail "an open of before does not keep its segment"
exec 8<&-
expect 0 "$LIST_MAKE" "$LIST" grow 10 other
[ "$(cat "$VIEW/runtime_measurements_count" "$VIEW/violations")" = $'10\n1' ] || fail "the new segment's counts"
grep -q /usr/lib/other/9 "$VIEW/ascii_runtime_measurements" || fail "the new segment's list"
echo "readers: $n of 100 of a list of 20,000 before its segment ended"

# ---- policies -------------------------------------------------------------------------------------------------
printf '# mine\nmeasure func=BPRM_CHECK mask=MAY_EXEC\n\ndont_measure fsmagic=0x9fa0\n' >"$SCRATCH/good"
printf 'measure func=BPRM_CHECK\nmeasure func=NOPE\n' >"$SCRATCH/broken"
[ "$(cat "$VIEW/policy")" = 'measure func=FILE_CHECK ' ] || fail "policy: '$(cat "$VIEW/policy")'"
cat "$SCRATCH/good" >"$VIEW/policy" || fail "a good policy is refused"
cmp "$SCRATCH/good" "$POLICY" || fail "what was loaded is not what was written"
printf '%s \n' 'measure func=BPRM_CHECK mask=MAY_EXEC' 'dont_measure fsmagic=0x9fa0' >"$SCRATCH/shown"
cmp "$SCRATCH/shown" "$VIEW/policy" || fail "policy is not shown as the kernel prints it"
expect_error 'Invalid argument' bash -c "cat $SCRATCH/broken >$VIEW/policy"
cmp "$SCRATCH/good" "$POLICY" || fail "a broken policy is in force"
echo 'measure uid=666' >"$SCRATCH/refused"
expect_error 'Operation not permitted' sh -c "cat $SCRATCH/refused >$VIEW/policy"
cmp "$SCRATCH/shown" "$VIEW/policy" || fail "a refused policy is in force"
# A path, and one that is not there; one whose file is wrong.
echo 'measure func=MMAP_CHECK' >"$SCRATCH/by-path"
echo "$SCRATCH/by-path" >"$VIEW/policy" || fail "a path is refused"
cmp "$SCRATCH/by-path" "$POLICY" || fail "a path loads something else"
expect_error 'No such file' bash -c "echo $SCRATCH/nowhere >$VIEW/policy"
expect_error 'Invalid argument' bash -c "echo $SCRATCH/broken >$VIEW/policy"
cmp "$SCRATCH/by-path" "$POLICY" || fail "a broken file is in force"
# One writer, and it may be another one when it is done.
exec 8>"$VIEW/policy"
expect_error 'Device or resource busy' sh -c ": >$VIEW/policy"
exec 8>&-
: >"$VIEW/policy" # nothing is loaded
cmp "$SCRATCH/by-path" "$POLICY" || fail "an empty policy is in force"
# Killed while it writes: the next one can.
bash -c 'exec 8>"$0"; echo "measure func=FILE_CHECK uid=666" >&8; kill -KILL $$' "$VIEW/policy" 2>/dev/null || true
cat "$SCRATCH/good" >"$VIEW/policy" || fail "a killed writer is in the way"
cmp "$SCRATCH/good" "$POLICY" || fail "not loaded after a killed writer"
unserve
echo "policies: written, by path, broken, refused"
