#!/usr/bin/env bash
# A machine of its own for the tests: systemd as pid 1 in namespaces, with a root that shares with the host only /usr, to
# be read, and the folder of the tests.
#
#   machine.sh start ROOT FOLDER   starts it in the empty folder ROOT; prints the name of its control group first
#   machine.sh remove ROOT GROUP   removes the control group of one that has ended
#
# Both want a mount namespace: unshare --mount bash machine.sh ...
set -eu
step=$1
root=$2

with_control_groups() {
  mount --make-rprivate /
  mount -t cgroup2 none "$root"
}

start() {
  local folder=$1 group=fleetmedic-test-$$
  # What systemd takes for the root of all control groups.
  with_control_groups
  mkdir "$root/$group"
  echo $$ > "$root/$group/cgroup.procs"
  umount "$root"
  echo "$group"
  exec unshare --cgroup --pid --ipc --uts --net --fork --kill-child bash "$0" boot "$root" "$folder"
}

boot() {
  local folder=$1 one
  mount -t tmpfs -o mode=755 fleetmedic-test "$root"
  cd "$root"
  mkdir -p usr etc/systemd/system var/log var/tmp tmp root proc sys run dev old "./$folder"
  for one in bin sbin lib lib32 lib64 libx32; do
    if [ -L "/$one" ]; then
      cp -P "/$one" "$one"
    elif [ -d "/$one" ]; then
      mkdir "$one"
      mount --bind "/$one" "$one"
    fi
  done
  mount --bind /usr usr
  mount -o remount,bind,ro usr
  mount --bind "$folder" "./$folder"
  mount --bind "$folder/units" etc/systemd/system
  mount -t proc proc proc
  mount -t sysfs -o ro sysfs sys
  mount -t tmpfs -o mode=755 groups sys/fs/cgroup
  mount -t cgroup2 groups sys/fs/cgroup
  # Where there is none, systemd mounts the devices of the host and leaves its traces there.
  mount -t tmpfs -o mode=755 devices dev
  for one in null zero full random urandom; do
    touch "dev/$one"
    mount --bind "/dev/$one" "dev/$one"
  done
  for one in fd stdin stdout stderr; do cp -P "/dev/$one" "dev/$one"; done
  chmod 1777 tmp var/tmp
  cp -a /etc/passwd /etc/group /etc/alternatives etc
  echo 0123456789abcdef0123456789abcdef > etc/machine-id
  pivot_root . old
  umount -l /old
  exec env -i container=fleetmedic-test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system --unit=test.target --show-status=no --log-target=null
}

remove() {
  with_control_groups
  until grep -q 'populated 0' "$root/$1/cgroup.events"; do sleep 0.05; done
  find "$root/$1" -depth -type d -exec rmdir {} \;
}

"$step" "$3"
