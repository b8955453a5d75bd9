// SPDX-License-Identifier: GPL-2.0-or-later
/* Much at once, and for long. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tool.h"

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

/* flood FILE N: N attempts to write; any that works is a success. */
static int flood(int n, char **args)
{
	int left = atoi(args[1]), worked = 0;

	(void)n;
	for (; left > 0; left--) {
		int fd = open(args[0], O_WRONLY | O_APPEND | O_CLOEXEC);

		if (fd < 0)
			continue;
		worked += deface(fd) == 0;
		close(fd);
	}
	fprintf(stderr, "%d of %s worked\n", worked, args[1]);
	return worked == 0;
}

/* fill DIRECTORY N: N files below it, each looked at by its name too. */
static int fill(int n, char **args)
{
	char path[400];
	int made = 0;

	(void)n;
	for (int i = 0; i < atoi(args[1]); i++) {
		int fd;

		snprintf(path, sizeof(path), "%s/%d", args[0], i);
		fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		if (fd < 0)
			continue;
		made++;
		close(fd);
	}
	fprintf(stderr, "%d files were made\n", made);
	return made == 0;
}

/*
 * hammer FILE MILLISECONDS: tries to open a file for writing, about each millisecond, and never writes. Prints how often
 * that worked, and how long it was from the first success to the last. The first is told on the console, too.
 */
static int hammer(int n, char **args)
{
	double end = now() + atof(args[1]), first = 0, last = 0;
	long tried = 0, worked = 0;

	(void)n;
	for (double at = now(); at < end; at = now()) {
		int fd = open(args[0], O_WRONLY | O_APPEND | O_CLOEXEC);

		usleep(1000);
		tried++;
		if (fd < 0)
			continue;
		close(fd);
		worked++;
		last = now();
		if (first != 0)
			continue;
		first = at;
		write_text("/dev/ttyS0", "hammer: it worked\n");
	}
	return printf("tried=%ld opened=%ld slip_ms=%.1f\n", tried, worked, last - first) < 0;
}

const struct verb load_verbs[] = {
	{ "flood", 2, flood },
	{ "fill", 2, fill },
	{ "hammer", 2, hammer },
	{ NULL, 0, NULL },
};
