// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * MSR_LSTAR is where the processor goes on at a system call. The host sees neither QEMU's nor KVM's copy of it, but here reading it
 * is one instruction, which leaves the guest under no hypervisor that we know. A CPU's registers are its own, so each is asked in its own
 * interrupt, in turn.
 *
 * Where the guest runs guests of its own by VMX, its KVM leaves a guest's value in the register until the CPU goes back to user mode
 * (kvm_set_user_return_msr()), and believes that it is there: there it is neither judged nor written. With SVM the CPU has the
 * kernel's own before an interrupt comes.
 *
 * A CPU that uses FRED has no use for the register, and Linux leaves a 0 in it. Nobody gains by a 0 elsewhere: system calls would go to where a
 * process may map its own memory, but the kernel may not run it (SMEP, which the host watches).
 */
#include "guard/system_calls.h"

#include <stdbool.h>

#include "contract/guard_abi.h"
#include "guard/kernel.h"
#include "guard/ring.h"

#define CPUS_UNKNOWN 256 /* numbers to try where the kernel does not say how many it has */

struct look {
	uint64_t expected, found;
	bool restore, restored;
};

static bool is_wrong(const struct look *look)
{
	return look->found && look->found != look->expected && !(read_cr4() & X86_CR4_VMXE);
}

/* On the CPU that is looked at, in an interrupt, while the one that asks waits for it. */
static void look_here(void *data)
{
	struct look *look = data;

	look->found = read_msr(MSR_LSTAR);
	if (!is_wrong(look)) {
		look->found = look->expected;
	} else if (look->restore) {
		write_msr(MSR_LSTAR, look->expected);
		look->restored = true;
	}
}

static uint32_t count_cpus(void)
{
	uint32_t n = &nr_cpu_ids ? READ_ONCE(nr_cpu_ids) : CPUS_UNKNOWN;

	return n && n <= GUARD_MAX_CPUS ? n : GUARD_MAX_CPUS;
}

/* Numbers of which there is no CPU now cost next to nothing, and are passed over. The turn is anybody's to change: then it is another's. */
static uint32_t look_at_next(struct look *look)
{
	uint32_t n = count_cpus(), cpu = (uint32_t)(READ_ONCE(mailbox.system_calls_turn) % n);

	for (uint32_t i = 0; i < n; i++) {
		if (smp_call_function_single((int)cpu, look_here, look, 1) == 0)
			break;
		cpu = cpu + 1 < n ? cpu + 1 : 0;
	}
	mailbox.system_calls_turn = cpu + 1;
	return cpu;
}

/* What stays wrong will be found again. Without a host, all that is told of it would fill the ring, and others would have to wait. */
static bool can_wait(const struct look *look)
{
	return !look->restored &&
	       READ_ONCE(mailbox.head) - READ_ONCE(vault.consumed) >= vault.n_slots / 2;
}

static void tell(const struct look *look, uint32_t cpu)
{
	struct guard_system_calls_record *record;
	uint64_t position;

	record = can_wait(look) ? NULL : ring_try(GUARD_RECORD_SYSTEM_CALLS, &position);
	if (!record)
		return;
	record->found = look->found;
	record->cpu = cpu;
	record->restored = look->restored;
	ring_give(record, position, sizeof(*record));
}

void system_calls_look(void)
{
	struct look look = { .expected = READ_ONCE(vault.system_call_entry) };
	uint32_t cpu;

	if (!look.expected || !smp_call_function_single)
		return;
	look.found = look.expected;
	look.restore = READ_ONCE(vault.flags) & GUARD_RESTORE_SYSTEM_CALLS;
	cpu = look_at_next(&look);
	if (look.found != look.expected)
		tell(&look, cpu);
}
