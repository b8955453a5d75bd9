# SPDX-License-Identifier: GPL-2.0-or-later
# outguard: `make help` lists what there is.

BUILD ?= build
VERSION := 0.1.0
CC := gcc
CLANG := clang
# V=1 shows the commands.
Q := $(if $(V),,@)
say = @$(if $(V),:,printf '  %-5s %s\n' $(1) $@)

PACKAGES := libbpf libelf libcrypto yaml-0.1 json-c libsystemd libseccomp liblz4
WARNINGS := -Wall -Wextra -Wshadow -Wvla -Wundef -Wmissing-prototypes -Wstrict-prototypes \
	-Wformat=2 -Wimplicit-fallthrough -Wwrite-strings -Wpointer-arith -Werror
CFLAGS ?= -O2 -g
SANITIZE ?=
comma := ,
ifneq ($(SANITIZE),)
  BUILD := $(BUILD)/sanitize-$(subst $() ,-,$(subst $(comma),-,$(SANITIZE)))
  SANITIZE_FLAGS := -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer
endif
ALL_CFLAGS = -std=gnu11 -D_GNU_SOURCE -Isrc $(WARNINGS) $(CFLAGS) $(SANITIZE_FLAGS) \
	-DOUTGUARD_VERSION='"$(VERSION)"' $(shell pkg-config --cflags $(PACKAGES))
LIBS = $(shell pkg-config --libs $(PACKAGES))

# The layers, lowest first: each may include only what stands above it (`make layers` proves it).
LAYERS := contract util glob memory vmm profile introspect policy cache events arm sentry session daemon cli

util := error log opener
glob := glob
memory := ram space
vmm := qmp gdbstub memory_map registers process_memory pci hot_plug trap block machine machine_devices qemu_args
profile := kallsyms types modules locate profile
introspect := kernel layout reader task unwind mount path pathbuf file cgroup container overlay \
	open_files caches dcache page_cache cmdline container_json container_words keeper \
	runtime supers
policy := policy yaml rule answer exception selector schema pattern integrity
cache := table plan arena
events := ring json_writer text_writer event_container event_json event_text notice utf8
arm := link resolve window patch lsm_list static_call hooks promises quiesce arm
sentry := anchors sites patchable probes digest copies cpus sentry
session := lock held containers exceptions watches errands views verify enter layers follow tell abuse open_files report attempts guest sweep pulse quiet life traps commands kills answers tampering system_calls session
daemon := outcome control lines history outlet sandbox porter facts drive keeper vm roster client asker server
cli := command show call cmd_attach cmd_detach cmd_status cmd_events cmd_profile cmd_policy_check \
	cmd_policy_load cmd_policy_show cmd_maintenance cmd_run cmd_qemu_args cmd_version

# The guard: runs in the guest kernel. See src/guard/kernel.h.
GUARD := ring describe actor match judge attempt file inode mount view kill system_calls
GUARD_OPTIMIZE := -O2
GUARD_CFLAGS := -std=gnu11 $(GUARD_OPTIMIZE) -Isrc -ffreestanding -fno-pic -fno-pie -mcmodel=kernel \
	-mgeneral-regs-only -mno-red-zone -fno-stack-protector -fcf-protection=branch \
	-mfunction-return=thunk-extern -mharden-sls=all -fno-asynchronous-unwind-tables \
	-fno-omit-frame-pointer -momit-leaf-frame-pointer -fno-jump-tables -fno-common \
	-Wall -Wextra -Wshadow -Wvla -Werror -Wframe-larger-than=640

UNIT_TESTS := $(sort $(basename $(notdir $(wildcard tests/unit/test_*.c))))
FUZZ_TARGETS := $(sort $(basename $(notdir $(wildcard tests/fuzz/fuzz_*.c))))

LIBRARY_OBJECTS := $(foreach l,$(LAYERS),$(foreach m,$($(l)),$(BUILD)/$(l)/$(m).o)) \
	$(BUILD)/arm/guard_object.o $(BUILD)/policy/builtin.o
LIBRARY := $(BUILD)/liboutguard.a
PROGRAMS := $(BUILD)/outguard $(BUILD)/outguardd

.PHONY: all programs help clean check check-unit check-fuzz check-vm check-nightly check-life check-kvm scale layers format format-check \
	demo attack attack-races matrix compatibility bench bench-quick bench-compare bench-programs install unit-programs fuzz-programs vm-programs packages-build packages-check
.DEFAULT_GOAL := all
all: programs ## Build everything

programs: $(PROGRAMS) $(BUILD)/liboutguard-trap.so ## Build outguard, outguardd and the library for QEMU

$(BUILD)/%.o: src/%.c
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/guard/%.o: src/guard/%.c
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(GUARD_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/guard/glob.o: src/glob/glob.c
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(GUARD_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/guard/thunk.o: src/guard/thunk.S
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) -c $< -o $@

$(BUILD)/guard.o: $(GUARD:%=$(BUILD)/guard/%.o) $(BUILD)/guard/glob.o $(BUILD)/guard/thunk.o
	$(call say,LD)
	$(Q)ld -r -o $@ $^

$(BUILD)/arm/guard_object.o: src/arm/guard_object.S $(BUILD)/guard.o
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) -DGUARD_OBJECT='"$(BUILD)/guard.o"' -c $< -o $@

$(BUILD)/policy/builtin.o: src/policy/builtin.S src/policy/guest-integrity.yaml
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) -c $< -o $@

$(LIBRARY): $(LIBRARY_OBJECTS)
	@rm -f $@
	$(call say,AR)
	$(Q)ar rcs $@ $^

$(BUILD)/outguard: $(BUILD)/cli/main.o $(LIBRARY)
	$(call say,LINK)
	$(Q)$(CC) $(SANITIZE_FLAGS) -o $@ $^ $(LIBS)

$(BUILD)/outguardd: $(BUILD)/daemon/main.o $(LIBRARY)
	$(call say,LINK)
	$(Q)$(CC) $(SANITIZE_FLAGS) -o $@ $^ $(LIBS)

# Preloaded into QEMU by those who want it: see docs/TRAP.md.
TRAP := $(BUILD)/liboutguard-trap.so
$(TRAP): src/trap/trap.c src/contract/trap_abi.h
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) -std=gnu11 -Isrc $(WARNINGS) -O2 -g -fvisibility=hidden -shared -fPIC -Wl,-z,now -Wl,-z,defs -o $@ $< -lpthread

# Tests: cmocka for the pure parts, the fuzz targets' corpora, and scripts that use real guests.

SANITIZED := address,undefined
SANITIZED_BUILD := $(firstword $(subst /sanitize-, ,$(BUILD)))/sanitize-address-undefined

$(BUILD)/tests/test_%: tests/unit/test_%.c $(LIBRARY)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(ALL_CFLAGS) -Wno-missing-prototypes -Wno-missing-field-initializers -MMD -MP -DBUILD_DIR='"$(BUILD)"' $< -o $@ $(LIBRARY) $(LIBS) -lcmocka -lbpf -lpthread

$(BUILD)/tests/test_trap: private ALL_CFLAGS += -DTRAP_LIBRARY='"$(abspath $(TRAP))"'
$(BUILD)/tests/test_trap: | $(TRAP)

# The guard itself is in it, whose fields are symbols: see tests/unit/fake_linux.h.
$(BUILD)/tests/test_guard: private ALL_CFLAGS += -fno-pie -no-pie

$(BUILD)/tests/fuzz_%: tests/fuzz/fuzz_%.c tests/fuzz/regress.c $(LIBRARY)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(ALL_CFLAGS) -Wno-missing-prototypes -Wno-missing-field-initializers -MMD -MP $< tests/fuzz/regress.c -o $@ $(LIBRARY) $(LIBS)

$(BUILD)/tests/damage $(BUILD)/tests/tamper $(BUILD)/tests/violate: $(BUILD)/tests/%: tests/vm/%.c $(LIBRARY)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(ALL_CFLAGS) -Wno-missing-prototypes -Wno-missing-field-initializers -MMD -MP $< -o $@ $(LIBRARY) $(LIBS)

# Run in the guest, whatever is installed there.
GUEST_PROGRAMS := scale fsops lsm_count tiny file_loop kexec
$(BUILD)/tests/guest/%: tests/vm/%.c
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE $(WARNINGS) -O2 -static -o $@ $<

$(BUILD)/tests/guest/lsm_count: tests/vm/tracers/lsm_count.c
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE $(WARNINGS) -O2 -static -o $@ $< -lbpf -lelf -lz

# Run in QEMU: see tests/vm/kernels.test.
$(BUILD)/tests/rom_writable.so: tests/vm/rom_writable.c
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) -std=gnu11 $(filter-out -Wmissing-prototypes,$(WARNINGS)) -O2 -shared -fPIC -o $@ $< -ldl

$(BUILD)/tests/guest/%: tests/kvm/%.c
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE $(WARNINGS) -O2 -static -o $@ $<

FSOPS := $(wildcard tests/vm/unchanged/*.c)
$(BUILD)/tests/guest/fsops: $(FSOPS) $(wildcard tests/vm/unchanged/*.h)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE $(WARNINGS) -O2 -static -o $@ $(FSOPS)

MATRIX := $(wildcard tests/matrix/*.c)
$(BUILD)/tests/attempt: $(MATRIX) tests/matrix/matrix.h
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE $(WARNINGS) -Wno-missing-field-initializers -Wno-format-truncation \
		-O2 -g -static -o $@ $(MATRIX)

ATTACK_TOOL := $(wildcard attack/tool/*.c)
$(BUILD)/tests/attack-tool: $(ATTACK_TOOL) attack/tool/tool.h
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE $(WARNINGS) -O2 -static -o $@ $(ATTACK_TOOL) -lbpf -lelf -lz

unit-programs: $(UNIT_TESTS:%=$(BUILD)/tests/%)
vm-programs: $(BUILD)/tests/damage $(BUILD)/tests/violate $(BUILD)/tests/tamper $(BUILD)/tests/attempt $(BUILD)/tests/rom_writable.so $(GUEST_PROGRAMS:%=$(BUILD)/tests/guest/%)
fuzz-programs: $(FUZZ_TARGETS:%=$(BUILD)/tests/%)

check: packages-check ## Install what is missing, build, run all tests (SANITIZE=address,undefined for all under sanitizers)
	@$(MAKE) --no-print-directory -s programs unit-programs
	@$(MAKE) --no-print-directory -s vm-programs SANITIZE=
	@$(MAKE) --no-print-directory -s programs unit-programs fuzz-programs SANITIZE=$(SANITIZED)
	@tests/check "$(BUILD)" "$(SANITIZED_BUILD)"

check-unit: packages-check ## The pure parts: seconds, no root, no VM
	@$(MAKE) --no-print-directory -s unit-programs
	@tests/run $(BUILD) unit

check-fuzz: packages-check ## The fuzz targets' corpora, under sanitizers
	@$(MAKE) --no-print-directory -s fuzz-programs SANITIZE=$(SANITIZED)
	@tests/run $(SANITIZED_BUILD) fuzz

check-vm: packages-check ## The promises, in real guests (ONLY=name for one; KERNEL=6.12-cloud for another kernel)
	@$(MAKE) --no-print-directory -s vm-programs SANITIZE=
	@$(MAKE) --no-print-directory -s programs SANITIZE=$(SANITIZED)
	@tests/run $(SANITIZED_BUILD) vm

check-nightly: packages-check ## What takes longer than `make check` may: odd kernels, built here (ONLY=name for one)
	@$(MAKE) --no-print-directory -s vm-programs SANITIZE=
	@$(MAKE) --no-print-directory -s programs SANITIZE=$(SANITIZED)
	@tests/run $(SANITIZED_BUILD) nightly

check-life: packages-check ## The guard comes and goes 100 times under full load, the daemon is killed 50 times (minutes; part of check-nightly)
	@$(MAKE) --no-print-directory -s check-nightly ONLY=life

check-kvm: packages-check ## The promises under real KVM, nested where this machine's does not run Linux (KVM_KERNELS, ONLY); exits: build/kvm/exits.tsv
	@$(MAKE) --no-print-directory -s vm-programs SANITIZE=
	@$(MAKE) --no-print-directory -s programs
	@tests/kvm/run $(BUILD) $(KVM_KERNELS)

KVM_KERNELS ?= 6.1-cloud

scale: packages-check ## 500 containers with 200 watched files each, in one guest; what it costs is left in build/scale.tsv
	@$(MAKE) --no-print-directory -s vm-programs SANITIZE=
	@$(MAKE) --no-print-directory -s programs
	@SCALE=full ONLY=scale tests/run $(BUILD) vm
	@cat $(BUILD)/scale.tsv

# Of the benchmarks: bench/README.md. ONLY="counts peers" for some of their sections.
BENCH_PROGRAMS := $(patsubst bench/guest/%.c,%,$(wildcard bench/guest/*.c))
$(BUILD)/bench/guest/%: bench/guest/%.c
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE $(WARNINGS) -O2 -static -o $@ $<

$(BUILD)/bench/decode: bench/decode.c $(LIBRARY)
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) $(ALL_CFLAGS) -o $@ $< $(LIBRARY) $(LIBS)

# build/guard.o as it is, whose fields and functions it defines, or leaves at 0.
$(BUILD)/bench/hotpath: bench/hotpath.c $(BUILD)/guard.o
	@mkdir -p $(@D)
	$(call say,LINK)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE -Isrc $(WARNINGS) -O1 -fno-pie -no-pie -Wl,--unresolved-symbols=ignore-all -o $@ $< $(BUILD)/guard.o

bench-programs: programs $(BENCH_PROGRAMS:%=$(BUILD)/bench/guest/%) $(BUILD)/bench/decode $(BUILD)/bench/hotpath

bench: packages-check ## What it costs, beside others, counted: build/bench/results.json and docs/BENCHMARKS.md (under an hour)
	@tools/install-packages bench
	@$(MAKE) --no-print-directory -s bench-programs
	@bench/bench $(ONLY)
	@bench/report

bench-quick: packages-check ## The developer's loop: instruction counts of a few operations (minutes); then: make bench-compare BASE=file
	@$(MAKE) --no-print-directory -s bench-programs
	@bench/bench --quick --results $(BUILD)/bench/quick.json $(ONLY)

bench-compare: ## What costs more instructions than in a saved result: BASE=file (NEW=file; else build/bench/results.json)
	@bench/compare $(BASE) $(or $(NEW),$(BUILD)/bench/results.json)

fuzz-%: ## Fuzz one target for SECONDS (60) with clang's libFuzzer: make fuzz-policy
	@mkdir -p $(BUILD)/fuzz/$*
	$(CLANG) -std=gnu11 -D_GNU_SOURCE -Isrc -g -O1 -fsanitize=fuzzer,address,undefined -o $(BUILD)/fuzz/fuzz_$* \
		tests/fuzz/fuzz_$*.c $(filter-out src/arm/guard_object.c,$(LIBRARY_OBJECTS:$(BUILD)/%.o=src/%.c)) \
		$(BUILD)/arm/guard_object.o -Wl,--allow-multiple-definition $(shell pkg-config --cflags --libs $(PACKAGES)) -DOUTGUARD_VERSION='"$(VERSION)"'
	$(BUILD)/fuzz/fuzz_$* -max_total_time=$(or $(SECONDS),60) $(BUILD)/fuzz/$* tests/fuzz/corpus/$*

matrix: packages-check ## Try every operation by every way in every view, in real containers; docs/COVERAGE.md (minutes)
	@$(MAKE) --no-print-directory -s programs $(BUILD)/tests/attempt
	@tests/matrix/run $(if $(SLICE),--slice)
	$(if $(SLICE),,@tests/matrix/coverage $(BUILD)/matrix/results.tsv >docs/COVERAGE.md)

compatibility: packages-check ## Every kernel of the lab in every configuration; docs/COMPATIBILITY.md (about an hour; goes on where it was stopped)
	@$(MAKE) --no-print-directory -s programs $(BUILD)/tests/attempt
	@tests/compatibility/run
	@tests/compatibility/table $(BUILD)/compatibility/results.tsv >docs/COMPATIBILITY.md

attack: packages-check ## What an attacker would try, in a container, as guest root, in the guest's kernel; docs/SECURITY.md (20 minutes; ONLY=TIER/NAME)
	@$(MAKE) --no-print-directory -s programs $(BUILD)/tests/attack-tool
	@attack/run
	@attack/report $(BUILD)/attack/results.tsv >docs/SECURITY.md

attack-races: packages-check ## Races between check and use, 100,000 rounds each (hours under TCG)
	@$(MAKE) --no-print-directory -s programs $(BUILD)/tests/attack-tool
	@ROUNDS=100000 attack/run --tier races

layers: ## Prove that includes point one way
	@tools/check-layers $(LAYERS)

FORMATTED = $(shell find src tests attack bench -name '*.[ch]')
format: ## Format the code (clang-format)
	clang-format -i $(FORMATTED)

format-check: ## Would `make format` change anything?
	@clang-format --dry-run -Werror $(FORMATTED)

packages-build:
	@tools/install-packages build
packages-check:
	@tools/install-packages check

demo: packages-build ## Install what is missing, build, boot a VM, show the main job
	@$(MAKE) --no-print-directory -s programs
	@demo/run

PREFIX ?= /usr/local
install: programs ## Install programs, man pages and the systemd unit below PREFIX
	install -D -t $(DESTDIR)$(PREFIX)/bin $(BUILD)/outguard
	install -D -t $(DESTDIR)$(PREFIX)/sbin $(BUILD)/outguardd
	install -D -m 755 -t $(DESTDIR)$(PREFIX)/lib $(BUILD)/liboutguard-trap.so
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man1 man/outguard.1
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man8 man/outguardd.8
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man5 man/outguard-policy.5
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/lib/systemd/system contrib/outguardd.service
	install -D -m 644 contrib/outguard.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/outguard.conf

-include $(wildcard $(foreach d,$(LAYERS) guard tests,$(BUILD)/$(d)/*.d))

clean: ## Remove what was built (the lab's guest images stay; rm -r build removes them too)
	rm -rf $(LAYERS:%=$(BUILD)/%) $(BUILD)/guard $(BUILD)/*.o $(BUILD)/*.a $(PROGRAMS) $(BUILD)/tests

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / { printf "%-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
