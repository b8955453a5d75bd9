# Shared by the lab's scripts; sourced, never run. Public interface and layout: lab/README.md
# shellcheck shell=bash

export LC_ALL=C # the outputs that are parsed here, and the order in which inputs are hashed, are the same everywhere

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
lab=$root/lab
work=${OUTGUARD_LAB_DIR:-$root/build/lab}
outguard=${OUTGUARD:-$root/build/outguard}
qemu=${OUTGUARD_LAB_QEMU:-qemu-system-x86_64}
me=lab/$(basename "$0")

# Status of a run that the lab, not the command, made fail; and of one that met its time limit.
# shellcheck disable=SC2034 # by lab/run
readonly lab_failed=125 time_is_up=124

say() { [ -n "${OUTGUARD_LAB_QUIET:-}" ] || printf 'lab: %s\n' "$*" >&2; }
die() { printf '%s: %s\n' "$me" "$*" >&2; exit "$lab_failed"; }
seconds_since() { printf '%d.%d s' $((($(date +%s%N) - $1) / 1000000000)) $((($(date +%s%N) - $1) / 100000000 % 10)); }
now() { date +%s%N; }

# usage: show_usage (the caller's leading comment, from line 2 to the first line that is not one)
show_usage() { sed -n '2,/^[^#]/{s/^# \{0,1\}//p}' "$0"; }

# --- host packages ------------------------------------------------------------------------------------------------------------

# need PROGRAM=PACKAGE...: installs, from Debian, the packages whose programs are missing.
need() {
    local pair missing=()
    for pair; do
        command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    [ "$(id -u)" = 0 ] || die "these Debian packages are missing; install them as root: apt-get install ${missing[*]}"
    say "installing on this host: ${missing[*]}"
    if ! install_packages "${missing[@]}"; then
        die "apt-get could not install ${missing[*]} (see above); install them by hand and start again"
    fi
}

install_packages() {
    local log
    log=$(mktemp)
    { DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install "$@" ||
        { apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends install "$@"; }
    } >"$log" 2>&1 </dev/null || { tail -n 20 "$log" >&2; rm -f "$log"; return 1; }
    rm -f "$log"
}

need_to_boot() { need qemu-system-x86_64=qemu-system-x86 ssh=openssh-client socat=socat setsid=util-linux; }

# --- the options that say what VM to start ------------------------------------------------------------------------------------

vm_kernel=6.1-cloud
vm_accel=${OUTGUARD_LAB_ACCEL:-auto}
boot_limit=${OUTGUARD_LAB_BOOT_LIMIT:-120}
vm_memory=1024
vm_cpus=${OUTGUARD_LAB_CPUS:-2}
vm_docker=
vm_devices=yes
vm_reboot=
vm_trap=
vm_extra=()
vm_cpu=            # else as the accelerator needs it
vm_append=
vm_image=          # lab/build: boot the image in this directory, and write to it
vm_dies_with_us=   # lab/run: QEMU is killed when this process dies, whatever the way

# parse_vm_option "$@": takes one such option; parsed = how many words it was, 0 if it is not one of them.
# shellcheck disable=SC2034 # parsed: by the callers
parse_vm_option() {
    local extra
    parsed=2
    case $1 in
        --docker) vm_docker=yes parsed=1 ;;
        --no-devices) vm_devices='' parsed=1 ;;
        --reboot) vm_reboot=yes parsed=1 ;;
        --trap) vm_trap=yes parsed=1 ;;
        --kernel) vm_kernel=$(value_of "$@") ;;
        --accel) vm_accel=$(value_of "$@") ;;
        --memory) vm_memory=$(value_of "$@") ;;
        --cpus) vm_cpus=$(value_of "$@") ;;
        --cpu) vm_cpu=$(value_of "$@") ;;
        --append) vm_append=$(value_of "$@") ;;
        --extra) extra=$(value_of "$@"); eval "vm_extra+=($extra)" ;;
        *) parsed=0 ;;
    esac
}

value_of() { [ $# -ge 2 ] || die "$1 needs a value (lab/README.md)"; printf '%s' "$2"; }

check_vm_options() {
    kernel_package "$vm_kernel" >/dev/null
    [[ $vm_memory =~ ^[1-9][0-9]*$ ]] || die "--memory takes a number of MiB, not '$vm_memory'"
    [[ $vm_cpus =~ ^[1-9][0-9]*$ ]] || die "--cpus takes a number, not '$vm_cpus'"
    case $vm_accel in auto | tcg | kvm) ;; *) die "--accel takes auto, tcg or kvm, not '$vm_accel'" ;; esac
}

# kernel_package NAME: the stock Debian package that is this kernel. One line per kernel: everything else follows.
kernel_package() {
    case $1 in
        6.1-cloud) echo linux-image-cloud-amd64 ;;
        6.1-generic) echo linux-image-amd64 ;;
        6.1-rt) echo linux-image-rt-amd64 ;;
        6.12-cloud) echo linux-image-cloud-amd64/bookworm-backports ;;
        6.12-generic) echo linux-image-amd64/bookworm-backports ;;
        6.12-rt) echo linux-image-rt-amd64/bookworm-backports ;;
        built-?*) echo none ;;
        *) die "no kernel '$1' here; there are: 6.1-cloud, 6.1-generic, 6.1-rt, 6.12-cloud, 6.12-generic, 6.12-rt, and built-NAME (lab/build-kernel)" ;;
    esac
}

# kernel_kind NAME: disk (6.1-cloud: lab/build makes it, with the disk), added (lab/add-kernel, for that disk) or built
# (lab/build-kernel; boots from its initramfs, without a disk).
kernel_kind() {
    case $1 in
        6.1-cloud) echo disk ;;
        built-*) echo built ;;
        *) echo added ;;
    esac
}

# Where there are vmlinuz and, for some, initrd and modules.raw ...
image_dir() { printf '%s' "${vm_image:-$work/$vm_kernel}"; }
# ... and where there is base.raw, the root disk.
disk_dir() { if [ "$(kernel_kind "$vm_kernel")" = added ]; then printf '%s' "$work/6.1-cloud"; else image_dir; fi; }

is_added_kernel() { [ "$(kernel_kind "$1")" = added ]; }

# build_images: all that $vm_kernel needs to boot; nothing is done if it is there.
build_images() {
    case $(kernel_kind "$vm_kernel") in
        disk) "$lab/build" ;;
        added) "$lab/build" && "$lab/add-kernel" --kernel "$vm_kernel" ;;
        built) [ -e "$(image_dir)/vmlinuz" ] || die "no kernel '$vm_kernel': build it with: lab/build-kernel ${vm_kernel#built-}" ;;
    esac
}

# --- VMs and their directories ------------------------------------------------------------------------------------------------
# A VM named NAME has one directory, on tmpfs, that $work/vm/NAME links to. In it:
#   vault qmp.sock            outguard's          lab-qmp.sock ssh.sock ssh_port   the lab's way in
#   serial.log qemu.log       what was said       pid owner                        QEMU's, and who started it
#   docker reboot             there if the VM was started with --docker, --reboot

vm_link() { printf '%s/vm/%s' "$work" "$1"; }

# vm_dir NAME: the directory of a VM that was started.
vm_dir() {
    [ -e "$(vm_link "$1")/owner" ] || die "no VM is named '$1'; start it with: lab/start $1"
    readlink "$(vm_link "$1")"
}

vm_alive() { local pid; pid=$(cat "$1/pid" 2>/dev/null) && grep -qsF "$1" "/proc/$pid/cmdline"; }

make_vm_dir() {
    local name=$1 base=/dev/shm dir
    [[ $name =~ ^[A-Za-z0-9][A-Za-z0-9_.-]{0,40}$ ]] || die "a VM's name is letters, digits, '-', '_' and '.', not '$name'"
    mkdir -p "$work/vm"
    sweep_dead_vms
    [ -w $base ] || base=${TMPDIR:-/tmp}
    dir=$(mktemp -d "$base/outguard-lab-$name.XXXXXX")
    echo $$ >"$dir/owner"
    if ! ln -s "$dir" "$(vm_link "$name")" 2>/dev/null; then
        rm -rf "$dir"
        die "a VM named '$name' is there already; stop it with: lab/stop $name"
    fi
    printf '%s\n' "$dir"
}

# Forgets VMs whose QEMU and starter are both gone (a host reboot, kill -9).
sweep_dead_vms() {
    local link dir owner
    for link in "$work"/vm/*; do
        [ -L "$link" ] || continue
        dir=$(readlink "$link")
        owner=$(cat "$dir/owner" 2>/dev/null || echo gone)
        vm_alive "$dir" || [ -d "/proc/$owner" ] || forget_vm "${link##*/}" "$dir"
    done
}

forget_vm() {
    case $2 in */outguard-lab-*) rm -rf "$2" ;; esac
    rm -f "$(vm_link "$1")"
}

# --- starting -----------------------------------------------------------------------------------------------------------------

# start_vm NAME: starts QEMU as the vm_ options say; returns once its QMP sockets are there. Sets dir.
start_vm() {
    local name=$1 started
    dir=$(make_vm_dir "$name")
    started=$(now)
    launch_qemu "$name"
    until [ -S "$dir/lab-qmp.sock" ] && find_ssh_port >"$dir/ssh_port.new"; do
        kill -0 "$(cat "$dir/pid")" 2>/dev/null || qemu_failed "$name"
        [ $(($(now) - started)) -lt 20000000000 ] || qemu_failed "$name"
        sleep 0.05
    done
    mv "$dir/ssh_port.new" "$dir/ssh_port"
    [ -z "$vm_docker" ] || : >"$dir/docker"
    [ -z "$vm_reboot" ] || : >"$dir/reboot"
}

qemu_failed() {
    cat "$dir/qemu.log" >&2
    stop_vm "$1" "$dir"
    die "QEMU did not start (its own words are above)"
}

launch_qemu() {
    local name=$1 devices machine=() disks=() cmdline prefix=(setsid)
    mkdir -p "$work/tmp"
    devices=$(guard_devices "$name")
    [ -z "${OUTGUARD_LAB_RAM:-}" ] || devices=${devices/id=outguard-ram,/id=outguard-ram,$OUTGUARD_LAB_RAM,}
    eval "machine=($devices)"
    cmdline="console=ttyS0 root=/dev/nvme0n1 rootfstype=ext4 rw quiet loglevel=5 panic=-1 systemd.show_status=false $accel_cmdline $vm_append ${OUTGUARD_LAB_APPEND:-}"
    [ -z "$vm_docker" ] || cmdline+=" systemd.wants=docker.service"
    # Writes go to a file that is in no directory, and so is gone with QEMU.
    if [ -e "$(disk_dir)/base.raw" ]; then
        disks=("if=none,id=disk,format=raw,cache=unsafe,discard=unmap,file=$(disk_dir)/base.raw")
        [ -n "$vm_image" ] || disks[0]+=",snapshot=on"
        disks=(-drive "${disks[0]}" -device "nvme,serial=root,drive=disk")
    fi
    if [ -e "$(image_dir)/initrd" ]; then disks+=(-initrd "$(image_dir)/initrd"); fi
    if [ -e "$(image_dir)/modules.raw" ]; then
        disks+=(-drive "if=none,id=modules,format=raw,readonly=on,file=$(image_dir)/modules.raw" -device "nvme,serial=modules,drive=modules")
    fi
    [ -n "$vm_reboot" ] || machine+=(-no-reboot)
    [ -z "$vm_dies_with_us" ] || prefix+=(setpriv --pdeathsig KILL)

    [ -z "$vm_trap" ] || prefix+=(env) # what is preloaded is for QEMU, not for setsid
    eval "prefix+=($([ -z "$vm_trap" ] || trap_environment "$name"))"

    TMPDIR=$work/tmp "${prefix[@]}" "$qemu" "${accel_args[@]}" -smp "$vm_cpus" \
        -nodefaults -display none -no-user-config "${machine[@]}" \
        -kernel "$(image_dir)/vmlinuz" -append "$cmdline" \
        "${disks[@]}" \
        -netdev user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:0-:22 -device virtio-net-pci,netdev=net,romfile= \
        -device virtio-rng-pci -serial file:"$dir/serial.log" -qmp unix:"$dir/lab-qmp.sock",server=on,wait=off \
        "${vm_extra[@]}" </dev/null >"$dir/qemu.log" 2>&1 &
    echo $! >"$dir/pid"
}

# What outguard needs of QEMU, as one line of shell words: its own answer, once it is built.
guard_devices() {
    if [ -z "$vm_devices" ]; then
        printf -- '-machine q35 -m %s -qmp unix:%s/qmp.sock,server=on,wait=off\n' "$vm_memory" "$dir"
    elif [ -x "$outguard" ]; then
        "$outguard" qemu-args --name "$1" --memory "$vm_memory" --dir "$dir" 2>"$dir/qemu-args.log" ||
            { cat "$dir/qemu-args.log" >&2; die "'$outguard qemu-args' failed (see above)"; }
    else
        truncate -s 16M "$dir/vault"
        printf -- '-machine q35,memory-backend=outguard-ram -m %s ' "$vm_memory"
        printf -- '-object memory-backend-memfd,id=outguard-ram,size=%sM,share=on ' "$vm_memory"
        printf -- '-object memory-backend-file,id=outguard-vault,size=16M,mem-path=%s/vault,share=on,readonly=on ' "$dir"
        printf -- '-device ivshmem-plain,memdev=outguard-vault,master=off '
        printf -- '-object memory-backend-memfd,id=outguard-mailbox,size=4M,share=on '
        printf -- '-device ivshmem-plain,memdev=outguard-mailbox,master=on '
        printf -- '-qmp unix:%s/qmp.sock,server=on,wait=off\n' "$dir"
    fi
}

# What outguard's trap needs in QEMU's environment, as one line of shell words.
trap_environment() {
    "$outguard" qemu-args --trap --no-create --name "$1" --dir "$dir" || die "'$outguard qemu-args --trap' failed (see above)"
}

# choose_accel: settles auto, sets accel_args, accel_cmdline and accel_name.
# Under TCG:
#   cx16=off      QEMU 7.2 leaves garbage in the flags after a cmpxchg16b without lock, which kernels use per CPU: of 100 boots of
#                 6.12 on a busy host 27 ended in a double fault or an oops, of 100 without the instruction 1.
#   tsc=reliable  else a guest with two CPUs reads the time from the HPET, a device: an eighth more CPU until Docker is ready.
# shellcheck disable=SC2034 # accel_name: by the callers
choose_accel() {
    local why='' probed=$vm_kernel
    if [ "$vm_accel" = auto ]; then
        [ "$(kernel_kind "$vm_kernel")" = disk ] || probed=6.1-cloud
        if why=$("$lab/probe-kvm" --kernel "$probed"); then vm_accel=kvm; else vm_accel=tcg; fi
        why=" ($why)"
    fi
    case $vm_accel in
        kvm) accel_args=(-accel kvm -cpu host) accel_cmdline='' accel_name="KVM$why" ;;
        tcg) accel_args=(-accel 'tcg,thread=multi' -cpu 'max,cx16=off') accel_cmdline=tsc=reliable accel_name="TCG$why" ;;
    esac
    [ -z "$vm_cpu" ] || accel_args[3]=$vm_cpu
}

# QEMU picked a free port on 127.0.0.1 itself (port 0); ask it which.
find_ssh_port() {
    printf '%s\n' '{"execute":"qmp_capabilities"}' \
        '{"execute":"human-monitor-command","arguments":{"command-line":"info usernet"}}' |
        socat -t 0.2 - UNIX-CONNECT:"$dir/lab-qmp.sock" 2>/dev/null | sed -n 's/.*HOST_FORWARD\] *[0-9]* *127\.0\.0\.1 *\([0-9]*\).*/\1/p' | grep .
}

# --- waiting, talking, stopping -----------------------------------------------------------------------------------------------

# ssh_args DIR: sets ssh_to_guest. No file of the user's is read; the host key is the one lab/build put in the image.
# The probes every 5 s are to notice a reset guest; a paused one has 5 minutes to go on.
ssh_args() {
    local port
    port=$(cat "$1/ssh_port")
    ssh_to_guest=(ssh -F none -p "$port" -i "$work/ssh/key" -o IdentitiesOnly=yes -o BatchMode=yes -o LogLevel=ERROR
        -o UserKnownHostsFile="$work/ssh/known_hosts" -o GlobalKnownHostsFile=none -o HostKeyAlias=outguard-lab
        -o StrictHostKeyChecking=yes -o ControlPath="$1/ssh.sock" -o ForwardAgent=no -o ForwardX11=no
        -o ServerAliveInterval=5 -o ServerAliveCountMax=60 root@127.0.0.1)
}

# wait_for_guest DIR SECONDS: until ssh answers, and Docker too if the VM was started with it.
wait_for_guest() {
    local dir=$1 deadline port patience=500 started
    started=$(now)
    deadline=$((started + $2 * 1000000000))
    port=$(cat "$dir/ssh_port")
    until banner_within "$patience" "$port"; do
        vm_alive "$dir" || guest_stopped "$dir"
        [ "$(now)" -lt $deadline ] || { show_serial "$dir"; die "no ssh after $2 s; the VM's console is above"; }
        [ $patience -ge 4000 ] || patience=$((patience + 100))
        sleep 0.1
    done
    ssh_args "$dir"
    # A guest that rebooted leaves a connection that is dead and does not know it.
    if [ -S "$dir/ssh.sock" ] && ! timeout 5 "${ssh_to_guest[@]}" true </dev/null >/dev/null 2>&1; then
        "${ssh_to_guest[@]}" -O exit 2>/dev/null || true
    fi
    "${ssh_to_guest[@]}" -O check 2>/dev/null ||
        "${ssh_to_guest[@]}" -o ControlMaster=yes -o ConnectTimeout=60 -fN </dev/null >/dev/null 2>"$dir/ssh.log" ||
        { cat "$dir/ssh.log" >&2; die "ssh to the guest failed; if build/lab came from elsewhere: rm -r $work and start again"; }
    [ -e "$dir/reboot" ] || ! kernel_is_broken "$dir" || { show_serial "$dir"; die "the guest's kernel broke while it booted; its console is above"; }
    say "guest up in $(seconds_since "$started")"
    if [ -e "$dir/docker" ]; then
        "${ssh_to_guest[@]}" systemctl start docker </dev/null ||
            { "${ssh_to_guest[@]}" journalctl -u docker -n 20 --no-pager >&2; die "Docker does not start in the guest; its log is above"; }
        say "Docker ready in $(seconds_since "$started")"
    fi
}

# boot_vm NAME SECONDS: starts a VM and waits for the guest. A boot that fails is tried once more, and that is said:
# QEMU 7.2's TCG now and then runs code that another CPU has just patched (seen: 1 boot of 100, an int3 of the kernel's own).
boot_vm() {
    start_vm "$1"
    ! in_job wait_for_guest "$dir" "$2" || return 0
    echo "lab: the guest did not boot (above); once more" >&2
    stop_vm "$1" "$dir"
    start_vm "$1"
    in_job wait_for_guest "$dir" "$2"
}

# in_job COMMAND...: as COMMAND alone, but a signal to this script is acted on at once, not when COMMAND ends.
in_job() {
    local status=0
    "$@" <&0 &
    job=$!
    wait "$job" || status=$?
    job=
    return $status
}
job=

# banner_within MILLISECONDS PORT. QEMU accepts at once and holds the connection while the guest is not up: hence the time-out.
banner_within() {
    timeout "$(printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)))" \
        bash -c 'exec 3<>/dev/tcp/127.0.0.1/$0 && read -r -u 3 line && [[ $line == SSH-* ]]' "$2" 2>/dev/null
}

readonly broken='Oops: \|Kernel panic\|BUG: unable to\|BUG: kernel NULL\|general protection fault'
readonly trouble="$broken\\|BUG: \\|WARNING: \\|detected stalls"

guest_stopped() { show_serial "$1"; cat "$1/qemu.log" >&2; die "the VM stopped; its console is above"; }

# From the first words of a kernel in trouble on, if it was; else the end.
show_serial() {
    if kernel_in_trouble "$1"; then
        sed -n "/$trouble/,\$p" "$1/serial.log" | head -n 80
    else
        tail -n 25 "$1/serial.log"
    fi 2>/dev/null | tr -cd '\n\t -~' >&2
}
kernel_is_broken() { grep -qs "$broken" "$1/serial.log"; }
kernel_in_trouble() { grep -qs "$trouble" "$1/serial.log"; }

# quoted WORD...: the words as one line for the guest's shell.
quoted() { printf '%q ' "$@"; }

# guest_run DIR COMMAND [ARG...]: the command's own stdin, stdout, stderr and status.
# "exit $?" keeps the shell, so that death by a signal is told as 128+n.
guest_run() {
    local dir=$1 status=0
    shift
    ssh_args "$dir"
    "${ssh_to_guest[@]}" "${ssh_tty[@]}" -- "$(quoted "$@"); exit \$?" || status=$?
    [ $status = 255 ] || return $status
    # ssh says 255 for its own failures too.
    vm_alive "$dir" || guest_stopped "$dir"
    "${ssh_to_guest[@]}" -O check 2>/dev/null || { show_serial "$dir"; die "the connection to the guest broke; its console is above"; }
    return 255
}
ssh_tty=()

# stop_vm NAME DIR: kills QEMU, removes every trace.
stop_vm() {
    local pid tries=0
    if vm_alive "$2"; then
        pid=$(cat "$2/pid")
        kill "$pid" 2>/dev/null || true
        while vm_alive "$2"; do
            tries=$((tries + 1))
            [ $tries -ne 60 ] || kill -KILL "$pid" 2>/dev/null || true
            [ $tries -lt 200 ] || break
            sleep 0.05
        done
    fi
    forget_vm "$1" "$2"
}
