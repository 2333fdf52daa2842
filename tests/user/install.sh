#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 240
#
# What `make install` leaves behind is whole: examples compile against it, by pkg-config, with the
# shared and with the static library; programs run from there; uninstall takes all of it away.
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
cd "$top"

fail() {
	echo "FAILED: $*"
	exit 1
}

make -s install DESTDIR="$T/root" PREFIX=/usr >/dev/null
root=$T/root/usr

for f in lib/libvhostkit.a lib/libvhostkit.so lib/libvhostkit.so.0 lib/pkgconfig/vhostkit.pc \
	include/vhostkit/vhk.h bin/vhk bin/vhk-blk bin/vhk-net share/man/man1/vhk.1 share/man/man1/vhk-blk.1 \
	share/man/man1/vhk-disk.1 share/man/man1/vhk-net.1 share/qemu/vhost-user/50-vhk-net.json \
	share/qemu/vhost-user/50-vhk-blk.json lib/udev/rules.d/60-vhostkit.rules \
	lib/systemd/system/vhostkit.service; do
	[ -e "$root/$f" ] || fail "$f is not installed"
done
readelf -d "$root/lib/libvhostkit.so" | grep -q 'SONAME.*\[libvhostkit\.so\.0\]' || fail "another SONAME"
grep -q '"binary": *"/usr/bin/vhk-blk"' "$root"/share/qemu/vhost-user/50-vhk-blk.json ||
	fail "the description does not name /usr/bin/vhk-blk"
grep -rl '@[A-Z]*@' "$root/share" "$root"/lib/{pkgconfig,udev,systemd} && fail "a word was not filled in"
"$root/bin/vhk-blk" --print-capabilities | grep -q '"block"' || fail "no capabilities"

export PKG_CONFIG_SYSROOT_DIR=$T/root PKG_CONFIG_PATH=$root/lib/pkgconfig
export PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 PKG_CONFIG_ALLOW_SYSTEM_LIBS=1
# The readme's program is an example like the others.
sed -n '/^```c$/,/^```$/p' README.md | grep -v '^```' >"$T/readme.c"
for c in "$T/readme.c" examples/*.c; do
	name=$(basename "$c" .c)
	# shellcheck disable=SC2046 # lists of words
	cc -std=gnu11 -Wall -Wextra -Werror -o "$T/$name" "$c" $(pkg-config --cflags --libs vhostkit)
	# shellcheck disable=SC2046
	cc -std=gnu11 -o "$T/$name-static" "$c" $(pkg-config --cflags vhostkit) "$root/lib/libvhostkit.a" \
		$(pkg-config --static --libs-only-l vhostkit | sed 's/-lvhostkit//') -pthread
	LD_LIBRARY_PATH=$root/lib ldd "$T/$name" | grep -q "libvhostkit.so.0 => $root" || fail "$name: another library"
	echo "# $name compiles"
done

# They run, too: one serves a disk, the other reads a sector of it.
export LD_LIBRARY_PATH=$root/lib
head -c 1048576 /dev/urandom >"$T/disk.img"
"$T/serve_disk" "$T/disk.img" "$T/sock" 2>"$T/log" &
server=$!
trap 'kill $server 2>/dev/null || :; rm -rf "$T"' EXIT
for _ in $(seq 100); do
	[ -S "$T/sock" ] && break
	sleep 0.1
done
for sector in 0 7 2047; do
	timeout 20 "$T/read_sector" "$T/sock" $sector >"$T/got" || fail "read_sector $sector; $(cat "$T/log")"
	dd if="$T/disk.img" bs=512 skip=$sector count=1 status=none | cmp - "$T/got" || fail "sector $sector differs"
done
timeout 20 "$T/read_sector" "$T/sock" 2048 >/dev/null 2>&1 && fail "a sector behind the end was read"
kill $server
wait $server || fail "serve_disk ended with status $?; $(cat "$T/log")"
[ ! -e "$T/sock" ] || fail "serve_disk left its socket"
echo "# serve_disk and read_sector agree"

# One takes over from the other, and is found where that one was.
"$T/hand_over" "$T/disk.img" "$T/sock" "$T/upgrade" 2>"$T/log" &
server=$!
for _ in $(seq 100); do
	[ -S "$T/upgrade" ] && break
	sleep 0.1
done
! timeout 20 "$T/hand_over" "$T/sock" "$T/sock" "$T/upgrade" take 2>"$T/log2" || fail "a socket was taken for a disk"
"$T/hand_over" "$T/disk.img" "$T/sock" "$T/upgrade" take 2>"$T/log2" &
former=$server
server=$!
wait $former || fail "hand_over ended with status $?; $(cat "$T/log" "$T/log2")"
timeout 20 "$T/read_sector" "$T/sock" 7 | cmp - <(dd if="$T/disk.img" bs=512 skip=7 count=1 status=none) ||
	fail "another sector after the hand-over; $(cat "$T/log2")"
[ -S "$T/upgrade" ] || fail "nobody could take over again"
kill $server
wait $server || fail "the second hand_over ended with status $?; $(cat "$T/log2")"
[ ! -e "$T/sock" ] && [ ! -e "$T/upgrade" ] || fail "hand_over left a socket"
echo "# hand_over hands over"

# The readme's program says why it fails, and leaves nothing behind.
mkdir "$T/here" && cd "$T/here"
! "$T/readme" 2>"$T/log" || fail "the readme's program serves no image"
grep -q "No such file" "$T/log" || fail "the readme's program does not say why: $(cat "$T/log")"
cp "$T/disk.img" .
"$T/readme" &
server=$!
for _ in $(seq 100); do
	[ -S disk.sock ] && break
	sleep 0.1
done
timeout 20 "$T/read_sector" disk.sock 7 | cmp - <(dd if=disk.img bs=512 skip=7 count=1 status=none) ||
	fail "the readme's program serves another sector"
kill $server
wait $server || fail "the readme's program ended with status $?"
[ ! -e disk.sock ] || fail "the readme's program left its socket"
cd "$top"

make -s uninstall DESTDIR="$T/root" PREFIX=/usr
left=$(find "$T/root" ! -type d)
[ -z "$left" ] || fail "left behind: $left"
