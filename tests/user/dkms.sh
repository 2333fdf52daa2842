#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 600
#
# The real dkms builds and installs the modules for every kernel whose headers are here, into
# folders of its own, and takes them away again.

set -u
cd "$(dirname "$0")/../.." || exit 1
T=$(mktemp -d /tmp/vhk-dkms-XXXXXX)
trap 'rm -rf "$T"' EXIT

fail() {
	echo "FAILED: $*"
	tail -30 "$T"/log "$T"/tree/vhostkit/*/build/make.log 2>/dev/null
	exit 1
}

command -v dkms >/dev/null || { echo "SKIP: no dkms" && exit 4; }
version=$(sed -n 's/^VERSION := //p' Makefile)
kernels=()
for headers in /usr/src/linux-headers-*; do
	[ ! -e "$headers/include/generated/utsrelease.h" ] || kernels+=("${headers#/usr/src/linux-headers-}")
done
for flavour in '6\.1\..*[0-9]-amd64' '6\.1\..*-cloud-amd64' '6\.12\..*[0-9]-amd64' '6\.12\..*-cloud-amd64'; do
	printf '%s\n' "${kernels[@]}" | grep -qx "$flavour" || { echo "SKIP: no headers of $flavour" && exit 4; }
done

mkdir "$T/src" "$T/tree"
flags="--dkmstree $T/tree --sourcetree $T/src --installtree $T/modules --no-depmod"

# built KERNEL HEADERS: what is installed for it, in $got.
built() {
	mkdir -p "$T/modules/$1"
	make -s dkms-install DKMS_SRC="$T/src" DKMS_FLAGS="$flags -k $1 --kernelsourcedir $2" >"$T/log" 2>&1 ||
		fail "dkms install for $1"
	got=$(find "$T/modules/$1" -name '*.ko*' -printf '%f\n' | sed 's/\.ko.*//' | sort | xargs)
	echo "# $1: $got"
}

for k in "${kernels[@]}"; do
	want=(vhostkit)
	if grep -q '^CONFIG_VDPA=' "/usr/src/linux-headers-$k/.config"; then
		want+=(vhostkit_vdpa)
	fi
	built "$k" "/usr/src/linux-headers-$k"
	[ "$got" = "${want[*]}" ] || fail "$k has $got, want ${want[*]}"
	find "$T/modules/$k" -name '*.ko*' -exec /sbin/modinfo -F version {} + | grep -vx "$version" &&
		fail "not version $version"
	! grep -q "^6\.12\..*-amd64" <<<"$k" || newer=$k
done

# One that says that it is older, and has vDPA all the same.
mkdir "$T/older"
for part in .config include scripts tools arch; do
	ln -s "/usr/src/linux-headers-$newer/$part" "$T/older"
done
printf '%%:\n\t$(MAKE) -C /usr/src/linux-headers-%s PATCHLEVEL=8 $@\n' "$newer" >"$T/older/Makefile"
grep -q '^CONFIG_VDPA=' "$T/older/.config" || fail "$newer has no vDPA"
built 6.8.0-older "$T/older"
[ "$got" = vhostkit ] || fail "an older kernel with vDPA has $got"

# One goes with its headers there, the others without.
# shellcheck disable=SC2086 # they are words
dkms uninstall $flags -k "$newer" --kernelsourcedir "/usr/src/linux-headers-$newer" \
	-m vhostkit -v "$version" >"$T/log" 2>&1 || fail "dkms uninstall"
left=$(find "$T/modules/$newer" -name 'vhostkit*')
[ -z "$left" ] || fail "left behind: $left"
make -s dkms-remove DKMS_SRC="$T/src" DKMS_FLAGS="$flags --kernelsourcedir $T/gone" >"$T/log" 2>&1 ||
	fail "dkms remove"
left=$(find "$T/modules" "$T/src" -name 'vhostkit*')
[ -z "$left" ] || fail "left behind: $left"
