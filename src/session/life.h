/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SESSION_LIFE_H
#define SESSION_LIFE_H

#include "session/session.h"

/*
 * Is the kernel that the guard was put into still the one that runs, and is the guard in it? QEMU tells of a reset, but neither of
 * a guest that starts another kernel by itself (kexec) nor of a VM that is put back to an earlier state (loadvm).
 */
enum life {
	LIFE_GOES_ON,
	LIFE_OTHER_KERNEL, /* or none yet: what is known of the old one leads nowhere */
	LIFE_PUT_BACK, /* the vault is not as it was left: that of an earlier time */
	LIFE_TAMPERED, /* the same kernel, from which the guard, or a part of it, has been taken: session.finding */
};

/* Reads the profile, by whichever vCPU shows the kernel that runs. -EAGAIN: none does yet. */
int life_read_profile(struct session *session, struct error *err);

/* The guard has been put in place, or found there: what life_check() compares with. */
void life_begin(struct session *session, uint64_t now_ns);

/*
 * To be called again and again while the VM runs: looks at words in memory, and asks QEMU only in doubt, at most twice a second.
 * A kernel that is replaced by kexec is noticed within half a second of when the new one can be known.
 */
enum life life_check(struct session *session, uint64_t now_ns);

/* Asks QEMU at once: is it safe to write where the kernel was found? */
bool life_goes_on(struct session *session);

/* The same of one vCPU alone. False also where QEMU does not answer. */
bool life_goes_on_at(struct session *session, int vcpu);

/* The guest's memory has been plugged in or out, or may have: asks QEMU for its map. Returns whether that differs. */
bool life_refresh_memory(struct session *session);

#endif
