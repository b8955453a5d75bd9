/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_FAKE_SESSION_H
#define TESTS_FAKE_SESSION_H

/*
 * A session without a VM: a vault, watches in it, two containers; records are written where the ring would have copied them.
 * What a session asks the guest's memory for is not there: nothing here leads to it.
 */
#undef NDEBUG
#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guard/cache.h"
#include "session/session.h"
#include "util/cleanup.h"

#define FAKE_SUPER 0xffff888100000000ULL /* the first container's root */
#define FAKE_LAYER 0xffff888100000400ULL /* where its layers are */
#define FAKE_VAULT_SIZE (8ULL << 20)
#define FAKE_MAX_EVENTS 16

struct fake_session {
	struct session session;
	uint8_t *vault;
	struct policy policy;
	struct container *one, *two;
	struct event events[FAKE_MAX_EVENTS]; /* rule and message point into the policy */
	size_t n_events;
	uint32_t text; /* where the record's next text goes */
};

static inline void fake_sink(const struct event *event, void *data)
{
	struct fake_session *f = data;

	assert(f->n_events < FAKE_MAX_EVENTS);
	f->events[f->n_events++] = *event;
}

static inline struct container *fake_container(struct fake_session *f, uint64_t mnt_ns,
					       const char *id, uint64_t root_super)
{
	struct container *container = containers_add(&f->session.containers, mnt_ns);

	assert(container);
	snprintf(container->name.id, sizeof(container->name.id), "%s", id);
	snprintf(container->name.engine, sizeof(container->name.engine), "docker");
	container->root_super = root_super;
	return container;
}

static inline struct fake_session *fake_session_new(struct policy_rule *rules, size_t n_rules)
{
	struct fake_session *f = calloc(1, sizeof(*f));
	struct session *session = &f->session;

	assert(f);
	f->vault = aligned_alloc(4096, FAKE_VAULT_SIZE);
	assert(f->vault);
	memset(f->vault, 0, GUARD_VAULT_TABLES);
	assert(!table_new(&session->table, f->vault, FAKE_VAULT_SIZE, false, NULL));
	session->watches = watches_new(session->table, &session->containers);
	assert(session->watches);
	f->policy = (struct policy){ .rules = rules, .n_rules = n_rules };
	session->policy = &f->policy;
	assert(!plan_new(&session->plan, &f->policy, NULL));
	snprintf(session->name, sizeof(session->name), "vm");
	snprintf(session->guest_hostname, sizeof(session->guest_hostname), "guest");
	session->state = SESSION_GUARDING;
	session->sink = fake_sink;
	session->sink_data = f;
	session->ring.vault = (struct guard_vault *)f->vault;
	session->ring.n_slots = session->held.room = 4;
	f->one = fake_container(f, 101, "111111111111", FAKE_SUPER);
	f->two = fake_container(f, 102, "222222222222", FAKE_SUPER + 64);
	return f;
}

static inline void fake_session_free(struct fake_session *f)
{
	watches_free(f->session.watches);
	containers_clear(&f->session.containers);
	table_free(f->session.table);
	plan_free(f->session.plan);
	held_deinit(&f->session.held);
	free(f->vault);
	free(f);
}

/* The plan's item of a rule. */
static inline const struct plan_item *fake_item(const struct fake_session *f, uint32_t rule,
						size_t path)
{
	const struct plan_item *item = f->session.plan->items;

	while (item->rule != rule || item->path != f->policy.rules[rule].paths[path])
		item++;
	return item;
}

/* A watch of an item, where @key and @ino say; by a name if @pattern is given. */
static inline struct watch fake_watch(const struct fake_session *f, struct container *container,
				      const struct plan_item *item, uint64_t super, uint64_t ino,
				      const char *pattern)
{
	return (struct watch){
		.kind = pattern ? WATCH_NAME : WATCH_FILE,
		.key = super | (pattern ? GUARD_KEY_BASE : GUARD_KEY_FILE),
		.ino = ino,
		.super = super,
		.generation = (uint32_t)ino + 1000,
		.where = WATCH_LIVE,
		.container = container,
		.plan = f->session.plan,
		.item = item,
		.pattern = pattern,
		.operations = f->policy.rules[item->rule].operations,
		.selected = true,
	};
}

static inline void fake_add(struct fake_session *f, const struct watch *watch)
{
	assert(watches_add(f->session.watches, watch, NULL) == 1);
	assert(!watches_align(f->session.watches, NULL));
}

static inline const struct guard_entry *fake_look(const struct fake_session *f, uint64_t key,
						  uint64_t ino)
{
	return cache_find(f->vault, ((const struct guard_vault *)f->vault)->table, key, ino);
}

static inline struct guard_identity fake_identity(uint64_t super, uint64_t ino)
{
	return (struct guard_identity){ super, ino, ino ? (uint32_t)ino + 1000 : 0, 8 << 20 | 1 };
}

/* Puts a text behind the record. */
static inline uint16_t fake_text(struct fake_session *f, const char *text)
{
	size_t n = strlen(text) + 1;
	uint32_t at = f->text;

	assert(at + n <= GUARD_SLOT_SIZE);
	memcpy(f->session.ring.copy.bytes + at, text, n);
	f->text += (uint32_t)n;
	return (uint16_t)at;
}

#endif
