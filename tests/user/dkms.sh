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
for k in "${kernels[@]}"; do
	mkdir -p "$T/modules/$k"
	flags="--dkmstree $T/tree --sourcetree $T/src --installtree $T/modules --no-depmod -k $k \
		--kernelsourcedir /usr/src/linux-headers-$k"
	make -s dkms-install DKMS_SRC="$T/src" DKMS_FLAGS="$flags" >"$T/log" 2>&1 || fail "dkms install for $k"
	want=(vhostkit)
	if grep -q '^CONFIG_VDPA=' "/usr/src/linux-headers-$k/.config"; then
		want+=(vhostkit_vdpa)
	fi
	got=$(find "$T/modules/$k" -name '*.ko*' -printf '%f\n' | sed 's/\.ko.*//' | sort | xargs)
	[ "$got" = "${want[*]}" ] || fail "$k has $got, want ${want[*]}"
	find "$T/modules/$k" -name '*.ko*' -exec /sbin/modinfo -F version {} + | grep -vx "$version" &&
		fail "not version $version"
	echo "# $k: $got"
done
flags="--dkmstree $T/tree --sourcetree $T/src --installtree $T/modules --no-depmod"
make -s dkms-remove DKMS_SRC="$T/src" DKMS_FLAGS="$flags" >"$T/log" 2>&1 || fail "dkms remove"
left=$(find "$T/modules" "$T/src" -name 'vhostkit*')
[ -z "$left" ] || fail "left behind: $left"
