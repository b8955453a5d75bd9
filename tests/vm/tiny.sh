# SPDX-License-Identifier: GPL-2.0-or-later
# Tiny guests: the lab's stock kernels, with tests/vm/tiny.c as all of user space. Up in two seconds, and QEMU can save them (the lab's
# NVMe disk it cannot). To be sourced after lib.sh.
# shellcheck shell=bash disable=SC2154,SC2034
lab_dir=${OUTGUARD_LAB_DIR:-build/lab}
tiny_qemus=()

clean_up_tiny() {
    local pid
    for pid in "${tiny_qemus[@]}"; do kill -KILL "$pid" 2>/dev/null; done
}

# tiny_make KERNEL [TIMES]: the initial file system, which has another one and a kernel inside for kexec, so many times over. TINY_MODULE:
# a module for its command "module".
tiny_make() {
    local kernel=$1 tree=$work/tree i
    [[ $kernel == built-* ]] || lab/add-kernel --kernel "$kernel" || die "the lab has no kernel $kernel"
    mkdir -p "$tree/dev" "$tree/proc" "$tree/sys"
    cp "${build%/sanitize*}/tests/guest/tiny" "$tree/init"
    mknod "$tree/dev/console" c 5 1
    [ -z "${TINY_MODULE:-}" ] || cp "$TINY_MODULE" "$tree/module.ko"
    pack() { (cd "$tree" && find . | cpio --quiet -o -H newc >"$work/tiny-$kernel.cpio"); }
    pack
    for i in $(seq "${2:-1}"); do
        mv "$work/tiny-$kernel.cpio" "$tree/inner"
        [ "$i" -gt 1 ] || cp "$lab_dir/$kernel/vmlinuz" "$tree/vmlinuz"
        pack
    done
    rm -r "$tree"
}

# tiny_start NAME [QEMU ARGS...]: sets vm, dir and qemu_pid. TINY_KERNEL, TINY_MEMORY (MiB), TINY_APPEND (for the
# kernel), TINY_PRELOAD, TINY_TRAP (not empty: outguard's library is preloaded) and
# OUTGUARD_LAB_QEMU may say more.
tiny_start() {
    local kernel=${TINY_KERNEL:-6.1-cloud} accel=(-accel 'tcg,thread=multi' -cpu 'max,cx16=off') clock=tsc=reliable words environment=()
    vm=$1 dir=$work/vm-$1
    shift
    mkdir -p "$dir"
    rm -f "$dir"/*.sock "$dir/line" "$dir/to" "$dir/from"
    if lab/probe-kvm --kernel "$kernel" >/dev/null 2>&1; then accel=(-accel kvm -cpu host) clock=''; fi
    eval "words=($("$outguard" qemu-args --name "$vm" --memory "${TINY_MEMORY:-512}" --dir "$dir" 2>/dev/null))"
    [ -z "${TINY_PRELOAD:-}" ] || words=("${words[@]/outguard-vault,master=off/outguard-vault,master=on}")
    [ -z "${TINY_PRELOAD:-}" ] || environment=(LD_PRELOAD="$TINY_PRELOAD")
    [ -z "${TINY_TRAP:-}" ] || eval "environment=($("$outguard" qemu-args --trap --no-create --name "$vm" --dir "$dir"))"
    env "${environment[@]}" "${OUTGUARD_LAB_QEMU:-qemu-system-x86_64}" "${accel[@]}" -nodefaults -display none -no-user-config \
        "${words[@]}" -kernel "$lab_dir/$kernel/vmlinuz" -initrd "$work/tiny-$kernel.cpio" \
        -append "console=ttyS0 quiet loglevel=5 panic=-1 $clock ${TINY_APPEND:-}" -serial file:"$dir/serial.log" \
        -serial unix:"$dir/line",server=on,wait=on -qmp unix:"$dir/lab-qmp.sock",server=on,wait=off \
        "$@" </dev/null >"$dir/qemu.log" 2>&1 &
    qemu_pid=$!
    tiny_qemus+=("$qemu_pid")
    mkfifo "$dir/to" "$dir/from"
    wait_for 10 test -S "$dir/line" || die "QEMU did not start: $(cat "$dir/qemu.log")"
    socat UNIX-CONNECT:"$dir/line" - <>"$dir/to" >"$dir/from" &
    exec {line_to}<>"$dir/to" {line_from}<>"$dir/from"
    declare -g "line_to_${vm}=$line_to" "line_from_${vm}=$line_from"
}

# tiny_use NAME: vm, dir and the line of one that was started before.
tiny_use() {
    local to=line_to_$1 from=line_from_$1
    vm=$1 dir=$work/vm-$1 line_to=${!to} line_from=${!from}
}

# hear SECONDS: the guest's next line.
hear() { local said; read -r -t "$1" -u "$line_from" said && printf '%s\n' "$said"; }
tell() { printf '%s\n' "$*" >&"$line_to"; }
# ask COMMAND...: and its answer.
ask() { tell "$@"; hear 60; }
# says WHAT COMMAND...: does the guest answer that?
says() {
    local want=$1 said
    shift
    said=$(ask "$@")
    echo "$* - $said"
    [[ $said == $want ]]
}
# tiny_up SECONDS: it has booted by then.
tiny_up() { [ "$(hear "$1")" = up ] || { tail -n 5 "$dir/serial.log"; return 1; }; }

# qmp COMMAND [ARGUMENTS]: by the lab's monitor; prints the answer.
qmp() {
    { printf '{"execute":"qmp_capabilities"}{"execute":"%s","arguments":%s}\n' "$1" "${2:-{\}}"; sleep "${QMP_WAIT:-0.3}"; } |
        timeout 60 socat -t 30 - "UNIX-CONNECT:$dir/lab-qmp.sock" | grep -v '"QMP"\|"event"' | tail -n +2
}
hmp() { qmp human-monitor-command "{\"command-line\":\"$*\"}" | jq -r '.return // .error.desc'; }
