// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From registers to a profile, each step confirmed by what the next one finds: the interrupt table
 * says where the image is (locate.c); the image holds the symbols, which must agree with it on
 * where the banner is (kallsyms.c) and, in phys_base, on where the image is in physical memory; the
 * symbols say where the types are (types.c), and where the reference page tables are, which must
 * map the image.
 */
#include "profile/profile.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "profile/kallsyms.h"
#include "profile/locate.h"
#include "profile/modules.h"
#include "profile/types.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define CR4_LA57 (1ULL << 12)
#define TEXT_LINK_ADDRESS (LOCATE_WINDOW_START + 0x1000000) /* CONFIG_PHYSICAL_START's default */
#define BANNER_PREFIX "Linux version "

struct profile {
	struct kallsyms *kallsyms;
	struct types *types;
	struct modules *modules; /* filled as they are asked for */
	struct space space;
	struct profile_cost cost;
	uint64_t text, phys_base;
	char banner[512];
	char release[128];
};

struct profile *profile_free(struct profile *profile)
{
	if (!profile)
		return NULL;
	kallsyms_free(profile->kallsyms);
	modules_free(profile->modules);
	types_free(profile->types);
	free(profile);
	return NULL;
}

DEFINE_CLEANUP(struct profile *, profile_free)

/* CPU time since *@mark, which moves on to now. */
static uint64_t lap_us(uint64_t *mark)
{
	uint64_t now = clock_ns(CLOCK_PROCESS_CPUTIME_ID) / 1000, lap = now - *mark;

	*mark = now;
	return lap;
}

/* Address of a symbol that every guest must have; 0, with @err set to -ENOTSUP, without it. */
static uint64_t need_symbol(const struct profile *profile, const char *name, struct error *err)
{
	uint64_t va = kallsyms_address(profile->kallsyms, name);

	if (!va)
		error_set(err, -ENOTSUP,
			  "the guest kernel has no symbol %s; only x86-64 Linux kernels with "
			  "CONFIG_KALLSYMS_ALL=y can be guarded",
			  name);
	return va;
}

/* Do the kernel and its page tables say the same as the vCPU about where the kernel is? */
static int check_place(struct profile *profile, const struct image *image, struct error *err)
{
	const uint8_t *bytes;
	uint64_t va, pa, phys_base;

	va = need_symbol(profile, "phys_base", err);
	if (!va)
		return -ENOTSUP;
	bytes = locate_bytes(image, va, sizeof(phys_base));
	if (bytes)
		memcpy(&phys_base, bytes, sizeof(phys_base));
	if (!bytes || phys_base != image->phys_base)
		return error_set(err, -ENOTSUP,
				 "the guest kernel's phys_base does not agree with where its image "
				 "is "
				 "(0x%" PRIx64 "); its symbol table cannot be trusted",
				 image->phys_base);
	profile->phys_base = phys_base;

	profile->text = need_symbol(profile, "_text", err);
	if (!profile->text)
		return -ENOTSUP;
	va = need_symbol(profile, "init_top_pgt", err);
	if (!va)
		return -ENOTSUP;
	profile->space.root = va - LOCATE_WINDOW_START + phys_base;
	if (space_translate(&profile->space, profile->text, &pa, NULL) < 0 ||
	    pa != profile->text - LOCATE_WINDOW_START + phys_base)
		return error_set(err, -EAGAIN,
				 "the guest kernel's page tables do not map its image yet; wait "
				 "until "
				 "the guest's kernel is up");
	return 0;
}

static int read_banner(struct profile *profile, struct error *err)
{
	const char *release = profile->banner + strlen(BANNER_PREFIX);
	size_t length;
	uint64_t va;
	int r;

	va = need_symbol(profile, "linux_banner", err);
	if (!va)
		return -ENOTSUP;
	r = space_read_string(&profile->space, va, profile->banner, sizeof(profile->banner));
	if (r < 0 || strncmp(profile->banner, BANNER_PREFIX, strlen(BANNER_PREFIX)) != 0)
		return error_set(err, -ENOTSUP, "the guest kernel's banner cannot be read");
	profile->banner[strcspn(profile->banner, "\n")] = '\0';
	length = strcspn(release, " ");
	if (length >= sizeof(profile->release))
		length = sizeof(profile->release) - 1;
	memcpy(profile->release, release, length);
	return 0;
}

static int read_types(struct profile *profile, const struct image *image, struct error *err)
{
	uint64_t start = kallsyms_address(profile->kallsyms, "__start_BTF");
	uint64_t stop = kallsyms_address(profile->kallsyms, "__stop_BTF");
	const uint8_t *btf;
	int r;

	if (!start || !stop || stop <= start)
		return error_set(err, -ENOTSUP,
				 "the guest kernel (%s) has no type information; it needs a kernel "
				 "built with CONFIG_DEBUG_INFO_BTF=y; as it is, nothing in this "
				 "guest can be "
				 "refused or told",
				 profile->release);
	btf = locate_bytes(image, start, stop - start);
	if (!btf)
		return error_set(err, -ENOTSUP,
				 "the guest kernel's type information is said to be at 0x%" PRIx64
				 ", outside its image; its symbol table cannot be trusted",
				 start);
	r = types_new(&profile->types, btf, stop - start, err);
	if (r < 0)
		return r;
	profile->modules = modules_new(&profile->space,
				       kallsyms_address(profile->kallsyms, "btf_modules"),
				       profile->types);
	return profile->modules ? 0 : error_set(err, -ENOMEM, "no memory for a profile");
}

int profile_read(struct profile **ret, const struct ram *ram, const struct cpu *cpu,
		 struct error *err)
{
	_cleanup_(profile_freep) struct profile *profile = calloc(1, sizeof(*profile));
	_cleanup_(locate_deinit) struct image image = { 0 };
	uint64_t mark = 0;
	int r;

	if (!profile)
		return error_set(err, -ENOMEM, "no memory for a profile");
	profile->space = (struct space){ .ram = ram, .five_level = cpu->cr4 & CR4_LA57 };
	lap_us(&mark);
	r = locate_image(&image, ram, cpu, err);
	if (r == 0)
		r = locate_load(&image, ram, err);
	if (r < 0)
		return r;
	profile->cost.find_us = lap_us(&mark);
	r = kallsyms_read(&profile->kallsyms, &image, err);
	if (r < 0)
		return r;
	r = check_place(profile, &image, err);
	if (r < 0)
		return r;
	r = read_banner(profile, err);
	if (r < 0)
		return r;
	profile->cost.kallsyms_us = lap_us(&mark);
	r = read_types(profile, &image, err);
	if (r < 0)
		return r;
	profile->cost.btf_us = lap_us(&mark);
	*ret = TAKE_PTR(profile);
	return 0;
}

const struct space *profile_space(const struct profile *profile)
{
	return &profile->space;
}

uint64_t profile_symbol(const struct profile *profile, const char *name)
{
	return kallsyms_address(profile->kallsyms, name);
}

const char *profile_symbol_at(const struct profile *profile, uint64_t address, uint64_t *ret_start,
			      uint64_t *ret_end)
{
	return kallsyms_at(profile->kallsyms, address, ret_start, ret_end);
}

int profile_field(const struct profile *profile, const char *path, struct profile_field *ret)
{
	return types_field(profile->types, path, &ret->offset, &ret->size);
}

int profile_parameters(const struct profile *profile, const char *path, char *buf, size_t size)
{
	return types_parameters(profile->types, path, buf, size);
}

int profile_enumerator(const struct profile *profile, const char *name, uint64_t *ret_value)
{
	return types_enumerator(profile->types, name, ret_value);
}

uint32_t profile_struct_size(const struct profile *profile, const char *name)
{
	return types_struct_size(profile->types, name);
}

/*
 * The types to ask for what is @module's. @err says why they are the kernel's own, if they are: on
 * success too.
 */
static const struct types *types_of(const struct profile *profile, const char *module,
				    struct error *err)
{
	const struct types *types = profile->types;

	modules_types(profile->modules, module, &types, err);
	return types;
}

int profile_module_field(const struct profile *profile, const char *module, const char *path,
			 struct profile_field *ret, struct error *err)
{
	struct error why = { 0 };
	const struct types *types = types_of(profile, module, &why);

	if (types_field(types, path, &ret->offset, &ret->size) == 0)
		return 0;
	if (why.code && why.code != -ENOENT)
		return error_set(err, why.code, "%s", why.message);
	return error_set(err, -ENOENT, "neither a loaded module %s nor the guest kernel has %s",
			 module, path);
}

uint32_t profile_module_struct_size(const struct profile *profile, const char *module,
				    const char *name)
{
	struct error why = { 0 };

	return types_struct_size(types_of(profile, module, &why), name);
}

const char *profile_banner(const struct profile *profile)
{
	return profile->banner;
}

const char *profile_release(const struct profile *profile)
{
	return profile->release;
}

uint64_t profile_text(const struct profile *profile)
{
	return profile->text;
}

uint64_t profile_kaslr_offset(const struct profile *profile)
{
	return profile->text - TEXT_LINK_ADDRESS;
}

uint64_t profile_phys_base(const struct profile *profile)
{
	return profile->phys_base;
}

size_t profile_n_symbols(const struct profile *profile)
{
	return kallsyms_n_symbols(profile->kallsyms);
}

size_t profile_n_types(const struct profile *profile)
{
	return types_n(profile->types);
}

const struct profile_cost *profile_cost(const struct profile *profile)
{
	return &profile->cost;
}
