// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tasks are walked in two steps, because the guest runs meanwhile. First the addresses alone, which
 * takes microseconds, and again from the start if the list broke under the walk. Then each task;
 * one that cannot be read any more has gone in the meantime and is passed over.
 */
#include "introspect/kernel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "introspect/cgroup.h"
#include "introspect/reader.h"
#include "util/cleanup.h"

#define MAX_CPUS 8192 /* CONFIG_NR_CPUS_RANGE_END */
#define MAX_PID_LEVEL 32 /* MAX_PID_NS_LEVEL */
#define MAX_ATTEMPTS 5
#define PF_KTHREAD 0x00200000
#define PF_WQ_WORKER 0x00000020

/*
 * struct pid keeps a number for each name space that sees the task, from the first (0) to its own
 * (level).
 */
static uint64_t innermost_upid(struct reader *reader, uint64_t pid)
{
	uint64_t level = reader_get(reader, pid, FIELD_PID_LEVEL);

	if (level > MAX_PID_LEVEL)
		reader->error = -EFAULT;
	return reader_place(reader, pid, FIELD_PID_NUMBERS) +
	       level * reader->kernel->layout.upid_size;
}

static void read_pids(struct reader *reader, uint64_t task, struct kernel_task *out)
{
	uint64_t own = reader_get(reader, task, FIELD_TASK_THREAD_PID);
	uint64_t leader = reader_get(reader, task, FIELD_TASK_LEADER);
	uint64_t group = leader == task ? own : reader_get(reader, leader, FIELD_TASK_THREAD_PID);

	out->pid = reader_get(reader, task, FIELD_TASK_PID);
	out->tgid = reader_get(reader, task, FIELD_TASK_TGID);
	if (own) {
		uint64_t upid = innermost_upid(reader, own);
		uint64_t ns = reader_get(reader, upid, FIELD_UPID_NS);

		out->pid_ns_inum = reader_get(reader, ns, FIELD_PID_NS_INUM);
		out->reaper = reader_get(reader, ns, FIELD_PID_NS_REAPER);
	}
	if (group)
		out->inner_pid = reader_get(reader, innermost_upid(reader, group), FIELD_UPID_NR);
}

static void read_cred(struct reader *reader, uint64_t cred, struct kernel_cred *out)
{
	out->uid = reader_get(reader, cred, FIELD_CRED_UID);
	out->gid = reader_get(reader, cred, FIELD_CRED_GID);
	out->euid = reader_get(reader, cred, FIELD_CRED_EUID);
	out->egid = reader_get(reader, cred, FIELD_CRED_EGID);
	out->fsuid = reader_get(reader, cred, FIELD_CRED_FSUID);
	out->fsgid = reader_get(reader, cred, FIELD_CRED_FSGID);
}

static void read_namespaces(struct reader *reader, uint64_t task, struct kernel_task *out)
{
	uint64_t uts;

	out->nsproxy = reader_get(reader, task, FIELD_TASK_NSPROXY);
	if (!out->nsproxy)
		return; /* exiting */
	out->mnt_ns = reader_get(reader, out->nsproxy, FIELD_NSPROXY_MNT);
	out->mnt_ns_sequence = reader_get_if(reader, out->mnt_ns, FIELD_MNT_NS_SEQUENCE);
	uts = reader_get(reader, out->nsproxy, FIELD_NSPROXY_UTS);
	out->uts_ns_inum = reader_get(reader, uts, FIELD_UTS_NS_INUM);
	reader_text(reader, uts, FIELD_UTS_HOSTNAME, out->hostname, sizeof(out->hostname));
}

/*
 * Since Linux e57ef2ed97c1 ("x86: Put hot per CPU variables into a struct") (in v6.2) the variable is a member of pcpu_hot; since
 * a1e4cc0155ad ("x86/percpu: Move current_task to percpu hot section") (in v6.15) it stands alone again.
 */
int kernel_task_on_cpu(const struct kernel *kernel, unsigned int cpu, uint64_t *ret)
{
	uint64_t offsets = profile_symbol(kernel->profile, "__per_cpu_offset"), offset;
	uint64_t variable = profile_symbol(kernel->profile, "current_task");
	uint64_t hot = profile_symbol(kernel->profile, "pcpu_hot");
	struct profile_field member;

	if (hot && profile_field(kernel->profile, "pcpu_hot.current_task", &member) == 0)
		variable = hot + member.offset;
	if (!offsets || !variable || cpu >= MAX_CPUS)
		return -ENOENT;
	if (space_read_u64(kernel->space, offsets + 8ULL * cpu, &offset) < 0)
		return -EFAULT;
	return space_read_u64(kernel->space, variable + offset, ret);
}

int kernel_task_read(const struct kernel *kernel, uint64_t address, struct kernel_task *ret)
{
	struct reader reader = { .kernel = kernel };
	struct kernel_task task = { .address = address };
	uint64_t fs = reader_get(&reader, address, FIELD_TASK_FS);

	task.parent = reader_get(&reader, address, FIELD_TASK_PARENT);
	task.start_ns = reader_get(&reader, address, FIELD_TASK_START);
	task.kernel_thread = reader_get(&reader, address, FIELD_TASK_FLAGS) & PF_KTHREAD;
	reader_text(&reader, address, FIELD_TASK_COMM, task.name, sizeof(task.name));
	read_pids(&reader, address, &task);
	read_cred(&reader, reader_get(&reader, address, FIELD_TASK_CRED), &task.cred);
	read_namespaces(&reader, address, &task);
	task.cgroup = reader_get(&reader, cgroup_node(&reader, address), FIELD_KERNFS_ID);
	task.root_dentry = reader_get_if(&reader, fs, FIELD_FS_ROOT_DENTRY);
	task.root_mount = reader_get_if(&reader, fs, FIELD_FS_ROOT_MOUNT);
	if (reader.error)
		return reader.error;
	*ret = task;
	return 0;
}

int kernel_stack_read(const struct kernel *kernel, uint64_t thread, struct kernel_stack *ret)
{
	struct reader reader = { .kernel = kernel };
	struct kernel_stack stack = {
		.stack = reader_get(&reader, thread, FIELD_TASK_STACK),
		.saved_sp = reader_get(&reader, thread, FIELD_TASK_SAVED_SP),
	};

	if (reader_get(&reader, thread, FIELD_TASK_FLAGS) & PF_WQ_WORKER) {
		uint64_t kthread = reader_get(&reader, thread, FIELD_TASK_WORKER);
		uint64_t worker = reader_get_if(&reader, kthread, FIELD_KTHREAD_DATA);

		stack.work_function = reader_get_if(&reader, worker, FIELD_WORKER_FUNCTION);
	}
	if (reader.error)
		return reader.error;
	*ret = stack;
	return 0;
}

struct addresses {
	uint64_t *at;
	size_t n, size;
};

static int add(struct addresses *addresses, uint64_t address)
{
	if (addresses->n == addresses->size)
		return -ELOOP;
	addresses->at[addresses->n++] = address;
	return 0;
}

/* A list that comes back to a place it was at before, other than its head, has no end: it is met after at most three rounds. */
struct rounds {
	uint64_t mark;
	unsigned int n, limit;
};

static bool goes_round(struct rounds *rounds, uint64_t node)
{
	if (rounds->mark && node == rounds->mark)
		return true;
	if (rounds->n++ >= rounds->limit) {
		rounds->mark = node;
		rounds->limit = 2 * rounds->n;
	}
	return false;
}

static int add_threads(struct reader *reader, uint64_t leader, struct addresses *addresses)
{
	uint64_t signal = reader_get(reader, leader, FIELD_TASK_SIGNAL);
	uint64_t head = reader_place(reader, signal, FIELD_SIGNAL_THREADS);
	uint64_t node = reader_get(reader, signal, FIELD_SIGNAL_THREADS);
	struct rounds rounds = { 0 };

	while (!reader->error && node != head) {
		uint64_t thread = reader_container(reader, node, FIELD_TASK_THREAD);
		int r = goes_round(&rounds, node) ? -ELOOP : add(addresses, thread);

		if (r < 0)
			return r;
		node = reader_get(reader, thread, FIELD_TASK_THREAD);
	}
	return reader->error;
}

/* The list of processes goes through init_task, the first idle task, which is no process itself. */
static int add_tasks(const struct kernel *kernel, bool threads, struct addresses *addresses)
{
	struct reader reader = { .kernel = kernel };
	uint64_t head = reader_place(&reader, kernel->layout.init_task, FIELD_TASK_TASKS);
	uint64_t node = reader_get(&reader, kernel->layout.init_task, FIELD_TASK_TASKS);
	struct rounds rounds = { 0 };

	addresses->n = 0;
	for (unsigned int n = 0; !reader.error && node != head; n++) {
		uint64_t task = reader_container(&reader, node, FIELD_TASK_TASKS);
		int r = threads ? add_threads(&reader, task, addresses) : add(addresses, task);

		if (r < 0)
			return r;
		if (n == KERNEL_MAX_TASKS || goes_round(&rounds, node))
			return -ELOOP; /* of processes that claim to have no threads */
		node = reader_get(&reader, task, FIELD_TASK_TASKS);
	}
	return reader.error;
}

static int collect(const struct kernel *kernel, bool threads, struct addresses *addresses)
{
	int r = -EFAULT;

	for (unsigned int i = 0; r == -EFAULT && i < MAX_ATTEMPTS; i++)
		r = add_tasks(kernel, threads, addresses);
	return r;
}

int kernel_thread_addresses(const struct kernel *kernel, uint64_t *addresses, size_t n)
{
	struct addresses to = { .at = addresses, .size = n };
	int r = collect(kernel, true, &to);

	return r < 0 ? r : (int)to.n;
}

int kernel_is_thread(const struct kernel *kernel, uint64_t address)
{
	_cleanup_(freep) uint64_t *at = malloc(KERNEL_MAX_TASKS * sizeof(*at));
	int n = at ? kernel_thread_addresses(kernel, at, KERNEL_MAX_TASKS) : -ENOMEM;

	for (int i = 0; i < n; i++)
		if (at[i] == address)
			return 1;
	return n < 0 ? n : 0;
}

int kernel_tasks_each(const struct kernel *kernel, bool threads,
		      int (*visit)(const struct kernel_task *task, void *data), void *data)
{
	_cleanup_(freep) uint64_t *at = malloc(KERNEL_MAX_TASKS * sizeof(*at));
	struct addresses addresses = { .at = at, .size = KERNEL_MAX_TASKS };
	int r;

	if (!at)
		return -ENOMEM;
	r = collect(kernel, threads, &addresses);
	for (size_t i = 0; r == 0 && i < addresses.n; i++) {
		struct kernel_task task;

		if (kernel_task_read(kernel, at[i], &task) == 0)
			r = visit(&task, data);
	}
	return r;
}
