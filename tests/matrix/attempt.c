// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tries every way to every operation on a watched file. See matrix.h for the words, tests/matrix/run for who starts this.
 *
 * usage: attempt [--slice] [--each] [--old] list|prepare|hold|run ACTION VIEW[=PREFIX]...
 *   list     what cells there are, and what the rules have to name
 *   prepare  make their files; PREFIX is where the container's root is, "" in the container itself
 *   hold     open what is to be open before there are rules, and keep it
 *   run      make the attempts, and say what came of each
 *   --slice  a part that stands for all; --each each operation once, by its main way; --old only reading and writing by opening
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "matrix.h"

#define TIME_LIMIT 20 /* seconds, for one attempt */
#define MAX_HELD 512

struct cell {
	const struct way *way;
	const struct route *route;
	const char *action;
	enum view view;
	const char *view_name, *prefix;
	char directory[200]; /* D, as the container sees it */
};

static bool only_slice, only_each, only_old;

static const char *operation_of(const struct way *way)
{
	return operation_names[__builtin_ctz(way->operation)];
}

/* --- the cells ----------------------------------------------------------------------------------------------------------- */

static bool is_cell(const struct way *way, const struct route *route, enum view view,
		    unsigned int i)
{
	if ((way->views && !(way->views & view)) || (route->views && !(route->views & view)))
		return false;
	if (route != routes &&
	    (!(way->flags & MAIN) || (route->operations && !(route->operations & way->operation))))
		return false;
	/* A container's mounts can be reached from outside by going in, and in no other way. */
	if (way->operation == MOUNT && view == PROC_ROOT && route->views != PROC_ROOT)
		return false;
	if (only_old && !(way->operation & (READ | WRITE)))
		return false;
	if (only_each && (route != routes || !(way->flags & MAIN)))
		return false;
	if (!only_slice)
		return true;
	/* Each way in another view, so that all are there. */
	return (way->flags & SLICE) && (route == routes || (route->flags & SLICE)) &&
	       (out_of_scope(way->operation, view) == NULL) &&
	       (way->operation & (MOUNT | COPY_UP) ? view == LOWER : view == 1u << i % N_VIEWS);
}

/* Letters, digits and '-' of the names. */
static void set_directory(struct cell *cell)
{
	char name[128];
	size_t n = 0;
	const char *parts[] = { operation_of(cell->way), " ", cell->way->name, " ",
				cell->route->name };

	for (unsigned int i = 0; i < LENGTH(parts); i++) {
		for (const char *c = parts[i]; *c && n < sizeof(name) - 1; c++) {
			bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
				     (*c >= '0' && *c <= '9') || *c == '_';

			if (plain)
				name[n++] = *c;
			else if (n && name[n - 1] != '-')
				name[n++] = '-';
		}
	}
	while (n && name[n - 1] == '-')
		n--;
	snprintf(cell->directory, sizeof(cell->directory), "/w/%s/%s/%.*s", cell->action,
		 cell->view_name, (int)n, name);
}

static int for_each_way(struct cell *cell, const struct way_table *table, unsigned int flags,
			int (*visit)(const struct cell *))
{
	static unsigned int n_slices;

	for (unsigned int i = 0; i < table->n; i++) {
		for (unsigned int j = 0; j < n_routes; j++) {
			cell->way = &table->ways[i];
			cell->route = &routes[j];
			if ((cell->way->flags & ROOTS) != flags)
				continue;
			n_slices += (cell->way->flags & SLICE) && cell->view == LOWER;
			if (!is_cell(cell->way, cell->route, cell->view, i + j))
				continue;
			set_directory(cell);
			if (visit(cell) < 0)
				return -1;
		}
	}
	return 0;
}

static const struct way_table *const tables[] = { &content_ways, &name_ways, &metadata_ways,
						  &mount_ways };

/* All cells of a view; those that leave no view behind last. */
static int for_each_cell(const char *action, char *view, int (*visit)(const struct cell *))
{
	struct cell cell = { .action = action, .view_name = view, .prefix = "" };
	char *equals = strchr(view, '=');

	if (equals) {
		*equals = '\0';
		cell.prefix = equals + 1;
	}
	for (unsigned int i = 0; i < N_VIEWS; i++) {
		if (strcmp(view, view_names[i]) == 0)
			cell.view = 1u << i;
	}
	if (!cell.view) {
		fprintf(stderr, "no view '%s'\n", view);
		return -1;
	}
	for (unsigned int roots = 0; roots <= ROOTS; roots += ROOTS) {
		for (unsigned int i = 0; i < LENGTH(tables); i++) {
			if (for_each_way(&cell, tables[i], roots, visit) < 0)
				return -1;
		}
	}
	return 0;
}

/* --- list ---------------------------------------------------------------------------------------------------------------- */

static const char *or_dash(const char *text)
{
	return text && *text ? text : "-";
}

/* What the event may name, below D or absolute, with '|' between. */
static void print_told(const struct cell *cell)
{
	const char *told = cell->way->told ? cell->way->told : cell->way->watch;
	const char *template = cell->route->told ? cell->route->told : "@";

	for (; *template; template ++) {
		if (*template == '@')
			fputs(told, stdout);
		else
			putchar(*template);
	}
}

static int list(const struct cell *cell)
{
	const struct way *way = cell->way;

	printf("%s\t%s\t%s\t%s\t%s\t%s\t", cell->directory, operation_of(way), way->name,
	       or_dash(cell->route->name), cell->view_name, way->watch);
	print_told(cell);
	printf("\t%s%s%s-\t%s\t%s\n", way->flags & HELD ? "held," : "",
	       way->flags & UNTOLD ? "untold," : "", way->flags & DENY_ONLY ? "deny-only," : "",
	       or_dash(gap(way, cell->route, cell->view)),
	       or_dash(out_of_scope(way->operation, cell->view)));
	return 0;
}

/* --- prepare ------------------------------------------------------------------------------------------------------------- */

/* Makes the directories that lead to @path, but not its last name. */
static void make_above(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(path, 0755);
		*slash = '/';
	}
}

static int make_watched(const char *directory, const char *watch)
{
	char path[600], *to = path + snprintf(path, sizeof(path), "%s/", directory), last;
	struct place here = { .at = AT_FDCWD };
	int fd;

	/* What a wildcard stands for is called "a"; what is below "m" is missing. */
	for (; *watch && *watch != 'm'; watch++) {
		if (watch[0] == '*' && watch[1] == '*')
			continue;
		*to++ = *watch == '*' ? 'a' : *watch;
	}
	*to = '\0';
	last = to[-1];
	make_above(path);
	if (last == 'N' || last == '/')
		return 0;
	if (last != 'F')
		return mkdir(path, 0755);
	snprintf(here.base, sizeof(here.base), "/");
	fd = make_file(&here, path);
	if (fd < 0)
		return fd;
	if (fsetxattr(fd, "trusted.there", "1", 1, 0) < 0 || acl_set(path, 4) < 0 ||
	    futimens(fd, (const struct timespec[2]){ { 1, 0 }, { 1, 0 } }) < 0)
		return -1;
	return close(fd);
}

static void directory_of(const struct cell *cell, bool twin, char *ret_directory, size_t size)
{
	snprintf(ret_directory, size, "%s%s%s", cell->prefix, cell->directory, twin ? "~" : "");
}

static int prepare(const struct cell *cell)
{
	char directory[400];

	for (int twin = 1; twin >= 0; twin--) {
		directory_of(cell, twin, directory, sizeof(directory));
		if (make_watched(directory, cell->way->watch) < 0) {
			perror(directory);
			return -1;
		}
	}
	return 0;
}

/* --- hold ---------------------------------------------------------------------------------------------------------------- */

static struct held held[MAX_HELD];
static unsigned int n_held;

static int hold(const struct cell *cell)
{
	char directory[400], on[410];

	for (int twin = 1; twin >= 0; twin--) {
		directory_of(cell, twin, directory, sizeof(directory));
		snprintf(on, sizeof(on), "%s/d", directory);
		if ((cell->way->flags & OWN_MOUNT) && mount(on, on, NULL, MS_BIND, NULL) < 0) {
			perror(on);
			return -1;
		}
		if (!(cell->way->flags & HELD) || n_held == MAX_HELD)
			continue;
		snprintf(held[n_held].path, sizeof(held[n_held].path), "%s/F", directory);
		held[n_held].flags = cell->way->operation == READ ? O_RDONLY : O_RDWR;
		held[n_held++].map = cell->way->operation == MMAP_WRITE;
	}
	return 0;
}

/* --- run ----------------------------------------------------------------------------------------------------------------- */

static struct shared *shared;
static char holder_name[64];

struct outcome {
	pid_t pid;
	int result;
	char point[32], changed[16];
};

/* In a process of its own, so that its events are told by its pid. */
static void attempt(const struct cell *cell, struct place *place)
{
	int result;

	alarm(TIME_LIMIT);
	result = cell->route->take(place);
	if (result < 0) {
		shared->result = stopped_at(place, "route", result);
		return;
	}
	shared->result = 0; /* of an attempt that does not come back: exec */
	shared->result = cell->way->attempt(place);
	if (shared->result > 0)
		shared->result = 0;
	if (place->unmount)
		umount2(place->unmount, MNT_DETACH);
}

static void try_side(const struct cell *cell, bool twin, struct outcome *ret_outcome)
{
	char directory[400];
	struct place place = { .way = cell->way,
			       .view = cell->view,
			       .is_twin = twin,
			       .at = AT_FDCWD,
			       .name = "F",
			       .directory = directory,
			       .prefix = cell->prefix,
			       .holder = holder_name,
			       .shared = shared };
	struct snapshot after;
	int at, status;
	pid_t pid;

	directory_of(cell, twin, directory, sizeof(directory));
	snprintf(place.base, sizeof(place.base), "%s", directory);
	if (!strchr(cell->way->watch, '*'))
		snprintf(place.name, sizeof(place.name), "%s", cell->way->watch);
	memset(shared, 0, sizeof(*shared));
	at = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	prepared(&place);
	shared->result = -ECHILD;
	pid = fork();
	if (pid == 0) {
		attempt(cell, &place);
		_exit(0);
	}
	ret_outcome->pid = pid;
	waitpid(pid, &status, 0);
	snapshot_take(&after, at, ".", cell->way->operation != READ);
	snapshot_compare(&shared->before, &after, ret_outcome->changed);
	close(at);
	ret_outcome->result = WIFSIGNALED(status) ? -1000 - WTERMSIG(status) : shared->result;
	snprintf(ret_outcome->point, sizeof(ret_outcome->point), "%s", or_dash(shared->point));
}

static int run(const struct cell *cell)
{
	struct outcome twin, own;
	const char *why = NULL;

	if (out_of_scope(cell->way->operation, cell->view))
		return 0;
	try_side(cell, true, &twin);
	try_side(cell, false, &own);
	if (twin.result < 0)
		why = excuse(cell->way, cell->route, cell->view, -twin.result);
	printf("%s\t%s\t%d\t%d\t%s\t%s\t%d\t%d\t%s\t%s\n", cell->directory, or_dash(why), twin.pid,
	       twin.result, twin.changed, twin.point, own.pid, own.result, own.changed, own.point);
	fflush(stdout);
	return 0;
}

/* ------------------------------------------------------------------------------------------------------------------------- */

static const struct verb {
	const char *name;
	int (*visit)(const struct cell *cell);
} verbs[] = { { "list", list }, { "prepare", prepare }, { "hold", hold }, { "run", run } };

static int usage(void)
{
	fprintf(stderr, "usage: attempt [--slice] [--each] [--old] list|prepare|hold|run ACTION "
			"VIEW[=PREFIX]...\n");
	return 2;
}

int main(int argc, char **argv)
{
	const struct verb *verb = NULL;

	for (; argc > 1 && argv[1][0] == '-'; argc--, argv++) {
		only_slice |= strcmp(argv[1], "--slice") == 0;
		only_each |= strcmp(argv[1], "--each") == 0;
		only_old |= strcmp(argv[1], "--old") == 0;
	}
	if (argc < 4)
		return usage();
	for (unsigned int i = 0; i < LENGTH(verbs); i++) {
		if (strcmp(argv[1], verbs[i].name) == 0)
			verb = &verbs[i];
	}
	if (!verb)
		return usage();
	umask(0);
	snprintf(holder_name, sizeof(holder_name), "outguard-matrix-%s", argv[2]);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	for (int i = 3; i < argc; i++) {
		if (for_each_cell(argv[2], argv[i], verb->visit) < 0)
			return 1;
	}
	return verb->visit == hold ? holder_serve(holder_name, held, n_held) : 0;
}
