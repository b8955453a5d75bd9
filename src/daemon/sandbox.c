// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/userfaultfd.h>
#include <pwd.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "daemon/porter.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/opener.h"

static struct {
	bool entered;
	char user[64];
	uid_t uid;
	int landlock; /* its version; 0: not there */
} sandbox;

static const char *vm_name;

#ifdef __SANITIZE_ADDRESS__
/* Leaks are looked for by reading /proc and stopping the process, which it may not do any more. */
int __lsan_is_turned_off(void);

int __lsan_is_turned_off(void)
{
	return sandbox.entered;
}
#endif

/* Capabilities */

static int set_capabilities(uint64_t mask)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	const uint32_t low = (uint32_t)mask, high = (uint32_t)(mask >> 32);
	struct __user_cap_data_struct data[2] = { { low, low, 0 }, { high, high, 0 } };

	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

static uint64_t own_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { 0 } };

	if (syscall(SYS_capget, &header, data) < 0)
		return ~0ULL;
	return (uint64_t)data[1].permitted << 32 | data[0].permitted;
}

/* While CAP_SETPCAP is there; without it nothing can be gained by it either, as exec() gives nothing any more. */
static int bound_capabilities(uint64_t mask)
{
	for (unsigned long i = 0; prctl(PR_CAPBSET_READ, i, 0, 0, 0) >= 0; i++) {
		if (!(mask >> i & 1) && prctl(PR_CAPBSET_DROP, i, 0, 0, 0) < 0 && errno != EPERM)
			return -errno;
	}
	return 0;
}

static int drop_capabilities(void)
{
	int r = set_capabilities(0);

	if (r == 0 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		r = -errno;
	return r == 0 && own_capabilities() ? -EPERM : r;
}

void sandbox_limit_porter(void)
{
	const uint64_t needed = 1ULL << CAP_SYS_PTRACE | 1ULL << CAP_SYS_ADMIN |
				1ULL << CAP_DAC_OVERRIDE | 1ULL << CAP_DAC_READ_SEARCH |
				1ULL << CAP_CHECKPOINT_RESTORE;

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	bound_capabilities(needed);
	set_capabilities(needed & own_capabilities());
}

/* The user */

int sandbox_check_user(const char *user, struct error *err)
{
	if (!user || getpwnam(user))
		return 0;
	return error_set(err, -EINVAL,
			 "--user: there is no user %s; `adduser --system %s` makes one", user,
			 user);
}

static int become(const char *user, struct error *err)
{
	const struct passwd *entry = getpwnam(user ? user : SANDBOX_USER);

	sandbox.uid = geteuid();
	snprintf(sandbox.user, sizeof(sandbox.user), "%s", sandbox.uid ? "not root" : "root");
	if (geteuid() != 0)
		return 0;
	if (!entry && user)
		return sandbox_check_user(user, err);
	if (!entry || entry->pw_uid == 0) {
		if (!user)
			log_info("%s: no user " SANDBOX_USER " here: the keeper stays root, "
				 "without its capabilities; "
				 "`adduser --system " SANDBOX_USER "` makes one",
				 vm_name);
		return 0;
	}
	if (setgroups(0, NULL) < 0 || setresgid(entry->pw_gid, entry->pw_gid, entry->pw_gid) < 0 ||
	    setresuid(entry->pw_uid, entry->pw_uid, entry->pw_uid) < 0)
		return error_set(err, -errno, "cannot become the user %s: %s", entry->pw_name,
				 strerror(errno));
	sandbox.uid = entry->pw_uid;
	snprintf(sandbox.user, sizeof(sandbox.user), "%s", entry->pw_name);
	return 0;
}

/* Landlock, by its numbers: the headers here may be older than the kernel. */

struct ruleset {
	uint64_t files, network, scopes;
};

static int lock_files(struct error *err)
{
	struct ruleset ruleset = { 0 };
	size_t size = sizeof(ruleset);
	long fd, abi = syscall(SYS_landlock_create_ruleset, NULL, 0, 1);

	if (abi < 1) {
		log_warning("%s: this kernel has no Landlock; the keeper is kept from files by "
			    "seccomp alone",
			    vm_name);
		return 0;
	}
	ruleset.files = (1ULL << 13) - 1; /* all that there were in the first version */
	if (abi >= 2)
		ruleset.files |= 1ULL << 13; /* REFER */
	if (abi >= 3)
		ruleset.files |= 1ULL << 14; /* TRUNCATE */
	if (abi >= 5)
		ruleset.files |= 1ULL << 15; /* IOCTL_DEV */
	ruleset.network = abi >= 4 ? 3 : 0; /* to bind and to connect */
	ruleset.scopes = abi >= 6 ? 3 : 0; /* abstract sockets, signals */
	if (abi < 6)
		size = abi < 4 ? sizeof(uint64_t) : 2 * sizeof(uint64_t);
	fd = syscall(SYS_landlock_create_ruleset, &ruleset, size, 0);
	if (fd < 0 || syscall(SYS_landlock_restrict_self, fd, 0) < 0)
		return error_set(err, -errno, "Landlock: %s", strerror(errno));
	close((int)fd);
	sandbox.landlock = (int)abi;
	return 0;
}

/* System calls */

static const int allowed[] = {
	/* memory */
	SCMP_SYS(brk),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	/* what is open; files come from the porter */
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(readv),
	SCMP_SYS(writev),
	SCMP_SYS(pread64),
	SCMP_SYS(pwrite64),
	SCMP_SYS(lseek),
	SCMP_SYS(close),
	SCMP_SYS(fstat),
	SCMP_SYS(fcntl),
	SCMP_SYS(ftruncate),
	SCMP_SYS(fchmod),
	SCMP_SYS(memfd_create),
	SCMP_SYS(dup),
	/* sockets; QEMU's is connected */
	SCMP_SYS(sendmsg),
	SCMP_SYS(recvmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(recvfrom),
	SCMP_SYS(socketpair),
	SCMP_SYS(shutdown),
	SCMP_SYS(getsockopt),
	/* waiting, time */
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_pwait2),
	SCMP_SYS(eventfd2),
	SCMP_SYS(signalfd4),
	SCMP_SYS(timerfd_create),
	SCMP_SYS(timerfd_settime),
	SCMP_SYS(nanosleep),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_getres),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(restart_syscall),
	/* itself; qsort(3) asks how much memory there is */
	SCMP_SYS(sysinfo),
	SCMP_SYS(futex),
	SCMP_SYS(sched_yield),
	SCMP_SYS(getrandom),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getgid),
	SCMP_SYS(getegid),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
#ifdef __SANITIZE_ADDRESS__
	/* it looks for leaks from a thread that stops the others */
	SCMP_SYS(sigaltstack),
	SCMP_SYS(clone),
	SCMP_SYS(ptrace),
	SCMP_SYS(wait4),
	SCMP_SYS(prctl),
	SCMP_SYS(kill),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(rseq),
	SCMP_SYS(getrlimit),

	SCMP_SYS(getppid),
	SCMP_SYS(dup2),
	SCMP_SYS(process_vm_readv),
#endif
};

/* What libraries try, and do without. Where Landlock is missing, this is what keeps files away. */
static const int refused[] = {
	SCMP_SYS(open),	    SCMP_SYS(openat),	  SCMP_SYS(stat),      SCMP_SYS(lstat),
	SCMP_SYS(access),   SCMP_SYS(statfs),	  SCMP_SYS(faccessat), SCMP_SYS(statx),
	SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(uname),
};

/* The trap's, on QEMU's userfaultfd (vmm/trap.c). */
static int allow_trap(scmp_filter_ctx filter)
{
	static const unsigned long requests[] = {
		UFFDIO_REGISTER,
		UFFDIO_UNREGISTER,
		UFFDIO_WAKE,
		UFFDIO_WRITEPROTECT,
	};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(requests) && r == 0; i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				     SCMP_A1(SCMP_CMP_EQ, requests[i]));
	return r;
}

static int allow_some(scmp_filter_ctx filter)
{
	int r = 0;

	/* No new code. */
	r = r
		    ?: seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
					SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	r = r
		    ?: seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
					SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	/* fstat(3) is stat of no name. */
	r = r
		    ?: seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 1,
					SCMP_A3(SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, AT_EMPTY_PATH));
	r = r
		    ?: seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(newfstatat), 1,
					SCMP_A3(SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, 0));
	/* What tells of violations stays. */
	r = r
		    ?: seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(rt_sigaction), 1,
					SCMP_A0(SCMP_CMP_NE, SIGSYS));
	r = r
		    ?: seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
					SCMP_A1(SCMP_CMP_EQ, TCGETS));
	r = r
		    ?: seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
					SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
	/* For its porter, at the end. */
	r = r
		    ?: seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(wait4), 1,
					SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)porter_pid()));
	r = r
		    ?: seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 2,
					SCMP_A0(SCMP_CMP_EQ, 0), SCMP_A2(SCMP_CMP_EQ, 0));
	return r;
}

static int fill_filter(scmp_filter_ctx filter)
{
	int r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);

	/* For all threads: the trap has one of its own. */
	r = r ?: seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	for (size_t i = 0; i < ARRAY_SIZE(allowed) && r == 0; i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
	for (size_t i = 0; i < ARRAY_SIZE(refused) && r == 0; i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), refused[i], 0);
	r = r ?: allow_trap(filter);
	return r ?: allow_some(filter);
}

/*
 * The call was not made. The handler's own calls are among those allowed; it cannot be changed any more, and a thread that blocks
 * or ignores the signal is killed by the kernel.
 */
static void on_violation(int signal, siginfo_t *info, void *context)
{
	char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, info->si_syscall);
	char text[256];
	int n;

	(void)signal;
	(void)context;
	n = snprintf(text, sizeof(text),
		     "outguardd: error: %s: its keeper made the system call %d (%s), which no "
		     "keeper "
		     "makes, and is ended: it may have been broken into\n",
		     vm_name, info->si_syscall, name ? name : "?");
	if (write(STDERR_FILENO, text, (size_t)n) < 0)
		_exit(SANDBOX_VIOLATION);
	_exit(SANDBOX_VIOLATION);
}

static int filter_calls(struct error *err)
{
	struct sigaction action = { .sa_sigaction = on_violation, .sa_flags = SA_SIGINFO };
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_TRAP);
	int r = filter ? fill_filter(filter) : -ENOMEM;

	sigaction(SIGSYS, &action, NULL);
	if (r == 0)
		r = seccomp_load(filter);
	seccomp_release(filter);
	return r < 0 ? error_set(err, r, "seccomp: %s", strerror(-r)) : 0;
}

int sandbox_enter(const struct sandbox_config *config, struct error *err)
{
	int r = porter_set_process(config->porter, config->process, err);

	vm_name = config->name;
	if (r < 0)
		return r;
	opener_use(config->porter);
	tzset(); /* the last that it reads of /etc */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_set(err, -errno, "no_new_privs: %s", strerror(errno));
	r = bound_capabilities(0);
	if (r < 0)
		return error_set(err, r, "capabilities: %s", strerror(-r));
	r = become(config->user, err);
	if (r == 0)
		r = lock_files(err);
	if (r < 0)
		return r;
	r = drop_capabilities();
	if (r < 0)
		return error_set(err, r, "capabilities: %s", strerror(-r));
#ifdef __SANITIZE_ADDRESS__
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
#else
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
	r = filter_calls(err);
	sandbox.entered = r == 0;
	return r;
}

struct json_object *sandbox_facts(void)
{
	struct json_object *to;

	if (!sandbox.entered)
		return NULL;
	to = json_object_new_object();
	json_object_object_add(to, "user", json_object_new_string(sandbox.user));
	json_object_object_add(to, "uid", json_object_new_int64(sandbox.uid));
	json_object_object_add(to, "capabilities", json_object_new_array());
	json_object_object_add(to, "no_new_privs", json_object_new_boolean(true));
	json_object_object_add(to, "seccomp", json_object_new_boolean(true));
	json_object_object_add(to, "landlock", json_object_new_int(sandbox.landlock));
	return to;
}
