// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * To be preloaded into the QEMU that emulates the outer guest's machine (lab/with-kvm): its clock runs SLOW_CLOCK times slower.
 *
 * An emulated processor is many times slower than a real one, but its clock's ticks come as often; and in a nested guest each tick costs
 * several exits, each of which costs what thousands of instructions do. On a busy host, a guest with two CPUs then does nothing
 * but ticks. With a slower clock, ticks are as far apart, in instructions, as on hardware that is not quite so slow.
 *
 * The timestamp counter stays the host's: it looks faster than it is, and kernels measure it when they boot.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000ull

static uint64_t started, times = 1;

static uint64_t ns_of(const struct timespec *time)
{
	return (uint64_t)time->tv_sec * SECOND + (uint64_t)time->tv_nsec;
}

static struct timespec from_ns(uint64_t ns)
{
	return (struct timespec){ .tv_sec = (time_t)(ns / SECOND), .tv_nsec = (long)(ns % SECOND) };
}

static int (*real_gettime)(clockid_t, struct timespec *);
static int (*real_ppoll)(struct pollfd *, nfds_t, const struct timespec *, const sigset_t *);

__attribute__((constructor)) static void start(void)
{
	const char *value = getenv("SLOW_CLOCK");
	struct timespec now;

	real_gettime = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
	real_ppoll = (int (*)(struct pollfd *, nfds_t, const struct timespec *,
			      const sigset_t *))dlsym(RTLD_NEXT, "ppoll");
	real_gettime(CLOCK_MONOTONIC, &now);
	started = ns_of(&now);
	if (value && atoi(value) > 0)
		times = (uint64_t)atoi(value);
}

int clock_gettime(clockid_t clock, struct timespec *ret)
{
	int r;

	if (!real_gettime) /* another library's constructor */
		return (int)syscall(SYS_clock_gettime, clock, ret);
	r = real_gettime(clock, ret);
	if (r == 0 && clock == CLOCK_MONOTONIC && started)
		*ret = from_ns(started + (ns_of(ret) - started) / times);
	return r;
}

/* How the main loop waits for its timers. */
int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask)
{
	struct timespec real;

	if (timeout)
		real = from_ns(ns_of(timeout) * times);
	return real_ppoll(fds, n, timeout ? &real : NULL, mask);
}

/* All of QEMU's conditions go by the monotonic clock. */
int pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
			   const struct timespec *until)
{
	uint64_t ns = ns_of(until);
	struct timespec real = from_ns(ns > started ? started + (ns - started) * times : ns);

	return pthread_cond_clockwait(cond, mutex, CLOCK_MONOTONIC, &real);
}
