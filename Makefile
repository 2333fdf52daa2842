# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# One makefile, nothing recursive but `check`, which builds several ways. Everything it makes is
# under $(B).
#   make            library and tools          make check        every test, with all set-up
#   make demo       a guest boots and uses a disk served by vhk-blk
#   make help       the rest
#   make SAN=address,undefined ...             the same under a sanitizer, in a build folder of its own

VERSION := 0.1.0
SOVERSION := 0

PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR ?= $(PREFIX)/share/man
QEMUDIR ?= $(PREFIX)/share/qemu/vhost-user
UNITDIR ?= $(PREFIX)/lib/systemd/system
UDEVDIR ?= $(PREFIX)/lib/udev/rules.d
CC ?= cc
CLANG ?= clang-14
V ?= 0
SAN ?=
JOBS ?= $(shell nproc)
Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),@:,@printf '  %-7s %s\n' $(1) $(2))

comma := ,
B := build$(if $(SAN),/san-$(subst $(comma),-,$(SAN)))

WARN := -Wall -Wextra -Wmissing-prototypes -Wstrict-prototypes -Wshadow -Wvla -Wpointer-arith -Wundef \
	$(if $(WERROR),-Werror)
CFLAGS ?= -O2 -g
ALL_CFLAGS = -std=gnu11 $(WARN) -fvisibility=hidden -fPIC -pthread -D_GNU_SOURCE -Ilib/include -Iuapi $(CFLAGS) \
	$(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all)
ALL_LDFLAGS = -pthread $(LDFLAGS) $(if $(SAN),-fsanitize=$(SAN))
# The library's only room for libnl includes its headers; programs need no such flag.
NL_CFLAGS := $(shell pkg-config --cflags libnl-genl-3.0 2>/dev/null || echo -I/usr/include/libnl3)
LIBS := -luring -lnl-genl-3 -lnl-3
TEST_CFLAGS := -Ilib -Itests -Itests/user -Iuapi
# The guest's programs and the fuzz targets have flags of their own.
GUEST_CFLAGS := -std=gnu11 $(WARN) -D_GNU_SOURCE -O2 -s -static -pthread -Iuapi -Ilib/include -Itests/user
FUZZ_CFLAGS := -std=gnu11 $(WARN) -D_GNU_SOURCE -Ilib/include -Iuapi $(TEST_CFLAGS) -O1 -g -pthread \
	-fno-omit-frame-pointer -fno-sanitize-recover=all
$(B)/lib/vdpa_%.o: ALL_CFLAGS += $(NL_CFLAGS)
$(B)/fuzz/lib/vdpa_%.o: FUZZ_CFLAGS += $(NL_CFLAGS)

LIB_SRC := $(wildcard lib/*.c)
LIB_OBJ := $(LIB_SRC:%.c=$(B)/%.o)
VHK_SRC := $(wildcard tools/vhk/*.c)
DAEMON_SRC := $(wildcard tools/daemon/*.c)
VHK_BLK_SRC := $(wildcard tools/vhk-blk/*.c) $(DAEMON_SRC)
VHK_NET_SRC := $(wildcard tools/vhk-net/*.c) $(DAEMON_SRC)
TEST_SRC := $(wildcard tests/user/*.c)
TEST_BIN := $(TEST_SRC:tests/user/%.c=$(B)/tests/%)
# Bad input is refused before there are threads.
THREADS := pthread_create|"t_device.h"|"t_both.h"|"t_net.h"|"t_walk_peer.h"|"--threads=
THREADED := $(if $(TEST_SRC),$(shell grep -lE '$(THREADS)' $(TEST_SRC)))
THREADED := $(filter-out tests/user/vhk_blk_bad_input.c,$(THREADED))
BENCH_SRC := $(wildcard tests/bench/*.c)
BENCH_BIN := $(BENCH_SRC:tests/bench/%.c=$(B)/bench/%)
FUZZ_SRC := $(wildcard tests/user/fuzz/*.c)
FUZZ_BIN := $(FUZZ_SRC:tests/user/fuzz/%.c=$(B)/fuzz/%)
GUEST_SRC := $(wildcard tests/vm/guest/*.c)
# Examples that need a kernel with vhost.
GUEST_EXAMPLES := $(addprefix $(B)/guest/,vsock_echo net_ping scsi_read vdpa_read)
# Tests of the loop that run in a guest once more, where there is a /dev/vhostkit.
GUEST_LOOP := $(addprefix $(B)/guest/,loop_call loop_kick loop_source loop_no_lost_kick loop_mux)
GUEST_BIN := $(GUEST_SRC:tests/vm/guest/%.c=$(B)/guest/%) $(GUEST_EXAMPLES) $(GUEST_LOOP)
BIN := $(B)/bin/vhk $(B)/bin/vhk-blk $(B)/bin/vhk-net
MAN := $(wildcard tools/*/*.1)
DESCRIPTIONS := $(wildcard tools/*/*.json.in)
UNITS := $(wildcard tools/*/*.service.in tools/*/*.socket.in)
RULES := $(wildcard tools/*/*.rules.in)

.PHONY: all lib tools tests tests-threaded bench-bin fuzz guest clean help
all: lib tools
lib: $(B)/libvhostkit.a $(B)/libvhostkit.so.$(VERSION)
tools: $(BIN)
tests: $(TEST_BIN) tools
tests-threaded: $(THREADED:tests/user/%.c=$(B)/tests/%) tools
bench-bin: $(BENCH_BIN)
fuzz: $(FUZZ_BIN)
guest: $(GUEST_BIN)

help:
	@echo 'make             library and tools, in build/'
	@echo 'make demo        a Linux guest boots and uses a disk served by vhk-blk'
	@echo 'make check       every test; installs what is missing when root (REQUIRE_ALL=1: skips fail)'
	@echo 'make check-unit  the programs of tests/user only'
	@echo 'make vm          the tests in virtual machines only (VM="split packed": these)'
	@echo 'make fuzz        fuzz targets, in build/fuzz/'
	@echo 'make bench       benchmarks, each beside its peer: tables, pictures and JSON in build/bench/'
	@echo 'make bench-page  the same, and docs/performance.md shows them'
	@echo 'make bench-vm    those of the kernel module only: instructions per request and per frame'
	@echo 'make lint        what can be said about the sources without running them'
	@echo 'make install     to $$(DESTDIR)$$(PREFIX), default $(PREFIX); make uninstall takes it away'
	@echo 'make modules     the kernel modules for KDIR=..., in build/kmod/RELEASE/kmod'
	@echo 'make dkms-install, dkms-remove    the same through DKMS, for the kernel that runs'
	@echo 'variables        V=1 WERROR=1 CC=... CFLAGS=... SAN=address,undefined | thread (build/san-...)'

$(B)/libvhostkit.a: $(LIB_OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(B)/libvhostkit.so.$(VERSION): $(LIB_OBJ) lib/libvhostkit.map
	$(call say,LD,$@)
	$(Q)$(CC) -shared -Wl,-soname,libvhostkit.so.$(SOVERSION) -Wl,--version-script=lib/libvhostkit.map \
		$(if $(SAN),,-Wl$(comma)-z$(comma)defs) $(ALL_LDFLAGS) -o $@ $(LIB_OBJ) $(LIBS)

$(B)/lib/%.o: lib/%.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) -Ilib -MMD -MP -c -o $@ $<

$(B)/tools/%.o: tools/%.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) -Iuapi -MMD -MP -c -o $@ $<

$(B)/bin/vhk: $(VHK_SRC:%.c=$(B)/%.o) $(B)/libvhostkit.a
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(B)/bin/vhk-blk: $(VHK_BLK_SRC:%.c=$(B)/%.o) $(B)/libvhostkit.a
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(B)/bin/vhk-net: $(VHK_NET_SRC:%.c=$(B)/%.o) $(B)/libvhostkit.a
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

# A test is one file and one program; it may look inside the library.
$(B)/tests/%: tests/user/%.c $(B)/libvhostkit.a
	$(call say,TEST,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) $(TEST_CFLAGS) -MMD -MP $(ALL_LDFLAGS) -o $@ $< \
		$(B)/libvhostkit.a $(LIBS)

# These include files of the module, on as much of a kernel as those ask for.
KMOD_CFLAGS := -Itests/user/kernel -Wno-pointer-arith -Wno-unused-function -Wno-unused-parameter
$(B)/tests/kmod_%: TEST_CFLAGS += $(KMOD_CFLAGS)

$(B)/bench/%: tests/bench/%.c $(B)/libvhostkit.a
	$(call say,BENCH,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) $(TEST_CFLAGS) -MMD -MP $(ALL_LDFLAGS) -o $@ $< \
		$(B)/libvhostkit.a $(LIBS)

# The library once more, seen by the fuzzer; the targets bring their main() from it.
$(B)/fuzz/lib/%.o: lib/%.c
	$(call say,FUZZCC,$<)
	$(Q)mkdir -p $(@D) && $(CLANG) $(FUZZ_CFLAGS) -fsanitize=fuzzer-no-link,address,undefined -MMD -MP -c -o $@ $<

$(B)/fuzz/%: tests/user/fuzz/%.c $(LIB_SRC:%.c=$(B)/fuzz/%.o)
	$(call say,FUZZ,$<)
	$(Q)mkdir -p $(@D) && $(CLANG) $(FUZZ_CFLAGS) -fsanitize=fuzzer,address,undefined -MMD -MP -o $@ $< \
		$(LIB_SRC:%.c=$(B)/fuzz/%.o) $(LIBS)

$(B)/fuzz/kmod_%: tests/user/fuzz/kmod_%.c
	$(call say,FUZZ,$<)
	$(Q)mkdir -p $(@D) && $(CLANG) $(FUZZ_CFLAGS) $(KMOD_CFLAGS) \
		-fsanitize=fuzzer,address,undefined -MMD -MP -o $@ $<

# Programs of the guests bring all they need; some of them use the library.
GUEST_NEEDS := uapi/linux/vhostkit.h $(wildcard tests/vm/guest/*.h) $(B)/libvhostkit.a
define guest_program
	$(call say,GUEST,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(GUEST_CFLAGS) -o $@ $< $(B)/libvhostkit.a $(LIBS)
endef

# The disk server itself, for disks that a guest serves to itself.
guest: $(B)/guest/vhk-blk
$(B)/guest/vhk-blk: $(VHK_BLK_SRC:%.c=$(B)/%.o) $(B)/libvhostkit.a
	$(call say,GUEST,vhk-blk)
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_LDFLAGS) -s -static -Wl,--no-warnings -o $@ $^ $(LIBS)

$(B)/guest/%: tests/vm/guest/%.c $(GUEST_NEEDS)
	$(guest_program)

$(GUEST_EXAMPLES): $(B)/guest/%: examples/%.c $(GUEST_NEEDS)
	$(guest_program)

$(GUEST_LOOP): GUEST_CFLAGS += $(TEST_CFLAGS)
$(GUEST_LOOP): $(B)/guest/%: tests/user/%.c $(wildcard tests/user/*.h) $(GUEST_NEEDS)
	$(guest_program)

.PHONY: setup check check-build check-unit demo vm bench bench-page bench-vm lint
SCRIPTS := $(wildcard tests/user/*.sh)
# Those that look at the plain build only.
PLAIN := tests/user/install.sh tests/user/dkms.sh tests/user/model.sh tests/user/valgrind.sh tests/user/bench.sh \
	tests/lint.sh
ASAN := build/san-address-undefined
TSAN := build/san-thread
# The one that builds the debug kernel comes first, what runs in that kernel last: meanwhile there is
# enough to do.
VM_ALL := $(patsubst tests/vm/%.sh,%,$(wildcard tests/vm/*.sh))
VM_DEBUG := $(filter debug_%,$(filter-out debug_checks,$(VM_ALL)))
VM ?= debug_checks $(filter-out debug_%,$(VM_ALL)) $(VM_DEBUG)
# Scenarios whose servers are the sanitized ones; of a pair, its other half has the plain build.
# VM_BUILD=build: all with the plain one.
VM_ASAN := balloon discard iommu_strict kill_packed memory_hotplug net_tap no_event_idx reboot resize \
	unplug upgrade_packed
VM_TSAN := iommu_lazy migrate multi_queue net_switch upgrade_split
vm_build = $(or $(VM_BUILD),$(if $(filter $(1),$(VM_ASAN)),$(ASAN)),$(if $(filter $(1),$(VM_TSAN)),$(TSAN)),build)
VM_TESTS := $(foreach v,$(VM),$(call vm_build,$(v)):tests/vm/$(v).sh)
VM_FIRST := $(filter %/debug_checks.sh,$(VM_TESTS))
RUN = tests/run -j $(JOBS) -o $(B)/check

setup:
	$(Q)tests/setup check

# Unit tests only: programs that need nothing but this machine and seconds.
check-unit: tests
	$(Q)$(RUN) $(TEST_BIN:%=$(B):%)

# Every way in which things are built: as shipped, by the other compiler, under sanitizers, for the
# fuzzer.
check-build:
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) all tests guest bench-bin
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) SAN=address,undefined tests
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) SAN=thread tests-threaded
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) fuzz
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) CC=$(CLANG) B=build/clang CFLAGS=-O1 all tests bench-bin

check: setup
	$(Q)$(MAKE) --no-print-directory check-build
	$(Q)tests/run -j $(JOBS) -o build/check $(VM_FIRST) \
		$(foreach b,build $(ASAN),$(TEST_SRC:tests/user/%.c=$(b):$(b)/tests/%)) \
		$(THREADED:tests/user/%.c=$(TSAN):$(TSAN)/tests/%) \
		$(FUZZ_SRC:tests/user/fuzz/%.c=build:build/fuzz/%) \
		$(patsubst %,build:%,$(sort $(SCRIPTS) $(PLAIN))) \
		$(patsubst %,$(ASAN):%,$(filter-out $(PLAIN),$(SCRIPTS))) \
		$(filter-out $(VM_FIRST),$(VM_TESTS))

vm: all guest
	$(Q)$(if $(filter $(ASAN):%,$(VM_TESTS)),$(MAKE) --no-print-directory SAN=address$(comma)undefined tools)
	$(Q)$(if $(filter $(TSAN):%,$(VM_TESTS)),$(MAKE) --no-print-directory SAN=thread tools)
	$(Q)tests/run -j $(JOBS) -o build/check-vm $(VM_TESTS)

demo:
	$(Q)tests/setup demo
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) tools guest
	$(Q)tests/vm/demo

bench bench-page:
	$(Q)tests/setup bench
	$(Q)$(MAKE) --no-print-directory tools bench-bin guest
	$(Q)tests/bench/run $(if $(filter bench-page,$@),-d)

bench-vm:
	$(Q)tests/setup bench
	$(Q)$(MAKE) --no-print-directory tools guest
	$(Q)tests/bench/kmod_blk.sh
	$(Q)tests/bench/kmod_net.sh

lint:
	$(Q)tests/setup lint
	$(Q)tests/lint.sh

# The kernel modules, built beside the tree: KDIR is the build folder of a kernel, by default of the
# one that runs.
KDIR ?= /lib/modules/$(shell uname -r)/build
KMOD_SRC := $(wildcard kmod/*.[ch] kmod/Kbuild kmod/probe/*.c uapi/linux/*.h)
KREL = $(shell sed -n 's/.define UTS_RELEASE "\(.*\)"/\1/p' $(KDIR)/include/generated/utsrelease.h 2>/dev/null)
KOUT = $(abspath build/kmod)/$(KREL)
# A kernel that clang built wants its modules built by clang.
KLLVM = $(if $(shell grep -s CONFIG_CC_IS_CLANG=y $(KDIR)/.config),LLVM=1)

.PHONY: modules dkms-install dkms-remove
modules:
	$(Q)test -n "$(KREL)" || { echo "modules: no kernel headers in KDIR=$(KDIR)" >&2; exit 1; }
	$(Q)mkdir -p $(KOUT) && tar -c $(KMOD_SRC) | tar -x -C $(KOUT)
	$(Q)$(MAKE) --no-print-directory -C $(KDIR) M=$(KOUT)/kmod $(KLLVM) $(if $(filter 1,$(V)),V=1,-s) \
		$(if $(WERROR),KCFLAGS=-Werror) modules

# The modules, and their suites, for a kernel with KUnit.
KUNIT_SRC := tests/vectors.h $(wildcard tests/kunit/* tests/user/kmod_*.c tests/user/t.h \
	tests/user/kernel/kring.h)
.PHONY: kunit
kunit: modules
	$(Q)tar -c $(KUNIT_SRC) | tar -x -C $(KOUT)
	$(Q)$(MAKE) --no-print-directory -C $(KDIR) M=$(KOUT)/tests/kunit $(KLLVM) $(if $(filter 1,$(V)),V=1,-s) \
		$(if $(WERROR),KCFLAGS=-Werror) modules

# Where dkms keeps and builds things; for trials, others can be named.
DKMS ?= dkms
DKMS_SRC ?= /usr/src
DKMS_FLAGS ?=

dkms-install:
	$(Q)install -d $(DKMS_SRC)/vhostkit-$(VERSION)
	$(Q)tar -c dkms.conf $(KMOD_SRC) | tar -x -C $(DKMS_SRC)/vhostkit-$(VERSION)
	$(Q)$(DKMS) install $(DKMS_FLAGS) -m vhostkit -v $(VERSION)

dkms-remove:
	$(Q)$(DKMS) remove $(DKMS_FLAGS) -m vhostkit -v $(VERSION) --all
	$(Q)rm -rf $(DKMS_SRC)/vhostkit-$(VERSION)

.PHONY: install uninstall
fill = sed -e 's|@PREFIX@|$(PREFIX)|g' -e 's|@BINDIR@|$(BINDIR)|g' -e 's|@LIBDIR@|$(LIBDIR)|g' \
	-e 's|@INCLUDEDIR@|$(INCLUDEDIR)|g' -e 's|@VERSION@|$(VERSION)|g' -e 's|@LIBS@|$(filter-out -lnl-%,$(LIBS))|g'

install: all
	$(Q)install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(INCLUDEDIR)/vhostkit
	$(Q)install -m 644 lib/include/vhostkit/*.h $(DESTDIR)$(INCLUDEDIR)/vhostkit
	$(Q)install -m 644 $(B)/libvhostkit.a $(DESTDIR)$(LIBDIR)
	$(Q)install -m 755 $(B)/libvhostkit.so.$(VERSION) $(DESTDIR)$(LIBDIR)
	$(Q)ln -sf libvhostkit.so.$(VERSION) $(DESTDIR)$(LIBDIR)/libvhostkit.so.$(SOVERSION)
	$(Q)ln -sf libvhostkit.so.$(SOVERSION) $(DESTDIR)$(LIBDIR)/libvhostkit.so
	$(Q)$(fill) lib/vhostkit.pc.in >$(DESTDIR)$(LIBDIR)/pkgconfig/vhostkit.pc
	$(Q)$(if $(BIN),install -m 755 $(BIN) $(DESTDIR)$(BINDIR))
	$(Q)$(if $(MAN),install -d $(DESTDIR)$(MANDIR)/man1 && install -m 644 $(MAN) $(DESTDIR)$(MANDIR)/man1)
	$(Q)$(if $(DESCRIPTIONS),install -d $(DESTDIR)$(QEMUDIR))
	$(Q)$(foreach f,$(DESCRIPTIONS),$(fill) $(f) >$(DESTDIR)$(QEMUDIR)/$(notdir $(f:%.in=%));)
	$(Q)$(if $(UNITS),install -d $(DESTDIR)$(UNITDIR))
	$(Q)$(foreach f,$(UNITS),$(fill) $(f) >$(DESTDIR)$(UNITDIR)/$(notdir $(f:%.in=%));)
	$(Q)$(if $(RULES),install -d $(DESTDIR)$(UDEVDIR))
	$(Q)$(foreach f,$(RULES),$(fill) $(f) >$(DESTDIR)$(UDEVDIR)/$(notdir $(f:%.in=%));)

uninstall:
	$(Q)rm -rf $(DESTDIR)$(INCLUDEDIR)/vhostkit
	$(Q)rm -f $(DESTDIR)$(LIBDIR)/libvhostkit.a $(DESTDIR)$(LIBDIR)/libvhostkit.so* \
		$(DESTDIR)$(LIBDIR)/pkgconfig/vhostkit.pc $(BIN:$(B)/bin/%=$(DESTDIR)$(BINDIR)/%) \
		$(foreach f,$(MAN),$(DESTDIR)$(MANDIR)/man1/$(notdir $(f))) \
		$(foreach f,$(DESCRIPTIONS:%.in=%),$(DESTDIR)$(QEMUDIR)/$(notdir $(f))) \
		$(foreach f,$(UNITS:%.in=%),$(DESTDIR)$(UNITDIR)/$(notdir $(f))) \
		$(foreach f,$(RULES:%.in=%),$(DESTDIR)$(UDEVDIR)/$(notdir $(f)))

.SECONDARY:
clean:
	$(Q)rm -rf build

-include $(shell find $(B) -name '*.d' 2>/dev/null)
