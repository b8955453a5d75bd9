// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A thread that sleeps in the guard (in a path walk, or waiting for the host) has a return address into it on
 * its kernel stack, between the saved stack pointer and the stack's end; so has one that was interrupted or
 * preempted there. Reading all these words costs the guard nothing while it works, where a counter of callers
 * would cost two locked instructions on every open of every file.
 *
 * Most such words are only left over: a frame's unused places keep what an earlier system call had there, and a thread
 * that waits for a month keeps them for a month. So where there are some, and the thread sleeps, the kernel's own unwind
 * tables say which are addresses that it returns to. When they do not, the words count, and the caller tries again.
 *
 * Three ways in have no return address yet: a vCPU that walks a list of hooks holds our node in a register, a kworker notes
 * the function that it is about to call, and a thread may be between a branch that led to the guard's call and that call.
 * All are looked at too; the last are ranges of their own. A function of the guard's that another CPU is to run in its interrupt (system_calls.c) is waited
 * for by the thread that asked, which has its return address on its stack until the function has returned.
 */
#include "arm/quiesce.h"

#include <string.h>

#include "introspect/unwind.h"
#include "util/cleanup.h"

#define STACK_SIZE 16384 /* THREAD_SIZE without KASAN (arch/x86/include/asm/page_64_types.h) */
#define MAX_CPUS 64

/* The ranges, and one around all but the first: most words are in neither. */
struct places {
	const struct quiesce_range *ranges;
	size_t n;
	struct quiesce_range others;
};

/* All the words on the stack that a vCPU is on, from its stack pointer up. */
struct stack {
	uint64_t rsp;
	uint64_t words[STACK_SIZE / 8];
	size_t n;
};

static bool inside(const struct quiesce_range *range, uint64_t value)
{
	return value >= range->start && value < range->end;
}

static bool is_place(const struct places *places, uint64_t value)
{
	if (inside(&places->ranges[0], value))
		return true;
	if (!inside(&places->others, value))
		return false;
	for (size_t i = 1; i < places->n; i++) {
		if (inside(&places->ranges[i], value))
			return true;
	}
	return false;
}

static bool words_are_clear(const uint64_t *words, size_t n, const struct places *places)
{
	for (size_t i = 0; i < n; i++) {
		if (is_place(places, words[i]))
			return false;
	}
	return true;
}

/* Up to the first page that cannot be read: kernel stacks have guard pages between them. */
static void stack_read(struct stack *stack, const struct space *space, uint64_t rsp)
{
	uint64_t at = rsp & ~7ULL;

	stack->rsp = rsp;
	stack->n = 0;
	while (stack->n < ARRAY_SIZE(stack->words)) {
		size_t n = (4096 - at % 4096) / 8;

		if (n > ARRAY_SIZE(stack->words) - stack->n)
			n = ARRAY_SIZE(stack->words) - stack->n;
		if (space_read(space, at, stack->words + stack->n, n * 8) < 0)
			return;
		stack->n += n;
		at += n * 8;
	}
}

/*
 * From where a thread's stack is in use. If it runs, its vCPU's stack pointer says so; if that is on an
 * interrupt's stack, the way back to the thread's is stored there (call_on_irqstack() puts it at the top), so
 * the lowest word that points into the thread's stack is low enough.
 */
static uint64_t stack_top(const struct kernel_stack *thread, const struct stack *stacks, int n)
{
	const struct quiesce_range range = { thread->stack, thread->stack + STACK_SIZE };
	uint64_t top = range.end;

	for (int i = 0; i < n; i++) {
		if (inside(&range, stacks[i].rsp))
			return stacks[i].rsp;
		for (size_t w = 0; w < stacks[i].n; w++) {
			if (inside(&range, stacks[i].words[w]) && stacks[i].words[w] < top)
				top = stacks[i].words[w];
		}
	}
	return top < range.end ? top : thread->saved_sp;
}

static int is_inside(uint64_t address, void *data)
{
	return is_place(data, address);
}

static bool thread_is_clear(const struct kernel *kernel, uint64_t address,
			    const struct stack *stacks, int n, const struct places *places)
{
	uint64_t words[STACK_SIZE / 8], top, end;
	struct kernel_stack thread;

	if (kernel_stack_read(kernel, address, &thread) < 0 ||
	    is_place(places, thread.work_function))
		return false;
	end = thread.stack + STACK_SIZE;
	top = stack_top(&thread, stacks, n) & ~7ULL;
	if (top < thread.stack || top > end)
		top = thread.stack;
	if (space_read(kernel_space(kernel), top, words, end - top) < 0)
		return true; /* no such memory: nobody stands on it */
	if (words_are_clear(words, (end - top) / 8, places))
		return true;
	return top == thread.saved_sp &&
	       kernel_unwind(kernel, &thread, is_inside, (void *)places) == 0;
}

/* Fills @ret_stacks for the vCPUs that are in the kernel. Returns their number, -1 when one is in the guard. */
static int read_vcpus(struct machine *machine, const struct kernel *kernel,
		      const struct places *places, struct stack *stacks)
{
	struct cpu cpus[MAX_CPUS];
	int n_cpus = machine_cpus(machine, cpus, MAX_CPUS, NULL), n = 0;

	if (n_cpus <= 0 || n_cpus > MAX_CPUS)
		return -1;
	for (int i = 0; i < n_cpus; i++) {
		if (is_place(places, cpus[i].rip) ||
		    !words_are_clear(cpus[i].general, ARRAY_SIZE(cpus[i].general), places))
			return -1;
		if (!(cpus[i].rip >> 63))
			continue; /* in user mode: nothing on its kernel stack */
		stack_read(&stacks[n], kernel_space(kernel), cpus[i].rsp);
		if (!words_are_clear(stacks[n].words, stacks[n].n, places))
			return -1;
		n++;
	}
	return n;
}

bool quiesce_is_clear(struct machine *machine, const struct kernel *kernel,
		      const struct quiesce_range *ranges, size_t n_ranges)
{
	struct places places = { ranges, n_ranges, { UINT64_MAX, 0 } };
	_cleanup_(freep) uint64_t *threads = calloc(KERNEL_MAX_TASKS, sizeof(*threads));
	_cleanup_(freep) struct stack *stacks = calloc(MAX_CPUS, sizeof(*stacks));
	int n, n_threads;

	if (!threads || !stacks)
		return false;
	for (size_t i = 1; i < n_ranges; i++) {
		if (ranges[i].start < places.others.start)
			places.others.start = ranges[i].start;
		if (ranges[i].end > places.others.end)
			places.others.end = ranges[i].end;
	}
	n = read_vcpus(machine, kernel, &places, stacks);
	if (n < 0)
		return false;
	n_threads = kernel_thread_addresses(kernel, threads, KERNEL_MAX_TASKS);
	if (n_threads <= 0)
		return false;
	for (int i = 0; i < n_threads; i++) {
		if (!thread_is_clear(kernel, threads[i], stacks, n, &places))
			return false;
	}
	return true;
}
