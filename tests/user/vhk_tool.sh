#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# The tool against vhk-blk: what it prints, bytes there and back, copies, every load; a back end that is
# killed and comes back while the tool goes on; and wrong usage, which takes one line and exit code 2.
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
bin=${VHK_BIN:-$top/build/bin}
vhk=$bin/vhk
T=$(mktemp -d)
pids=()
trap '[ ${#pids[@]} = 0 ] || kill -9 "${pids[@]}" 2>/dev/null; rm -rf "$T"' EXIT

fail() {
	echo "FAILED: $*"
	exit 1
}

start() { # NAME ARGUMENTS: pid in $pid
	local name=$1
	shift
	rm -f "$T/$name"
	"$bin/vhk-blk" --socket-path="$T/$name" "$@" 2>>"$T/log" &
	pid=$!
	pids+=("$pid")
	for _ in $(seq 2000); do
		[ ! -S "$T/$name" ] || return 0
		sleep 0.01
	done
	fail "vhk-blk does not listen: $(cat "$T/log")"
}

head -c 8M /dev/urandom >"$T/a.img"
truncate -s 8M "$T/b.img"
start a --blk-file="$T/a.img" --num-queues=4 --serial=one
a=$pid
start b --blk-file="$T/b.img"

"$vhk" ctl show --device blk "unix:$T/a" >"$T/show"
for word in "9 FLUSH" "34 RING_PACKED" "12 INFLIGHT_SHMFD" "queues 4" "memory slots 509" "inflight region" \
	"capacity 16384 sectors (8388608 bytes)" "process $a"; do
	grep -qF "$word" "$T/show" || fail "ctl show does not say: $word"
done
"$vhk" ctl show -j --device blk "unix:$T/a" >"$T/json"
for word in '"RING_PACKED"' '"device": "blk"' '"capacity": 16384'; do
	grep -q "$word" "$T/json" || fail "ctl show -j does not say: $word"
done
# What it is nobody told: bits of devices have no names, and the configuration space is bytes, 16384 first.
"$vhk" ctl show "unix:$T/a" >"$T/show"
for word in "9 ?" "34 RING_PACKED" "configuration space (256 bytes); --device tells" "  0040000000000000"; do
	grep -qF -- "$word" "$T/show" || fail "ctl show does not say: $word"
done
! grep -q "FLUSH\|capacity" "$T/show" || fail "ctl show reads an unknown device as a disk"
"$vhk" ctl show -j "unix:$T/a" >"$T/json"
grep -q '"bytes": "0040000000000000' "$T/json" || fail "ctl show -j does not say the bytes"
! grep -q '"capacity"\|"device"\|"FLUSH"' "$T/json" || fail "ctl show -j reads an unknown device as a disk"

"$vhk" blk copy "unix:$T/a" "unix:$T/b"
cmp "$T/a.img" "$T/b.img" || fail "copy from disk to disk"
"$vhk" blk copy --packed "unix:$T/a" "$T/file"
cmp "$T/a.img" "$T/file" || fail "copy to a file"
head -c 1M /dev/zero | "$vhk" blk write --offset 1M "unix:$T/b"
"$vhk" blk read --offset 1M --length 1M "unix:$T/b" | cmp - <(head -c 1M /dev/zero) || fail "write from stdin"
"$vhk" blk read --offset 2M --length 6M --bs 4k --depth 3 "unix:$T/b" | cmp - <(tail -c 6M "$T/a.img") ||
	fail "the rest was touched"

for load in randread randwrite read write verify; do
	for flags in "" "--packed --poll" "--no-event-idx --queues 4 --indirect"; do
		# shellcheck disable=SC2086 # flags are words
		"$vhk" blk bench -j --rw $load --count 500 --depth 8 $flags "unix:$T/a" >"$T/json" ||
			fail "bench $load $flags"
		grep -q '"requests": 500' "$T/json" || fail "bench $load $flags counted otherwise"
		grep -q '"backend_cpu_ns"' "$T/json" || fail "bench $load $flags knows no back end"
	done
done
grep -q '"p999_ns"' "$T/json" && grep -q '"verified": true' "$T/json" || fail "JSON of verify: $(cat "$T/json")"
cp "$T/a.img" "$T/before"
"$vhk" blk bench --rw verify --count 200 --offset 4M --size 64k --seed 7 "unix:$T/a" >/dev/null || fail "bench --offset"
"$vhk" blk bench --rw randwrite --count 200 --offset 4M --size 64k "unix:$T/a" >/dev/null || fail "bench --offset"
cmp -n 4M "$T/before" "$T/a.img" && cmp -i 4259840 "$T/before" "$T/a.img" || fail "bench left its part of the disk"
! cmp -s "$T/before" "$T/a.img" || fail "bench wrote nothing"
"$vhk" blk bench --time 0.2 "unix:$T/a" >"$T/out"
grep -q '^latency us .*p99' "$T/out" && grep -q '##' "$T/out" || fail "no histogram: $(cat "$T/out")"

# Killed under load: the same request is answered by the next back end.
for flags in "" --packed; do
	# shellcheck disable=SC2086
	cp "$T/a.img" "$T/before"
	"$vhk" blk bench --rw verify --time 2 --queues 4 --size 2M --reconnect $flags "unix:$T/a" \
		>"$T/out" 2>&1 &
	load=$!
	# Only what has begun goes on.
	for _ in $(seq 500); do
		cmp -s "$T/before" "$T/a.img" || break
		sleep 0.01
	done
	for _ in 1 2 3 4; do
		sleep 0.3
		kill -9 "$a"
		wait "$a" 2>/dev/null || true
		start a --blk-file="$T/a.img" --num-queues=4
		a=$pid
	done
	wait "$load" || fail "verify over deaths $flags: $(cat "$T/out" "$T/log")"
	grep -q " [1-4] reconnects: nothing lost" "$T/out" || fail "$(cat "$T/out")"
done

# A pipe's length is known when it is too late; what was written before is told, and is there.
for n in "8M 512" "1M 700"; do
	# shellcheck disable=SC2086 # words
	set -- $n
	got=0
	{ yes | head -c "$1" && head -c "$2" /dev/zero; } | "$vhk" blk write "unix:$T/b" 2>"$T/err" || got=$?
	[ "$got" = 1 ] && grep -qE "(8388608|1048576) bytes (before )?were written" "$T/err" ||
		fail "a pipe of $n: $got $(cat "$T/err")"
	cmp -n "$1" "$T/b.img" <(yes) || fail "a pipe of $n: not written"
done

expect() { # CODE TEXT ARGUMENTS
	local code=$1 text=$2 got=0
	shift 2
	"$vhk" "$@" >"$T/out" 2>"$T/err" </dev/null || got=$?
	[ "$got" = "$code" ] || fail "vhk $*: exit code $got"
	[ "$(wc -l <"$T/err")" = 1 ] || fail "vhk $*: not one line: $(cat "$T/err")"
	grep -qF -- "$text" "$T/err" || fail "vhk $*: $(cat "$T/err")"
}

truncate -s 1M "$T/r.img"
start r --blk-file="$T/r.img" --read-only
head -c 700 /dev/zero >"$T/odd"
truncate -s 9M "$T/big"
u=unix:$T/a
expect 2 "which command"
expect 2 "no such command: frob" frob
expect 2 "no such command: blk frob" blk frob
expect 2 "too few" blk read
expect 2 "too many" blk bench "$u" "$u"
expect 2 "not a URI: $T/file" blk read "$T/file"
expect 2 "--rw: fast" blk bench --rw fast "$u"
expect 2 "--depth: 0" blk bench --depth 0 "$u"
expect 2 "--bs: 513" blk bench --bs 513 "$u"
expect 2 "--length: 5x" blk read --length 5x "$u"
expect 2 "unrecognized option" blk read --frob "$u"
expect 2 "one URI" ctl show
expect 2 "--device: disk is none of blk, net" ctl show --device disk "unix:$T/a"
expect 2 "ctl: which subcommand? show" ctl
expect 2 "blk: which subcommand? read, write, copy, bench" blk
for wrong in foo tcp:1 unix: listen: fd: fd:x fd:-1 fd:1x fd:99999999999999999999; do
	expect 2 "not a URI: $wrong; one is unix:PATH, listen:PATH, fd:N, vdpa:NAME or the path" ctl show "$wrong"
	expect 2 "unix:PATH, listen:PATH, fd:N, vdpa:NAME" blk bench "$wrong"
done
expect 2 "unix:PATH, listen:PATH, fd:N, vdpa:NAME" blk copy unix: "$T/file"
expect 2 "unix:PATH, listen:PATH, fd:N, vdpa:NAME" blk copy "$u" fd:x
expect 2 "is no socket" ctl show fd:99
expect 1 "fd:0: is neither a socket nor a vhost device" ctl show fd:0
expect 1 "fd:0: is neither a socket nor a vhost device" blk read fd:0
expect 2 "not a URI: /etc/passwd; one is unix:PATH" ctl show /etc/passwd
expect 2 "--cpu 1000" blk bench --cpu 1000 --count 1 "$u"
expect 1 "unix:$T/none: No such file or directory" ctl show "unix:$T/none"
expect 1 "unix:$T/file: there is a file, and it is no socket" ctl show "unix:$T/file"
expect 1 "vhk: /dev/vhost-vdpa-none: there is no such node: is its module loaded (vhost_vdpa)?" \
	ctl show /dev/vhost-vdpa-none
expect 2 "object \"x\" not found (see vhk vdpa --help)" vdpa x
expect 2 "(see vhk disk help)" disk frob
"$vhk" --help >"$T/out"
[ "$(sed -n '/^  vhk ctl show/,/^$/p' "$T/out" | grep -c '^.\{30\} [^ ]')" = 10 ] || fail "--help: out of line"
expect 1 "8388608 bytes only" blk read --offset 9M "$u"
expect 2 "bad value of --offset: 511" blk read --offset 511 "$u"
expect 2 "bad value of --length: 700" blk read --length 700 "$u"
expect 1 "700 bytes are no whole number of blocks of 512" blk write "$u" "$T/odd"
{ yes | head -c 1M && head -c 700 /dev/zero; } >"$T/odder"
cp "$T/a.img" "$T/before"
expect 1 "1049276 bytes are no whole number of blocks" blk write "$u" "$T/odder"
cmp "$T/before" "$T/a.img" || fail "a file that was refused was written in part"
{ head -c 700 >/dev/null && "$vhk" blk write "$u"; } <"$T/odder" || fail "the rest of a file"
cmp -n 1M "$T/a.img" <(tail -c 1M "$T/odder") || fail "the rest of a file: not written"
expect 1 "--depth 512 needs rings of 2048 entries (fewer with --indirect), and many back ends take no more than 1024" \
	blk bench --depth 512 --count 1 "$u"
"$vhk" blk bench --depth 512 --indirect --count 1 "$u" >/dev/null || fail "bench --depth 512 --indirect"
expect 1 "not supported by the back end (features 0x800000000 are not offered)" blk bench --in-order --count 1 "$u"

# Where standard error is a terminal long work shows how far it is, and leaves nothing of that behind.
bar=$'\r'"[^ ]+ \\[#+\\.*\\] +[0-9]+% [0-9]+ s"
script -qec "'$vhk' blk bench --time 1.5 '$u'" /dev/null >"$T/tty" </dev/null || fail "bench on a terminal"
grep -qE "$bar" "$T/tty" && grep -qF $'\r\033[K' "$T/tty" || fail "no progress bar: $(cat -v "$T/tty")"
script -qec "'$vhk' blk bench --quiet --time 1.5 '$u'" /dev/null >"$T/tty" </dev/null || fail "bench on a terminal"
! grep -qE "$bar" "$T/tty" || fail "a progress bar that nobody wants: $(cat -v "$T/tty")"
expect 1 "too few for this" blk bench --offset 8M "$u"
expect 1 "too few for this" blk bench --offset 8000k --size 1M "$u"
expect 2 "bad value of --offset: 100" blk bench --offset 100 "$u"
expect 2 "bench: does not take --length" blk bench --length 1M "$u"
expect 2 "read: does not take --queues" blk read --queues 4 "$u"
expect 2 "read: does not take --rw" blk read --rw=read "$u"
expect 2 "write: does not take -j" blk write -j "$u"
expect 1 "9437184 bytes do not fit" blk write "$u" "$T/big"
expect 1 "Is a directory" blk read "$u" "$T"
expect 1 "$T/none: No such file" blk write "$u" "$T/none"

# The offset is the disk's, where there is one.
expect 2 "blk copy: --offset is for disks, and both are files" blk copy --offset 4k "$T/file" "$T/none"
expect 2 "blk copy: --offset=0 is for disks" blk copy "$T/file" --offset=0 -
expect 2 "blk copy: --packed is for disks" blk copy --packed - -
expect 2 "blk copy: -t is for disks" blk copy -t 1 "$T/file" "$T/none"
[ ! -e "$T/none" ] || fail "a file for a copy that was refused"
"$vhk" blk copy --offset 1M --length 1M "$u" "$T/new"
cmp "$T/new" <(tail -c +1048577 "$T/a.img" | head -c 1M) || fail "copy from an offset to a file"
cp "$T/b.img" "$T/before"
"$vhk" blk copy --offset 3M "$T/new" "unix:$T/b"
cmp -n 1M -i 3M:0 "$T/b.img" "$T/new" && cmp -n 3M "$T/before" "$T/b.img" && cmp -i 4M "$T/before" "$T/b.img" ||
	fail "copy of a file to an offset"
cp "$T/b.img" "$T/before"
"$vhk" blk copy --offset 5M --length 1M "$u" "unix:$T/b"
cmp -n 1M -i 5M "$T/b.img" "$T/a.img" && cmp -n 5M "$T/before" "$T/b.img" && cmp -i 6M "$T/before" "$T/b.img" ||
	fail "copy from disk to disk at an offset"

# Fewer bytes than were asked for are written all the same, and told.
head -c 4k "$T/file" >"$T/s4k"
: >"$T/empty"
expect 1 "$T/s4k: ended after 4096 of 1048576 bytes" blk write --length 1M "unix:$T/b" "$T/s4k"
cmp -n 4k "$T/b.img" "$T/s4k" || fail "a file that is too short: not written"
expect 1 "$T/s4k: ended after 4096 of 1048576 bytes" blk copy --length 1M "$T/s4k" "$T/new"
cmp "$T/new" "$T/s4k" || fail "a file that is too short: not copied"
expect 1 "$T/s4k: ended after 4096 of 1048576 bytes" blk copy --length 1M "$T/s4k" "unix:$T/b"
expect 1 "$T/empty: ended after 0 of 4096 bytes" blk write --length 4k "unix:$T/b" "$T/empty"
expect 1 "/dev/null: ended after 0 of 4096 bytes" blk write --length 4k "unix:$T/b" /dev/null
expect 1 "/dev/null: ended after 0 of 4096 bytes" blk copy --length 4k /dev/null "$T/new"
yes | head -c 4k >"$T/yes"
for to in "write unix:$T/b" "copy - unix:$T/b" "copy - $T/new"; do
	got=0
	# shellcheck disable=SC2086 # words
	"$vhk" blk $to --length 64k --bs 1k 2>"$T/err" < <(cat "$T/yes") || got=$?
	[ "$got" = 1 ] && [ "$(cat "$T/err")" = "vhk: stdin: ended after 4096 of 65536 bytes" ] ||
		fail "$to from a pipe that ends: $got $(cat "$T/err")"
done
cmp -n 4k "$T/b.img" "$T/yes" && cmp "$T/new" "$T/yes" || fail "a pipe that ends: not written"
"$vhk" blk copy --length 4k "$T/file" "$T/new" && cmp "$T/new" "$T/s4k" || fail "the first of a file"
expect 1 "has 8388608 bytes only" blk copy --length 9M "$u" "$T/new"

# What is read stays as it is, by whatever name it is to be written; and so does an image that is served.
ln -s file "$T/link"
ln "$T/file" "$T/hard"
cp "$T/file" "$T/before"
for same in file link hard; do
	expect 1 "$T/$same: the same file as $T/file" blk copy "$T/file" "$T/$same"
	expect 1 "$T/file: the same file as $T/$same" blk copy "$T/$same" "$T/file"
done
got=0
"$vhk" blk copy - "$T/hard" <"$T/file" 2>"$T/err" || got=$?
[ "$got" = 1 ] && grep -q "the same file as stdin" "$T/err" || fail "stdin over itself: $got $(cat "$T/err")"
cmp "$T/before" "$T/file" || fail "a file that was refused was touched"
ln -s a.img "$T/a.link"
cp "$T/a.img" "$T/before"
expect 1 "$T/a.img: in use by another server" blk read "$u" "$T/a.img"
expect 1 "$T/a.link: in use by another server" blk copy "$u" "$T/a.link"
expect 1 "$T/a.img: in use by another server" blk copy "$T/big" "$T/a.img"
expect 1 "$T/a.img: in use by another server" blk write "unix:$T/b" "$T/a.img"
expect 1 "$T/a.img: in use by another server" blk copy "$T/a.img" "$T/none"
[ ! -e "$T/none" ] || fail "a file for what cannot be read"
got=0
"$vhk" blk read "$u" >>"$T/a.img" 2>"$T/err" || got=$?
[ "$got" = 1 ] && grep -q "stdout: in use by another server" "$T/err" || fail "stdout: $got $(cat "$T/err")"
got=0
"$vhk" blk write "unix:$T/b" <"$T/a.img" 2>"$T/err" || got=$?
[ "$got" = 1 ] && grep -q "stdin: in use by another server" "$T/err" || fail "stdin: $got $(cat "$T/err")"
cmp "$T/before" "$T/a.img" || fail "an image that is served was touched"
expect 1 "$T/r.img: in use by another server" blk read "$u" "$T/r.img"
cmp "$T/r.img" <(head -c 1M /dev/zero) || fail "an image that is served read-only was touched"
"$vhk" blk copy "$T/r.img" "$T/new" && cmp "$T/r.img" "$T/new" || fail "copy of an image that nobody writes"
# Both are locked for as long as it takes, and standard output, which somebody may keep, no longer.
mkfifo "$T/fifo"
"$vhk" blk copy --bs 512 - "$T/slow" <"$T/fifo" &
slow=$!
exec 5>"$T/fifo"
head -c 512 "$T/file" >&5
for _ in $(seq 2000); do
	[ ! -s "$T/slow" ] || break
	sleep 0.01
done
expect 1 "$T/slow: in use by another server" blk copy "$T/file" "$T/slow"
expect 1 "$T/slow: in use by another server" blk copy "$T/slow" "$T/new"
exec 5>&-
wait "$slow" && cmp "$T/slow" <(head -c 512 "$T/file") || fail "a copy that another was in the way of"
exec 5>"$T/kept"
"$vhk" blk read --length 4k "$u" >&5 || fail "read to a file that stays open"
"$vhk" blk copy "$T/file" "$T/kept" && cmp "$T/file" "$T/kept" || fail "a lock that nobody needs"
exec 5>&-

expect 1 "has 4 queues, 5 wanted" blk bench --queues 5 "$u"
expect 1 "too few for this" blk bench --size 9M "$u"
expect 1 "is read-only" blk write "unix:$T/r" "$T/file"
expect 1 "is read-only" blk bench --rw write "unix:$T/r"
"$vhk" --help | grep -q "vhk blk bench" || fail "no help"

# Each request of the left column costs a back end that uses epoll a read and a write.
for flags in "" --packed; do
	"$vhk" bench notify --queues 1,3 --depth 4 --runs 1 --time 0.05 $flags -j >"$T/json" ||
		fail "bench notify $flags"
	for name in "epoll, read, write" "vhostkit, no spinning" vhostkit; do
		[ "$(grep -c "\"back_end\": \"$name\"" "$T/json")" = 2 ] || fail "bench notify: $name"
	done
	awk -F'[:,]' '
		/"back_end"/ { epoll = /epoll/ }
		/"kick_each_syscalls"/ && epoll { n++; low += $2 < 2 }
		/"(requests_per_second|cpu_ns|syscalls|wake_p50_ns)"/ { zero += $2 <= 0 }
		END { exit !(n == 2 && !low && !zero) }' "$T/json" || fail "bench notify $flags: $(cat "$T/json")"
done
"$vhk" bench notify --queues 2 --runs 1 --time 0.05 >"$T/out"
grep -q "^ *2 vhostkit, no spinning" "$T/out" || fail "bench notify as text"
expect 2 "bad value: 1,257" bench notify --queues 1,257
expect 2 "bad value: 65" bench notify --depth 65
expect 2 "takes no arguments" bench notify "$u"
for full in --help --version "ctl show $u"; do
	# shellcheck disable=SC2086 # words
	got=0 && "$vhk" $full >/dev/full 2>"$T/err" || got=$?
	[ "$got" = 1 ] && grep -q "stdout: No space left" "$T/err" || fail "vhk $full to a full disk: $got"
done

# What comes closed is nobody else's: no text lands in a file that took its number.
for closed in '2>&-' '>&- 2>&-'; do
	got=0 && bash -c '"$0" blk copy - "$1" 0>>"$2" '"$closed" "$vhk" "$T/closed" "$T/odd" || got=$?
	[ "$got" = 1 ] || fail "$closed: exit code $got"
	[ ! -s "$T/closed" ] || fail "$closed: said to a file: $(cat "$T/closed")"
done
expect_closed() { # REDIRECTION ARGUMENTS
	local got=0
	bash -c '"$@" '"$1" bash "$vhk" "${@:2}" 2>"$T/err" || got=$?
	[ "$got" = 1 ] && grep -q "Bad file descriptor" "$T/err" || fail "vhk ${*:2} $1: $got $(cat "$T/err")"
}
expect_closed '>&-' ctl show "$u"
expect_closed '>&-' blk read "$u"
expect_closed '<&-' blk write "$u"
"$vhk" --version | grep -q "^vhk [0-9]" || fail "no version"
