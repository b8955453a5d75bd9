// SPDX-License-Identifier: GPL-2.0-or-later
#include "guard/judge.h"

#include "guard/actor.h"
#include "guard/describe.h"
#include "guard/view.h"

#define TEXT_PATH 640 /* or the other path: no hook knows both */
#define TEXT_SUPER_PATH 512
#define TEXT_EXECUTABLE 448
#define TEXT_NAME 256

_Static_assert(sizeof(struct guard_file_record) + TEXT_PATH + TEXT_SUPER_PATH + TEXT_EXECUTABLE <=
		       GUARD_SLOT_SIZE,
	       "texts fit behind the record");
_Static_assert(sizeof(struct guard_follow_record) + TEXT_NAME <= GUARD_SLOT_SIZE, "so does a name");

/* Making something where there is nothing. */
static const uint32_t makes = GUARD_OP_CREATE | GUARD_OP_LINK | GUARD_OP_SYMLINK | GUARD_OP_RENAME;

/*
 * An operation that a rule does not name counts as a more general one: running is reading, truncating is writing, whatever
 * makes a name creates it. @deny: is that what refuses it?
 */
static uint32_t more_general(const struct attempt *attempt, uint32_t operation, bool deny)
{
	bool missing = !attempt->subject.inode;

	switch (operation) {
	case GUARD_OP_EXEC:
		return GUARD_OP_READ;
	case GUARD_OP_TRUNCATE:
		return GUARD_OP_WRITE;
	case GUARD_OP_MOUNT:
		return GUARD_OP_MOUNT_ABOVE;
	case GUARD_OP_CREATE:
		return missing && deny ? GUARD_OP_WRITE
				       : 0; /* the open that follows is told as a write */
	default:
		return missing && operation & makes ? GUARD_OP_CREATE : 0;
	}
}

/* The first of the operation and the more general ones that is in @mask, or 0. */
static uint32_t counts_as(const struct attempt *attempt, uint32_t operation, uint32_t mask,
			  bool deny)
{
	while (operation && !(operation & mask))
		operation = more_general(attempt, operation, deny);
	return operation;
}

struct outcome {
	uint32_t operations, reported, denied, killed;
};

/* An open for writing that also truncates is a write, where that is told, unless only the truncating is refused. */
static bool belongs_to_write(const struct attempt *attempt, const struct verdict *verdict)
{
	uint32_t told = verdict->deny | verdict->report;

	return attempt->operations & told & GUARD_OP_WRITE &&
	       (verdict->deny & GUARD_OP_WRITE || !(verdict->deny & GUARD_OP_TRUNCATE));
}

static void weigh_one(struct outcome *outcome, const struct attempt *attempt,
		      const struct verdict *verdict, uint32_t operation)
{
	uint32_t refused = counts_as(attempt, operation, verdict->deny, true), told;

	if (attempt->strips_identity && !refused && verdict->deny)
		refused = operation;
	told = refused ?: counts_as(attempt, operation, verdict->report, false);
	if (!told)
		return;
	if (!refused && attempt->passed)
		return;
	if (operation == GUARD_OP_TRUNCATE && belongs_to_write(attempt, verdict))
		return;
	if (told == GUARD_OP_MOUNT_ABOVE)
		told = GUARD_OP_MOUNT;
	if (refused & verdict->kill)
		outcome->killed |= told;
	outcome->reported |= told;
	outcome->denied |= refused ? told : 0;
}

static struct outcome weigh(const struct attempt *attempt, const struct verdict *verdict)
{
	struct outcome outcome = { .operations = attempt->operations };

	for (uint32_t left = attempt->operations; left; left &= left - 1)
		weigh_one(&outcome, attempt, verdict, left & -left);
	return outcome;
}

static void describe_subject(struct guard_file_record *record, const struct attempt *attempt)
{
	const void *inode = attempt->subject.inode;

	__builtin_memset(&record->file, 0, sizeof(record->file));
	record->file_size = record->mode = record->uid = record->gid = 0;
	record->file.super = attempt->subject.super;
	record->file.device = super_device((void *)attempt->subject.super);
	if (!inode)
		return;
	describe_identity(&record->file, inode);
	record->file_size = inode_size(inode);
	record->mode = inode_mode(inode);
	record->uid = inode_uid(inode);
	record->gid = inode_gid(inode);
}

static void describe_texts(struct guard_file_record *record, const struct attempt *attempt)
{
	uint32_t text = sizeof(*record);

	record->path = record->super_path = record->other_path = GUARD_NO_TEXT;
	if (attempt->path)
		record->path = describe_path(record, &text, TEXT_PATH, attempt->path);
	else if (attempt->other)
		record->other_path = describe_dentry(record, &text, TEXT_PATH, attempt->other);
	if (attempt->subject.dentry)
		record->super_path =
			describe_dentry(record, &text, TEXT_SUPER_PATH, attempt->subject.dentry);
	record->executable = describe_executable(record, &text, TEXT_EXECUTABLE);
}

static void fill_record(struct guard_file_record *record, const struct attempt *attempt,
			const struct verdict *verdict, const struct outcome *outcome)
{
	record->operations = outcome->operations;
	record->reported = outcome->reported;
	record->denied = outcome->denied;
	record->killed = outcome->killed;
	record->asked = verdict->report & GUARD_OP_ASK;
	record->depth = verdict->depth;
	record->role = attempt->role;
	record->whom = actor_whom();
	record->space = attempt->space;
	record->base = (struct guard_identity){ verdict->base_super, verdict->base_ino,
						verdict->base_generation, 0 };
	record->dentry_from = (uint64_t)attempt->from;
	record->dentry_to = (uint64_t)attempt->to;
	record->nested = acts_for_another();
	describe_subject(record, attempt);
	describe_process(&record->process);
	describe_texts(record, attempt);
}

static void report(const struct attempt *attempt, const struct verdict *verdict,
		   const struct outcome *outcome)
{
	struct guard_file_record *record;
	uint64_t position;

	record = ring_take(GUARD_RECORD_FILE, &position);
	if (!record)
		return;
	fill_record(record, attempt, verdict, outcome);
	ring_give(record, position, sizeof(*record));
	if (verdict->report & GUARD_OP_ASK || attempt->waits)
		ring_wait_handled(position);
}

static void find_for(struct verdict *verdict, const struct attempt *attempt)
{
	if (attempt->space)
		find_mount_verdict(verdict, &attempt->subject, attempt->space);
	else
		find_verdict(verdict, &attempt->subject);
}

/* Not yet decided by the host, or nothing entered yet: does that, and looks again. */
static void find_decided(struct verdict *verdict, const struct attempt *attempt)
{
	const struct outcome undecided = { .operations = attempt->operations };

	find_for(verdict, attempt);
	if (verdict->report & GUARD_OP_LAZY) {
		resolve_lazily();
		find_for(verdict, attempt);
	}
	if (!(verdict->report & GUARD_OP_ASK))
		return;
	if (!weigh(attempt, verdict).reported)
		return;
	report(attempt, verdict, &undecided);
	find_for(verdict, attempt);
	verdict->report &= ~GUARD_OP_ASK;
}

/* Not the guest's first process, which would take the guest along, and no thread of the kernel's. */
static void kill_offender(void)
{
	void *task = current_task();

	if (task_tgid(task) != 1 && !(task_flags(task) & PF_KTHREAD))
		send_sig(SIGKILL, task, 1);
}

int judge(const struct attempt *attempt, bool *ret_followed)
{
	struct verdict verdict;
	struct outcome outcome;

	if (ret_followed)
		*ret_followed = false;
	find_decided(&verdict, attempt);
	outcome = weigh(attempt, &verdict);
	if (outcome.reported)
		report(attempt, &verdict, &outcome);
	if (outcome.killed)
		kill_offender();
	if (ret_followed)
		*ret_followed = !outcome.denied && verdict.report & GUARD_OP_FOLLOW;
	return outcome.denied ? -EPERM : 0;
}

void follow_name(const void *inode, const void *directory, const void *dentry,
		 enum guard_follow_cause cause)
{
	struct guard_follow_record *record;
	uint32_t text = sizeof(*record);
	uint64_t position;

	record = ring_take(GUARD_RECORD_FOLLOW, &position);
	if (!record)
		return;
	describe_identity(&record->file, inode);
	describe_identity(&record->parent, directory);
	record->cause = cause;
	record->links = inode_links(inode);
	record->mode = inode_mode(inode);
	record->name = describe_name(record, &text, TEXT_NAME, dentry);
	ring_give(record, position, sizeof(*record));
	ring_wait_handled(position);
}
