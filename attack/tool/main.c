// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

static const struct verb *const tables[] = { content_verbs, uring_verbs, descriptor_verbs,
					     machine_verbs, bpf_verbs,	 state_verbs,
					     load_verbs,    race_verbs };

int fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	return 1;
}

int deface(int fd)
{
	return write(fd, "defaced\n", 8) == 8 ? 0 : fail("write");
}

void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0)
		fail("write");
	close(fd);
}

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(tables) / sizeof(tables[0]); i++) {
		for (const struct verb *verb = tables[i]; verb->name; verb++) {
			if (strcmp(verb->name, argv[1]) != 0)
				continue;
			if (argc - 2 < verb->n_args)
				return fprintf(stderr, "%s: too few words\n", verb->name), 2;
			return verb->run(argc - 2, argv + 2);
		}
	}
	fprintf(stderr, "tool: no such verb: %s\n", argc > 1 ? argv[1] : "(none)");
	return 2;
}
