#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Has the kernel patch its own text in every way it has, for SECONDS: static keys, ftrace, kprobes (optimised too), modules.
end=$((SECONDS + ${1:-60}))
cd /sys/kernel/tracing || exit 1
n=0
echo 'vfs_* security_*' >set_ftrace_filter # all would take a guest under TCG minutes
# Behind the five bytes at the entry, which follow an endbr64 where the kernel has them.
behind=5
echo "p:probe_one vfs_read+5" >kprobe_events 2>/dev/null || behind=9
while [ $SECONDS -lt $end ]; do
    echo 1 >/proc/sys/kernel/sched_schedstats
    echo function >current_tracer
    echo 'p:probe_one do_sys_openat2' >kprobe_events
    for function in vfs_read vfs_write vfs_open; do # behind the entry that ftrace has: a breakpoint, then a jump
        echo "p:inside_$function $function+$behind" >>kprobe_events
    done
    echo 'r:probe_three vfs_statx' >>kprobe_events
    echo 1 >events/kprobes/enable
    echo 1 >events/sched/enable
    modprobe "${2:-dummy}"
    cat /etc/passwd >/dev/null
    grep -c OPTIMIZED /sys/kernel/debug/kprobes/list >/dev/null && optimized=yes
    sleep 0.3
    rmmod "${2:-dummy}"
    echo 0 >events/sched/enable
    echo 0 >events/kprobes/enable
    echo >kprobe_events
    echo nop >current_tracer
    echo function_graph >current_tracer
    echo nop >current_tracer
    echo 0 >/proc/sys/kernel/sched_schedstats
    n=$((n + 1))
done
echo >set_ftrace_filter
echo "$n rounds"
grep . /sys/kernel/debug/kprobes/list
echo "optimized: ${optimized:-no}"
[ $n -gt 0 ] && [ "${optimized:-no}" = yes ]
