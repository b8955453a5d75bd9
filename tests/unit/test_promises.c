// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "arm/hooks.h"
#include "arm/promises.h"
#include "util/cleanup.h"

/* A kernel without anything. */
uint64_t profile_symbol(const struct profile *profile, const char *name)
{
	(void)profile;
	(void)name;
	return 0;
}

int profile_field(const struct profile *profile, const char *path, struct profile_field *ret)
{
	(void)profile;
	(void)path;
	(void)ret;
	return -ENOENT;
}

int profile_parameters(const struct profile *profile, const char *path, char *buf, size_t size)
{
	(void)profile;
	(void)path;
	(void)buf;
	(void)size;
	return -ENOENT;
}

uint32_t profile_struct_size(const struct profile *profile, const char *name)
{
	(void)profile;
	(void)name;
	return 0;
}

const char *profile_symbol_at(const struct profile *profile, uint64_t address, uint64_t *ret_start,
			      uint64_t *ret_end)
{
	(void)profile;
	(void)address;
	(void)ret_start;
	(void)ret_end;
	return NULL;
}

const struct space *profile_space(const struct profile *profile)
{
	(void)profile;
	return NULL;
}

static void test_each_hook_has_one(void **state)
{
	const char *of_others = promise_without("no such hook");
	const char *no_need = promise_needless("no such hook");
	struct hook_offer offer;

	(void)state;
	for (size_t i = 0; hooks_offer(NULL, i, &offer) == 0; i++) {
		if (strcmp(promise_without(offer.name), of_others) == 0)
			fail_msg("src/arm/promises.c does not say what falls away without %s",
				 offer.name);
		if (offer.optional && strcmp(promise_needless(offer.name), no_need) == 0)
			fail_msg("src/arm/promises.c does not say why %s is not needed",
				 offer.name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_each_hook_has_one) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
