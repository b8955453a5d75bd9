// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a session does with records of any content, over a guest whose memory says anything. The input is a list of steps: a byte for
 * what is done, then what that takes; numbers may stand for the addresses of what there is in the guest. Behind each step, what
 * records can make grow is bounded.
 */
#include <stdlib.h>
#include <sys/stat.h>

#include "arm/resolve.h"
#include "session/attempts.h"
#include "session/enter.h"
#include "session/follow.h"
#include "session/guest.h"
#include "session/report.h"
#include "session/sweep.h"
#include "session/system_calls.h"
#include "session/tampering.h"
#include "session/verify.h"
#include "util/log.h"

/* The same vault for all inputs: new pages each time would be most of the work. */
static void *reuse_vault(size_t size);
#define aligned_alloc(alignment, size) reuse_vault(size)
#include "../unit/fake_records.h"
#undef aligned_alloc

#define MAX_STEPS 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *at;
	size_t left;
};

static uint64_t now;

static void *reuse_vault(size_t size)
{
	static void *vault;

	if (!vault)
		vault = aligned_alloc(4096, size);
	return vault;
}
static FILE *nowhere;

static uint64_t take(struct input *input, size_t n)
{
	uint64_t value = 0;

	n = n < input->left ? n : input->left;
	memcpy(&value, input->at, n);
	input->at += n;
	input->left -= n;
	return value;
}

/* A small number, an address of something, or anything. */
static uint64_t take_number(struct input *input)
{
	uint8_t kind = (uint8_t)take(input, 1);

	if (kind < 0x80)
		return objects[kind % N_OBJECTS];
	if (kind < 0xc0)
		return kind & 0x3f;
	return kind < 0xe0 ? objects[kind % N_OBJECTS] + take(input, 2) : take(input, 8);
}

static struct guard_identity take_identity(struct input *input)
{
	uint8_t which = (uint8_t)take(input, 1);
	uint64_t inode = objects[INODE + which % N_INODES];

	if (which >= 0xe0)
		return (struct guard_identity){ take_number(input), take_number(input),
						(uint32_t)take(input, 4), 0 };
	return (struct guard_identity){ fake_get(inode, "inode.i_sb"),
					fake_get(inode, "inode.i_ino"),
					(uint32_t)fake_get(inode, "inode.i_generation"), 0 };
}

static void drop_event(const struct event *event, void *data)
{
	(void)data;
	event_print_json(event, nowhere);
	event_print_text(event, nowhere, true);
}

static char rule_a[] = "a", rule_b[] = "b", shadow[] = "/etc/shadow", conf[] = "/etc/*.conf";
static char key[] = "/etc/ssh/key", box[] = "box-*", *hosts[] = { box };
static char *paths[] = { shadow, conf, key };
static struct policy_rule rules[] = {
	{ .name = rule_a,
	  .paths = paths,
	  .n_paths = 3,
	  .operations = POLICY_ALL,
	  .action = POLICY_DENY },
	{ .name = rule_b,
	  .paths = paths,
	  .n_paths = 1,
	  .operations = GUARD_OP_READ,
	  .action = POLICY_AUDIT,
	  .containers = { .hostnames = hosts, .n_hostnames = 1 } },
};

static struct kernel *kernel; /* where members stand: the same for all inputs */
static struct caches *caches;
static uint8_t *pristine;

static void start_all(void)
{
	make_guest();
	assert(!kernel_new(&kernel, NULL, NULL));
	assert(!caches_new(&caches, kernel, NULL, NULL));
	pristine = malloc(fake_used);
	nowhere = fopen("/dev/null", "w");
	assert(pristine && nowhere);
	memcpy(pristine, fake_bytes, fake_used);
	log_set_level(LOG_LEVEL_ERROR);
}

static struct fake_session *start(void)
{
	struct fake_session *f;
	struct session *session;

	if (!pristine)
		start_all();
	memcpy(fake_bytes, pristine, fake_used);
	f = fake_session_new(rules, ARRAY_SIZE(rules));
	session = &f->session;
	session->kernel = kernel;
	session->caches = caches;
	session->sink = drop_event;
	session->guest_mnt_ns = 1;
	session->system_calls.entry = FAKE_BASE;
	assert(guest_new(session, NULL) == 0);
	session->names_sequence = plan_publish(session->plan, (void *)f->vault);
	f->one->task = objects[SECOND];
	f->one->root_super = objects[SUPER];
	f->one->root_dentry = objects[DENTRY];
	now = 1000000000;
	return f;
}

static void stop(struct fake_session *f)
{
	errands_clear(&f->session.errands);
	views_clear(&f->session.views);
	watches_free(f->session.watches);
	f->session.watches = NULL;
	container_unref(f->session.guest);
	f->vault = NULL;
	fake_session_free(f);
}

static void poke(struct input *input)
{
	uint64_t object = objects[take(input, 1) % N_OBJECTS];
	uint64_t offset = take(input, 2) % (FAKE_OBJECT - 8), value = take_number(input);

	memcpy(fake_at(object + offset), &value, sizeof(value));
}

static void *empty(struct fake_session *f, enum guard_record_type type)
{
	memset(&f->session.ring.copy, 0, sizeof(f->session.ring.copy));
	f->session.ring.copy.record.type = type;
	f->session.ring.copy.record.sequence = f->session.ring.next + 1;
	return &f->session.ring.copy;
}

static void file_record(struct fake_session *f, struct input *input)
{
	struct guard_file_record *record = empty(f, GUARD_RECORD_FILE);

	record->file = take_identity(input);
	record->base = take_identity(input);
	record->operations = record->reported = (uint32_t)take(input, 3);
	record->denied = (uint32_t)take(input, 3) & record->reported;
	record->asked = take(input, 1) & 1;
	record->depth = take(input, 1) & 7;
	record->role = take(input, 1) & 3;
	record->nested = take(input, 1) & 1;
	record->mode = (uint32_t)take(input, 2);
	record->space = take(input, 1) & 1 ? 101 : 0;
	record->process.tid = take(input, 1);
	record->process.mnt_ns = 101;
	record->dentry_from = take(input, 1);
	record->dentry_to = take(input, 1);
	record->path = record->super_path = sizeof(*record);
	record->other_path = (uint16_t)take(input, 2);
	record->executable = (uint16_t)take(input, 2);
	snprintf((char *)(record + 1), 64, "/etc/%.*s", (int)(input->left < 12 ? input->left : 12),
		 (const char *)input->at);
	report_file(&f->session);
}

static void view_record(struct fake_session *f, struct input *input)
{
	struct guard_view_record *record = empty(f, GUARD_RECORD_VIEW);
	struct session *session = &f->session;

	record->cause = take(input, 1) % 5;
	record->task = take_number(input);
	record->root_dentry = take_number(input);
	record->root_super = take_number(input);
	record->names_sequence = session->names_sequence + (take(input, 1) == 255);
	record->error = take(input, 1) == 255 ? -ENOENT : 0;
	record->last = take(input, 1) & 1;
	record->n_resolved = (uint32_t)take(input, 1) % (GUARD_VIEW_RESOLVED + 2);
	if (session->errands.n_sent)
		record->errand = session->errands.list[take(input, 1) % session->errands.n_sent].id;
	for (uint32_t i = 0; i < record->n_resolved && i < GUARD_VIEW_RESOLVED; i++) {
		struct guard_resolved *resolved = &record->resolved[i];

		resolved->name = i + (take(input, 1) == 255);
		resolved->error = take(input, 1) == 255 ? -ENOENT : 0;
		resolved->inode = take_number(input);
		resolved->file = take_identity(input);
		resolved->mode = i < 2 ? S_IFDIR : S_IFREG;
	}
	enter_view(session);
}

static void follow_record(struct fake_session *f, struct input *input)
{
	struct guard_follow_record *record = empty(f, GUARD_RECORD_FOLLOW);
	static const char *const names[] = { "shadow", "a.conf", "ssh", "etc", "", "x/y", "*" };

	record->file = take_identity(input);
	record->parent = take_identity(input);
	record->cause = take(input, 1) % 4;
	record->links = take(input, 1) % 4;
	record->mode = take(input, 1) & 1 ? S_IFDIR : S_IFREG;
	record->name = sizeof(*record);
	strcpy((char *)(record + 1), names[take(input, 1) % ARRAY_SIZE(names)]);
	follow_names(&f->session);
}

/* What is told of such records takes a guard in place. */
void tampering_note(struct session *session, const struct sentry_finding *finding,
		    const struct error *err, uint64_t now_ns)
{
	(void)session;
	(void)err;
	assert(now_ns == now && finding->kinds == 1u << SENTRY_REGISTERS && *finding->what);
}

bool sentry_guest_has_booted(const struct sentry *sentry, uint64_t now_ns)
{
	(void)sentry;
	(void)now_ns;
	return false;
}

uint64_t resolve_system_call_entry(const struct profile *profile)
{
	(void)profile;
	return 0;
}

static void any_record(struct fake_session *f, struct input *input)
{
	char *bytes = empty(f, GUARD_RECORD_FILE);
	size_t n = take(input, 2) % GUARD_SLOT_SIZE, type = take(input, 1) % 6;

	n = n < input->left ? n : input->left;
	memcpy(bytes + sizeof(struct guard_record), input->at,
	       n < GUARD_SLOT_SIZE - 24 ? n : GUARD_SLOT_SIZE - 24);
	input->at += n;
	input->left -= n;
	if (type == 0)
		report_file(&f->session);
	else if (type == 1)
		enter_view(&f->session);
	else if (type == 2)
		follow_names(&f->session);
	else if (type == 3)
		report_attempt(&f->session);
	else if (type == 4)
		system_calls_report(&f->session, now);
	else
		sweep_super(&f->session, f->session.ring.copy.super.super);
}

static void let_pass(struct fake_session *f, struct input *input)
{
	struct session *session = &f->session;

	now += take(input, 1) << 24;
	sweep_containers(session, now);
	errands_send(&session->errands, (void *)f->vault, now);
	follow_check(session, UINT64_MAX);
}

static void step(struct fake_session *f, struct input *input)
{
	switch (take(input, 1) % 8) {
	case 0:
	case 1:
		poke(input);
		break;
	case 2:
		file_record(f, input);
		break;
	case 3:
		view_record(f, input);
		break;
	case 4:
		follow_record(f, input);
		break;
	case 5:
		any_record(f, input);
		break;
	case 6:
		sweep_super(&f->session, take_number(input));
		break;
	default:
		let_pass(f, input);
	}
}

/* A container has so many watches as its rules have paths, twice over, and those of names that have gone. */
static void check_bounds(const struct session *session)
{
	assert(session->containers.n < 2 + MAX_STEPS);
	assert(watches_count(session->watches) <= 200 + (size_t)MAX_STEPS * 64);
	assert(session->errands.n <= session->containers.n * (size_t)MAX_STEPS);
	assert(session->gone_files.n <= SESSION_GONE_FILES);
	for (const struct container *c = session->containers.first; c; c = c->next)
		assert(c->n_refs && c->at && *c->at == c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, size };
	struct fake_session *f = start();

	for (unsigned int i = 0; input.left && i < MAX_STEPS; i++) {
		step(f, &input);
		check_bounds(&f->session);
	}
	stop(f);
	return 0;
}
