# SPDX-License-Identifier: GPL-2.0-or-later
# outguard: `make help` lists what there is.

BUILD ?= build
VERSION := 0.1.0
CC := gcc
CLANG := clang

PACKAGES := libbpf libelf libcrypto yaml-0.1 json-c libsystemd
WARNINGS := -Wall -Wextra -Wshadow -Wvla -Wundef -Wmissing-prototypes -Wstrict-prototypes \
	-Wformat=2 -Wimplicit-fallthrough -Wwrite-strings -Wpointer-arith -Werror
CFLAGS ?= -O2 -g
SANITIZE ?=
ifneq ($(SANITIZE),)
  BUILD := $(BUILD)/sanitize-$(subst $() ,-,$(subst $(comma),-,$(SANITIZE)))
  SANITIZE_FLAGS := -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer
endif
comma := ,
ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE -Isrc $(WARNINGS) $(CFLAGS) $(SANITIZE_FLAGS) \
	-DOUTGUARD_VERSION='"$(VERSION)"' $(shell pkg-config --cflags $(PACKAGES))
LIBS = $(shell pkg-config --libs $(PACKAGES))

# The layers, lowest first: each may include only what stands above it (`make layers` proves it).
LAYERS := contract util glob memory vmm profile introspect policy cache events arm session daemon cli

util := error log
glob := glob
memory := ram space
vmm := qmp memory_map registers machine qemu_args
profile := kallsyms types locate profile
introspect := kernel layout reader task mount path pathbuf file cgroup container
policy := policy yaml rule selector schema pattern
cache := table plan
events := ring event_json event_text utf8
arm := link resolve window hooks quiesce arm
session := containers watches errands views enter report sweep session
daemon := 
cli :=

# The guard: runs in the guest kernel. See src/guard/kernel.h.
GUARD := ring describe file view
GUARD_CFLAGS := -std=gnu11 -O2 -Isrc -ffreestanding -fno-pic -fno-pie -mcmodel=kernel \
	-mgeneral-regs-only -mno-red-zone -fno-stack-protector -fcf-protection=branch \
	-mfunction-return=thunk-extern -mharden-sls=all -fno-asynchronous-unwind-tables \
	-fno-omit-frame-pointer -momit-leaf-frame-pointer -fno-jump-tables -fno-common \
	-Wall -Wextra -Wshadow -Wvla -Werror -Wframe-larger-than=640

UNIT_TESTS := $(sort $(basename $(notdir $(wildcard tests/unit/test_*.c))))
FUZZ_TARGETS := $(sort $(basename $(notdir $(wildcard tests/fuzz/fuzz_*.c))))

LIBRARY_OBJECTS := $(foreach l,$(LAYERS),$(foreach m,$($(l)),$(BUILD)/$(l)/$(m).o)) \
	$(BUILD)/arm/guard_object.o
LIBRARY := $(BUILD)/liboutguard.a
PROGRAMS := $(BUILD)/outguard $(BUILD)/outguardd

.PHONY: all programs help clean
.DEFAULT_GOAL := all
all: programs ## Build everything

programs: $(PROGRAMS) ## Build outguard and outguardd

$(BUILD)/%.o: src/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/guard/%.o: src/guard/%.c
	@mkdir -p $(@D)
	$(CC) $(GUARD_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/guard/glob.o: src/glob/glob.c
	@mkdir -p $(@D)
	$(CC) $(GUARD_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/guard/thunk.o: src/guard/thunk.S
	@mkdir -p $(@D)
	$(CC) -c $< -o $@

$(BUILD)/guard.o: $(GUARD:%=$(BUILD)/guard/%.o) $(BUILD)/guard/glob.o $(BUILD)/guard/thunk.o
	ld -r -o $@ $^

$(BUILD)/arm/guard_object.o: src/arm/guard_object.S $(BUILD)/guard.o
	@mkdir -p $(@D)
	$(CC) -DGUARD_OBJECT='"$(BUILD)/guard.o"' -c $< -o $@

$(LIBRARY): $(LIBRARY_OBJECTS)
	@rm -f $@
	ar rcs $@ $^

$(BUILD)/outguard: $(BUILD)/cli/main.o $(LIBRARY)
	$(CC) $(SANITIZE_FLAGS) -o $@ $^ $(LIBS)

$(BUILD)/outguardd: $(BUILD)/daemon/main.o $(LIBRARY)
	$(CC) $(SANITIZE_FLAGS) -o $@ $^ $(LIBS)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

clean: ## Remove what was built (the lab's guest images stay; rm -r build removes them too)
	rm -rf $(LAYERS:%=$(BUILD)/%) $(BUILD)/guard $(BUILD)/*.o $(BUILD)/*.a $(PROGRAMS) $(BUILD)/tests

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
