// SPDX-License-Identifier: GPL-2.0-or-later
#include "sentry/sentry.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arm/lsm_list.h"
#include "contract/guard_abi.h"
#include "sentry/anchors.h"
#include "sentry/copies.h"
#include "sentry/cpus.h"
#include "sentry/patchable.h"
#include "sentry/probes.h"
#include "sentry/sites.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define MAX_PIECE (1ULL << 20) /* of the kernel, in one look */
#define MAX_LINKS 1024
#define BOOT_NS 60000000000ULL
#define LOADED_END 0xffffffffff000000ULL /* MODULES_END */
#define IDT_SIZE 4096
#define NODES_SIZE (GUARD_VAULT_RECORD - GUARD_VAULT_HOOKS)
#define MS 1000000ULL
#define MEASURED 16

const struct sentry_periods sentry_default_periods = { {
	[SENTRY_HOOKS] = 10 * MS,
	[SENTRY_KERNEL] = 2000 * MS,
	[SENTRY_REGISTERS] = 1000 * MS,
	[SENTRY_VAULT] = 10000 * MS,
} };

/* A word of a list that leads to one of our nodes. */
struct link {
	uint64_t gpa, value;
};

struct sentry {
	const struct arm *arm;
	const struct profile *profile;
	const struct table *table;
	struct anchors anchors;
	uint64_t generation; /* of the anchors */
	struct link links[MAX_LINKS];
	size_t n_links;

	struct copies copies;
	struct sites sites;
	struct site_world world;
	uint64_t image_end;
	uint64_t traced, traced_now; /* in the last round, and in this one so far */
	uint64_t round;
	bool tried; /* to copy the kernel */

	struct cpus cpus;
	uint8_t *code, nodes[NODES_SIZE]; /* of the vault */
	bool vault_told;

	struct sentry_finding kept; /* all but the hooks, until it is told */
	bool hooks_stand;
	uint64_t next_ns[SENTRY_N_KINDS];
	uint64_t last_kernel_ns;
	struct sentry_facts facts;
};

struct sentry *sentry_free(struct sentry *sentry)
{
	if (!sentry)
		return NULL;
	anchors_clear(&sentry->anchors);
	copies_clear(&sentry->copies);
	sites_clear(&sentry->sites);
	free(sentry->code);
	free(sentry);
	return NULL;
}

DEFINE_CLEANUP(struct sentry *, sentry_free)

static const struct ram *ram_of(const struct sentry *sentry)
{
	return machine_ram(sentry->arm->machine);
}

static void say(struct sentry_finding *finding, enum sentry_kind kind, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void say(struct sentry_finding *finding, enum sentry_kind kind, const char *format, ...)
{
	size_t at = strlen(finding->what);
	va_list ap;

	finding->kinds |= 1u << kind;
	if (at && at < sizeof(finding->what) - 2)
		at += (size_t)snprintf(finding->what + at, sizeof(finding->what) - at, ", ");
	va_start(ap, format);
	vsnprintf(finding->what + at, sizeof(finding->what) - at, format, ap);
	va_end(ap);
}

/* The hooks */

static int add_word(struct sentry *sentry, uint64_t va, uint64_t *ret)
{
	const struct space *space = profile_space(sentry->profile);
	uint8_t bytes[sizeof(*ret)];

	if (space_read_u64(space, va, ret) < 0)
		return -EFAULT;
	memcpy(bytes, ret, sizeof(*ret));
	return anchors_add(&sentry->anchors, space, va, bytes, sizeof(*ret));
}

static int visit_link(uint64_t address, void *data)
{
	struct sentry *sentry = data;
	struct link *link = &sentry->links[sentry->n_links];
	uint64_t value;
	int r = add_word(sentry, address, &value);

	if (r < 0 || sentry->n_links == MAX_LINKS)
		return r;
	link->value = value;
	r = space_translate(profile_space(sentry->profile), address, &link->gpa, NULL);
	sentry->n_links += r == 0;
	return r;
}

static int add_hook(struct sentry *sentry, const struct hook *hook)
{
	const struct patch *patches = &sentry->arm->hooks.patch[hook->first];
	int r = 0;

	for (unsigned int i = 0; i < hook->n && r == 0; i++)
		r = anchors_add(&sentry->anchors, profile_space(sentry->profile),
				patches[i].address, patches[i].bytes[PATCH_INSTALLED],
				patches[i].size);
	if (r == 0 && hook->means == HOOK_LSM_LIST)
		r = lsm_list_walk(sentry->profile, lsm_list_head(sentry->profile, hook->name),
				  patches[0].address, visit_link, sentry);
	return r;
}

/* The page-table entries that lead into the window; its own are the last on the way. */
static int add_window(struct sentry *sentry)
{
	const struct window *window = &sentry->arm->window;
	uint64_t page = 0x200000, size = (window->n_vault + window->n_mailbox) * page;
	int r = 0;

	for (uint64_t at = 0; at < size && r == 0; at += page)
		r = anchors_add_path(&sentry->anchors, profile_space(sentry->profile),
				     window->vault + at);
	return r;
}

static int anchor(struct sentry *sentry)
{
	const struct hooks *hooks = &sentry->arm->hooks;
	int r;

	sentry->generation++;
	anchors_clear(&sentry->anchors);
	sentry->n_links = 0;
	r = add_window(sentry);
	for (size_t i = 0; i < hooks->n && r == 0; i++)
		r = add_hook(sentry, &hooks->hook[i]);
	return r;
}

static bool hook_holds(const struct sentry *sentry, const struct hook *hook)
{
	const struct patch *patches = &sentry->arm->hooks.patch[hook->first];

	if (!patches_are(patches, hook->n, profile_space(sentry->profile), PATCH_INSTALLED))
		return false;
	return hook->means != HOOK_LSM_LIST ||
	       lsm_list_walk(sentry->profile, lsm_list_head(sentry->profile, hook->name),
			     patches[0].address, NULL, NULL) == 0;
}

/* Looks at everything as arming did. True when nothing is wrong. */
static bool examine(const struct sentry *sentry, struct sentry_finding *ret)
{
	const struct hooks *hooks = &sentry->arm->hooks;
	bool right = true;

	if (!window_is_open(&sentry->arm->window, ram_of(sentry))) {
		say(ret, SENTRY_HOOKS, "the window of vault and mailbox");
		right = false;
	}
	for (size_t i = 0; i < hooks->n; i++) {
		if (hook_holds(sentry, &hooks->hook[i]))
			continue;
		say(ret, SENTRY_HOOKS, "hook %s", hooks->hook[i].name);
		right = false;
	}
	return right;
}

static bool look_at_hooks(struct sentry *sentry, struct sentry_finding *ret)
{
	if (anchors_hold(&sentry->anchors, ram_of(sentry)))
		return true;
	if (!examine(sentry, ret))
		return false;
	if (anchor(sentry) == 0)
		return true;
	say(ret, SENTRY_HOOKS, "the page tables that lead to the guard");
	return false;
}

void sentry_restore_links(const struct sentry *sentry)
{
	for (size_t i = 0; i < sentry->n_links; i++)
		ram_write_u64(ram_of(sentry), sentry->links[i].gpa, sentry->links[i].value);
}

/* The kernel */

static bool is_function(uint64_t address, void *data)
{
	const struct sentry *sentry = data;
	uint64_t start;

	return profile_symbol_at(sentry->profile, address, &start, NULL) && start == address &&
	       copies_has(&sentry->copies, address, 1);
}

/* Behind the kernel's image and in front of the fixed mappings, but not in our window. */
static bool is_loaded(uint64_t address, void *data)
{
	const struct sentry *sentry = data;
	const struct window *window = &sentry->arm->window;
	uint64_t size = (uint64_t)(window->n_vault + window->n_mailbox) << 21;

	return address >= sentry->image_end && address < LOADED_END &&
	       address - window->vault >= size;
}

static void note_tracer(struct sentry *sentry, unsigned int hook)
{
	if (hook)
		sentry->traced_now |= 1ULL << (hook - 1);
}

static enum copies_verdict judge_site(struct sentry *sentry, const struct site *site)
{
	static const enum copies_verdict verdicts[] = {
		[SITE_RESTS] = COPIES_ACCEPTED,
		[SITE_ALLOWED] = COPIES_ACCEPTED,
		[SITE_CHANGING] = COPIES_AGAIN,
		[SITE_FOREIGN] = COPIES_FOREIGN,
	};
	uint8_t found[SITE_MAX_SIZE];
	enum site_verdict verdict;

	if (space_read(&sentry->copies.space, site->address, found, site->size) < 0)
		return COPIES_FOREIGN;
	verdict = site_judge(site, found, &sentry->world);
	if (verdict == SITE_ALLOWED)
		note_tracer(sentry, site->guarded);
	return verdicts[verdict];
}

/* A breakpoint, or a jump to where such a probe's instructions are; the rest is as it was, or half of such a jump. */
static bool is_probe(const struct sentry *sentry, uint64_t probed)
{
	uint8_t expected[5], found[5];

	if (!copies_expected(&sentry->copies, probed, expected, sizeof(expected)) ||
	    space_read(&sentry->copies.space, probed, found, sizeof(found)) < 0 ||
	    (found[0] != 0xcc && found[0] != 0xe9))
		return false;
	return (found[0] == 0xcc && !memcmp(found + 1, expected + 1, 4)) ||
	       is_loaded(site_target(found, probed), (void *)sentry);
}

/* Of a byte that differs. What the hooks stand on is looked at elsewhere. */
static enum copies_verdict judge(uint64_t va, uint64_t *ret_va, size_t *ret_size, void *data)
{
	struct sentry *sentry = data;
	const struct site *site = sites_find(&sentry->sites, va);
	uint64_t pa, probed;

	if (site) {
		*ret_va = site->address;
		*ret_size = site->size;
		return judge_site(sentry, site);
	}
	if (space_translate(&sentry->copies.space, va, &pa, NULL) == 0 &&
	    anchors_has(&sentry->anchors, pa))
		return COPIES_ACCEPTED;
	if (!probes_find(sentry->profile, va, &probed) || !is_probe(sentry, probed))
		return COPIES_FOREIGN;
	note_tracer(sentry, patchable_hook(sentry->profile, &sentry->arm->hooks, probed));
	*ret_va = probed;
	*ret_size = 5;
	return COPIES_ACCEPTED;
}

static int add_range(struct sentry *sentry, const char *name, const char *start, const char *end,
		     bool code)
{
	uint64_t from = profile_symbol(sentry->profile, start);
	uint64_t to = profile_symbol(sentry->profile, end);

	if (!from || to <= from || to - from > 256ULL << 20)
		return -ENOTSUP;
	return copies_add(&sentry->copies, name, from, to - from, code);
}

/*
 * A kernel that still boots patches itself in ways that its tables do not tell, and writes what will be read-only. When it is through with
 * that, it takes away the right to (mark_rodata_ro()).
 */
static bool has_booted(const struct sentry *sentry)
{
	const struct space *space = profile_space(sentry->profile);
	uint64_t rodata = profile_symbol(sentry->profile, "__start_rodata");
	struct space_walk walk;

	return !rodata || space_walk(space, rodata, &walk) < 0 || !space_is_writable(&walk);
}

/*
 * Tracers that are at the guard's functions already: as if they had come just now. Else they would be what is expected there, and neither
 * they nor later ones like them would be told.
 */
static void expect_no_tracers(struct sentry *sentry)
{
	for (size_t i = 0; i < sentry->sites.n; i++) {
		const struct site *site = &sentry->sites.list[i];
		uint8_t found[SITE_NOP_SIZE];

		if (site->kind == SITE_TRACE && site->guarded && site->size == SITE_NOP_SIZE &&
		    copies_expected(&sentry->copies, site->address, found, SITE_NOP_SIZE) &&
		    site_judge(site, found, &sentry->world) == SITE_ALLOWED)
			copies_expect(&sentry->copies, site->address, site_nop, SITE_NOP_SIZE);
	}
}

/* The text, with all that is in it; the read-only data; the interrupt table. */
static int copy_kernel(struct sentry *sentry)
{
	uint64_t idt = profile_symbol(sentry->profile, "idt_table");
	int r = copies_init(&sentry->copies, profile_space(sentry->profile), judge, sentry);

	if (r == 0)
		r = patchable_read(&sentry->sites, sentry->profile, &sentry->arm->hooks);
	if (r == 0)
		r = add_range(sentry, "text", "_stext", "_etext", true);
	if (r == 0)
		r = add_range(sentry, "read-only data", "__start_rodata", "__end_rodata", false);
	if (r == 0 && idt)
		r = copies_add(&sentry->copies, "interrupt table", idt, IDT_SIZE, false);
	sentry->facts.trouble = r < 0 ? strerrordesc_np(-r) : NULL;
	sentry->tried = true;
	if (r == 0) {
		expect_no_tracers(sentry);
		return 0;
	}
	copies_clear(&sentry->copies);
	sites_clear(&sentry->sites);
	return r == -ENOMEM ? r : 0;
}

/* One that never does (rodata=off) is taken as it is after a while. */
bool sentry_guest_has_booted(const struct sentry *sentry, uint64_t now_ns)
{
	return has_booted(sentry) || now_ns - sentry->facts.since_ns >= BOOT_NS;
}

static int copy_if_booted(struct sentry *sentry, uint64_t now_ns)
{
	if (sentry->tried || !sentry_guest_has_booted(sentry, now_ns))
		return 0;
	return copy_kernel(sentry);
}

static void print_bytes(char *to, const uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to += sprintf(to, "%s%02x", i ? " " : "", bytes[i]);
}

static void say_place(const struct sentry *sentry, uint64_t va, char *buf, size_t size)
{
	uint64_t start;
	const char *name = profile_symbol_at(sentry->profile, va, &start, NULL);

	snprintf(buf, size, "%.80s+0x%llx", name ? name : "?",
		 (unsigned long long)(name ? va - start : va));
}

static void say_difference(const struct sentry *sentry, const struct copies_difference *difference,
			   struct sentry_finding *ret)
{
	char place[112], expected[3 * COPIES_PIECE + 1], found[3 * COPIES_PIECE + 1];

	say_place(sentry, difference->va, place, sizeof(place));
	print_bytes(expected, difference->expected, difference->size);
	print_bytes(found, difference->found, difference->size);
	say(ret, SENTRY_KERNEL, "%s (expected %s, found %s)", place, expected, found);
}

static void say_mapping(struct sentry *sentry, struct sentry_finding *ret)
{
	char place[112];

	say_place(sentry, sentry->copies.mapping_va, place, sizeof(place));
	say(ret, SENTRY_KERNEL, "the page tables at %s, which %s", place,
	    sentry->copies.mapping == COPIES_WRITABLE ? "let it be written" : "lead elsewhere");
	sentry->copies.mapping_told = true;
}

static void look_at_kernel(struct sentry *sentry, uint64_t now_ns, struct sentry_finding *ret)
{
	struct copies *copies = &sentry->copies;
	uint64_t period = sentry->facts.periods.ns[SENTRY_KERNEL], size;
	uint64_t elapsed = now_ns - sentry->last_kernel_ns;
	bool news;

	if (period)
		copy_if_booted(sentry, now_ns);
	if (!period || !copies->size)
		return;
	sentry->last_kernel_ns = now_ns;
	elapsed = elapsed < period ? elapsed : period;
	size = (uint64_t)((double)copies->size * (double)elapsed / (double)period);
	news = copies_look(copies, size < MAX_PIECE ? size : MAX_PIECE, now_ns);
	if (copies->rounds != sentry->round) {
		sentry->round = copies->rounds;
		sentry->traced = sentry->traced_now;
		sentry->traced_now = 0;
	}
	if (!news)
		return;
	for (size_t i = 0; i < copies->n_differences; i++) {
		if (!copies->difference[i].told)
			say_difference(sentry, &copies->difference[i], ret);
		copies->difference[i].told = true;
	}
	if (copies->mapping != COPIES_MAPPED && !copies->mapping_told)
		say_mapping(sentry, ret);
}

static int write_piece(struct sentry *sentry, const struct copies_difference *difference,
		       struct error *err)
{
	struct machine_code code = { .size = difference->size };

	if (space_translate(&sentry->copies.space, difference->va, &code.gpa, NULL) < 0)
		return error_set(err, -EFAULT, "the kernel's page tables do not lead there");
	memcpy(code.bytes, difference->expected, difference->size);
	return machine_write_code(sentry->arm->machine, &code, 1, err);
}

int sentry_restore_kernel(struct sentry *sentry, struct error *err)
{
	struct copies *copies = &sentry->copies;
	size_t n = copies->n_differences;
	struct error resumed;
	int r, resume;

	if (!n)
		return 0;
	r = machine_stop(sentry->arm->machine, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n && r == 0; i++)
		r = write_piece(sentry, &copies->difference[i], err);
	resume = machine_resume(sentry->arm->machine, NULL, r < 0 ? &resumed : err);
	n -= copies_refresh(copies);
	return r < 0 ? r : resume < 0 ? resume : (int)n;
}

uint64_t sentry_traced(const struct sentry *sentry)
{
	return sentry->traced;
}

/* The registers */

static void init_cpus(struct sentry *sentry)
{
	const struct space *space = profile_space(sentry->profile);
	uint64_t idt = profile_symbol(sentry->profile, "idt_table");

	sentry->cpus = (struct cpus){
		.ram = ram_of(sentry),
		.window = sentry->arm->window.vault,
		.window_entry = sentry->arm->window.table_pa,
		.space = *space,
	};
	if (idt)
		space_translate(space, idt, &sentry->cpus.idt, NULL);
}

static void look_at_registers(struct sentry *sentry, struct sentry_finding *ret)
{
	uint64_t start = clock_ns(CLOCK_MONOTONIC);
	static struct cpu cpus[CPUS_MAX]; /* 60 KiB; a process has one thread */
	char what[256];
	int n = machine_cpus(sentry->arm->machine, cpus, CPUS_MAX, NULL);
	bool news = n > 0 && cpus_look(&sentry->cpus, cpus, (size_t)n, what, sizeof(what));

	sentry->facts.n_asked++;
	sentry->facts.asked_ns += clock_ns(CLOCK_MONOTONIC) - start;
	if (news)
		say(ret, SENTRY_REGISTERS, "%s", what);
}

/* The vault */

static int copy_vault(struct sentry *sentry)
{
	const uint8_t *vault = machine_vault(sentry->arm->machine)->host;
	const struct arm *arm = sentry->arm;

	sentry->code = malloc(arm->code_size + 1);
	if (!sentry->code)
		return -ENOMEM;
	memcpy(sentry->code, vault + (arm->code - arm->window.vault), arm->code_size);
	memcpy(sentry->nodes, vault + GUARD_VAULT_HOOKS, NODES_SIZE);
	return 0;
}

static void look_at_vault(struct sentry *sentry, struct sentry_finding *ret)
{
	const uint8_t *vault = machine_vault(sentry->arm->machine)->host;
	const struct arm *arm = sentry->arm;
	const char *what = NULL;

	if (memcmp(sentry->code, vault + (arm->code - arm->window.vault), arm->code_size) != 0)
		what = "the guard's code in the vault";
	else if (memcmp(sentry->nodes, vault + GUARD_VAULT_HOOKS, NODES_SIZE) != 0)
		what = "the guard's list nodes in the vault";
	else if (!table_is_as_written(sentry->table))
		what = "the table in the vault";
	if (!what || sentry->vault_told) {
		sentry->vault_told = what;
		return;
	}
	sentry->vault_told = true;
	say(ret, SENTRY_VAULT, "%s, which only the host should write", what);
}

/* All */

int sentry_new(struct sentry **ret, const struct arm *arm, const struct profile *profile,
	       const struct table *table, struct error *err)
{
	_cleanup_(sentry_freep) struct sentry *sentry = calloc(1, sizeof(*sentry));
	int r;

	if (!sentry)
		return error_set(err, -ENOMEM, "out of memory");
	sentry->arm = arm;
	sentry->profile = profile;
	sentry->table = table;
	sentry->hooks_stand = true;
	sentry->image_end = profile_symbol(profile, "_end");
	sentry->world = (struct site_world){
		.is_function = is_function,
		.is_loaded = is_loaded,
		.data = sentry,
		.tracer = { profile_symbol(profile, "ftrace_caller"),
			    profile_symbol(profile, "ftrace_regs_caller") },
	};
	init_cpus(sentry);
	sentry->facts.since_ns = sentry->last_kernel_ns = clock_ns(CLOCK_MONOTONIC);
	sentry_set_periods(sentry, &sentry_default_periods);
	sentry->facts.trouble = "it still boots";
	r = anchor(sentry);
	if (r == 0)
		r = copy_if_booted(sentry, sentry->facts.since_ns);
	if (r == 0)
		r = copy_vault(sentry);
	if (r < 0)
		return error_set(err, r, "cannot watch over the guard: %s", strerror(-r));
	*ret = TAKE_PTR(sentry);
	return 0;
}

void sentry_set_periods(struct sentry *sentry, const struct sentry_periods *periods)
{
	sentry->facts.periods = *periods;
	for (size_t i = 0; i < SENTRY_N_KINDS; i++)
		sentry->next_ns[i] = 0;
}

static bool is_due(struct sentry *sentry, enum sentry_kind kind, uint64_t now_ns)
{
	uint64_t period = sentry->facts.periods.ns[kind];

	if (!period || now_ns < sentry->next_ns[kind])
		return false;
	sentry->next_ns[kind] = now_ns + period;
	return true;
}

static void note_time(struct sentry_facts *facts, uint64_t start_ns)
{
	uint64_t took = clock_ns(CLOCK_MONOTONIC) - start_ns;

	facts->n_looks++;
	facts->look_ns += took;
	if (took > facts->longest_ns)
		facts->longest_ns = took;
}

/* One after the other into @ret. */
static void join(struct sentry_finding *ret, const struct sentry_finding *more)
{
	size_t at = strlen(ret->what);

	if (!more->kinds)
		return;
	snprintf(ret->what + at, sizeof(ret->what) - at, "%s%s", at && *more->what ? ", " : "",
		 more->what);
	ret->kinds |= more->kinds;
}

static void look(struct sentry *sentry, uint64_t now_ns, struct sentry_finding *ret)
{
	uint64_t start = clock_ns(CLOCK_MONOTONIC);

	sentry->hooks_stand = sentry_hooks_hold(sentry, ret);
	look_at_kernel(sentry, now_ns, &sentry->kept);
	note_time(&sentry->facts, start);
}

/* Asking for that is a system call, and costs as much as all hooks: one look in so many stands for the others. */
static void look_and_measure(struct sentry *sentry, uint64_t now_ns, struct sentry_finding *ret)
{
	bool measured = sentry->facts.n_looks % MEASURED == MEASURED - 1;
	uint64_t start = measured ? clock_ns(CLOCK_THREAD_CPUTIME_ID) : 0;

	look(sentry, now_ns, ret);
	if (measured)
		sentry->facts.cpu_ns += MEASURED * (clock_ns(CLOCK_THREAD_CPUTIME_ID) - start);
}

bool sentry_look(struct sentry *sentry, uint64_t now_ns, bool at_once, struct sentry_finding *ret)
{
	bool registers, vault;
	uint64_t start;

	if (!is_due(sentry, SENTRY_HOOKS, now_ns) && !at_once)
		return sentry->hooks_stand && !sentry->kept.kinds;
	look_and_measure(sentry, now_ns, ret);
	registers = is_due(sentry, SENTRY_REGISTERS, now_ns);
	vault = is_due(sentry, SENTRY_VAULT, now_ns);
	start = registers || vault ? clock_ns(CLOCK_THREAD_CPUTIME_ID) : 0;
	if (registers)
		look_at_registers(sentry, &sentry->kept);
	if (vault)
		look_at_vault(sentry, &sentry->kept);
	if (registers || vault)
		sentry->facts.cpu_ns += clock_ns(CLOCK_THREAD_CPUTIME_ID) - start;
	join(ret, &sentry->kept);
	return sentry->hooks_stand && !sentry->kept.kinds;
}

bool sentry_hooks_hold(struct sentry *sentry, struct sentry_finding *ret)
{
	ret->what[0] = '\0';
	ret->kinds = 0;
	return look_at_hooks(sentry, ret);
}

void sentry_told(struct sentry *sentry, uint64_t next_hooks_ns)
{
	sentry->kept = (struct sentry_finding){ .kinds = 0 };
	sentry->hooks_stand = true;
	sentry->next_ns[SENTRY_HOOKS] = next_hooks_ns;
}

bool sentry_is_content(const struct sentry *sentry)
{
	return !sentry->copies.n_differences && !sentry->copies.mapping_told &&
	       !sentry->vault_told && !cpus_any(&sentry->cpus);
}

void sentry_get_facts(const struct sentry *sentry, struct sentry_facts *ret)
{
	*ret = sentry->facts;
	ret->n_words = sentry->anchors.n;
	ret->n_sites = sentry->sites.n;
	ret->n_bytes = sentry->copies.size;
	ret->n_rounds = sentry->copies.rounds;
	ret->n_differences = sentry->copies.n_differences;
}

ssize_t sentry_pages(const struct sentry *sentry, uint64_t **ret)
{
	return anchors_pages(&sentry->anchors, ret);
}

uint64_t sentry_generation(const struct sentry *sentry)
{
	return sentry->generation;
}

const struct anchors *sentry_anchors(const struct sentry *sentry)
{
	return &sentry->anchors;
}

static bool is_word_of(const struct sentry *sentry, const struct hook *hook, uint64_t gpa)
{
	const struct space *space = profile_space(sentry->profile);
	const struct patch *patches = &sentry->arm->hooks.patch[hook->first];

	for (unsigned int i = 0; i < hook->n; i++) {
		uint64_t first, last;

		if (space_translate(space, patches[i].address, &first, NULL) == 0 &&
		    space_translate(space, patches[i].address + patches[i].size - 1, &last, NULL) ==
			    0 &&
		    (gpa == (first & ~7ULL) || gpa == (last & ~7ULL)))
			return true;
	}
	return false;
}

void sentry_name(const struct sentry *sentry, uint64_t gpa, struct sentry_finding *ret)
{
	const struct window *window = &sentry->arm->window;
	const struct hooks *hooks = &sentry->arm->hooks;

	for (size_t i = 0; i < hooks->n; i++) {
		if (!is_word_of(sentry, &hooks->hook[i], gpa))
			continue;
		snprintf(ret->what, sizeof(ret->what), "hook %s", hooks->hook[i].name);
		return;
	}
	if (gpa - window->table_pa < 8ULL * (window->n_vault + window->n_mailbox))
		snprintf(ret->what, sizeof(ret->what), "the window of vault and mailbox");
	else
		snprintf(ret->what, sizeof(ret->what), "what leads to the guard");
}
