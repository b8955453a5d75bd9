// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/facts.h"

#include <inttypes.h>
#include <string.h>

#include "arm/promises.h"
#include "arm/resolve.h"
#include "daemon/sandbox.h"
#include "events/utf8.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "vmm/trap.h"

static void put(struct json_object *to, const char *key, struct json_object *value)
{
	json_object_object_add(to, key, value);
}

static void put_number(struct json_object *to, const char *key, uint64_t value)
{
	put(to, key, json_object_new_uint64(value));
}

static void put_bool(struct json_object *to, const char *key, bool value)
{
	put(to, key, json_object_new_boolean(value));
}

static void put_hex(struct json_object *to, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%" PRIx64, value);
	put(to, key, json_object_new_string(text));
}

/* Milliseconds, to the microsecond. */
static void put_ms(struct json_object *to, const char *key, uint64_t us)
{
	char text[32];

	snprintf(text, sizeof(text), "%" PRIu64 ".%03" PRIu64, us / 1000, us % 1000);
	put(to, key, json_object_new_double_s((double)us / 1000, text));
}

/* Any bytes, as the nearest valid UTF-8. */
static void put_text(struct json_object *to, const char *key, const char *text)
{
	_cleanup_(freep) char *valid = NULL;
	size_t size;
	FILE *out = open_memstream(&valid, &size);
	unsigned int n;

	if (!out)
		return;
	for (; *text; text += n) {
		uint32_t character;

		n = utf8_next(text, &character);
		if (character == UTF8_INVALID)
			fputs(UTF8_REPLACEMENT, out);
		else
			fwrite(text, 1, n, out);
	}
	fclose(out);
	put(to, key, json_object_new_string(valid));
}

/* What the engine calls it, where that has been asked for. */
static void put_words(struct json_object *to, const struct container_words *words)
{
	if (*words->name)
		put_text(to, "name", words->name);
	if (*words->image)
		put_text(to, "image", words->image);
	if (*words->pod_name)
		put_text(to, "pod", words->pod_name);
}

static struct json_object *container_facts(const struct container *container)
{
	struct json_object *to = json_object_new_object();

	put_text(to, "id", container->name.id);
	put_text(to, "engine", container->name.engine);
	if (*container->hostname)
		put_text(to, "hostname", container->hostname);
	put_words(to, &container->words);
	put_number(to, "pid", container->pid);
	put_number(to, "entries", container->n_entries);
	put_number(to, "entries_before_start", container->n_before);
	put_number(to, "entries_lazily", container->n_lazy);
	put_number(to, "entries_in_layers", container->n_layer_entries);
	put_number(to, "round_trips_before_start", container->n_trips_before);
	put_number(to, "round_trips_after_start", container->n_trips_after);
	put_bool(to, "resolved", container->resolved);
	put_bool(to, "before_start", container->before_start);
	put_bool(to, "ran_unguarded", container->ran_unguarded);
	put_number(to, "took_us", container->took_us);
	put_bool(to, "lost", container->lost);
	return to;
}

static struct json_object *containers_facts(const struct session *session)
{
	struct json_object *list = json_object_new_array();

	for (const struct container *c = session->containers.first; c; c = c->next)
		json_object_array_add(list, container_facts(c));
	return list;
}

static struct json_object *policy_facts(const struct policy *policy)
{
	struct json_object *to = json_object_new_object();

	put_text(to, "source", policy->source);
	put_text(to, "digest", policy->digest);
	put_number(to, "rules", policy->n_own_rules);
	return to;
}

static struct json_object *cost_facts(const struct profile *profile, const struct arm *arm)
{
	const struct profile_cost *cost = profile_cost(profile);
	struct json_object *to = json_object_new_object();

	put_ms(to, "profile_ms", cost->find_us + cost->kallsyms_us + cost->btf_us);
	put_ms(to, "find_ms", cost->find_us);
	put_ms(to, "kallsyms_ms", cost->kallsyms_us);
	put_ms(to, "btf_ms", cost->btf_us);
	if (arm) {
		put_ms(to, "prepare_ms", arm->prepare_us);
		put_ms(to, "paused_ms", arm->paused_us);
	}
	return to;
}

static struct json_object *cache_facts(const struct session *session)
{
	struct json_object *to = json_object_new_object();
	struct table_stats stats;

	table_stats(session->table, &stats);
	put_number(to, "entries", stats.entries);
	put_number(to, "capacity", stats.capacity);
	put_number(to, "clauses_bytes", stats.arena_used);
	put_number(to, "clauses_capacity", stats.arena_size);
	put_number(to, "watches", watches_count(session->watches));
	return to;
}

static struct json_object *abuses_facts(const struct ring *ring)
{
	struct json_object *to = json_object_new_object();

	for (int i = 0; i < RING_N_ABUSES; i++)
		put_number(to, ring_abuse_name(i), ring->abuses[i]);
	return to;
}

static struct json_object *events_facts(const struct session *session)
{
	struct json_object *to = json_object_new_object();

	put_number(to, "total", session->n_events);
	put_number(to, "denied", session->n_denied);
	put_number(to, "unattributed", session->n_unattributed);
	if (session->state == SESSION_GUARDING) {
		put_number(to, "lost", session->ring.lost);
		put_number(to, "skipped", session->ring.skipped);
		put_number(to, "abused", session->ring.abused);
		put(to, "abuses", abuses_facts(&session->ring));
	}
	return to;
}

static struct json_object *qemu_facts(const struct machine *machine)
{
	struct json_object *to = json_object_new_object();

	put_number(to, "pid", (uint64_t)machine_pid(machine));
	put(to, "accelerator", json_object_new_string(machine_accelerator(machine)));
	return to;
}

static const char *state_name(enum session_state state)
{
	switch (state) {
	case SESSION_WAITING:
		return "waiting";
	case SESSION_GUARDING:
		return "guarding";
	case SESSION_ENDED:
		return "ended";
	}
	return "?";
}

static const struct hook *armed_hook(const struct arm *arm, const char *name)
{
	for (size_t i = 0; i < arm->hooks.n; i++) {
		if (strcmp(arm->hooks.hook[i].name, name) == 0)
			return &arm->hooks.hook[i];
	}
	return NULL;
}

/* The hooks that were left out, and what that means. */
static struct json_object *missing_facts(const struct profile *profile, const struct arm *arm)
{
	struct json_object *list = json_object_new_array();
	struct hook_offer offer;

	for (size_t i = 0; hooks_offer(profile, i, &offer) == 0; i++) {
		struct json_object *to;

		if (armed_hook(arm, offer.name) || (offer.optional && !offer.available))
			continue;
		to = json_object_new_object();
		put_text(to, "hook", offer.name);
		put_text(to, "without", promise_without(offer.name));
		json_object_array_add(list, to);
	}
	return list;
}

/* Why nobody looks where system calls enter the kernel, or NULL. */
static const char *entry_not_watched(const struct profile *profile, bool shepherd)
{
	if (!resolve_system_call_entry(profile))
		return "this kernel does not say where it is (entry_SYSCALL_64), or lets the guard "
		       "ask no other CPU (smp_call_function_single)";
	return shepherd ? NULL : "it takes the hook shepherd";
}

/* How the guard is watched over, and what that costs. */
static struct json_object *sentry_json(const struct session *session)
{
	struct json_object *to = json_object_new_object();
	const char *not_watched =
		entry_not_watched(session->profile, hooks_have(&session->arm.hooks, "shepherd"));
	uint64_t elapsed = clock_ns(CLOCK_MONOTONIC);
	struct sentry_facts facts;

	sentry_get_facts(session->sentry, &facts);
	elapsed = elapsed > facts.since_ns ? elapsed - facts.since_ns : 1;
	put_text(to, "notices_by", session->traps.in_force ? "trap" : "period");
	put_number(to, "hooks_ms", facts.periods.ns[SENTRY_HOOKS] / 1000000);
	put_number(to, "kernel_ms", facts.periods.ns[SENTRY_KERNEL] / 1000000);
	put_number(to, "registers_ms", facts.periods.ns[SENTRY_REGISTERS] / 1000000);
	put_number(to, "vault_ms", facts.periods.ns[SENTRY_VAULT] / 1000000);
	if (facts.trouble)
		put_text(to, "kernel_not_watched", facts.trouble);
	if (not_watched)
		put_text(to, "system_call_entry_not_watched", not_watched);
	put_number(to, "words", facts.n_words);
	put_number(to, "kernel_bytes", facts.n_bytes);
	put_number(to, "kernel_places_it_patches", facts.n_sites);
	put_number(to, "kernel_rounds", facts.n_rounds);
	put_number(to, "differences", facts.n_differences);
	put_number(to, "looks", facts.n_looks);
	put_number(to, "look_us", facts.n_looks ? facts.look_ns / facts.n_looks / 1000 : 0);
	put_number(to, "longest_look_us", facts.longest_ns / 1000);
	put_number(to, "registers_us", facts.n_asked ? facts.asked_ns / facts.n_asked / 1000 : 0);
	put(to, "percent_of_a_cpu",
	    json_object_new_double((double)facts.cpu_ns * 100 / (double)elapsed));
	return to;
}

/* By what, and how soon, it is noticed that the guard is tampered with. */
static struct json_object *trap_facts(const struct session *session)
{
	const struct traps *traps = &session->traps;
	struct json_object *to = json_object_new_object();
	struct trap_stats stats = { 0 };

	put_bool(to, "in_force", traps->in_force);
	if (traps->in_force)
		trap_stats(machine_trap(session->machine), &stats);
	else if (*traps->why_not)
		put_text(to, "why_not", traps->why_not);
	put_number(to, "pages", stats.pages);
	put_number(to, "pages_left_out", traps->left_out);
	put_number(to, "pages_too_hot", stats.hot);
	put_number(to, "writes_caught", stats.caught);
	put_number(to, "writes_beside", stats.neighbours);
	put_number(to, "told", traps->n_told);
	if (traps->n_told) {
		put_ms(to, "last_ms", traps->last_us);
		put_ms(to, "worst_ms", traps->worst_us);
	}
	return to;
}

/* The guest itself, as far as guest-integrity watches over it. */
static struct json_object *guest_facts(const struct session *session)
{
	uint64_t until = session->maintenance_until_ns, now = clock_ns(CLOCK_MONOTONIC);
	struct json_object *to = json_object_new_object();

	put_bool(to, "resolved", session->guest->resolved);
	put_number(to, "entries", session->guest->n_entries);
	put_bool(to, "maintenance", until != 0);
	if (until > now)
		put_number(to, "maintenance_minutes_left", (until - now) / 60000000000ULL + 1);
	return to;
}

/* What there is only while the guard is in place. */
static void put_guard(struct json_object *to, const struct session *session)
{
	struct json_object *guard = json_object_new_object();
	struct json_object *missing = missing_facts(session->profile, &session->arm);

	put_text(to, "kernel", profile_release(session->profile));
	put_bool(guard, "intact",
		 arm_is_intact(&session->arm, session->profile) &&
			 sentry_is_content(session->sentry) &&
			 system_calls_are_right(session, clock_ns(CLOCK_MONOTONIC)));
	put_bool(guard, "adopted", session->arm.adopted);
	put_bool(guard, "replaced", session->arm.replaced);
	put_number(guard, "hooks", session->arm.hooks.n);
	put_number(guard, "tampered", session->n_tampered);
	put_number(guard, "repaired", session->n_repaired);
	put(guard, "sentry", sentry_json(session));
	put_bool(guard, "partial", json_object_array_length(missing) > 0);
	put(guard, "missing", missing);
	put_number(guard, "code_bytes", session->arm.code_size);
	put(guard, "trap", trap_facts(session));
	put(to, "guard", guard);
	put(to, "guest", guest_facts(session));
	put(to, "cost", cost_facts(session->profile, &session->arm));
	put(to, "cache", cache_facts(session));
	put(to, "containers", containers_facts(session));
}

struct json_object *facts_session(const struct session *session)
{
	struct json_object *to = json_object_new_object();

	put_text(to, "name", session->name);
	put(to, "state", json_object_new_string(state_name(session->state)));
	put_text(to, "qmp", session->qmp_path);
	put(to, "qemu", qemu_facts(session->machine));
	put(to, "policy", policy_facts(session->policy));
	put_bool(to, "settled", session_is_settled(session));
	put_bool(to, "stopped", session->stopped);
	put_number(to, "resets", session->n_resets);
	put(to, "events", events_facts(session));
	if (session->state == SESSION_GUARDING)
		put_guard(to, session);
	put(to, "sandbox", sandbox_facts());
	if (session->trouble.code)
		put_text(to, "trouble", session->trouble.message);
	return to;
}

static struct json_object *hook_facts(const struct hook_offer *offer, const struct arm *arm)
{
	struct json_object *to = json_object_new_object();
	const struct hook *hook;

	put_text(to, "name", offer->name);
	put_bool(to, "available", offer->available);
	put_bool(to, "optional", offer->optional);
	if (offer->available)
		put_text(to, "means", hook_means_name(offer->means));
	else if (offer->optional)
		put_text(to, "needless", promise_needless(offer->name));
	else
		put_text(to, "without", promise_without(offer->name));
	if (arm && (hook = armed_hook(arm, offer->name)))
		put_text(to, "armed_by", hook_means_name(hook->means));
	return to;
}

static struct json_object *hooks_facts(const struct profile *profile, const struct arm *arm)
{
	struct json_object *list = json_object_new_array();
	struct hook_offer offer;

	for (size_t i = 0; hooks_offer(profile, i, &offer) == 0; i++)
		json_object_array_add(list, hook_facts(&offer, arm));
	return list;
}

static struct json_object *kernel_facts(const struct profile *profile)
{
	struct json_object *to = json_object_new_object();

	put_text(to, "release", profile_release(profile));
	put_text(to, "banner", profile_banner(profile));
	put_hex(to, "text", profile_text(profile));
	put_hex(to, "kaslr_offset", profile_kaslr_offset(profile));
	put_hex(to, "phys_base", profile_phys_base(profile));
	put_number(to, "symbols", profile_n_symbols(profile));
	put_number(to, "types", profile_n_types(profile));
	return to;
}

static struct json_object *device_facts(const struct machine_device *device)
{
	struct json_object *to = json_object_new_object();

	put_number(to, "size", device->size);
	put_hex(to, "guest_physical", device->gpa);
	put_bool(to, "guest_can_write", device->guest_can_write);
	return to;
}

static bool offers(const struct profile *profile, const char *name)
{
	struct hook_offer offer;

	for (size_t i = 0; hooks_offer(profile, i, &offer) == 0; i++) {
		if (strcmp(offer.name, name) == 0)
			return offer.available;
	}
	return false;
}

static struct json_object *entry_facts(const struct profile *profile)
{
	const char *why_not = entry_not_watched(profile, offers(profile, "shepherd"));
	struct json_object *to = json_object_new_object();

	put_bool(to, "watched", !why_not);
	if (why_not)
		put_text(to, "why_not", why_not);
	return to;
}

struct json_object *facts_profile(const struct machine *machine, const struct profile *profile,
				  const struct arm *arm)
{
	struct json_object *to = json_object_new_object();

	put(to, "kernel", kernel_facts(profile));
	put(to, "qemu", qemu_facts(machine));
	put_number(to, "ram", ram_size(machine_ram(machine)));
	put(to, "vault", device_facts(machine_vault(machine)));
	put(to, "mailbox", device_facts(machine_mailbox(machine)));
	put(to, "hooks", hooks_facts(profile, arm));
	put(to, "system_call_entry", entry_facts(profile));
	put(to, "cost", cost_facts(profile, arm));
	return to;
}

void facts_cost(const struct session *session, char *buf, size_t size)
{
	const struct profile_cost *cost = profile_cost(session->profile);
	const struct arm *arm = &session->arm;

	snprintf(buf, size,
		 "profile %.1f ms (image %.1f, symbols %.1f, types %.1f) and arming %.1f ms of "
		 "host CPU; guest paused %.3f ms%s",
		 (double)(cost->find_us + cost->kallsyms_us + cost->btf_us) / 1000,
		 (double)cost->find_us / 1000, (double)cost->kallsyms_us / 1000,
		 (double)cost->btf_us / 1000, (double)arm->prepare_us / 1000,
		 (double)arm->paused_us / 1000,
		 arm->replaced	? " (another build's guard was in place, and is replaced)"
		 : arm->adopted ? " (the guard was in place, and is adopted)"
				: "");
}
