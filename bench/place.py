# SPDX-License-Identifier: GPL-2.0-or-later
"""Where operations are measured in a guest: a directory of the guest's own (outside), and one of a container (inside).

The disk below both is ext4 on a loop device over a file in tmpfs: no device works at its own pace, so that what fsync() costs is
instructions too. The container is an ordinary one, which crun makes from a bundle: name spaces, a cgroup, and a root on overlayfs
whose lower layer is Docker's own copy of the image lab/busybox.
"""

import json

PLACES = {
    "inside": "in the container, on overlayfs",
    "layers": "outside, on the file system that holds the container's layers and its volume",
    "outside": "outside, on another file system",
}
N_BOXES = 4 # one policy's paths are limited: 100,000 files are those of several containers
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def file_name(i):
    return "".join(DIGITS[i // 36 ** d % 36] for d in (3, 2, 1, 0))


def name_of(i):
    return f"box{i}" if i else "box"


def container_config(i):
    def bind(source, target, *options):
        return {"source": source, "destination": target, "type": "bind", "options": ["rbind", *options]}
    return {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0}, "args": ["/bench/ops", "hold"], "cwd": "/",
            "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin:/bench"],
            "capabilities": {k: ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_MKNOD"]
                             for k in ("bounding", "effective", "permitted")},
        },
        "root": {"path": "rootfs"}, "hostname": name_of(i),
        "mounts": [
            {"source": "proc", "destination": "/proc", "type": "proc"},
            {"source": "tmpfs", "destination": "/dev", "type": "tmpfs", "options": ["nosuid", "mode=755"]},
            bind("/run/bench", "/bench", "ro"), bind(f"/run/w{i}", "/w"), bind("/disk/vol", "/vol"),
        ],
        "linux": {"namespaces": [{"type": t} for t in ("pid", "mount", "uts", "ipc", "network", "cgroup")]},
    }


def make_disks(vm, disk_mib):
    vm.run("modprobe loop && modprobe overlay")
    for name, mib in (("disk", disk_mib), ("other", 64)):
        vm.run(f"truncate -s {mib}M /run/{name}.img && mke2fs -q -t ext4 -E lazy_itable_init=0,lazy_journal_init=0 "
               f"/run/{name}.img && mkdir -p /{name} && mount -o loop /run/{name}.img /{name}")
    vm.run("mkdir -p /other/data /disk/vol /disk/lower && "
           "cp -a $(dirname $(ls -d /var/lib/docker/overlay2/*/diff/bin/busybox | head -n 1))/../. /disk/lower && "
           "mkdir -p /disk/lower/bench /disk/lower/w /disk/lower/vol /disk/lower/data")


def make_bundle(vm, i):
    name = name_of(i)
    vm.run(f"mkdir -p /disk/{name}/rootfs /disk/{name}/upper /disk/{name}/work && mount -t overlay overlay -o "
           f"lowerdir=/disk/lower,upperdir=/disk/{name}/upper,workdir=/disk/{name}/work /disk/{name}/rootfs")
    vm.put(f"/disk/{name}/config.json", json.dumps(container_config(i)))


def prepare(vm, n_files=0, disk_mib=384):
    """The disks, the containers' bundles, the first container, and the files that are watched but never touched (/w there)."""
    make_disks(vm, disk_mib)
    n_boxes = N_BOXES if n_files else 1
    for i in range(n_boxes):
        vm.run(f"mkdir /run/w{i} && ops files /run/w{i} {n_files // n_boxes}")
        make_bundle(vm, i)
    start_container(vm)
    vm.run("crun exec box /bench/ops setup /data && ops setup /other/data && ops setup /disk/vol")


def start_container(vm, i=0):
    name = name_of(i)
    vm.run(f"crun run -d --bundle /disk/{name} {name} </dev/null >/run/{name}.log 2>&1 || {{ cat /run/{name}.log; exit 1; }}")


def stop_container(vm, i=0):
    vm.run(f"crun delete -f {name_of(i)}")


DIRECTORIES = {"inside": "/data", "layers": "/disk/vol", "outside": "/other/data"}
# As the container's policy names them.
WATCHED = {"inside": "/data", "layers": "/vol"}


def ops(vm, place, words, limit=1800):
    """`ops` in that place; DIR in the words is its directory."""
    command = f"/bench/ops {words}" if place == "inside" else f"/run/bench/ops {words}"
    return vm.run(("crun exec box " if place == "inside" else "") + command.replace("DIR", DIRECTORIES[place]), limit)
