// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * After a kexec the old kernel's memory stands as it was, hooks and all, until the new one happens to use it. What tells is time: its
 * jiffies stand still. That is only a doubt (an idle guest has no tick), so then the vCPUs are asked where their
 * interrupt tables lead. The other vCPUs of a guest that did a kexec halt in the old kernel until the new one
 * starts them: so one that shows another kernel counts for more than all that show ours.
 */
#include "session/life.h"

#include <errno.h>

#include "profile/locate.h"
#include "util/clock.h"
#include "util/log.h"

#define MAX_CPUS 64
#define PULSE_NS 50000000ULL
#define LOOK_NS 500000000ULL

/* Where the kernel is that a vCPU runs. False: in none, or in none that can be told yet. */
static bool find_place(const struct session *session, const struct cpu *cpu,
		       struct kernel_place *ret)
{
	struct image image;

	if (locate_image(&image, machine_ram(session->machine), cpu, NULL) < 0)
		return false;
	*ret = (struct kernel_place){ image.va + image.entry, image.phys_base };
	return true;
}

static bool same_place(const struct kernel_place *a, const struct kernel_place *b)
{
	return a->entry == b->entry && a->phys_base == b->phys_base;
}

static bool read_jiffies(const struct session *session, uint64_t *ret)
{
	return session->jiffies &&
	       space_read_u64(profile_space(session->profile), session->jiffies, ret) == 0;
}

/*
 * A kernel that was left for another looks as if it ran, by a vCPU that halts in it, while its memory is used for something else. So
 * where there is a doubt, time has to go on there before anything is written.
 */
static bool is_alive(struct session *session, uint64_t now_ns)
{
	uint64_t jiffies, moved;

	if (!read_jiffies(session, &jiffies))
		return false;
	if (!session->in_doubt) {
		session->in_doubt = true;
		pulse_start(&session->doubt, jiffies, now_ns);
	}
	moved = jiffies - session->doubt.jiffies;
	return moved && pulse_feel(&session->doubt, jiffies, now_ns) == PULSE_BEATS;
}

/* vCPUs that halt in the kernel that was left come last. The next one may be at the same place. */
int life_read_profile(struct session *session, struct error *err)
{
	struct kernel_place places[MAX_CPUS] = { 0 };
	struct cpu cpus[MAX_CPUS];
	int n = machine_cpus(session->machine, cpus, MAX_CPUS, err), r = -EAGAIN;
	bool other = false;

	if (n < 0)
		return n;
	n = n < MAX_CPUS ? n : MAX_CPUS;
	for (int i = 0; i < n; i++)
		other |= find_place(session, &cpus[i], &places[i]) &&
			 !same_place(&places[i], &session->left);
	for (int i = 0; i < n && r == -EAGAIN; i++) {
		if (other && same_place(&places[i], &session->left))
			continue;
		r = profile_read(&session->profile, machine_ram(session->machine), &cpus[i], err);
		if (r == 0)
			session->place = places[i];
	}
	if (r == 0 && same_place(&session->place, &session->left)) {
		session->jiffies = profile_symbol(session->profile, "jiffies_64");
		if (!is_alive(session, clock_ns(CLOCK_MONOTONIC))) {
			session->profile = profile_free(session->profile);
			return error_set(err, -EAGAIN,
					 "the guest has left its kernel, and the next one is not "
					 "up yet");
		}
	}
	return r;
}

void life_begin(struct session *session, uint64_t now_ns)
{
	uint64_t jiffies = 0;

	session->jiffies = profile_symbol(session->profile, "jiffies_64");
	session->forks = profile_symbol(session->profile, "total_forks");
	session->quiet = (struct quiet){ 0 };
	read_jiffies(session, &jiffies);
	pulse_start(&session->pulse, jiffies, now_ns);
	session->next_pulse_ns = session->next_look_ns = now_ns + PULSE_NS;
	session->left = (struct kernel_place){ 0 };
	session->in_doubt = false;
	session->beat = session_vault(session)->beat;
}

/* Only the host writes the word, and only here. */
static bool was_put_back(struct session *session, uint64_t now_ns)
{
	uint64_t expected = session->beat;

	if (!__atomic_compare_exchange_n(&session_vault(session)->beat, &expected, now_ns, false,
					 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return true;
	session->beat = now_ns;
	return false;
}

/* Microseconds, unless something has changed. */
static bool guard_stands(struct session *session, uint64_t now_ns)
{
	bool at_once = session->look_at_guard;

	session->look_at_guard = false;
	return sentry_look(session->sentry, now_ns, at_once, &session->finding);
}

/* @ret_all: does each vCPU show our kernel? */
static enum life look_at_cpus(const struct session *session, bool *ret_all)
{
	struct cpu cpus[MAX_CPUS];
	int n = machine_cpus(session->machine, cpus, MAX_CPUS, NULL), n_ours = 0;

	for (int i = 0; i < n && i < MAX_CPUS; i++) {
		struct kernel_place place;

		if (!find_place(session, &cpus[i], &place))
			continue;
		if (!same_place(&place, &session->place))
			return LIFE_OTHER_KERNEL;
		n_ours++;
	}
	*ret_all = n > 0 && n_ours == n;
	/* When QEMU does not answer, that is for others to judge. */
	return n <= 0 || n_ours ? LIFE_GOES_ON : LIFE_OTHER_KERNEL;
}

static enum pulse_finding feel_pulse(struct session *session, uint64_t now_ns)
{
	uint64_t jiffies;

	if (now_ns < session->next_pulse_ns)
		return PULSE_BEATS;
	session->next_pulse_ns = now_ns + PULSE_NS;
	return read_jiffies(session, &jiffies) ? pulse_feel(&session->pulse, jiffies, now_ns)
					       : PULSE_STILL;
}

/*
 * Time stands still, too, while an attacker holds all vCPUs with their interrupts off: that would be the moment to take the guard
 * away. But who leaves a kernel for another takes its interrupt table from the vCPU that does it, before anything is written there.
 */
enum life life_check(struct session *session, uint64_t now_ns)
{
	enum pulse_finding pulse;
	bool stands, all_ours;

	if (was_put_back(session, now_ns))
		return LIFE_PUT_BACK;
	pulse = feel_pulse(session, now_ns);
	if (pulse == PULSE_BACK)
		return LIFE_OTHER_KERNEL; /* maybe at the same place */
	stands = guard_stands(session, now_ns);
	session->in_doubt = session->in_doubt && !stands;
	if (stands && (pulse == PULSE_BEATS || now_ns < session->next_look_ns))
		return LIFE_GOES_ON;
	session->next_look_ns = now_ns + LOOK_NS;
	if (look_at_cpus(session, &all_ours) == LIFE_OTHER_KERNEL)
		return LIFE_OTHER_KERNEL;
	return !stands && (all_ours || is_alive(session, now_ns)) ? LIFE_TAMPERED : LIFE_GOES_ON;
}

bool life_goes_on(struct session *session)
{
	bool all;

	return look_at_cpus(session, &all) == LIFE_GOES_ON;
}

bool life_goes_on_at(struct session *session, int vcpu)
{
	struct cpu cpus[MAX_CPUS];
	struct kernel_place place;
	int n = machine_cpus(session->machine, cpus, MAX_CPUS, NULL);

	return vcpu >= 0 && vcpu < n && vcpu < MAX_CPUS &&
	       find_place(session, &cpus[vcpu], &place) && same_place(&place, &session->place);
}

bool session_is_quiet(struct session *session)
{
	uint64_t forks;

	return session->state == SESSION_GUARDING && session->forks &&
	       space_read_u64(profile_space(session->profile), session->forks, &forks) == 0 &&
	       quiet_look(&session->quiet, forks, clock_ns(CLOCK_MONOTONIC));
}

bool life_refresh_memory(struct session *session)
{
	struct error err = { 0 };
	int r = machine_refresh_memory(session->machine, &err);

	if (r < 0)
		log_warning("%s: the guest's memory could not be mapped again: %s", session->name,
			    err.message);
	if (r > 0)
		log_info("%s: the guest's memory is now %llu MiB", session->name,
			 (unsigned long long)(ram_size(machine_ram(session->machine)) >> 20));
	return r > 0;
}
