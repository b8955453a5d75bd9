// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The first process of a benchmark's guest, out of an initial file system: mounts the lab's disk (and the kernel's modules, where they
 * are on another one), puts the benchmark's programs from /bench into a tmpfs at /run/bench there, makes that disk the root, and then
 * runs shell commands that come over the second serial line. There is no init system, no network, and nothing that runs by itself: an
 * instruction count has only in it what was asked for.
 *
 * A command is a line; what it writes goes back as it is, and then "\004STATUS\n". The first answer comes by itself, when it is up.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define NEW_ROOT "/root"
#define PROGRAMS NEW_ROOT "/run/bench"
#define LINE_LIMIT 65536

static void die(const char *what)
{
	fprintf(stderr, "bench agent: %s: %s\n", what, strerror(errno));
	for (;;)
		pause();
}

static void must_mount(const char *source, const char *target, const char *type,
		       unsigned long flags, const char *data)
{
	if (mount(source, target, type, flags, data) && errno != EBUSY)
		die(target);
}

static void load_modules(void)
{
	glob_t found = { 0 };

	glob("/modules/*.ko", 0, NULL, &found);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		int fd = open(found.gl_pathv[i], O_RDONLY | O_CLOEXEC);

		/* One for instructions that this processor lacks is refused; another does its work. */
		if (fd >= 0 && syscall(SYS_finit_module, fd, "", 0) == 0)
			errno = 0;
		close(fd);
	}
	globfree(&found);
}

static bool has_serial(const char *controller, const char *serial)
{
	char path[512], said[64] = "";
	int fd;

	snprintf(path, sizeof(path), "%s/serial", controller);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	if (read(fd, said, sizeof(said) - 1) < 0)
		said[0] = '\0';
	close(fd);
	said[strcspn(said, " \n")] = '\0';
	return strcmp(said, serial) == 0;
}

/* The NVMe disk with this serial number, for which it waits up to @tries * 0.1 s. */
static bool find_disk(const char *serial, int tries, char *buf, size_t size)
{
	for (; tries > 0; tries--) {
		glob_t found = { 0 };
		bool there = false;

		glob("/sys/class/nvme/nvme*", 0, NULL, &found);
		for (size_t i = 0; i < found.gl_pathc && !there; i++) {
			if (!has_serial(found.gl_pathv[i], serial))
				continue;
			snprintf(buf, size, "/dev/%sn1", strrchr(found.gl_pathv[i], '/') + 1);
			there = access(buf, F_OK) == 0;
		}
		globfree(&found);
		if (there)
			return true;
		usleep(100000);
	}
	return false;
}

static void copy_file(const char *from, const char *to)
{
	static char buf[65536];
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	ssize_t n;

	if (in < 0 || out < 0)
		die(to);
	while ((n = read(in, buf, sizeof(buf))) > 0) {
		if (write(out, buf, (size_t)n) != n)
			die(to);
	}
	close(in);
	close(out);
}

static void copy_programs(void)
{
	DIR *directory = opendir("/bench");
	struct dirent *entry;

	while (directory && (entry = readdir(directory))) {
		char from[512], to[512];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(from, sizeof(from), "/bench/%s", entry->d_name);
		snprintf(to, sizeof(to), PROGRAMS "/%s", entry->d_name);
		copy_file(from, to);
	}
	if (directory)
		closedir(directory);
}

static void make_root(void)
{
	char disk[64], modules[256];
	struct utsname name;

	must_mount("dev", "/dev", "devtmpfs", 0, NULL);
	must_mount("proc", "/proc", "proc", 0, NULL);
	must_mount("sys", "/sys", "sysfs", 0, NULL);
	load_modules();
	if (!find_disk("root", 100, disk, sizeof(disk)))
		die("no disk with the serial number 'root'");
	mkdir(NEW_ROOT, 0755);
	must_mount(disk, NEW_ROOT, "ext4", 0, NULL);
	uname(&name);
	snprintf(modules, sizeof(modules), NEW_ROOT "/usr/lib/modules/%s", name.release);
	if (find_disk("modules", 1, disk, sizeof(disk))) {
		mkdir(modules, 0755);
		must_mount(disk, modules, "ext4", MS_RDONLY, NULL);
	}
	must_mount("dev", NEW_ROOT "/dev", "devtmpfs", 0, NULL);
	must_mount("proc", NEW_ROOT "/proc", "proc", 0, NULL);
	must_mount("sys", NEW_ROOT "/sys", "sysfs", 0, NULL);
	must_mount("cgroup", NEW_ROOT "/sys/fs/cgroup", "cgroup2", 0, NULL);
	must_mount("run", NEW_ROOT "/run", "tmpfs", 0, NULL);
	must_mount("tmp", NEW_ROOT "/tmp", "tmpfs", 0, NULL);
	mkdir(NEW_ROOT "/dev/pts", 0755);
	must_mount("pts", NEW_ROOT "/dev/pts", "devpts", 0, NULL);
	mkdir(NEW_ROOT "/dev/shm", 01777);
	must_mount("shm", NEW_ROOT "/dev/shm", "tmpfs", 0, NULL);
	mkdir(PROGRAMS, 0755);
	copy_programs();
}

/* As switch_root(8): pivot_root() is not for the initial file system. */
static void enter_root(void)
{
	if (chdir(NEW_ROOT) || mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") || chdir("/"))
		die(NEW_ROOT);
}

static int run(const char *command, int line)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		int null = open("/dev/null", O_RDONLY);

		setsid();
		dup2(null, 0);
		dup2(line, 1);
		dup2(line, 2);
		execl("/bin/sh", "sh", "-c", command, NULL);
		_exit(127);
	}
	/* Orphans are this process's, too. */
	for (;;) {
		pid_t pid = waitpid(-1, &status, 0);

		if (pid == child || pid < 0)
			break;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void answer(int line, int status)
{
	char said[16];
	int n = snprintf(said, sizeof(said), "\004%d\n", status);

	if (write(line, said, (size_t)n) != n)
		die("the line");
}

static int open_line(void)
{
	int line = open("/dev/ttyS1", O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct termios raw;

	if (line < 0 || tcgetattr(line, &raw))
		die("/dev/ttyS1");
	cfmakeraw(&raw);
	cfsetspeed(&raw, B115200);
	tcsetattr(line, TCSANOW, &raw);
	return line;
}

int main(void)
{
	static char command[LINE_LIMIT];
	size_t n = 0;
	int line;

	make_root();
	enter_root();
	setenv("PATH", "/run/bench:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	       1);
	setenv("HOME", "/root", 1);
	line = open_line();
	answer(line, 0);
	for (;;) {
		if (n == sizeof(command) - 1 || read(line, command + n, 1) != 1)
			die("a command");
		if (command[n++] != '\n')
			continue;
		command[n - 1] = '\0';
		answer(line, run(command, line));
		n = 0;
	}
}
