#!/bin/bash
# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# time-limit: 1200
#
# What can be said about the sources without running them. Each check is a function that prints what
# it found and returns non-zero when that is too much.
#
# shellcheck disable=SC2317 # the checks are called by name
#   tests/lint.sh [fast|all [CHECK]]       fast leaves out clang-tidy, which takes a minute

set -u
cd "$(dirname "$0")/.." || exit 1
CC=${CC:-cc}
CXX=${CXX:-c++}
PATH=$PATH:/usr/sbin:/sbin
mapfile -t files < <(git ls-files 2>/dev/null || find . -type f -not -path './build/*' -not -path './.git/*')
mapfile -t files < <(for f in "${files[@]}"; do [ -f "$f" ] && echo "${f#./}"; done)

# The files among all whose names match a pattern.
those() {
	printf '%s\n' "${files[@]}" | grep -E "$1"
}

mapfile -t c_files < <(those '\.[ch]$')
mapfile -t product < <(those '^(lib|tools)/.*\.[ch]$')
mapfile -t scripts < <(printf '%s\n' "${files[@]}" | grep -v '^tests/user/fuzz/corpus/' |
	xargs awk 'FNR == 1 && /^#!.*sh/ { print FILENAME } { nextfile }')

# Succeeds when its input is empty, shows it otherwise.
nothing() {
	! grep . | sed 's/^/      /' | grep .
}

spdx() {
	# Licence texts, inputs for the fuzzer and JSON (which knows no comments) cannot carry one.
	printf '%s\n' "${files[@]}" | grep -vE '^(LICENSES|tests/user/fuzz/corpus)/|\.json(\.in)?$' | xargs awk '
		FNR == 1 { if (file != "" && !found) print file ": no SPDX line"; file = FILENAME; found = 0 }
		FNR <= 5 && /SPDX-License-Identifier: / { found = 1 }
		END { if (!found) print file ": no SPDX line" }' | nothing
}

licences() {
	grep -ho 'SPDX-License-Identifier: .*' "${files[@]}" 2>/dev/null | sed 's/^[^:]*: //' |
		grep -oE '[A-Za-z]+(-[A-Za-z0-9.]+)+' | grep -v '^SPDX' | sort -u | while read -r id; do
		[ -e "LICENSES/$id.txt" ] || echo "$id: no text under LICENSES"
	done | nothing
}

words() {
	grep -nE '\b(TO[D]O|FIX[M]E|XX[X]|HA[C]K)\b' "${c_files[@]}" "${scripts[@]}" Makefile | nothing
}

# 100 columns, and 120 in scripts, where a line often is a command with another language inside.
width() {
	{
		printf '%s\n' "${c_files[@]}" | xargs awk -v most=100 "$wider"
		printf '%s\n' "${scripts[@]}" Makefile | xargs awk -v most=120 "$wider"
	} | nothing
}

# Lines with more columns than $most, where tabs stop at every eighth.
# shellcheck disable=SC2016 # awk's
wider='{
	n = 0
	parts = split($0, part, "\t")
	for (i = 1; i <= parts; i++)
		n = (i > 1 ? (int(n / 8) + 1) * 8 : 0) + length(part[i])
	if (n > most)
		print FILENAME ":" FNR ": " n " columns"
}'

# only PATTERN ALLOWED: code that matches PATTERN stands in files that match ALLOWED. Comments do
# not count.
only() {
	local file rest
	grep -E "^[^:]*:[0-9]+:.*($1)" <<<"$code_lines" | while IFS=: read -r file rest; do
		[[ $file =~ $2 ]] || echo "$file: not this file's room: $rest"
	done
}

# FILE:LINE:TEXT of the whole product, without comments.
code() {
	printf '%s\n' "${product[@]}" | xargs awk '
		FNR == 1 { inside = 0 }
		{ sub("//.*", ""); gsub("/[*][^*]*[*]/", "") }
		inside && /[*][/]/ { sub(".*[*]/", ""); inside = 0 }
		inside { next }
		/[/][*]/ { sub("/[*].*", ""); inside = 1 }
		{ print FILENAME ":" FNR ":" $0 }'
}

rooms() {
	local doors='fd|kern|notify|sock|map|loop|blk|backend|ctl|device|gpu|mem_fault|net_(fd|open|switch)'
	local ioctls='kern|map_xen|notify_mux|uffd|vduse_kernel|net_open|blk[a-z_]*'
	local code_lines
	doors+='|state|trace|uffd|vdpa|vduse|bell'
	code_lines=$(code)
	{
		# Packet sockets tell of VLAN tags beside the packet.
		only '\b(recvmsg|sendmsg)\(' '^lib/(sock|net_open)\.c$'
		only '\bmmap\(' '^lib/map\.c$'
		only '\bio_uring_|liburing\.h' '^lib/loop_uring[a-z_]*\.[ch]$'
		# vhost devices have one door, and so has the module's registry. The size and the limits of
		# a block device, and of a file's file system, come by ioctl only; taps are made by it.
		only '\bioctl\(' "^lib/($ioctls)\.c|^tools/vhk/backing_ctl\.c"
		only 'linux/vhost\.h' '^lib/kern\.h$'
		only '<netlink/|<linux/(netlink|genetlink)\.h>|\bnla?_[a-z]+\(|AF_NETLINK' '^lib/vdpa_nl[a-z_]*\.[ch]$'
		only '\bclock_gettime\(' '^tools/|^lib/clock\.h$'
		only '\bpthread_create\(|[^a-z_]f?printf\(|\bassert\(|\babort\(|[^_]exit\(' '^tools/'
		# The pure floor makes no system call.
		only 'include <(unistd|fcntl|poll|sys/(socket|mman|ioctl|eventfd|epoll|timerfd))\.h>' \
			"^tools/|^lib/($doors)[a-z_]*\.[ch]$"
	} | nothing
}

# Nothing that can be written lives outside an object: the library keeps no global state.
globals() {
	[ -e build/libvhostkit.a ] || return 0
	objdump -t build/libvhostkit.a 2>/dev/null |
		awk '/^[^ ]*\.o:/ { o = $1 }
			/ O \.(data|bss|tdata|tbss)\t/ { print o, $NF ": a variable of the library" }' | nothing
}

headers() {
	local h dir ret=0
	dir=$(mktemp -d)
	for h in lib/include/vhostkit/*.h; do
		h=${h#lib/include/}
		echo "#include <$h>" >"$dir/a.c"
		cp "$dir/a.c" "$dir/a.cc"
		$CC -std=c11 -Wall -Wextra -Wpedantic -Werror -Ilib/include -fsyntax-only "$dir/a.c" || ret=1
		$CXX -std=c++17 -Wall -Wextra -Wpedantic -Werror -Ilib/include -fsyntax-only "$dir/a.cc" || ret=1
	done
	rm -rf "$dir"
	return "$ret"
}

# What the headers promise, the map exports, and nothing else.
symbols() {
	local promised exported
	promised=$(grep -hv '^#' lib/include/vhostkit/*.h | tr '\n' ' ' | grep -oE 'VHK_API [^;({]*\(' |
		sed -E 's/.*[ *](vhk_[a-z0-9_]+)\($/\1/' | sort -u)
	exported=$(sed -nE 's/^[[:space:]]*(vhk_[a-z0-9_*]+);/\1/p' lib/libvhostkit.map | sort)
	diff <(echo "$promised") <(echo "$exported") |
		sed -n 's/^</declared and not in the map:/p; s/^>/in the map and not declared:/p' | nothing
}

version() {
	local make header numbers map
	make=$(sed -n 's/^VERSION := //p' Makefile)
	header=$(sed -nE 's/^#define VHK_VERSION_STRING "(.*)"/\1/p' lib/include/vhostkit/vhk.h)
	numbers=$(sed -nE 's/^#define VHK_VERSION_(MAJOR|MINOR|PATCH) //p' lib/include/vhostkit/vhk.h | paste -sd.)
	map=$(sed -nE 's/^VHOSTKIT_([0-9.]+) \{/\1/p' lib/libvhostkit.map | sort -V | tail -1)
	{
		[ "$make" = "$header" ] || echo "Makefile says $make, vhk.h says $header"
		[ "$numbers" = "$header" ] || echo "vhk.h says $numbers and $header"
		[ "${make%.*}" = "$map" ] || echo "Makefile says $make, the map's last node is $map"
		grep -qx "PACKAGE_VERSION=\"$make\"" dkms.conf || echo "dkms.conf does not say $make"
		grep -q "VHK_MODULE_VERSION \"$make\"" kmod/version.h || echo "kmod/version.h does not say $make"
		grep -q "^## $make" CHANGELOG.md || echo "CHANGELOG.md has no section $make"
	} | nothing
}

man_pages() {
	local m
	for m in $(those '\.[1-9]$'); do
		LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=80 man --warnings=all -E UTF-8 -l -Tutf8 -Z "$m" 2>&1 >/dev/null |
			sed "s|^|$m: |"
	done | nothing
}

shell() {
	shellcheck "${scripts[@]}" tests/vm/machine tests/vm/sides tests/vm/cases tests/vm/kmod_cases \
		tests/vm/kmod_net_cases tests/vm/kunit_cases dkms.conf
}

c_check() {
	# Left out: style (opinions on scope and const that the house style answers itself),
	# unusedFunction (a library's functions are used elsewhere), information (headers of the
	# system are not looked into). unusedStructMember: structures of the wire and of the rings
	# have members that only the peer reads. autoVariables in ctl.c: a blocking call hands its
	# own frame to the job that it waits for.
	cppcheck --quiet --std=c11 --language=c -j "$(nproc)" --inline-suppr \
		--enable=warning,performance,portability --suppress=unusedStructMember \
		--suppress=missingIncludeSystem --suppress=autoVariables:lib/ctl.c --error-exitcode=1 \
		-D_GNU_SOURCE -D__x86_64__ -DVHK_API= -Ilib/include -Ilib -Iuapi lib tools/*/
}

c_tidy() {
	local checks='-*,clang-analyzer-*,bugprone-*,misc-redundant-expression'
	# Annex K functions are in no Linux C library.
	checks+=,-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling
	# Neighbouring parameters of one type are how ring and socket functions look.
	checks+=,-bugprone-easily-swappable-parameters
	# An enum's bits and a size in bytes are widened on purpose, with the types in the
	# signature.
	checks+=,-bugprone-narrowing-conversions,-bugprone-implicit-widening-of-multiplication-result
	# Macros of the kernel style take statements and types.
	checks+=,-bugprone-macro-parentheses
	# Names that start with an underscore belong to the wire headers of the kernel.
	checks+=,-bugprone-reserved-identifier
	# if (x = f()) is written only with a second pair of brackets, which the compiler asks for.
	checks+=,-bugprone-assignment-in-if-condition
	# This version takes every va_list for uninitialised.
	checks+=,-clang-analyzer-valist.Uninitialized
	# if (memcmp()) is how the kernel style asks for a difference.
	checks+=,-bugprone-suspicious-string-compare
	# Tables of pointers to structures are what is allocated.
	checks+=,-bugprone-sizeof-expression
	# These lose sight of memory that a counted loop in another function fills; valgrind and the
	# sanitizers do not.
	checks+=,-clang-analyzer-core.CallAndMessage,-clang-analyzer-optin.portability.UnixAPI
	checks+=,-clang-analyzer-core.UndefinedBinaryOperatorResult
	# Equal branches of a switch stand for different messages.
	checks+=,-bugprone-branch-clone
	those '^(lib|tools)/.*\.c$' | CHECKS=$checks xargs -r -P "$(nproc)" -n 4 sh -c '
		clang-tidy-14 --quiet --warnings-as-errors="*" --checks="$CHECKS" "$@" -- \
			-std=gnu11 -D_GNU_SOURCE -Ilib/include -Ilib -Iuapi -I/usr/include/libnl3 2>&1' sh |
		grep -vE '^[0-9]+ warnings? (generated|treated)|^Suppressed|^Use -header-filter' | nothing
}

checks=(spdx licences words width rooms globals headers symbols version man_pages shell c_check c_tidy)
failed=0
for check in "${checks[@]}"; do
	[ "${1:-}" = fast ] && [ "$check" = c_tidy ] && continue
	if [ -n "${2:-}" ] && [ "$2" != "$check" ]; then
		continue
	fi
	if out=$($check 2>&1); then
		echo "ok    $check"
	else
		echo "FAIL  $check"
		echo "$out" | head -"${LINES_MAX:-40}"
		failed=1
	fi
done
exit $failed
