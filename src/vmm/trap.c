// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A page goes through these states:
 *
 *	SHUT	protected. A write makes the writer stand still, and gives a message.
 *	HELD	the writer stands still until it is released, or time is up: whoever decides may be waiting for QEMU,
 *		and QEMU for the writer.
 *	OPEN	not protected, so that the write can land; until it has been seen to, or time is up (then the same value was
 *		written, or the writer did not get a CPU: it is caught again). Then SHUT.
 *	HOT	given up: so much is written there that holding it all would slow the guest down.
 *
 * Whatever was written while a page was OPEN, by whomever, is seen by comparing its words when it is SHUT again. Under TCG the
 * address of a write is known to the byte, and what goes to other bytes of the page is let through at once.
 */
#include "vmm/trap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "contract/trap_abi.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "vmm/process_memory.h"

#define PAGE 4096ULL
#define MAX_EVENTS 64
#define MAX_WORDS 512 /* on a page */
#define CONNECT_S 5
#define OPEN_NS 500000ULL /* at first; doubled while the write does not come */
#define OPEN_MOST_NS 16000000ULL
#define LOOK_NS 20000ULL /* at a page that is open */
#define HOT_WRITES 100 /* in HOT_NS */
#define HOT_NS 1000000000ULL

enum state {
	SHUT,
	HELD,
	OPEN,
	HOT
};

struct page {
	uint64_t address;
	struct trap_word words[MAX_WORDS];
	size_t n_words;
	uint64_t before[PAGE / 8]; /* its content when it was opened */
	enum state state;
	bool registered;
	pid_t tid; /* the last that was caught */
	uint64_t caught_ns, until_ns, open_ns; /* HELD, OPEN: until; OPEN: for how long */
	uint64_t hot_since_ns;
	unsigned int n_writes; /* since then */
};

struct trap {
	int uffd, connection, memory, wake; /* wake is borrowed */
	int nudge; /* eventfd: for our thread */
	bool exact;
	pthread_t thread;
	bool has_thread;

	pthread_mutex_t lock; /* all that follows */
	bool ends, lost, let_go, lifted;
	struct page *pages; /* TRAP_MAX_PAGES */
	size_t n_pages;
	struct trap_event events[MAX_EVENTS];
	size_t first_event, n_events;
	uint64_t caught, neighbours, next_beat_ns;
};

DEFINE_CLEANUP(struct trap *, trap_free)

/* The descriptor */

static int protect(const struct trap *trap, uint64_t page, bool on)
{
	struct uffdio_writeprotect request = {
		.range = { .start = page, .len = PAGE },
		.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0, /* off wakes who waits there */
	};
	int r;

	/* EAGAIN: QEMU's mappings are just being changed. */
	do
		r = ioctl(trap->uffd, UFFDIO_WRITEPROTECT, &request);
	while (r < 0 && errno == EAGAIN);
	r = r < 0 ? -errno : 0;
	if (r < 0 && !on) /* not ours any more: who came in time waits all the same */
		ioctl(trap->uffd, UFFDIO_WAKE, &request.range);
	return r;
}

static int announce(struct trap *trap, uint64_t start, uint64_t size)
{
	const struct trap_range range = { start, size };
	ssize_t n = send(trap->connection, &range, sizeof(range), MSG_NOSIGNAL);

	return n == (ssize_t)sizeof(range) ? 0 : -EPIPE;
}

/* The library has to know first: should this process die in between, it takes the range back. */
static int register_page(struct trap *trap, struct page *page)
{
	struct uffdio_register request = {
		.range = { .start = page->address, .len = PAGE },
		.mode = UFFDIO_REGISTER_MODE_WP,
	};
	int r;

	r = announce(trap, page->address, PAGE);
	if (r == 0 && ioctl(trap->uffd, UFFDIO_REGISTER, &request) < 0)
		r = -errno;
	page->registered = r == 0;
	return r;
}

static void unregister_page(struct trap *trap, struct page *page)
{
	struct uffdio_range range = { .start = page->address, .len = PAGE };

	if (page->registered) {
		ioctl(trap->uffd, UFFDIO_UNREGISTER, &range);
		ioctl(trap->uffd, UFFDIO_WAKE, &range);
		announce(trap, page->address, 0);
	}
	page->registered = false;
}

/* Events */

static void put_event(struct trap *trap, const struct trap_event *event)
{
	uint64_t one = 1;

	if (trap->n_events == MAX_EVENTS) { /* the oldest goes: nobody has come for it in time */
		trap->first_event = (trap->first_event + 1) % MAX_EVENTS;
		trap->n_events--;
	}
	trap->events[(trap->first_event + trap->n_events++) % MAX_EVENTS] = *event;
	if (write(trap->wake, &one, sizeof(one)) < 0)
		return; /* it is readable already */
}

int trap_next(struct trap *trap, struct trap_event *ret)
{
	int any;

	pthread_mutex_lock(&trap->lock);
	any = trap->n_events > 0;
	if (any) {
		*ret = trap->events[trap->first_event];
		trap->first_event = (trap->first_event + 1) % MAX_EVENTS;
		trap->n_events--;
	}
	pthread_mutex_unlock(&trap->lock);
	return any;
}

/* Pages; all with the lock held */

static struct page *find_page(struct trap *trap, uint64_t address)
{
	for (size_t i = 0; i < trap->n_pages; i++)
		if (trap->pages[i].address == (address & ~(PAGE - 1)))
			return &trap->pages[i];
	return NULL;
}

/* Which of the words would be touched by a write of at most 8 bytes at @address? */
static const struct trap_word *find_word(const struct page *page, uint64_t address)
{
	for (size_t i = 0; i < page->n_words; i++) {
		const struct trap_word *word = &page->words[i];

		for (unsigned int byte = 0; byte < 8; byte++)
			if ((word->mask >> (8 * byte) & 0xff) && word->address + byte >= address &&
			    word->address + byte < address + 8)
				return word;
	}
	return NULL;
}

static int read_page(const struct trap *trap, const struct page *page, uint64_t *content)
{
	return process_memory_read(trap->memory, page->address, content, PAGE);
}

/* Has anything at all been written there since the page was opened? */
static bool has_landed(const struct trap *trap, const struct page *page)
{
	uint64_t content[PAGE / 8];

	return read_page(trap, page, content) == 0 && memcmp(content, page->before, PAGE) != 0;
}

/* The word that is not as it was then, or NULL. */
static const struct trap_word *changed_word(const struct trap *trap, const struct page *page)
{
	uint64_t content[PAGE / 8];

	if (read_page(trap, page, content) < 0)
		return NULL;
	for (size_t i = 0; i < page->n_words; i++) {
		const struct trap_word *word = &page->words[i];
		size_t at = (word->address - page->address) / 8;

		if ((content[at] ^ page->before[at]) & word->mask)
			return word;
	}
	return NULL;
}

static void open_page(struct trap *trap, struct page *page)
{
	if (read_page(trap, page, page->before) < 0)
		memset(page->before, 0, sizeof(page->before));
	page->state = OPEN;
	page->until_ns = clock_ns(CLOCK_MONOTONIC) + page->open_ns;
	protect(trap, page->address, false);
}

static void shut_page(struct trap *trap, struct page *page)
{
	const struct trap_word *changed;
	struct trap_event event = {
		.page = page->address,
		.time_ns = page->caught_ns,
		.type = TRAP_LANDED,
		.tid = page->tid,
	};

	page->state = SHUT;
	if (!trap->lifted)
		protect(trap, page->address, true);
	changed = changed_word(trap, page); /* after the protection: nothing comes in between */
	event.changed = changed;
	event.word = changed ? changed->address : 0;
	trap->neighbours += !changed;
	put_event(trap, &event);
}

static bool is_too_hot(struct page *page, uint64_t now)
{
	if (now - page->hot_since_ns > HOT_NS) {
		page->hot_since_ns = now;
		page->n_writes = 0;
		page->open_ns = OPEN_NS;
	}
	return ++page->n_writes > HOT_WRITES;
}

static void hold_page(struct trap *trap, struct page *page, const struct trap_word *word)
{
	const struct trap_event event = {
		.page = page->address,
		.time_ns = page->caught_ns,
		.type = TRAP_CAUGHT,
		.tid = page->tid,
		.sure = trap->exact && word && word->sure,
		.word = trap->exact && word ? word->address : 0,
	};

	page->state = HELD;
	page->until_ns = page->caught_ns + TRAP_HOLD_MS * 1000000ULL;
	put_event(trap, &event);
}

static void on_fault(struct trap *trap, const struct uffd_msg *message)
{
	uint64_t address = message->arg.pagefault.address, now = clock_ns(CLOCK_MONOTONIC);
	struct page *page = find_page(trap, address);
	const struct trap_word *word;

	if (!page || trap->lifted || page->state == OPEN || page->state == HOT) {
		protect(trap, address & ~(PAGE - 1), false); /* it was on its way */
		return;
	}
	trap->caught++;
	if (page->state == HELD)
		return; /* woken with the first one */
	page->tid = (pid_t)message->arg.pagefault.feat.ptid;
	page->caught_ns = now;
	if (is_too_hot(page, now)) {
		page->state = HOT;
		protect(trap, page->address, false);
		return;
	}
	word = find_word(page, address);
	if (word || !trap->exact)
		hold_page(trap, page, word);
	else
		open_page(trap, page);
}

static void take_faults(struct trap *trap)
{
	struct uffd_msg message;

	while (read(trap->uffd, &message, sizeof(message)) == (ssize_t)sizeof(message))
		if (message.event == UFFD_EVENT_PAGEFAULT)
			on_fault(trap, &message);
}

/* What is due. Returns in how many nanoseconds there may be more to do. */
static uint64_t go_on(struct trap *trap)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC), next = trap->next_beat_ns;

	for (size_t i = 0; i < trap->n_pages; i++) {
		struct page *page = &trap->pages[i];

		if (page->state == HELD && now >= page->until_ns)
			open_page(trap, page);
		if (page->state == OPEN && has_landed(trap, page)) {
			page->open_ns = OPEN_NS;
			shut_page(trap, page);
		} else if (page->state == OPEN && now >= page->until_ns) {
			if (page->open_ns < OPEN_MOST_NS)
				page->open_ns *= 2;
			shut_page(trap, page);
		}
		if (page->state == HELD && page->until_ns < next)
			next = page->until_ns;
		if (page->state == OPEN)
			next = now + LOOK_NS;
	}
	if (now >= trap->next_beat_ns) {
		announce(trap, 0, 0);
		trap->next_beat_ns = now + TRAP_BEAT_MS * 1000000ULL;
		next = next < trap->next_beat_ns && next > now ? next : trap->next_beat_ns;
	}
	return next > now ? next - now : 0;
}

/* The thread */

/* The library has taken its ranges back, or has gone. */
static void hear_library(struct trap *trap)
{
	const uint64_t one = 1;
	char bytes[16];

	if (recv(trap->connection, bytes, sizeof(bytes), MSG_DONTWAIT) <= 0)
		trap->lost = true;
	trap->let_go = true;
	for (size_t i = 0; i < trap->n_pages; i++)
		trap->pages[i].registered = false;
	trap->n_pages = 0;
	if (write(trap->wake, &one, sizeof(one)) < 0)
		return; /* it is readable already */
}

static void *answer(void *data)
{
	struct trap *trap = data;
	struct pollfd polled[] = {
		{ .fd = trap->uffd, .events = POLLIN },
		{ .fd = trap->connection, .events = POLLIN },
		{ .fd = trap->nudge, .events = POLLIN },
	};
	uint64_t wait_ns = 0, n;
	bool ends = false;

	while (!ends) {
		struct timespec wait = { (time_t)(wait_ns / 1000000000),
					 (long)(wait_ns % 1000000000) };

		ppoll(polled, ARRAY_SIZE(polled), &wait, NULL);
		if (polled[2].revents && read(trap->nudge, &n, sizeof(n)) < 0)
			n = 0;
		pthread_mutex_lock(&trap->lock);
		if (polled[1].revents)
			hear_library(trap);
		take_faults(trap);
		wait_ns = go_on(trap);
		ends = trap->ends || trap->lost;
		pthread_mutex_unlock(&trap->lock);
	}
	return NULL;
}

static void nudge(const struct trap *trap)
{
	uint64_t one = 1;

	if (write(trap->nudge, &one, sizeof(one)) < 0)
		return; /* it is awake */
}

static int start(struct trap *trap, struct error *err)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&trap->thread, NULL, answer, trap);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	trap->has_thread = r == 0;
	return r == 0 ? 0 : error_set(err, -r, "a thread for the trap: %s", strerror(r));
}

/* Connecting */

/* The library's socket, as QEMU's own environment names it: as QEMU was started. */
static int find_socket(pid_t pid, struct sockaddr_un *ret, struct error *err)
{
	static const char name[] = TRAP_SOCKET_VARIABLE "=";
	_cleanup_(fclosep) FILE *file = NULL;
	_cleanup_(freep) char *variable = NULL;
	size_t room = 0;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return error_set(err, -errno, "%s: %m", path);
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	while (getdelim(&variable, &room, '\0', file) > 0) {
		const char *value = variable + sizeof(name) - 1;

		if (strncmp(variable, name, sizeof(name) - 1) != 0)
			continue;
		if (value[0] != '/' || strlen(value) >= sizeof(ret->sun_path))
			return error_set(err, -EINVAL,
					 TRAP_SOCKET_VARIABLE "=%s: give an absolute path of at "
							      "most 107 bytes",
					 value);
		strcpy(ret->sun_path, value);
		return 0;
	}
	return error_set(err, -ENOENT, "QEMU runs without liboutguard-trap.so");
}

static int check_peer(int fd, pid_t pid, const char *path, struct error *err)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return error_set(err, -errno, "%s: %m", path);
	if (peer.pid != pid)
		return error_set(err, -EPERM,
				 "%s belongs to process %d, not to the VM's QEMU (%d): give each "
				 "VM a socket of its own in " TRAP_SOCKET_VARIABLE,
				 path, (int)peer.pid, (int)pid);
	return 0;
}

static int connect_to(const struct sockaddr_un *address, pid_t pid, struct error *err)
{
	const struct timeval patience = { .tv_sec = CONNECT_S };
	_cleanup_(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r;

	if (fd < 0)
		return error_set(err, -errno, "socket: %m");
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
		return error_set(err, -errno,
				 "%s: %m; is liboutguard-trap.so in QEMU's LD_PRELOAD? (QEMU's "
				 "standard error says what came of it)",
				 address->sun_path);
	r = check_peer(fd, pid, address->sun_path, err);
	return r < 0 ? r : TAKE_FD(fd);
}

/* Takes @ret's size from the stream and the descriptor that comes with it, or -1. */
static int take_hello(int fd, struct trap_hello *ret, int *ret_uffd)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec data = { ret, sizeof(*ret) };
	struct msghdr message = { .msg_iov = &data,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_WAITALL);
	const struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	*ret_uffd = -1;
	if (n > 0 && header && header->cmsg_type == SCM_RIGHTS &&
	    header->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(ret_uffd, CMSG_DATA(header), sizeof(int));
	return n == (ssize_t)sizeof(*ret) && ret->magic == TRAP_MAGIC ? 0 : -EPROTO;
}

static int greet(struct trap *trap, const char *path, struct error *err)
{
	struct trap_hello hello;

	if (take_hello(trap->connection, &hello, &trap->uffd) < 0)
		return error_set(err, -EPROTO,
				 "%s does not answer as this build's liboutguard-trap.so does: "
				 "another outguard may be using it, or QEMU has another build's",
				 path);
	hello.message[sizeof(hello.message) - 1] = '\0';
	if (hello.error < 0)
		return error_set(err, hello.error, "%s", hello.message);
	if (trap->uffd < 0)
		return error_set(err, -EPROTO, "%s gave no descriptor", path);
	if (!(hello.features & UFFD_FEATURE_EXACT_ADDRESS))
		trap->exact = false;
	fcntl(trap->uffd, F_SETFL, O_NONBLOCK);
	return 0;
}

struct trap *trap_free(struct trap *trap)
{
	if (!trap)
		return NULL;
	pthread_mutex_lock(&trap->lock);
	trap->ends = true;
	for (size_t i = 0; i < trap->n_pages; i++)
		unregister_page(trap, &trap->pages[i]);
	trap->n_pages = 0;
	pthread_mutex_unlock(&trap->lock);
	if (trap->has_thread) {
		nudge(trap);
		pthread_join(trap->thread, NULL);
	}
	closep(&trap->connection);
	closep(&trap->uffd);
	closep(&trap->memory);
	closep(&trap->nudge);
	pthread_mutex_destroy(&trap->lock);
	free(trap->pages);
	free(trap);
	return NULL;
}

int trap_open(struct trap **ret, pid_t pid, bool exact, int wake, struct error *err)
{
	_cleanup_(trap_freep) struct trap *trap = calloc(1, sizeof(*trap));
	struct sockaddr_un address;
	int r;

	if (!trap)
		return error_set(err, -ENOMEM, "out of memory");
	pthread_mutex_init(&trap->lock, NULL);
	trap->uffd = trap->connection = trap->memory = -1;
	trap->nudge = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	trap->wake = wake;
	trap->exact = exact;
	trap->pages = calloc(TRAP_MAX_PAGES, sizeof(*trap->pages));
	if (trap->nudge < 0 || !trap->pages)
		return error_set(err, -ENOMEM, "out of memory");
	r = find_socket(pid, &address, err);
	if (r < 0)
		return r;
	trap->connection = r = connect_to(&address, pid, err);
	if (r >= 0)
		r = greet(trap, address.sun_path, err);
	if (r >= 0)
		trap->memory = r = process_memory_open(pid, err);
	if (r >= 0)
		r = start(trap, err);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(trap);
	return 0;
}

/* What is trapped */

static int add_word(struct page *pages, size_t *n, const struct trap_word *word)
{
	uint64_t address = word->address & ~(PAGE - 1);
	struct page *page = NULL;

	for (size_t i = 0; i < *n && !page; i++)
		if (pages[i].address == address)
			page = &pages[i];
	if (!page && *n < TRAP_MAX_PAGES) {
		page = &pages[(*n)++];
		*page = (struct page){ .address = address, .open_ns = OPEN_NS };
	}
	if (!page || page->n_words == MAX_WORDS)
		return -E2BIG;
	page->words[page->n_words++] = *word;
	return 0;
}

/* With all that is going on there: somebody may be held. */
static void take_over_page(struct page *page, struct page *old)
{
	page->state = old->state;
	page->registered = true;
	page->tid = old->tid;
	page->caught_ns = old->caught_ns;
	page->until_ns = old->until_ns;
	page->open_ns = old->open_ns;
	page->hot_since_ns = old->hot_since_ns;
	page->n_writes = old->n_writes;
	memcpy(page->before, old->before, sizeof(page->before));
	old->registered = false;
}

/* Takes over the pages that are in both, and registers and protects the rest. */
static int replace_pages(struct trap *trap, struct page *pages, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		struct page *old = find_page(trap, pages[i].address);

		if (old && old->registered)
			take_over_page(&pages[i], old);
		else
			r = register_page(trap, &pages[i]);
		if (r == 0 && pages[i].state == SHUT && !trap->lifted)
			r = protect(trap, pages[i].address, true);
	}
	for (size_t i = 0; i < trap->n_pages; i++)
		unregister_page(trap, &trap->pages[i]);
	for (size_t i = 0; i < n && r < 0; i++)
		unregister_page(trap, &pages[i]);
	memcpy(trap->pages, pages, n * sizeof(*pages));
	trap->n_pages = r < 0 ? 0 : n;
	return r;
}

int trap_set_words(struct trap *trap, const struct trap_word *words, size_t n, struct error *err)
{
	_cleanup_(freep) struct page *pages = calloc(TRAP_MAX_PAGES, sizeof(*pages));
	size_t n_pages = 0;
	int r = pages ? 0 : -ENOMEM;

	for (size_t i = 0; i < n && r == 0; i++)
		r = add_word(pages, &n_pages, &words[i]);
	if (r < 0)
		return error_set(err, r, "what is to be trapped: %s", strerror(-r));
	pthread_mutex_lock(&trap->lock);
	trap->let_go = false;
	r = replace_pages(trap, pages, n_pages);
	pthread_mutex_unlock(&trap->lock);
	if (r == -EBUSY)
		return error_set(err, r,
				 "QEMU itself traps writes to the guest's memory (a postcopy "
				 "migration, or a background snapshot)");
	if (r == -EINVAL)
		return error_set(err, r,
				 "the guest's memory is in pages that are too large to trap writes "
				 "to (huge pages): give QEMU a memory backend without them");
	if (r < 0)
		return error_set(err, r, "protect the guest's memory: %s", strerror(-r));
	return (int)n_pages;
}

/* HELD and OPEN end here: whoever lifts writes, or stops the VM, and looks at everything afterwards. */
void trap_lift(struct trap *trap)
{
	if (!trap)
		return;
	pthread_mutex_lock(&trap->lock);
	trap->lifted = true;
	for (size_t i = 0; i < trap->n_pages; i++) {
		if (trap->pages[i].state == HOT)
			continue;
		protect(trap, trap->pages[i].address, false);
		trap->pages[i].state = SHUT;
	}
	pthread_mutex_unlock(&trap->lock);
}

void trap_restore(struct trap *trap)
{
	if (!trap)
		return;
	pthread_mutex_lock(&trap->lock);
	trap->lifted = false;
	for (size_t i = 0; i < trap->n_pages; i++)
		if (trap->pages[i].state == SHUT)
			protect(trap, trap->pages[i].address, true);
	pthread_mutex_unlock(&trap->lock);
}

bool trap_holds(struct trap *trap, uint64_t page)
{
	const struct page *held;
	bool holds;

	pthread_mutex_lock(&trap->lock);
	held = find_page(trap, page);
	holds = held && held->state == HELD;
	pthread_mutex_unlock(&trap->lock);
	return holds;
}

void trap_release(struct trap *trap, uint64_t page)
{
	struct page *held;

	pthread_mutex_lock(&trap->lock);
	held = find_page(trap, page);
	if (held && held->state == HELD)
		open_page(trap, held);
	pthread_mutex_unlock(&trap->lock);
	nudge(trap);
}

void trap_stats(struct trap *trap, struct trap_stats *ret)
{
	*ret = (struct trap_stats){ 0 };
	pthread_mutex_lock(&trap->lock);
	for (size_t i = 0; i < trap->n_pages; i++)
		ret->hot += trap->pages[i].state == HOT;
	ret->pages = (unsigned int)trap->n_pages - ret->hot;
	ret->caught = trap->caught;
	ret->neighbours = trap->neighbours;
	ret->let_go = trap->let_go;
	ret->lost = trap->lost;
	pthread_mutex_unlock(&trap->lock);
}
