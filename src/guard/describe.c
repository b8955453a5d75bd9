// SPDX-License-Identifier: GPL-2.0-or-later
#include "guard/describe.h"

#include "guard/kernel.h"

void describe_identity(struct guard_identity *identity, const void *inode)
{
	identity->super = inode_super(inode);
	identity->ino = inode_ino(inode);
	identity->generation = inode_generation(inode);
	identity->device = super_device((void *)identity->super);
}

static void copy_name(char *to, const char *from, unsigned int size)
{
	for (unsigned int i = 0; i < size; i++)
		to[i] = ((const volatile char *)from)[i];
	to[size - 1] = '\0';
}

/* A task's number in its own pid name space. */
static uint32_t inner_number(const void *task)
{
	const void *pid = task_thread_pid(task);

	if (!pid)
		return 0;
	return upid_nr((const char *)pid_numbers(pid) +
		       (unsigned long)upid_struct_size * pid_level(pid));
}

static void describe_parents(struct guard_process *process, const void *task)
{
	unsigned int n = 0;

	while (n < GUARD_N_PARENTS) {
		struct guard_ancestor *ancestor = &process->parents[n];

		task = task_group_leader(task_real_parent(task));
		ancestor->pid = task_tgid(task);
		if (!ancestor->pid)
			break; /* the idle task: the top */
		ancestor->uid = cred_uid(task_real_cred(task));
		copy_name(ancestor->name, task_comm(task), sizeof(ancestor->name));
		n++;
	}
	process->n_parents = n;
}

static void describe_namespaces(struct guard_process *process, const void *nsproxy)
{
	process->mnt_ns = 0;
	process->hostname[0] = '\0';
	if (!nsproxy)
		return; /* exiting */
	process->mnt_ns = mnt_namespace_sequence(nsproxy_mnt(nsproxy));
	copy_name(process->hostname, uts_namespace_nodename(nsproxy_uts(nsproxy)),
		  sizeof(process->hostname));
}

void describe_process(struct guard_process *process)
{
	const void *task = current_task(), *cred = task_cred(task), *leader;

	process->pid = task_tgid(task);
	process->tid = task_pid(task);
	process->uid = cred_uid(cred);
	process->gid = cred_gid(cred);
	process->euid = cred_euid(cred);
	process->egid = cred_egid(cred);
	copy_name(process->name, task_comm(task), sizeof(process->name));
	describe_namespaces(process, task_nsproxy(task));

	rcu_lock();
	leader = task_group_leader(task);
	process->start_ns = task_start_boottime(leader);
	process->inner_tid = inner_number(task);
	process->inner_pid = inner_number(leader);
	process->cgroup = kernfs_node_id(cgroup_node(css_set_cgroup(task_cgroups(task))));
	describe_parents(process, task);
	rcu_unlock();
}

uint16_t describe_path(void *slot, uint32_t *from, uint32_t size, const void *path)
{
	char *buf = (char *)slot + *from, *text = d_path(path, buf, (int)size);

	/* An error pointer is far outside the slot. */
	if (text < buf || text >= buf + size)
		return GUARD_NO_TEXT;
	*from += size;
	return (uint16_t)(text - (char *)slot);
}

uint16_t describe_executable(void *slot, uint32_t *from, uint32_t size)
{
	void *file = get_task_exe_file(current_task());
	uint16_t at;

	if (!file)
		return GUARD_NO_TEXT; /* a kernel thread */
	at = describe_path(slot, from, size, file_path(file));
	fput(file);
	return at;
}

uint16_t describe_cgroup(void *slot, uint32_t *from, uint32_t size)
{
	char *buf = (char *)slot + *from;
	int n;

	rcu_lock();
	n = kernfs_path_from_node(cgroup_node(css_set_cgroup(task_cgroups(current_task()))), NULL,
				  buf, size);
	rcu_unlock();
	if (n < 0)
		return GUARD_NO_TEXT;
	buf[size - 1] = '\0';
	*from += size;
	return (uint16_t)(buf - (char *)slot);
}
