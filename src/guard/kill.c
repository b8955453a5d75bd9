// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The host has chosen the processes, from the kernel's own list of tasks; each is known by when it started, so that none is killed that got its number
 * since. Whether they are gone the host sees for itself: what the mailbox says is not believed.
 */
#include "guard/kill.h"

#include "contract/guard_abi.h"
#include "guard/cache.h"
#include "guard/kernel.h"
#include "guard/ring.h"

/* Not the guest's first process, which would take the guest along, and no thread of the kernel's. */
static void kill_one(uint32_t pid, uint64_t start_ns)
{
	void *task;

	rcu_lock();
	task = find_task_by_vpid((int)pid); /* a kworker's name space is the first */
	if (task && task_start_boottime(task) == start_ns && task_tgid(task) != 1 &&
	    !(task_flags(task) & PF_KTHREAD))
		send_sig(SIGKILL, task, 1);
	rcu_unlock();
}

bool kill_asked(void)
{
	uint64_t asked = __atomic_load_n(&vault.kill, __ATOMIC_ACQUIRE);
	uint32_t n = READ_ONCE(vault.n_kills);

	if (asked == READ_ONCE(mailbox.kill_done))
		return false;
	for (uint32_t i = 0; i < n && i < GUARD_KILLS; i++)
		kill_one(READ_ONCE(vault.kills[i].pid), READ_ONCE(vault.kills[i].start_ns));
	__atomic_store_n(&mailbox.kill_done, asked, __ATOMIC_RELEASE);
	return true;
}
