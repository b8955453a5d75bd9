// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Runs a fuzz target over its corpus, as an ordinary test: each file as it is, cut at a quarter, a half and three
 * quarters, and with each of a few bytes changed. Output is TAP, one line a file.
 * usage: fuzz_NAME FILE...
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

static void run_copy(const uint8_t *data, size_t size)
{
	/* of its own, so that a sanitizer sees every byte read beyond the end */
	uint8_t *copy = malloc(size ? size : 1);

	if (!copy)
		abort();
	memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

static void run_variants(uint8_t *data, size_t size)
{
	static const uint8_t flips[] = { 0x01, 0x80, 0xff };

	run_copy(data, size);
	for (size_t quarter = 1; quarter < 4; quarter++)
		run_copy(data, size * quarter / 4);
	for (size_t at = 0; at < size; at += size / 16 + 1) {
		for (size_t i = 0; i < sizeof(flips); i++) {
			data[at] ^= flips[i];
			run_copy(data, size);
			data[at] ^= flips[i];
		}
	}
}

int main(int argc, char **argv)
{
	if (LLVMFuzzerInitialize)
		LLVMFuzzerInitialize(&argc, &argv);
	for (int i = 1; i < argc; i++) {
		static uint8_t data[1 << 20];
		FILE *file = fopen(argv[i], "rb");
		size_t size;

		if (!file) {
			printf("not ok %d - %s\n", i, argv[i]);
			return 1;
		}
		size = fread(data, 1, sizeof(data), file);
		fclose(file);
		run_variants(data, size);
		printf("ok %d - %s\n", i, argv[i]);
		fflush(stdout);
	}
	return 0;
}
