// SPDX-License-Identifier: GPL-2.0-or-later
#include "guard/actor.h"

#include "guard/kernel.h"
#include "guard/match.h"

#define MAX_CGROUP_LEVELS 64

void actor_know(struct actor *actor)
{
	const void *task = current_task();
	void *file = get_task_exe_file((void *)task);

	actor->known = true;
	actor->uid = cred_uid(task_real_cred(task));
	actor->space = current_space();
	actor->super = actor->ino = actor->generation = 0;
	if (!file)
		return;
	actor->super = inode_super(file_inode(file));
	actor->ino = inode_ino(file_inode(file));
	actor->generation = inode_generation(file_inode(file));
	fput(file);
}

static bool has_inner_pid(const void *task)
{
	const void *pid = task_thread_pid(task);

	return pid && pid_level(pid) > 0;
}

/* Some container's cgroup, or one that was made below it. */
static bool is_in_cgroup(const void *task)
{
	const void *cgroup, *state;
	bool found = false;

	if (!(unsigned long)field_task_cgroups)
		return false; /* a kernel without cgroups */
	rcu_lock();
	cgroup = css_set_cgroup(task_cgroups(task));
	for (unsigned int i = 0; cgroup && !found && i < MAX_CGROUP_LEVELS; i++) {
		uint64_t id = kernfs_node_id(cgroup_node(cgroup));

		found = is_in_force(GUARD_CGROUP_KEY(id), 0);
		state = cgroup_parent_state(cgroup);
		cgroup = state ? state_cgroup(state) : NULL;
	}
	rcu_unlock();
	return found;
}

enum guard_whom actor_whom(void)
{
	const void *task = current_task();
	bool refused;

	if (task_flags(task) & PF_KTHREAD)
		return GUARD_BY_GUEST;
	if (has_inner_pid(task))
		return GUARD_BY_CONTAINER;
	return space_is_known(current_space(), &refused) || is_in_cgroup(task) ? GUARD_BY_CONTAINER
									       : GUARD_BY_GUEST;
}
