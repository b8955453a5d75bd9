// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The whole user space of a guest that boots in two seconds and has no device that QEMU cannot save: the first process, and a container
 * of it (name spaces and a root of its own) with a file /etc/passwd. Commands come over the second serial line, one a line, and
 * are answered there by a line:
 *
 *	start	a new container in the old one's place: what that says when it first opens its /etc/passwd for writing, before
 *		it does anything else: "ok", or the error's text
 *	write	what it says when it does so again
 *	load N	N processes in the container, each on a CPU of its own if there are so many, that do nothing but open files: the
 *		first, third, ... /etc/passwd for writing, the others /etc/shadow for reading, and all of them others in between
 *	count	"refused N written N read N unread N": how often they could not and could
 *	rest	the same, when they have ended
 *	online	brings all CPUs and all memory that were plugged in into use: "N cpus N MiB"
 *	fill N	takes N MiB of memory for good
 *	scribble N	fills the mailbox (the smaller ivshmem device's memory) with random bytes, N times
 *	module WORDS	loads /module.ko with these parameters, and takes it out again: "store_ns N back_ns N", its own
 *	put FILE TEXT	writes the text into the file: "ok", or the error's text
 *	forge KIND N	writes into the mailbox for N milliseconds what mailbox.h has by that name: "forged" how often
 *	reboot	as reboot -f; no answer
 *	kexec W	the kernel /vmlinuz with the initial file system /inner in this one's place, with the word W; an answer if that fails
 *
 * "up" is said before the first answer.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define MAX_LOAD 16
#define OTHERS 100 /* opens of a file that nobody watches, for each of one that is */
#define MAILBOX_SIZE (4 << 20) /* as `outguard qemu-args` prints */

#include "mailbox.h"

/* What the load counts, each process for itself. */
struct counts {
	unsigned long refused, written, read, unread;
	unsigned long ended;
};

static FILE *line;
static pid_t container;
static int channel = -1;
static struct counts *counts;
static int n_load;
static volatile sig_atomic_t *resting;

static const char *try_write(void)
{
	int fd = open("/etc/passwd", O_WRONLY | O_APPEND | O_CLOEXEC);

	if (fd < 0)
		return strerror(errno);
	close(fd);
	return "ok";
}

static void load_once(struct counts *own, bool writer)
{
	int fd = open(writer ? "/etc/passwd" : "/etc/shadow",
		      (writer ? O_WRONLY | O_APPEND : O_RDONLY) | O_CLOEXEC);

	if (writer)
		++*(fd < 0 && errno == EPERM ? &own->refused : &own->written);
	else
		++*(fd >= 0 ? &own->read : &own->unread);
	if (fd >= 0)
		close(fd);
}

static void load(unsigned int n)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(n, &set);
	sched_setaffinity(0, sizeof(set), &set);
	while (!*resting) {
		load_once(&counts[n], n % 2 == 0);
		for (int i = 0; i < OTHERS; i++)
			close(open("/etc/other", O_RDONLY | O_CLOEXEC));
	}
	counts[n].ended = 1;
	_exit(0);
}

/* Never returns. A byte of 'w' asks for a write, another one is the number of processes to start. */
static void be_container(int fd)
{
	const char *said;
	char command = 'w';

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("c", "/c", "tmpfs", 0, NULL) || mkdir("/c/etc", 0755) ||
	    mknod("/c/etc/passwd", S_IFREG | 0644, 0) ||
	    mknod("/c/etc/shadow", S_IFREG | 0600, 0) || mknod("/c/etc/other", S_IFREG | 0644, 0) ||
	    sethostname("box", 3) || chdir("/c") || mount(".", "/", NULL, MS_MOVE, NULL) ||
	    chroot(".") || chdir("/"))
		_exit(1);
	signal(SIGCHLD, SIG_IGN);
	do {
		said = command == 'w' ? try_write() : "loaded";
		for (int i = 0; command != 'w' && i < command; i++) {
			if (fork() == 0)
				load((unsigned int)i);
		}
		if (write(fd, said, strlen(said)) < 0)
			break;
	} while (read(fd, &command, 1) == 1);
	_exit(0);
}

/* What the container says. */
static void hear(char *buf, size_t size)
{
	ssize_t n = read(channel, buf, size - 1);

	if (n > 0)
		buf[n] = '\0';
	else
		snprintf(buf, size, "no answer");
}

static void ask(char command, char *buf, size_t size)
{
	if (channel < 0 || write(channel, &command, 1) < 0)
		snprintf(buf, size, "no container");
	else
		hear(buf, size);
}

static void start(char *buf, size_t size)
{
	int pair[2];

	if (container) {
		kill(container, SIGKILL);
		waitpid(container, NULL, 0);
		close(channel);
	}
	socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
	container = (pid_t)syscall(SYS_clone, CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | SIGCHLD,
				   NULL, NULL, NULL, NULL);
	if (container == 0)
		be_container(pair[1]);
	close(pair[1]);
	channel = pair[0];
	hear(buf, size);
}

static void start_load(int n, char *buf, size_t size)
{
	*resting = 0;
	n_load = n < MAX_LOAD ? n : MAX_LOAD;
	memset(counts, 0, MAX_LOAD * sizeof(*counts));
	ask((char)n_load, buf, size);
}

static void count(char *buf, size_t size)
{
	struct counts sum = { 0 };

	for (int i = 0; i < n_load; i++) {
		sum.refused += counts[i].refused;
		sum.written += counts[i].written;
		sum.read += counts[i].read;
		sum.unread += counts[i].unread;
	}
	snprintf(buf, size, "refused %lu written %lu read %lu unread %lu", sum.refused, sum.written,
		 sum.read, sum.unread);
}

/* Whoever waits in the guard has to come out of it first. */
static void rest(char *buf, size_t size)
{
	*resting = 1;
	for (int i = 0; i < n_load; i++) {
		while (!__atomic_load_n(&counts[i].ended, __ATOMIC_ACQUIRE))
			usleep(10000);
	}
	count(buf, size);
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		errno = 0; /* what is in use already says so */
	if (fd >= 0)
		close(fd);
}

static void bring_online(char *buf, size_t size)
{
	long pages;
	glob_t found = { 0 };

	glob("/sys/devices/system/cpu/cpu[0-9]*/online", 0, NULL, &found);
	for (size_t i = 0; i < found.gl_pathc; i++)
		put(found.gl_pathv[i], "1");
	globfree(&found);
	glob("/sys/devices/system/memory/memory[0-9]*/state", 0, NULL, &found);
	for (size_t i = 0; i < found.gl_pathc; i++)
		put(found.gl_pathv[i], "online");
	globfree(&found);
	pages = sysconf(_SC_PHYS_PAGES);
	snprintf(buf, size, "%ld cpus %ld MiB", sysconf(_SC_NPROCESSORS_ONLN), pages / 256);
}

static void fill(long mib, char *buf, size_t size)
{
	char *at = mmap(NULL, (size_t)mib << 20, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	snprintf(buf, size, "%s", at == MAP_FAILED ? strerror(errno) : "filled");
}

static bool is_mailbox(const char *directory)
{
	char path[256], device[16] = "";
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "%s/device", directory);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, device, sizeof(device) - 1) < 0)
		return false;
	close(fd);
	snprintf(path, sizeof(path), "%s/resource2", directory);
	return strncmp(device, "0x1110", 6) == 0 && stat(path, &st) == 0 &&
	       st.st_size == MAILBOX_SIZE;
}

static void *map_mailbox(void)
{
	char path[256];
	glob_t found = { 0 };
	int fd = -1;

	glob("/sys/bus/pci/devices/*", 0, NULL, &found);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		if (!is_mailbox(found.gl_pathv[i]))
			continue;
		snprintf(path, sizeof(path), "%s/resource2", found.gl_pathv[i]);
		fd = open(path, O_RDWR | O_CLOEXEC);
	}
	globfree(&found);
	return mmap(NULL, MAILBOX_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

static void scribble(int n, char *at_mailbox, char *buf, size_t size)
{
	int in = open("/dev/urandom", O_RDONLY | O_CLOEXEC);

	for (int i = 0; i < n; i++) {
		for (size_t at = 0; at < MAILBOX_SIZE; at += 65536) {
			if (read(in, at_mailbox + at, 65536) < 0)
				snprintf(buf, size, "urandom: %s", strerror(errno));
		}
	}
	snprintf(buf, size, "scribbled");
}

static unsigned long module_number(const char *name)
{
	char path[128], text[32] = "";
	int fd;

	snprintf(path, sizeof(path), "/sys/module/unguard/parameters/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		return 0;
	close(fd);
	return strtoul(text, NULL, 10);
}

static void run_module(const char *words, char *buf, size_t size)
{
	int fd = open("/module.ko", O_RDONLY | O_CLOEXEC);

	if (syscall(SYS_finit_module, fd, words, 0) < 0) {
		snprintf(buf, size, "%s", strerror(errno));
		close(fd);
		return;
	}
	close(fd);
	snprintf(buf, size, "store_ns %lu back_ns %lu", module_number("store_ns"),
		 module_number("back_ns"));
	syscall(SYS_delete_module, "unguard", O_NONBLOCK);
}

static void put_text(char *words, char *buf, size_t size)
{
	char *text = strchr(words, ' ');
	int fd;

	if (text)
		*text++ = '\0';
	fd = open(words, O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd < 0 || !text || write(fd, text, strlen(text)) < 0)
		snprintf(buf, size, "%s", strerror(errno));
	else
		snprintf(buf, size, "ok");
	if (fd >= 0)
		close(fd);
}

static void use_mailbox(const char *command, const char *word, char *buf, size_t size)
{
	char *memory = map_mailbox();

	if (memory == MAP_FAILED)
		snprintf(buf, size, "mailbox: %s", strerror(errno));
	else if (*command == 's')
		scribble(atoi(word), memory, buf, size);
	else
		forge(word, memory, buf, size);
	if (memory != MAP_FAILED)
		munmap(memory, MAILBOX_SIZE);
}

static void start_kernel(const char *word, char *buf, size_t size)
{
	int image = open("/vmlinuz", O_RDONLY | O_CLOEXEC),
	    inner = open("/inner", O_RDONLY | O_CLOEXEC);
	char own[2048] = "", all[4096];
	int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);

	if (read(fd, own, sizeof(own) - 1) > 0)
		own[strcspn(own, "\n")] = '\0';
	close(fd);
	snprintf(all, sizeof(all), "%s %s", own, word);
	if (syscall(SYS_kexec_file_load, image, inner, strlen(all) + 1, all, 0UL) == 0)
		reboot(RB_KEXEC);
	snprintf(buf, size, "kexec: %s", strerror(errno));
}

static void obey(char *command, char *buf, size_t size)
{
	char *word = strchr(command, ' ');

	command[strcspn(command, "\r\n")] = '\0';
	word = word ? word + 1 : command + strlen(command);
	snprintf(buf, size, "unknown command");
	if (strcmp(command, "start") == 0)
		start(buf, size);
	else if (strcmp(command, "write") == 0)
		ask('w', buf, size);
	else if (strncmp(command, "load", 4) == 0)
		start_load(atoi(word), buf, size);
	else if (strcmp(command, "count") == 0)
		count(buf, size);
	else if (strcmp(command, "rest") == 0)
		rest(buf, size);
	else if (strcmp(command, "online") == 0)
		bring_online(buf, size);
	else if (strncmp(command, "fill", 4) == 0)
		fill(atol(word), buf, size);
	else if (strncmp(command, "module", 6) == 0)
		run_module(word, buf, size);
	else if (strncmp(command, "put ", 4) == 0)
		put_text(word, buf, size);
	else if (strncmp(command, "scribble", 8) == 0 || strncmp(command, "forge", 5) == 0)
		use_mailbox(command, word, buf, size);
	else if (strcmp(command, "reboot") == 0)
		reboot(RB_AUTOBOOT);
	else if (strncmp(command, "kexec", 5) == 0)
		start_kernel(word, buf, size);
}

int main(void)
{
	char command[256], answer[256];
	struct termios raw;

	mount("proc", "/proc", "proc", 0, NULL);
	mount("sys", "/sys", "sysfs", 0, NULL);
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	mount("tracing", "/sys/kernel/tracing", "tracefs", 0, NULL);
	mkdir("/c", 0755);
	counts = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	resting = (volatile sig_atomic_t *)(counts + MAX_LOAD);
	line = fopen("/dev/ttyS1", "r+");
	while (!line)
		pause();
	tcgetattr(fileno(line), &raw);
	cfmakeraw(&raw);
	tcsetattr(fileno(line), TCSANOW, &raw);
	setvbuf(line, NULL, _IONBF, 0);
	fprintf(line, "up\n");
	while (fgets(command, sizeof(command), line)) {
		obey(command, answer, sizeof(answer));
		fprintf(line, "%s\n", answer);
	}
	for (;;)
		pause();
}
