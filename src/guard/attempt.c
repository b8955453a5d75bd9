// SPDX-License-Identifier: GPL-2.0-or-later
#include "guard/attempt.h"

#include "guard/actor.h"
#include "guard/describe.h"
#include "guard/match.h"

#define ATTEMPT_PATH 768
#define ATTEMPT_EXECUTABLE 640

_Static_assert(sizeof(struct guard_attempt_record) + ATTEMPT_PATH + ATTEMPT_EXECUTABLE <=
		       GUARD_SLOT_SIZE,
	       "texts fit behind the record");

#define MAX_OPTIONS 4096 /* bytes: mount(2) takes a page, whose last byte is NUL */

/* include/scsi/sg.h, include/uapi/linux/nvme_ioctl.h */
#define SG_IO 0x2285
#define SCSI_IOCTL_SEND_COMMAND 1
#define NVME_IOCTL_ADMIN_CMD 0xc0484e41
#define NVME_IOCTL_SUBMIT_IO 0x40304e42
#define NVME_IOCTL_IO_CMD 0xc0484e43
#define NVME_IOCTL_ADMIN64_CMD 0xc0504e47
#define NVME_IOCTL_IO64_CMD 0xc0504e48
#define NVME_IOCTL_IO64_CMD_VEC 0xc0504e49

struct guest_attempt {
	enum guard_attempt attempt;
	enum guard_whom whom; /* 0: to be found out */
	uint32_t detail;
	const void *file; /* or NULL */
	const void *target; /* a task whose lock is held, so that nobody may sleep; or NULL */
};

static uint32_t mask_for(const uint32_t masks[2], enum guard_whom whom)
{
	return READ_ONCE(masks[whom == GUARD_BY_CONTAINER]);
}

static bool is_denied(enum guard_attempt attempt, enum guard_whom whom)
{
	if (whom == GUARD_BY_GUEST && READ_ONCE(vault.flags) & GUARD_MAINTENANCE)
		return false;
	return mask_for(vault.attempts_deny, whom) >> attempt & 1;
}

static bool is_reported(enum guard_attempt attempt, enum guard_whom whom)
{
	return (mask_for(vault.attempts_report, whom) | mask_for(vault.attempts_deny, whom)) >>
		       attempt &
	       1;
}

static void describe_file(struct guard_attempt_record *record, uint32_t *text, const void *file)
{
	const void *inode = file_inode(file);

	describe_identity(&record->file, inode);
	record->mode = inode_mode(inode);
	record->device = inode_device(inode);
	record->path = describe_path(record, text, ATTEMPT_PATH, file_path(file));
}

static void describe_target(struct guard_attempt_record *record, const void *task)
{
	const char *name = task_comm(task);

	record->target_pid = task_tgid(task);
	for (unsigned int i = 0; i < sizeof(record->target_name); i++)
		record->target_name[i] = ((const volatile char *)name)[i];
	record->target_name[sizeof(record->target_name) - 1] = '\0';
}

static void tell_attempt(const struct guest_attempt *attempt, bool denied)
{
	struct guard_attempt_record *record;
	uint32_t text = sizeof(*record);
	uint64_t position;

	record = attempt->target ? ring_try(GUARD_RECORD_ATTEMPT, &position)
				 : ring_take(GUARD_RECORD_ATTEMPT, &position);
	if (!record)
		return;
	record->attempt = attempt->attempt;
	record->whom = attempt->whom;
	record->denied = denied;
	record->detail = attempt->detail;
	record->target_pid = record->mode = record->device = 0;
	record->target_name[0] = '\0';
	record->path = record->executable = GUARD_NO_TEXT;
	__builtin_memset(&record->file, 0, sizeof(record->file));
	describe_process(&record->process);
	if (attempt->file)
		describe_file(record, &text, attempt->file);
	/* The executable's name would need the current task's lock: not with another's held. */
	if (attempt->target)
		describe_target(record, attempt->target);
	else
		record->executable = describe_executable(record, &text, ATTEMPT_EXECUTABLE);
	ring_give(record, position, sizeof(*record));
}

static __attribute__((noinline)) int judge_attempt(struct guest_attempt attempt)
{
	bool denied;

	if (!is_reported(attempt.attempt, GUARD_BY_GUEST) &&
	    !is_reported(attempt.attempt, GUARD_BY_CONTAINER))
		return 0;
	if (!attempt.whom)
		attempt.whom = actor_whom();
	if (!is_reported(attempt.attempt, attempt.whom))
		return 0;
	denied = is_denied(attempt.attempt, attempt.whom);
	tell_attempt(&attempt, denied);
	return denied ? -EPERM : 0;
}

/* The kernel asks this before it does what a locked down kernel would not. */
int guard_locked_down(uint32_t reason)
{
	struct guest_attempt attempt = { .whom = 0 };

	if (reason == kernel_LOCKDOWN_DEV_MEM())
		attempt.attempt = GUARD_ATTEMPT_DEV_MEM;
	else if (reason == kernel_LOCKDOWN_KCORE())
		attempt.attempt = GUARD_ATTEMPT_KCORE;
	else if (reason == kernel_LOCKDOWN_IOPORT())
		attempt.attempt = GUARD_ATTEMPT_IO_PORTS;
	else if (reason == kernel_LOCKDOWN_MSR())
		attempt.attempt = GUARD_ATTEMPT_MSR;
	else if (reason == kernel_LOCKDOWN_ACPI_TABLES())
		attempt.attempt = GUARD_ATTEMPT_ACPI_TABLES;
	else if (reason == kernel_LOCKDOWN_PCI_ACCESS())
		attempt.attempt = GUARD_ATTEMPT_PCI_CONFIG;
	else if (reason == kernel_LOCKDOWN_BPF_WRITE_USER())
		attempt.attempt = GUARD_ATTEMPT_BPF_WRITE_USER;
	else if (reason == kernel_LOCKDOWN_KPROBES())
		attempt.attempt = GUARD_ATTEMPT_KPROBE;
	else
		return 0;
	return judge_attempt(attempt);
}

int guard_kernel_read_file(const void *file, uint32_t what, _Bool contents)
{
	struct guest_attempt attempt = { .attempt = GUARD_ATTEMPT_MODULE_LOAD, .file = file };

	(void)contents;
	if (what == kernel_READING_KEXEC_IMAGE())
		attempt.attempt = GUARD_ATTEMPT_KEXEC;
	else if (what != kernel_READING_MODULE())
		return 0;
	return judge_attempt(attempt);
}

int guard_kernel_load_data(uint32_t what, _Bool contents)
{
	struct guest_attempt attempt = { .attempt = GUARD_ATTEMPT_MODULE_LOAD };

	(void)contents;
	if (what == kernel_LOADING_KEXEC_IMAGE())
		attempt.attempt = GUARD_ATTEMPT_KEXEC;
	else if (what != kernel_LOADING_MODULE())
		return 0;
	return judge_attempt(attempt);
}

/* A program that has been checked gets its first descriptor: those that can change what the kernel does. */
int guard_bpf_prog(const void *program)
{
	uint32_t type = bpf_program_type(program);

	if (type != BPF_PROG_TYPE_LSM && type != BPF_PROG_TYPE_STRUCT_OPS &&
	    type != BPF_PROG_TYPE_EXT &&
	    (type != BPF_PROG_TYPE_TRACING ||
	     bpf_program_attach_type(program) != BPF_MODIFY_RETURN))
		return 0;
	return judge_attempt((struct guest_attempt){
		.attempt = GUARD_ATTEMPT_BPF_PROGRAM,
		.detail = type,
	});
}

/* The caller holds the child's task_lock(): its mm stays. */
static bool runs_a_runtime(const void *task)
{
	const void *mm = task_mm(task), *file;
	bool found = false;

	rcu_lock();
	file = mm ? mm_executable(mm) : NULL;
	if (file)
		found = is_runtime(file_inode(file));
	rcu_unlock();
	return found;
}

static uint64_t space_of(const void *task)
{
	const void *nsproxy = task_nsproxy(task);

	return nsproxy ? mnt_namespace_sequence(nsproxy_mnt(nsproxy)) : 0;
}

/*
 * Attaching to another process, reading and writing its memory, taking its descriptors: a container's process, out of its
 * container; any, into what runs the containers.
 */
int guard_ptrace_access_check(const void *child, unsigned int mode)
{
	struct guest_attempt attempt = { .attempt = GUARD_ATTEMPT_PTRACE, .target = child };

	if (!(mode & PTRACE_MODE_ATTACH))
		return 0;
	attempt.whom = actor_whom();
	if (attempt.whom == GUARD_BY_CONTAINER ? space_of(child) == current_space()
					       : !runs_a_runtime(child))
		return 0;
	return judge_attempt(attempt);
}

/*
 * Who may set its mm's description (in a user name space of its own, anybody) can have /proc/PID/exe say what it likes, and exceptions
 * believe it. What the kernel expects from who has no opinion is -ENOSYS.
 */
int guard_task_prctl(int option, unsigned long what)
{
	int r = 0;

	if (unlikely(option == PR_SET_MM && (what == PR_SET_MM_EXE_FILE || what == PR_SET_MM_MAP)))
		r = judge_attempt((struct guest_attempt){ .attempt = GUARD_ATTEMPT_EXE_FILE });
	return r ?: -ENOSYS;
}

/* Is one of these, with commas between, the release agent? */
static bool has_release_agent(const char *options)
{
	unsigned int left = MAX_OPTIONS;
	bool first = true;

	for (; left-- && *options; options++) {
		if (first && text_begins_with(options, "release_agent="))
			return true;
		first = *options == ',';
	}
	return false;
}

static bool is_cgroup(const char *type)
{
	return text_begins_with(type, "cgroup") && !type[6];
}

/* The program that is run in the guest when a group is empty can be named at once, without a file that would be written to. */
int attempt_mount(const char *type, const char *options, const void *remount)
{
	if (remount ? super_magic(remount) != CGROUP_SUPER_MAGIC : !type || !is_cgroup(type))
		return 0;
	if (!options || !has_release_agent(options))
		return 0;
	return judge_attempt((struct guest_attempt){ .attempt = GUARD_ATTEMPT_RELEASE_AGENT });
}

/* By fsconfig(2). What mount(2) was given comes here too, but has been judged: only fsopen(2) and fspick(2) make a log. */
int guard_fs_context_parse_param(const void *context, const void *parameter)
{
	const void *type = fs_context_type(context);
	const char *key = fs_parameter_key(parameter);
	int r = 0;

	if (fs_context_log(context) && type && key && is_cgroup(file_system_name(type)) &&
	    text_begins_with(key, "release_agent"))
		r = judge_attempt((struct guest_attempt){ .attempt = GUARD_ATTEMPT_RELEASE_AGENT });
	return r ?: -ENOPARAM;
}

static int attempt_block(const void *file, uint32_t attempts)
{
	struct guest_attempt attempt = { .attempt = GUARD_ATTEMPT_BLOCK_READ, .file = file };

	attempt.whom = actor_whom();
	if (file_mode(file) & FMODE_WRITE) {
		attempt.attempt = GUARD_ATTEMPT_BLOCK_WRITE;
		if (attempt.whom == GUARD_BY_GUEST && !(attempts & 1u << GUARD_ATTEMPT_BLOCK_WRITE))
			return 0;
	}
	return judge_attempt(attempt);
}

int attempt_device(const void *file)
{
	const void *inode = file_inode(file);
	bool block = (inode_mode(inode) & S_IFMT) == S_IFBLK;
	uint32_t attempts = device_attempts(block, inode_device(inode));

	if (block)
		return attempt_block(file, attempts);
	if (likely(!attempts) || !(file_mode(file) & FMODE_WRITE))
		return 0;
	return judge_attempt((struct guest_attempt){
		.attempt = (enum guard_attempt)__builtin_ctz(attempts),
		.file = file,
	});
}

int attempt_command(const void *file, unsigned int command)
{
	switch (command) {
	case SG_IO:
	case SCSI_IOCTL_SEND_COMMAND:
	case NVME_IOCTL_ADMIN_CMD:
	case NVME_IOCTL_SUBMIT_IO:
	case NVME_IOCTL_IO_CMD:
	case NVME_IOCTL_ADMIN64_CMD:
	case NVME_IOCTL_IO64_CMD:
	case NVME_IOCTL_IO64_CMD_VEC:
		return judge_attempt((struct guest_attempt){
			.attempt = GUARD_ATTEMPT_BLOCK_COMMAND,
			.detail = command,
			.file = file,
		});
	}
	return 0;
}
