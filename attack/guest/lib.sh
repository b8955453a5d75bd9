# SPDX-License-Identifier: GPL-2.0-or-later
# In the guest: the boxes (containers) that attacks start from and aim at, and what they are like. Sourced by one and stage.
# shellcheck shell=bash
here=/root/attack
facts=/run/attack
export PATH=$here/bin:$PATH

# What rules guard, in each box, as seen in the box; and in the upper layer's own directory, relative to it.
guarded=(/etc/passwd /etc /image/file /guarded /guarded/upper /guarded/secret /guarded/kept /guarded/named /guarded/tree
    /guarded/tree/a /guarded/tree/a/b /data /data/file)

# use BOX: sets box, id, pid, upper, merged, lower, volume, block (of /guarded/upper, on the disk).
use() {
    box=$1
    # shellcheck disable=SC1090
    . "$facts/$box"
    export box id pid upper merged lower volume block
}

# What the box's files are now, as an uninvolved process of the guest sees them: in the box's own mount name space, and in the layer below.
state_of() {
    local files=() f
    for f in "${guarded[@]}"; do files+=("/proc/$pid/root$f"); done
    tool state "${files[@]}" "$upper/guarded/upper" "$upper/guarded/secret" "$volume/file"
}

# changed: has anything that rules guard in the box become something else? Says what.
changed() {
    [ -d "/proc/$pid/root/etc" ] || { echo "the box is gone"; return 0; }
    ! diff <(cat "$facts/$box.state") <(state_of) >"$facts/diff" || return 1
    sed -n 's/^[<>] //p' "$facts/diff" | tail -n 1
}

options_of() {
    case $1 in
        plain | early) ;;
        marks) echo --hostname marks ;;
        caps | racer) echo --hostname shop-1 --cap-add ALL --security-opt apparmor=unconfined --security-opt seccomp=unconfined ;;
        privileged) echo --privileged --cgroupns host ;;
        hostpid) echo --privileged --pid host ;;
        hostmount) echo -v /:/host ;;
        socket) echo -v /var/run/docker.sock:/var/run/docker.sock -v /usr/bin/docker:/usr/bin/docker:ro ;;
    esac
}

# The box's first process takes one script after the other from /ctl: what runs is all in the box, and costs no `docker exec`.
agent='exec 9<>/ctl/in; while :; do read line <&9 || continue; sh /ctl/script >/ctl/said 2>&1 </dev/null 9<&-; echo $? >/ctl/out; done'

# in_box SECONDS SCRIPT: runs it, with the facts as variables; its status, its words in /ctl/said.
in_box() {
    local ctl=/srv/ctl/$box status name
    {
        echo 'PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin:/attack; cd /'
        for name in box id pid upper merged lower volume block; do echo "$name='${!name}'"; done
        echo "rounds=$(cat $here/rounds)"
        echo "$2"
    } >"$ctl/script"
    : >"$ctl/said"
    exec 8<>"$ctl/out"
    timeout 10 sh -c "echo $1 >$ctl/in" || { echo "the box does not answer" >"$ctl/said"; return 125; }
    read -r -t "$1" status <&8 || { status=124; echo "not done in $1 s" >>"$ctl/said"; }
    exec 8<&-
    return "$status"
}

make_files() {
    local dir=$1
    mkdir -p "$dir/guarded/tree/a" "$dir/marks" "$dir/spool"
    for f in upper kept named tree/a/b; do echo "as it was made" >"$dir/guarded/$f"; done
    echo "the secret of $box" >"$dir/guarded/secret"
}

# make_box BOX: a new one, in place of an older one if there is one. Its files are there before it starts.
make_box() {
    local command=(sh -c "$agent") image=lab/busybox
    box=$1
    [ "$box" != socket ] || image=lab/debian
    docker rm -f "$box" >/dev/null 2>&1
    volume=$(mktemp -d "/srv/$box.XXXXXX")
    echo "as it was made" >"$volume/file"
    rm -rf "/srv/ctl/$box"
    mkdir -p "/srv/ctl/$box"
    mkfifo "/srv/ctl/$box/in" "/srv/ctl/$box/out"
    # A rule that comes later does not close what is open.
    [ "$box" != early ] || command=(sh -c "exec 7>>/guarded/upper; $agent")
    # shellcheck disable=SC2046
    docker create --name "$box" --network none -v "$volume:/data" -v $here/bin:/attack:ro -v "/srv/ctl/$box:/ctl" $(options_of "$box") \
        $image "${command[@]}" >/dev/null || return
    make_files "$(docker inspect -f '{{.GraphDriver.Data.UpperDir}}' "$box")"
    docker start "$box" >/dev/null || return
    write_facts
}

write_facts() {
    local data=.GraphDriver.Data
    docker inspect -f "id={{.Id}} pid={{.State.Pid}} upper={{${data}.UpperDir}} merged={{${data}.MergedDir}} lower={{${data}.LowerDir}}" \
        "$box" | tr ' ' '\n' | sed 's/^lower=[^:]*:/lower=/' >"$facts/$box"
    echo "volume=$volume" >>"$facts/$box"
    take_state
}

take_state() {
    use "$box"
    sync "$upper/guarded/upper"
    sed -i '/^block=/d' "$facts/$box"
    echo "block=$(tool block-of "$upper/guarded/upper")" >>"$facts/$box"
    use "$box"
    state_of >"$facts/$box.state"
}

# The image's file, which all boxes share, is the same again: by its other name it has not gone.
repair_image() {
    local kept=$lower/image.kept file=$lower/image/file
    [ "$(cat "$kept")" = "as it was made" ] || { echo "as it was made" >"$kept"; touch -d 2020-01-01 "$kept"; }
    [ "$kept" -ef "$file" ] || ln -f "$kept" "$file"
    echo 2 >/proc/sys/vm/drop_caches
}

# repair: while nothing is guarded, the box's files are made again in place, if that will do; else the box.
repair() {
    local inside=/proc/$pid/root
    if grep -qE ' /(etc/passwd|etc|guarded[^ ]*|data/file) ' "/proc/$pid/mountinfo"; then
        nsenter -t "$pid" -m -- umount -l /etc/passwd /etc /guarded/upper /guarded/tree /guarded /data/file 2>/dev/null
    fi
    rm -rf "$inside/guarded" "$upper/guarded"* "$volume"/*
    make_files "$inside"
    echo "as it was made" >"$volume/file"
    cp "$facts/passwd" "$inside/etc/passwd.new" && mv "$inside/etc/passwd.new" "$inside/etc/passwd"
    take_state
    if [ "$(stat -c %d "$inside/")" = "$(stat -c %d "$inside/guarded/upper")" ] && [ -e "$upper/guarded/upper" ] &&
        [ "$(stat -c %i "$volume")" = "$(stat -c %i "$inside/data")" ] && in_box 20 true; then return; fi
    make_box "$box"
}
