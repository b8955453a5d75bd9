# SPDX-License-Identifier: GPL-2.0-or-later
# For tests in real guests under KVM: tests/vm/lib.sh, and the exits that the kernel below counts. Run them by lab/with-kvm.
# shellcheck shell=bash disable=SC2034
# shellcheck source=tests/vm/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../vm/lib.sh"
[ "${OUTGUARD_LAB_ACCEL:-}" = kvm ] || die "this test is for guests under KVM: lab/with-kvm -- $0"
kernel=${KERNEL:-6.1-cloud}
recorded=$build/kvm
mkdir -p "$recorded"

qmp() { printf '{"execute":"qmp_capabilities"}{"execute":"%s"}' "$1" | socat -t2 - "UNIX-CONNECT:$dir/lab-qmp.sock"; }
runs_under_kvm() { qmp query-kvm | grep '"enabled": true'; }

# What the kernel below tells of the VM: /sys/kernel/debug/kvm/PID-FD.
kvm_counters() {
    mountpoint -q /sys/kernel/debug || mount -t debugfs debugfs /sys/kernel/debug || return
    set -- /sys/kernel/debug/kvm/"$(cat "$dir/pid")"-*
    [ -r "$1/exits" ] && echo "$1"
}

# start_box: a container of podman's that stays, for in_box; further words are podman's options.
start_box() { guest podman run -d --name box --network none "$@" lab/busybox sleep 100000; }
in_box() { guest podman exec box "$@"; }
refused_in_box() { refused podman exec box "$@"; }

# exactly_one JQ_CONDITION: one event and no more, once it is there.
exactly_one() {
    local n
    event "$1" || return
    n=$(jq -c "select($1)" "$events" | wc -l)
    [ "$n" -eq 1 ] || { echo "$n events with: $1"; return 1; }
}
