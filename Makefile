# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
# One makefile, nothing recursive. Everything it makes is under $(B).
#   make            library and tools          make check   every test
#   make SAN=address,undefined ...             the same under a sanitizer, in a build folder of its own

VERSION := 0.1.0
SOVERSION := 0

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
CC ?= cc
V ?= 0
SAN ?=
Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),@:,@printf '  %-7s %s\n' $(1) $(2))

comma := ,
B := build$(if $(SAN),/san-$(subst $(comma),-,$(SAN)))

WARN := -Wall -Wextra -Wmissing-prototypes -Wstrict-prototypes -Wshadow -Wvla -Wpointer-arith -Wundef \
	$(if $(WERROR),-Werror)
CFLAGS ?= -O2 -g
ALL_CFLAGS = -std=gnu11 $(WARN) -fvisibility=hidden -fPIC -pthread -D_GNU_SOURCE -Ilib/include $(CFLAGS) \
	$(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all)
ALL_LDFLAGS = -pthread $(LDFLAGS) $(if $(SAN),-fsanitize=$(SAN))
LIBS := -luring -lnl-genl-3 -lnl-3

LIB_SRC := $(wildcard lib/*.c)
LIB_OBJ := $(LIB_SRC:%.c=$(B)/%.o)
VHK_SRC := $(wildcard tools/vhk/*.c)
VHK_BLK_SRC := $(wildcard tools/vhk-blk/*.c)
TEST_SRC := $(wildcard tests/user/*.c)
TEST_BIN := $(TEST_SRC:tests/user/%.c=$(B)/tests/%)
BENCH_SRC := $(wildcard tests/bench/*.c)
BENCH_BIN := $(BENCH_SRC:tests/bench/%.c=$(B)/bench/%)
BIN := $(if $(VHK_SRC),$(B)/bin/vhk) $(if $(VHK_BLK_SRC),$(B)/bin/vhk-blk)

.PHONY: all lib tools tests bench-bin clean check-unit
all: lib tools
lib: $(B)/libvhostkit.a $(B)/libvhostkit.so.$(VERSION)
tools: $(BIN)
tests: $(TEST_BIN) tools
bench-bin: $(BENCH_BIN)

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
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/bin/vhk: $(VHK_SRC:%.c=$(B)/%.o) $(B)/libvhostkit.a
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

$(B)/bin/vhk-blk: $(VHK_BLK_SRC:%.c=$(B)/%.o) $(B)/libvhostkit.a
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

# A test is one file and one program; it may look inside the library.
$(B)/tests/%: tests/user/%.c $(B)/libvhostkit.a
	$(call say,TEST,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) -Ilib -Itests -Itests/user -MMD -MP $(ALL_LDFLAGS) -o $@ $< \
		$(B)/libvhostkit.a $(LIBS)

$(B)/bench/%: tests/bench/%.c $(B)/libvhostkit.a
	$(call say,BENCH,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) -Ilib -Itests -Itests/user -MMD -MP $(ALL_LDFLAGS) -o $@ $< \
		$(B)/libvhostkit.a $(LIBS)

# Unit tests only: programs that need nothing but this machine and seconds.
check-unit: tests
	$(Q)fail=0; for t in $(TEST_BIN); do printf '%s: ' $$t; VHK_BIN=$(B)/bin timeout 120 $$t >$$t.log 2>&1 \
		&& echo ok || { echo FAIL; cat $$t.log; fail=1; }; done; exit $$fail

clean:
	$(Q)rm -rf build

-include $(shell find $(B) -name '*.d' 2>/dev/null)
