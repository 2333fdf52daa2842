#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 1800
#
# The KUnit suites of the modules' files once more, in a kernel that is a program of this machine:
# done in seconds, without an emulator. The limit is that of a machine that has to build it first.
needs_backend=0
. "$(dirname "$0")/machine"
. "$here/kunit_cases"

# Loads each suite, and prints the kernel's lines between two of its own.
make_init() {
	cat <<-'EOF'
		#!/bin/sh
		/bin/busybox --install -s /bin
		mount -t proc none /proc
		mount -t sysfs none /sys
		while read -r suite; do
			dmesg -c >/dev/null
			modprobe vhostkit_${suite}_kunit
			echo "<$suite>"; dmesg; echo "</$suite>"
			rmmod vhostkit_${suite}_kunit
		done </suites
		dmesg -c
		poweroff -f
	EOF
}

root=$T/root
mkdir -p "$root/dev"
mknod "$root/dev/console" c 5 1 2>/dev/null || skip "only root makes the image's console"
kernel=$("$here/own_kernel" uml) || fail "no kernel"
release=$(basename "$kernel"/lib/modules/*)
(
	flock 9
	make -s -C "$top" kunit "KDIR=$kernel/build" ARCH=um
) >"$T/modules.log" 2>&1 9>>"$top/build/kmod.lock" || {
	cat "$T/modules.log"
	fail "the suites do not build for $release"
}

mkdir -p "$root"/{bin,sbin,proc,sys} "$root/lib/modules"
cp "$(command -v busybox)" "$root/bin/busybox"
ln -s busybox "$root/bin/sh"
cp -r "$kernel/lib/modules/$release" "$root/lib/modules"
mkdir "$root/lib/modules/$release/updates"
cp "$top/build/kmod/$release"/tests/kunit/vhostkit_*_kunit.ko "$root/lib/modules/$release/updates"
busybox depmod -b "$root" "$release"
printf '%s\n' "${suites[@]}" >"$root/suites"
make_init >"$root/init"
chmod +x "$root/init"
(cd "$root" && find . | busybox cpio -o -H newc 2>/dev/null) >"$T/image.cpio"

timeout 600 "$kernel/vmlinuz" mem=192M "initrd=$T/image.cpio" rdinit=/init "uml_dir=$T" umid=kunit \
	con=null con0=fd:0,fd:1 quiet </dev/null 2>&1 | tr -d '\r' >"$T/lines"
code=${PIPESTATUS[0]}
grep -q '^<' "$T/lines" || fail "the kernel does not start: $(tail -5 "$T/lines")"
for suite in "${suites[@]}"; do
	sed -n "\|^<$suite>\$|,\|^</$suite>\$|p" "$T/lines" | sed '1d;$d' >"$T/suite"
	judge_suite "$suite" <"$T/suite"
done
! grep -E "$bad_lines" "$T/lines" || fail "the kernel complained"
[ "$code" = 0 ] || fail "the kernel ended with $code: $(tail -5 "$T/lines")"
