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

static void copy_text(char *to, const char *from, uint32_t size)
{
	uint32_t i = 0;
	char c;

	while (i < size - 1 && (c = ((const volatile char *)from)[i]))
		to[i++] = c;
	to[i] = '\0';
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

void describe_process(struct guard_process *process)
{
	const void *task = current_task(), *leader;
	const void *cred =
		task_real_cred(task); /* its own, whatever a file system acts with just now */

	process->pid = task_tgid(task);
	process->tid = task_pid(task);
	process->uid = cred_uid(cred);
	process->gid = cred_gid(cred);
	process->euid = cred_euid(cred);
	process->egid = cred_egid(cred);
	copy_name(process->name, task_comm(task), sizeof(process->name));
	process->mnt_ns = current_space();

	rcu_lock();
	leader = task_group_leader(task);
	process->start_ns = task_start_boottime(leader);
	process->inner_tid = inner_number(task);
	process->inner_pid = inner_number(leader);
	describe_parents(process, task);
	rcu_unlock();
}

/* An error pointer is far outside the slot. */
static uint16_t text_in_slot(const char *text, void *slot, uint32_t *from, uint32_t size)
{
	const char *buf = (char *)slot + *from;

	if (text < buf || text >= buf + size)
		return GUARD_NO_TEXT;
	*from += size;
	return (uint16_t)(text - (char *)slot);
}

uint16_t describe_path(void *slot, uint32_t *from, uint32_t size, const void *path)
{
	return text_in_slot(d_path(path, (char *)slot + *from, (int)size), slot, from, size);
}

uint16_t describe_dentry(void *slot, uint32_t *from, uint32_t size, const void *dentry)
{
	return text_in_slot(dentry_path_raw(dentry, (char *)slot + *from, (int)size), slot, from,
			    size);
}

uint16_t describe_name(void *slot, uint32_t *from, uint32_t size, const void *dentry)
{
	char *buf = (char *)slot + *from;

	rcu_lock();
	copy_text(buf, dentry_name(dentry), size);
	rcu_unlock();
	return text_in_slot(buf, slot, from, size);
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
