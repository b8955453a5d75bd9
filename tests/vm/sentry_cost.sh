#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What watching over the guard costs an idle host, for several periods: the sentry's own count of its CPU time, and how much the keeper's process
# as a whole took, in percent of one CPU; microseconds of a look. A table on standard output, left in BUILD/sentry.tsv.
# usage: tests/vm/sentry_cost.sh [SECONDS] (30 for each row); KERNEL=6.12-cloud: of another kernel
seconds=${1:-30}
. "$(dirname "$0")/lib.sh"
export OUTGUARD_SOCKET=$work/outguard.sock
daemon=''
trap 'kill -TERM $daemon 2>/dev/null; wait $daemon; clean_up' EXIT

# Ticks of CPU time of a process.
ticks() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }

# measure "what" HOOKS KERNEL REGISTERS: one row.
measure() {
    local keeper before
    printf '%s\nsentry: {hooks: %s, kernel: %s, registers: %s}\n' "$(cat examples/protect-etc.yaml)" "$2" "$3" "$4" >"$work/policy.yaml"
    "$outguard" detach a >/dev/null 2>&1
    "$outguard" attach a --qmp "$dir/qmp.sock" --policy "$work/policy.yaml" || die "attach failed"
    keeper=$(pgrep -P "$daemon" -f . | head -n 1)
    sleep 5 # the first looks
    before=$(ticks "$keeper")
    sleep "$seconds"
    "$outguard" status --json | jq -r --arg what "$1" --argjson keeper "$(($(ticks "$keeper") - before))" --argjson seconds "$seconds" '.[0].guard.sentry |
        [$what, .hooks_ms, .kernel_ms, .registers_ms, .kernel_bytes, .words, .look_us, .longest_look_us, .registers_us,
         (.percent_of_a_cpu * 1000 | round / 1000), ($keeper / $seconds)] | @tsv'
}

start_vm a
"$outguardd" --socket "$OUTGUARD_SOCKET" --events "$work/events.jsonl" 2>"$work/log" &
daemon=$!
wait_for 10 "$outguard" status || die "outguardd does not answer"
{
    printf 'what\thooks_ms\tkernel_ms\tregisters_ms\tkernel_bytes\twords\tlook_us\tlongest_us\tregisters_us\tsentry_percent\tkeeper_percent\n'
    measure "as it comes" 10ms 2s 1s
    measure "without registers" 10ms 2s off
    measure "hooks only" 10ms off off
    measure "tight" 1ms 500ms 100ms
    measure "hardly at all" 60s off off
} | tee "$build/sentry.tsv"
