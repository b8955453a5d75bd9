// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker.h"

#define N_TEXTS 8
#define PATH_SPACE 8192
#define LINE_SPACE 12288
#define LONGEST_RUN 12 /* of one character, before it is told as a count */

void random_seed(uint64_t *random, uint64_t seed)
{
	*random = (seed + 1) * 0x9e3779b97f4a7c15ull;
}

/* xorshift64* */
static uint32_t next_random(uint64_t *random)
{
	*random ^= *random >> 12;
	*random ^= *random << 25;
	*random ^= *random >> 27;
	return (*random * 0x2545f4914f6cdd1dull) >> 32;
}

unsigned int pick(struct worker *w, unsigned int n)
{
	return ((uint64_t)next_random(&w->random) * n) >> 32;
}

bool chance(struct worker *w, unsigned int percent)
{
	return pick(w, 100) < percent;
}

static void append(struct journal *journal, const char *text, size_t size)
{
	if (size > sizeof(journal->text) - journal->length)
		_exit(97); /* the journal is full */
	memcpy(journal->text + journal->length, text, size);
	journal->length += size;
}

/* A name of 300 equal letters is told as such. */
static void append_squeezed(struct journal *journal, const char *text)
{
	char count[32];

	while (*text) {
		size_t run = 1;

		while (text[run] == *text)
			run++;
		if (run > LONGEST_RUN) {
			append(journal, text, 1);
			append(journal, count, snprintf(count, sizeof(count), "{%zu times}", run));
		} else {
			append(journal, text, run);
		}
		text += run;
	}
}

long tell(struct worker *w, const char *call, long result, const char *arguments, ...)
{
	int error = errno;
	char line[LINE_SPACE], outcome[64];
	const char *name = strerrorname_np(error);
	va_list list;
	int n;

	n = snprintf(line, sizeof(line), "%u.%u %s %s(", w->number, w->operation, w->area->name,
		     call);
	va_start(list, arguments);
	n += vsnprintf(line + n, sizeof(line) - n, arguments, list);
	va_end(list);
	if (n >= (int)sizeof(line))
		_exit(96);
	append_squeezed(w->journal, line);
	if (result == -1)
		n = snprintf(outcome, sizeof(outcome), ") = %s\n", name ? name : "?");
	else
		n = snprintf(outcome, sizeof(outcome), ") = %ld\n", result);
	append(w->journal, outcome, n);
	errno = error;
	return result;
}

static char *text_space(void)
{
	static char texts[N_TEXTS][PATH_SPACE];
	static unsigned int next;

	return texts[next++ % N_TEXTS];
}

const char *own_name(struct worker *w, char letter, unsigned int n)
{
	char *text = text_space();

	snprintf(text, PATH_SPACE, "%s%c%u", w->area->prefix, letter, pick(w, n));
	return text;
}

/* Up to two directories in front; the prefix is for the first name. */
static size_t directories(struct worker *w, char *text)
{
	unsigned int depth = pick(w, 100), n_levels = depth < 58 ? 0 : depth < 92 ? 1 : 2;
	size_t n = snprintf(text, PATH_SPACE, "%s", w->area->prefix);

	for (unsigned int level = 0; level < n_levels; level++) {
		n += snprintf(text + n, PATH_SPACE - n, "d%u/", pick(w, 3));
		if (level == 0 && chance(w, 5))
			n += snprintf(text + n, PATH_SPACE - n, "../%s", w->area->prefix);
	}
	return n;
}

/* Names at which nothing can be found or made. */
static const char *impossible(struct worker *w)
{
	char *text = text_space();
	size_t n = directories(w, text);

	switch (pick(w, 6)) {
	case 0:
		return "";
	case 1:
		return "/nonexistent/outguard/f";
	case 2:
		memset(text + n, 'n', 300);
		text[n + 300] = '\0';
		break;
	case 3:
		memset(text + n, '/', 5000);
		strcpy(text + n + 5000, "f0");
		break;
	case 4:
		snprintf(text + n, PATH_SPACE - n, "f%u/x", pick(w, 6));
		break;
	default:
		snprintf(text + n, PATH_SPACE - n, "f%u/", pick(w, 6));
		break;
	}
	return text;
}

static const char *name_of(struct worker *w, char letter, unsigned int n)
{
	char *text = text_space();
	size_t length = directories(w, text);

	snprintf(text + length, PATH_SPACE - length, "%c%u", letter, pick(w, n));
	return text;
}

const char *file_name(struct worker *w)
{
	unsigned int kind = pick(w, 100);

	if (kind < 3)
		return impossible(w);
	if (kind < 13)
		return name_of(w, 's', 4);
	if (kind < 18)
		return name_of(w, 'x', 3);
	return name_of(w, 'f', 6);
}

const char *dir_name(struct worker *w)
{
	return chance(w, 3) ? impossible(w) : name_of(w, 'd', 3);
}

const char *any_name(struct worker *w)
{
	unsigned int kind = pick(w, 100);

	if (kind < 20)
		return dir_name(w);
	if (kind < 26)
		return name_of(w, 'q', 2);
	if (kind < 30)
		return name_of(w, 'c', 2);
	return file_name(w);
}

char *io_buffer(void)
{
	static char buffer[LARGEST_IO + BLOCK] __attribute__((aligned(BLOCK)));

	return buffer;
}

void fill(struct worker *w, char *buffer, size_t size)
{
	uint64_t random = w->random;

	pick(w, 2);
	for (size_t i = 0; i < size; i++)
		buffer[i] = i % 61 ? (char)('a' + i % 26) : (char)next_random(&random);
}

uint64_t hash(uint64_t start, const void *bytes, size_t size)
{
	const unsigned char *at = bytes;
	uint64_t word;

	for (; size >= sizeof(word); at += sizeof(word), size -= sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		start = (start ^ word) * 0x100000001b3ull;
		start ^= start >> 29;
	}
	for (; size > 0; at++, size--)
		start = (start ^ *at) * 0x100000001b3ull;
	return start;
}

int some_fd(struct worker *w)
{
	unsigned int slot = pick(w, N_SLOTS), tries = chance(w, 5) ? 0 : N_SLOTS - 1;

	while (tries-- > 0 && w->area->slots[slot] < 0)
		slot = (slot + 1) % N_SLOTS;
	return w->area->slots[slot];
}

void keep_fd(struct worker *w, int fd)
{
	int *slot = &w->area->slots[pick(w, N_SLOTS)];

	if (fd < 0)
		return;
	if (*slot >= 0)
		close(*slot);
	*slot = fd;
}

void in_child(struct worker *w, const char *what, void (*function)(struct worker *w))
{
	pid_t pid = fork();
	int status = 0;

	pick(w, 2);
	if (pid == 0) {
		function(w);
		_exit(0);
	}
	if (pid > 0 && waitpid(pid, &status, 0) == pid)
		tell(w, what, WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status),
		     "child");
	else
		tell(w, what, -1, "fork");
}
