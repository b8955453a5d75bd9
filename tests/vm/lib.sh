# SPDX-License-Identifier: GPL-2.0-or-later
# For tests in real guests: source it, start a VM, guard it, `check` things, end with `finish`. Output is TAP.
# shellcheck shell=bash disable=SC2034
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$root" || exit 1
build=${BUILD:-build}
outguard=$root/$build/outguard
outguardd=$root/$build/outguardd
export OUTGUARD=$outguard OUTGUARD_LAB_QUIET=1
export ASAN_OPTIONS=abort_on_error=0:exitcode=99 UBSAN_OPTIONS=print_stacktrace=1

test_name=$(basename "${0%.*}")
work=$(mktemp -d "/tmp/outguard-$test_name-XXXXXX")
n_checks=0 n_failed=0 vms=() guard_pid='' started=$SECONDS

clean_up() {
    local vm
    [ -z "$guard_pid" ] || kill -KILL "$guard_pid" 2>/dev/null
    for vm in "${vms[@]}"; do lab/stop "$vm" >/dev/null 2>&1; done
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 1' INT TERM

# check "what is promised" COMMAND...: the command has to succeed.
check() {
    local what=$1 output
    shift
    n_checks=$((n_checks + 1))
    if output=$("$@" 2>&1); then
        echo "ok $n_checks - $what"
    else
        n_failed=$((n_failed + 1))
        echo "not ok $n_checks - $what"
        printf '# %s\n' "\$ $*" "status $?, $((SECONDS - started)) s into the test"
        sed 's/^/#   /' <<<"$output" | tail -n 30
        if declare -F diagnose >/dev/null; then diagnose 2>&1 | sed 's/^/# > /'; fi
    fi
}

# progress TEXT: for who waits, besides the log; tests/run hands the terminal on as descriptor 3 to what takes long.
progress() {
    echo "# $* ($((SECONDS - started)) s)"
    [ ! -e /proc/self/fd/3 ] || echo "$test_name: $* ($((SECONDS - started)) s)" >&3
}

skip() {
    n_checks=$((n_checks + 1))
    echo "ok $n_checks - $1 # SKIP $2"
}

finish() {
    echo "1..$n_checks"
    [ $n_failed -eq 0 ]
    exit
}

die() {
    echo "not ok $((n_checks + 1)) - $*"
    exit 1
}

# start_vm NAME [lab/start options]: sets `vm` and `dir`. KERNEL=6.12-cloud in the environment: another kernel.
start_vm() {
    vm=$test_name-$1-$$
    shift
    vms+=("$vm")
    dir=$(lab/start "$vm" ${KERNEL:+--kernel "$KERNEL"} "$@") || die "the VM did not start"
}

guest() { lab/exec "$vm" -- "$@"; }
stop_vm() { lab/stop "$vm" >/dev/null 2>&1; }

# The guest's own complaints: taken before, compared after. Not those about a slow machine: TCG is one.
kernel_complaints() { guest dmesg --level=emerg,alert,crit,err,warn | grep -vE 'hrtimer: interrupt took|clocksource:|sched: RT throttling|kauditd_printk_skb|Spurious LAPIC timer'; }

# guard POLICY [outguard run options]: sets guard_pid; events go to $events, words to $guard_log. Waits until it guards.
guard() {
    local policy=$1
    shift
    events=$work/events.jsonl guard_log=$work/outguard.log
    rm -f "$work/ready"
    "$outguard" run --name "$vm" --qmp "$dir/qmp.sock" --policy "$policy" --events "$events" \
        --ready-file "$work/ready" "$@" >"$guard_log" 2>&1 &
    guard_pid=$!
    wait_for 60 test -e "$work/ready" || die "outguard run did not get ready: $(tail -n 3 "$guard_log")"
}

# Ends it, with a detach. Status of the program, which is 99 if a sanitizer complained.
unguard() {
    local status
    kill -TERM "$guard_pid" 2>/dev/null
    wait "$guard_pid"
    status=$?
    guard_pid=''
    return $status
}

# wait_for SECONDS COMMAND...: until the command succeeds.
wait_for() {
    local until=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $until ] || return 1
        if [ -n "$guard_pid" ] && ! kill -0 "$guard_pid" 2>/dev/null; then return 1; fi
        sleep 0.1
    done
}

# refused COMMAND... in the guest: fails, and says that it is not permitted.
refused() {
    local output
    if output=$(guest "$@" 2>&1); then
        echo "it worked: $output"
        return 1
    fi
    echo "$output"
    grep -qi 'operation not permitted' <<<"$output"
}
works() { guest "$@"; }
in_container() { guest docker exec "$@"; }
refused_in() { refused docker exec "$@"; }

# event JQ_CONDITION: is there such an event (by now, or within ten seconds)?
has_event() { [ -n "$(jq -c "select($1)" "$events" 2>/dev/null | head -n 1)" ]; }
event() {
    wait_for 10 has_event "$1" && return
    echo "no event with: $1; there are:"
    jq -c 'if .notice then [.notice, .message] else [.result, .operation, .file.path, .rule, .process.name, .container.id[:12]] end' "$events" | tail -n 10
    return 1
}
no_event() {
    sleep 0.5
    ! has_event "$1"
}
# fails_with STATUS PATTERN COMMAND...: ends with that status, and its message matches.
fails_with() {
    local want=$1 pattern=$2 output status
    shift 2
    output=$("$@" 2>&1)
    status=$?
    echo "status $status: $output"
    [ $status -eq "$want" ] && grep -qE "$pattern" <<<"$output"
}
