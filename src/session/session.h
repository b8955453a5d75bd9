/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SESSION_SESSION_H
#define SESSION_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arm/arm.h"
#include "cache/plan.h"
#include "cache/table.h"
#include "events/event.h"
#include "events/ring.h"
#include "introspect/caches.h"
#include "introspect/kernel.h"
#include "policy/policy.h"
#include "profile/profile.h"
#include "sentry/sentry.h"
#include "session/answers.h"
#include "session/containers.h"
#include "session/errands.h"
#include "session/held.h"
#include "session/lock.h"
#include "session/pulse.h"
#include "session/quiet.h"
#include "session/system_calls.h"
#include "session/traps.h"
#include "session/views.h"
#include "session/watches.h"
#include "util/error.h"
#include "vmm/machine.h"

/*
 * One guarded VM, from attach to detach: the guard in the guest, the cache in the vault, the containers and what is
 * watched in them, and the events that come of it. Single-threaded; driven by session_poll().
 */
enum session_state {
	SESSION_WAITING, /* for a guest that boots: not armed */
	SESSION_GUARDING,
	SESSION_ENDED, /* QEMU is gone, or the guest powered off */
};

typedef void (*session_sink_t)(const struct event *event, void *data);
typedef void (*session_notice_t)(const struct event_notice *notice, void *data);

struct session_config {
	const char *name;
	const char *qmp_path;
	unsigned int timeout_ms; /* for each answer of QEMU */
	bool allow_partial; /* a kernel without some hooks is guarded by the others */
	bool wait_for_boot; /* a guest that still boots is no error: it is armed when its kernel is up */
	bool hot_plug; /* a VM without our devices gets them while it runs */
	session_sink_t sink; /* gets every event */
	session_notice_t notice; /* gets what is to be said of the guard itself */
	void *sink_data; /* of both */
};

/* What a thread was told to do last, to know the same when it comes from its other side: see report.c. */
struct last_told {
	uint32_t tid;
	uint64_t start_ns;
	uint64_t dentry_from, dentry_to; /* a rename */
	struct {
		uint64_t super, ino;
	} renamed[2]; /* the files that took part in it */
	unsigned int n_renamed;
	const struct plan_item *made; /* of which it made something new, or NULL */
};
#define SESSION_LAST_TOLD 64 /* threads */

/* A file whose entries were taken away because it was about to be deleted. */
struct gone {
	uint64_t inode; /* address */
	struct guard_identity file;
	uint64_t spaces[4]; /* mount name spaces of the containers that watched it */
	size_t n_spaces; /* more than fit: any may be one */
	uint64_t look_ns;
};
#define SESSION_GONE_FILES 64

struct gone_files { /* a queue */
	struct gone file[SESSION_GONE_FILES];
	size_t first, n;
};

/* What has been told of the mailbox's abuse: see abuse.h. */
struct abuse {
	uint64_t n_told, next_told_ns;
	uint64_t n_seen; /* abuses and records of no rule, when last looked */
	uint64_t seen_ns; /* when there were new ones; 0: never */
};

/* Where a guest kernel is, by its interrupt table: see profile/locate.h. */
struct kernel_place {
	uint64_t entry, phys_base;
};

#define SESSION_MAX_DISKS 256

struct session {
	char name[64];
	char qmp_path[256];
	session_sink_t sink;
	session_notice_t notice;
	void *sink_data;
	struct arm_options arm_options;
	enum session_state state;

	struct machine *machine;
	bool hot_plug; /* may be done */
	bool plugged_in; /* has been done, here */
	struct lock *lock; /* on the vault; NULL until it is known */
	struct profile *profile;
	struct kernel *kernel;
	struct caches *caches; /* NULL where this kernel's are not known */
	struct arm arm;
	struct ring ring;
	struct table *table;
	struct watches *watches;
	bool adopting; /* the table in force is an earlier daemon's, until the first of ours is */
	struct containers containers;
	struct container *guest; /* the guest itself: see guest.h */
	struct {
		uint32_t device[SESSION_MAX_DISKS];
		size_t n;
	} disks; /* with mounted file systems */
	struct views views;
	struct held held;
	struct errands errands;
	struct last_told last_told[SESSION_LAST_TOLD];
	unsigned int next_last_told;
	struct gone_files gone_files;

	struct policy *policy, *old_policy; /* the old one: while events may still name its rules */
	struct plan *plan, *old_plan;
	uint32_t names_sequence;
	uint64_t old_until; /* ring position from which nothing names the old one */

	char guest_hostname[72];
	uint64_t guest_mnt_ns;
	uint32_t guest_pid_ns, guest_uts_ns;
	uint64_t guest_root; /* dentry of the first process's root directory */
	uint64_t guest_task; /* that process */
	uint64_t n_events, n_denied, n_unattributed, n_resets, n_lost_told;
	uint64_t next_lost_told_ns;
	struct abuse abuse;
	uint64_t next_sweep_ns, attached_ns;

	/* See life.h. */
	struct kernel_place place,
		left; /* the kernel's that is guarded; its that has gone, until another is found */
	uint64_t jiffies; /* address; 0: not known */
	uint64_t forks; /* address of the number of processes so far; 0: not known */
	struct quiet quiet;
	struct pulse pulse;
	struct pulse
		doubt; /* since the guard was found changed, if it is in_doubt whether its kernel is alive */
	bool in_doubt;
	uint64_t next_pulse_ns, next_look_ns;
	uint64_t next_refresh_ns; /* of the guest's memory, when a walk fails */
	uint64_t beat; /* as last written to the vault */
	bool look_at_guard; /* at once, not when it is time to */
	struct sentry *sentry;
	struct sentry_finding finding; /* its last */
	struct sentry_finding untold; /* what was found, until it is told */
	struct sentry_finding stays; /* what was found and could not, or should not, be put back */
	uint64_t stays_ns; /* when it was last so */
	char untold_outcome[160]; /* of the last of it */
	uint64_t traced_told, next_traced_ns; /* sentry_traced() */
	struct system_calls system_calls;
	struct answers answers;
	struct traps traps;
	uint64_t n_tampered, n_repaired, next_tampered_told_ns;
	bool stopped; /* the VM is, by somebody else or frozen */
	bool frozen; /* by us, as the policy says, and nobody has let it go on */
	uint64_t stopped_ns;
	const char *gone; /* while waiting for another kernel without a reset: why */

	uint64_t maintenance_until_ns; /* CLOCK_MONOTONIC; 0: there is none. See session_maintain() */

	bool told_open_files; /* for the policy in force */
	bool swept; /* the last walk of the guest's processes went to the end */
	struct error trouble; /* what status should say is wrong; code 0: nothing */
};

/*
 * Attaches to the VM behind @config->qmp_path, with @policy (taken over on success), and arms the guard. Containers
 * that run already are resolved afterwards, by polling: see session_is_settled(). On error nothing is armed.
 * -EAGAIN: the guest is still booting; calling again later may work.
 */
int session_attach(struct session **ret, const struct session_config *config, struct policy *policy,
		   struct error *err);

/* Takes the guard out of the guest, handles the records that are left, and frees the session. */
int session_detach(struct session *session, struct error *err);

/* Frees the session and leaves the guard in the guest: refusals go on. Accepts NULL. Returns NULL. */
struct session *session_leave(struct session *session);

/*
 * The same, for a successor that comes at once: what waits in the guest for the host goes on waiting, for as long as it
 * would, and a full ring still holds offenders up. Accepts NULL. Returns NULL.
 */
struct session *session_hand_over(struct session *session);

/*
 * Replaces the policy (taken over on success). The old one stays in force until the new one has been resolved in
 * every container; then the new one comes into force in one store. On error nothing has changed.
 */
int session_load_policy(struct session *session, struct policy *policy, struct error *err);

/*
 * For so many minutes (at most SESSION_MAX_MAINTENANCE; 0: no more) what guest-integrity refuses to the guest's own processes is only
 * reported. Told when it begins and when it ends.
 */
#define SESSION_MAX_MAINTENANCE (7 * 24 * 60)
void session_maintain(struct session *session, unsigned int minutes);

/* Has every container been resolved for the policy that was loaded last? */
bool session_is_settled(const struct session *session);

/*
 * Handles what has come from the guest and from QEMU; never blocks long, and handles a bounded number of records.
 * Returns whether there was anything: then call again soon. Events go to the sink. @heard: session_fd() may be readable; who has just
 * waited for it, and knows that it was not, says false, so that QEMU is not listened to once more.
 */
bool session_poll(struct session *session, bool heard);

/* Has the mailbox been abused lately? Whoever does that is served, but not with all that we have. */
bool session_is_abused(const struct session *session);

/* Is the guest guarded, and has it started no process for a while? One whose kernel does not say never is quiet. */
bool session_is_quiet(struct session *session);

/* For poll(2): QEMU's events. */
int session_fd(const struct session *session);

/* For poll(2), too: a write to what the guard stands on is held. -1: that cannot happen. */
int session_trap_fd(const struct session *session);

/* The vault's header, as it is mapped here. */
static inline struct guard_vault *session_vault(const struct session *session)
{
	return (struct guard_vault *)machine_vault(session->machine)->host;
}

#endif
