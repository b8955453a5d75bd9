// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "daemon/sandbox.h"
#include "daemon/server.h"
#include "util/cleanup.h"
#include "util/log.h"

#define MAX_VMS 64

static const char help[] = "Usage: outguardd [OPTION...]\n"
			   "\n"
			   "Guards VMs, and answers `outguard`. Stays in the foreground.\n"
			   "  --socket PATH                   to be asked at (" CONTROL_SOCKET ")\n"
			   "  --vm NAME=QMPSOCKET,POLICYFILE  guard this VM, as soon as it is "
			   "there and whenever it\n"
			   "                                  is there again; may be repeated\n"
			   "  --events FILE                   append events to FILE as JSON lines; "
			   "-: standard output\n"
			   "  --allow-partial                 --vm: a kernel that lacks some of "
			   "the hooks is guarded by the others\n"
			   "  --hot-plug                      --vm: plug in the devices that a VM "
			   "was not started with\n"
			   "  --user USER                     whom keepers become when they have "
			   "attached (" SANDBOX_USER ",\n"
			   "                                  if there is one; root: they stay "
			   "root)\n"
			   "  -v, --verbose                   say more\n"
			   "  --version, --help\n"
			   "\n"
			   "SIGHUP: opens the events' file again and loads the policies again (a "
			   "bad one changes nothing).\n"
			   "SIGTERM, SIGINT: ends. The guards stay in the guests and go on "
			   "refusing; the next outguardd\n"
			   "adopts them. To take a guard out: outguard detach NAME.\n"
			   "Exit status: 0 done, 1 failed, 2 wrong usage, 6 another outguardd has "
			   "the socket.\n";

struct options {
	struct server_config server;
	struct control_request vms[MAX_VMS];
	size_t n_vms;
	bool allow_partial, hot_plug; /* for all of them */
};

static enum outcome wrong(const char *why)
{
	fprintf(stderr, "outguardd: %s\nTry: outguardd --help\n", why);
	return OUTCOME_USAGE;
}

/* NAME=QMPSOCKET,POLICYFILE; the policy's path may have a comma. */
static bool parse_vm(struct control_request *ret, char *text)
{
	char *qmp = strchr(text, '='), *policy = qmp ? strchr(qmp, ',') : NULL;

	if (!policy)
		return false;
	*qmp++ = '\0';
	*policy++ = '\0';
	*ret = (struct control_request){ .verb = CONTROL_ATTACH, .wait = true };
	if (!control_name_is_good(text) || *qmp != '/' || *policy != '/' ||
	    strlen(qmp) >= sizeof(ret->qmp) || strlen(policy) >= sizeof(ret->policy))
		return false;
	strcpy(ret->name, text);
	strcpy(ret->qmp, qmp);
	strcpy(ret->policy, policy);
	return true;
}

static enum outcome take_vm(struct options *options, char *text)
{
	if (options->n_vms == MAX_VMS)
		return wrong("too many --vm");
	if (!parse_vm(&options->vms[options->n_vms++], text))
		return wrong("--vm takes NAME=QMPSOCKET,POLICYFILE, both paths absolute");
	return OUTCOME_DONE;
}

static enum outcome parse(struct options *options, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "socket", required_argument, NULL, 's' },
		{ "vm", required_argument, NULL, 'm' },
		{ "events", required_argument, NULL, 'e' },
		{ "allow-partial", no_argument, NULL, 'a' },
		{ "hot-plug", no_argument, NULL, 'H' },
		{ "user", required_argument, NULL, 'u' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	enum outcome outcome = OUTCOME_DONE;
	int c;

	while (outcome == OUTCOME_DONE && (c = getopt_long(argc, argv, "vh", longs, NULL)) != -1) {
		if (c == 's')
			options->server.socket_path = optarg;
		else if (c == 'm')
			outcome = take_vm(options, optarg);
		else if (c == 'e')
			options->server.events_path = optarg;
		else if (c == 'a')
			options->allow_partial = true;
		else if (c == 'H')
			options->hot_plug = true;
		else if (c == 'u')
			options->server.user = optarg;
		else if (c == 'v')
			log_set_level(LOG_LEVEL_DEBUG);
		else if (c == 'V' || c == 'h') {
			fputs(c == 'h' ? help : "outguardd " OUTGUARD_VERSION "\n", stdout);
			exit(OUTCOME_DONE);
		} else
			outcome = wrong("that is no option");
	}
	if (outcome == OUTCOME_DONE && optind < argc)
		return wrong("it takes options only");
	return outcome;
}

static int on_end(sd_event_source *source, const struct signalfd_siginfo *info, void *data)
{
	(void)source;
	(void)info;
	sd_notify(0, "STOPPING=1\nSTATUS=Leaving the guards in the guests");
	server_stop(data);
	return 0;
}

static int on_hangup(sd_event_source *source, const struct signalfd_siginfo *info, void *data)
{
	(void)source;
	(void)info;
	server_reload(data);
	return 0;
}

static int prepare_signals(sd_event *event, struct server *server)
{
	int r = sd_event_add_signal(event, NULL, SIGTERM, on_end, server);

	if (r >= 0)
		r = sd_event_add_signal(event, NULL, SIGINT, on_end, server);
	if (r >= 0)
		r = sd_event_add_signal(event, NULL, SIGHUP, on_hangup, server);
	return r;
}

static void block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static int run(struct options *options, sd_event *event, struct server *server, struct error *err)
{
	int r = prepare_signals(event, server);

	for (size_t i = 0; r >= 0 && i < options->n_vms; i++) {
		options->vms[i].allow_partial = options->allow_partial;
		options->vms[i].hot_plug = options->hot_plug;
		r = server_add(server, &options->vms[i], err);
		if (r < 0)
			return r;
	}
	if (r >= 0)
		r = sd_event_set_watchdog(event, true);
	if (r >= 0) {
		sd_notifyf(0, "READY=1\nSTATUS=Answering at %s", options->server.socket_path);
		log_info("answering at %s", options->server.socket_path);
		r = sd_event_loop(event);
	}
	return r < 0 ? error_set(err, r, "event loop: %s", strerror(-r)) : 0;
}

int main(int argc, char **argv)
{
	static struct options options = { .server.socket_path = CONTROL_SOCKET };
	struct server *server = NULL;
	struct error err = { 0 };
	sd_event *event = NULL;
	int r = (int)parse(&options, argc, argv);

	if (r != OUTCOME_DONE)
		return r;
	if (sandbox_check_user(options.server.user, &err) < 0)
		return wrong(err.message);
	block_signals();
	r = sd_event_new(&event);
	if (r >= 0)
		r = server_new(&server, event, &options.server, &err);
	if (r >= 0)
		r = run(&options, event, server, &err);
	if (r < 0)
		log_error("%s", *err.message ? err.message : strerror(-r));
	server_free(server);
	sd_event_unref(event);
	return outcome_of(r);
}
