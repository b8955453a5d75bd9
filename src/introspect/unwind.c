// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What unwind_next_frame() in arch/x86/kernel/unwind_orc.c does, for threads that do not run. The tables are two arrays,
 * sorted at boot: for each stretch of code its start, relative to where that is noted, and how to find the caller's
 * stack pointer and base pointer there.
 */
#include "introspect/unwind.h"

#include <errno.h>
#include <stdbool.h>

#include "introspect/reader.h"

#define MAX_FRAMES 256
#define STACK_SIZE 16384 /* THREAD_SIZE without KASAN (arch/x86/include/asm/page_64_types.h) */

/* What an entry's registers are counted from. */
enum {
	REG_UNDEFINED = 0,
	REG_PREV_SP = 1,
	REG_BP = 4,
	REG_SP = 5,
	REG_BP_INDIRECT = 8,
	REG_SP_INDIRECT = 9,
};

enum frame_type {
	FRAME_CALL,
	FRAME_REGS, /* an interrupt, or the way in from user mode */
	FRAME_IRET, /* only what the CPU itself stored */
	FRAME_END,
	FRAME_UNKNOWN,
};

struct entry {
	int16_t sp_offset, bp_offset;
	unsigned int sp_reg, bp_reg;
	enum frame_type type;
	bool signal; /* its address is where it was interrupted, not behind a call */
};

struct tables {
	uint64_t ips, entries;
	uint32_t n;
	uint64_t text, text_end;
	uint64_t forked; /* where a thread begins that has not run yet */
	bool has_end, has_signal; /* which members the entries have */
	struct profile_field frame_bp, frame_ip, regs_bp, regs_ip, regs_sp, regs_cs;
	uint32_t frame_size;
};

struct unwinding {
	const struct space *space;
	struct tables tables;
	uint64_t stack; /* the thread's; it does not leave it */
	uint64_t ip, sp, bp;
	bool signal;
};

static bool has(const struct profile *profile, const char *path, struct profile_field *ret)
{
	return profile_field(profile, path, ret) == 0 && ret->size <= 8;
}

static bool find_members(struct tables *tables, const struct profile *profile)
{
	struct profile_field unused;

	/*
	 * Since Linux ffb1b4a41016 ("x86/unwind/orc: Add 'signal' field to ORC metadata") (in v6.3) there is
	 * orc_entry.signal, and since fb799447ae29 ("x86,objtool: Split UNWIND_HINT_EMPTY in two") (in v6.4) no
	 * orc_entry.end.
	 */
	tables->has_end = has(profile, "orc_entry.end", &unused);
	tables->has_signal = has(profile, "orc_entry.signal", &unused);
	tables->frame_size = profile_struct_size(profile, "inactive_task_frame");
	return (tables->has_end || tables->has_signal) && tables->frame_size &&
	       profile_struct_size(profile, "orc_entry") == 6 &&
	       has(profile, "inactive_task_frame.bp", &tables->frame_bp) &&
	       has(profile, "inactive_task_frame.ret_addr", &tables->frame_ip) &&
	       has(profile, "pt_regs.bp", &tables->regs_bp) &&
	       has(profile, "pt_regs.ip", &tables->regs_ip) &&
	       has(profile, "pt_regs.sp", &tables->regs_sp) &&
	       has(profile, "pt_regs.cs", &tables->regs_cs);
}

static int find_tables(struct tables *tables, const struct profile *profile)
{
	uint64_t stop = profile_symbol(profile, "__stop_orc_unwind_ip");

	tables->ips = profile_symbol(profile, "__start_orc_unwind_ip");
	tables->entries = profile_symbol(profile, "__start_orc_unwind");
	tables->text = profile_symbol(profile, "_stext");
	tables->text_end = profile_symbol(profile, "_etext");
	/* Since Linux 3aec4ecb3d1f ("x86: Rewrite ret_from_fork() in C") (in v6.6) it is called ret_from_fork_asm. */
	tables->forked = profile_symbol(profile, "ret_from_fork_asm");
	if (!tables->forked)
		tables->forked = profile_symbol(profile, "ret_from_fork");
	if (!tables->ips || stop <= tables->ips || !tables->entries || !tables->text ||
	    !find_members(tables, profile))
		return -ENOTSUP;
	tables->n = (uint32_t)((stop - tables->ips) / sizeof(int32_t));
	return 0;
}

static enum frame_type type_of(const struct tables *tables, uint16_t bits, unsigned int sp_reg)
{
	static const enum frame_type older[] = { FRAME_CALL, FRAME_REGS, FRAME_IRET,
						 FRAME_UNKNOWN };
	static const enum frame_type types[] = { FRAME_UNKNOWN, FRAME_END,    FRAME_CALL,
						 FRAME_REGS,	FRAME_IRET,   FRAME_UNKNOWN,
						 FRAME_UNKNOWN, FRAME_UNKNOWN };

	if (!tables->has_end)
		return types[bits >> 8 & 7];
	if (sp_reg == REG_UNDEFINED)
		return bits >> (tables->has_signal ? 11 : 10) & 1 ? FRAME_END : FRAME_UNKNOWN;
	return older[bits >> 8 & 3];
}

static bool is_signal(const struct tables *tables, uint16_t bits, enum frame_type type)
{
	if (!tables->has_signal)
		return type != FRAME_CALL;
	return bits >> (tables->has_end ? 10 : 11) & 1;
}

static int read_entry(const struct unwinding *at, uint32_t i, struct entry *ret)
{
	struct {
		int16_t sp_offset, bp_offset;
		uint16_t bits;
	} raw;

	_Static_assert(sizeof(raw) == 6, "struct orc_entry");
	if (space_read(at->space, at->tables.entries + i * sizeof(raw), &raw, sizeof(raw)) < 0)
		return -EFAULT;
	*ret = (struct entry){
		.sp_offset = raw.sp_offset,
		.bp_offset = raw.bp_offset,
		.sp_reg = raw.bits & 15,
		.bp_reg = raw.bits >> 4 & 15,
	};
	ret->type = type_of(&at->tables, raw.bits, ret->sp_reg);
	ret->signal = is_signal(&at->tables, raw.bits, ret->type);
	return 0;
}

/* The entry for a place in the kernel's own text: the last that does not begin behind it. */
static int find_entry(const struct unwinding *at, uint64_t ip, struct entry *ret)
{
	const struct tables *tables = &at->tables;
	uint32_t low = 0, high = tables->n;

	if (ip < tables->text || ip >= tables->text_end)
		return -EFAULT;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		uint64_t place = tables->ips + middle * sizeof(int32_t);
		int32_t distance;

		if (space_read(at->space, place, &distance, sizeof(distance)) < 0)
			return -EFAULT;
		if (place + (uint64_t)(int64_t)distance <= ip)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? read_entry(at, low - 1, ret) : -EFAULT;
}

static int read_stack(const struct unwinding *at, uint64_t place, uint64_t *ret)
{
	if (place < at->stack || place > at->stack + STACK_SIZE - sizeof(*ret))
		return -EFAULT;
	return space_read_u64(at->space, place, ret);
}

/* The caller's stack pointer; of registers that were stored, where they are. */
static int previous_sp(const struct unwinding *at, const struct entry *entry, uint64_t *ret)
{
	switch (entry->sp_reg) {
	case REG_SP:
		*ret = at->sp + (uint64_t)entry->sp_offset;
		return 0;
	case REG_BP:
		*ret = at->bp + (uint64_t)entry->sp_offset;
		return 0;
	case REG_BP_INDIRECT:
		return read_stack(at, at->bp + (uint64_t)entry->sp_offset, ret);
	case REG_SP_INDIRECT:
		if (read_stack(at, at->sp, ret) < 0)
			return -EFAULT;
		*ret += (uint64_t)entry->sp_offset;
		return 0;
	}
	return -EFAULT;
}

static int previous_bp(struct unwinding *at, const struct entry *entry, uint64_t sp)
{
	switch (entry->bp_reg) {
	case REG_UNDEFINED:
		return 0; /* it is as it was */
	case REG_PREV_SP:
		return read_stack(at, sp + (uint64_t)entry->bp_offset, &at->bp);
	case REG_BP:
		return read_stack(at, at->bp + (uint64_t)entry->bp_offset, &at->bp);
	}
	return -EFAULT;
}

/* Goes on where all registers, or the five that the CPU stores, say so. 1 when that is user mode. */
static int step_regs(struct unwinding *at, uint64_t regs, bool all)
{
	const struct tables *tables = &at->tables;
	uint64_t cs, ip, sp, bp = at->bp;

	if (!all)
		regs -= tables->regs_ip.offset;
	if (read_stack(at, regs + tables->regs_cs.offset, &cs) < 0)
		return -EFAULT;
	if (cs & 3)
		return 1;
	if (read_stack(at, regs + tables->regs_ip.offset, &ip) < 0 ||
	    read_stack(at, regs + tables->regs_sp.offset, &sp) < 0 ||
	    (all && read_stack(at, regs + tables->regs_bp.offset, &bp) < 0))
		return -EFAULT;
	at->ip = ip;
	at->sp = sp;
	at->bp = bp;
	return 0;
}

/* To the caller. 1 when there is none in the kernel. */
static int step(struct unwinding *at)
{
	uint64_t before = at->sp, sp;
	struct entry entry;
	int r = find_entry(at, at->signal ? at->ip : at->ip - 1, &entry);

	if (r < 0)
		return r;
	if (entry.type == FRAME_END)
		return 1;
	if (entry.type == FRAME_UNKNOWN || previous_sp(at, &entry, &sp) < 0)
		return -EFAULT;
	if (entry.type == FRAME_CALL) {
		r = read_stack(at, sp - sizeof(uint64_t), &at->ip);
		at->sp = sp;
		if (r == 0)
			r = previous_bp(at, &entry, sp);
	} else {
		r = step_regs(at, sp, entry.type == FRAME_REGS);
	}
	at->signal = entry.signal;
	if (r == 0 && at->sp <= before)
		return -EFAULT; /* it does not end */
	return r;
}

/* What __switch_to_asm() left on the stack of a thread that is not running. */
static int begin(struct unwinding *at, const struct kernel_stack *thread)
{
	const struct tables *tables = &at->tables;

	at->stack = thread->stack;
	at->sp = thread->saved_sp + tables->frame_size;
	if (read_stack(at, thread->saved_sp + tables->frame_bp.offset, &at->bp) < 0 ||
	    read_stack(at, thread->saved_sp + tables->frame_ip.offset, &at->ip) < 0)
		return -EFAULT;
	at->signal = at->ip == tables->forked;
	return 0;
}

int kernel_unwind(const struct kernel *kernel, const struct kernel_stack *thread,
		  int (*visit)(uint64_t address, void *data), void *data)
{
	struct unwinding at = { .space = kernel->space };
	int r = find_tables(&at.tables, kernel->profile);

	if (r == 0)
		r = begin(&at, thread);
	if (r < 0)
		return r;
	for (unsigned int i = 0; i < MAX_FRAMES; i++) {
		r = visit(at.ip, data);
		if (r)
			return r;
		r = step(&at);
		if (r)
			return r < 0 ? r : 0;
	}
	return -EFAULT;
}
