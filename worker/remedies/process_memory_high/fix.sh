#!/usr/bin/env bash
# fleetmedic: values
# Ends one process that holds too much memory.
#
#   bash fix.sh plan            shows what would be done, and changes nothing
#   bash fix.sh apply [--force] does it; --force kills what does not end when asked
#   bash fix.sh verify          measures whether it helped
#
# Exit codes: 0 done or nothing to do, 1 failed, 2 bad usage, 3 refused. The last line printed is a JSON object.

remedy=process_memory_high
may_force=yes
limit_percent=25

pid=${FM_PID:-}
start_time=${FM_START_TIME:-}
start_time=${start_time%%.*}
memory_bytes=${FM_MEMORY_BYTES:-}
memory_bytes=${memory_bytes%%.*}
grace=${FM_GRACE_SECONDS:-10}

# ---- What every remedy has: text, the result, the log, its modes ------------------------------------------------

set -u
export LC_ALL=C
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

mode=${1:-}
system=$(uname -s)
before=''
after=''
changed=''

# Print text as one line of printable ASCII, any other byte as \xHH: names of processes and files are anybody's.
shown() {
  local text=${1:0:200} out='' char i
  case $text in
    *[!\ -~]*) ;;
    *)
      printf '%s' "$text"
      return
      ;;
  esac
  for ((i = 0; i < ${#text}; i++)); do
    char=${text:i:1}
    case $char in
      [\ -~]) out="$out$char" ;;
      *)
        printf -v char '%d' "'$char"
        printf -v char '\\x%02x' $((char & 255))
        out="$out$char"
        ;;
    esac
  done
  printf '%s' "$out"
}

# Print text as a JSON string.
json() {
  local text
  text=$(shown "$1")
  text=${text//\\/\\\\}
  printf '"%s"' "${text//\"/\\\"}"
}

# Add a member or an element, JSON already, to before, after or changed.
note() {
  case $1 in
    before) before="$before${before:+,}$2" ;;
    after) after="$after${after:+,}$2" ;;
    *) changed="$changed${changed:+,}$2" ;;
  esac
}

# End with a code, an outcome and a message; the last line of the output is the result as JSON.
finish() {
  trap '' HUP INT TERM
  trap - EXIT
  printf '%s\n' "$(shown "$3")"
  printf '{"remedy":"%s","mode":%s,"outcome":"%s","exit_code":%d,"message":%s,"before":{%s},"after":{%s},"changed":[%s]}\n' \
    "$remedy" "$(json "$mode")" "$2" "$1" "$(json "$3")" "$before" "$after" "$changed"
  exit "$1"
}

# shellcheck disable=SC2329 # The traps call it.
interrupted() { finish 1 failed 'interrupted: what was done until then is logged; verify measures how it stands now'; }

trap 'interrupted' HUP INT TERM
trap 'finish 1 failed "it ended before it was done: this is a fault of the script"' EXIT

# Write what is done to the system's log, with what it answers.
# shellcheck disable=SC2329 # A remedy that only looks has nothing to log.
log_action() {
  local answers="${FM_REMEDY-$remedy}${FM_VERSION:+ $FM_VERSION}${FM_EVENT:+ for event $FM_EVENT}${FM_HOST:+ on $FM_HOST}"
  printf '%s\n' "$(shown "$1")"
  if is_linux && [ ! -S /dev/log ] || ! logger -t fleetmedic -- "$(shown "$answers"): $(shown "$1")" 2> /dev/null; then
    printf '  there is no system log to write that to\n'
  fi
}

# End with 2 unless a value is a whole number within bounds.
# shellcheck disable=SC2329 # Not every remedy has a number among its parameters.
need_integer() {
  case $2 in
    '' | *[!0-9]* | 0?*) finish 2 usage "$1 must be a whole number from $3 to $4" ;;
  esac
  if [ "${#2}" -gt 18 ] || [ "$2" -lt "$3" ] || [ "$2" -gt "$4" ]; then
    finish 2 usage "$1 must be a whole number from $3 to $4"
  fi
}

is_linux() { [ "$system" = Linux ]; }

# Print what a plan says, and succeed when there is something to do.
has_a_plan() {
  local line last=''
  while IFS= read -r line; do
    printf '%s\n' "$line"
    last=$line
  done
  case $last in *',"outcome":"planned",'*) ;; *) return 1 ;; esac
}

case $may_force in
  yes) usage='plan | apply [--force] | verify' ;;
  *) usage='plan | apply | verify' ;;
esac
if [ $# -gt 1 ] && [ "$mode ${*:2} $may_force" != 'apply --force yes' ]; then
  finish 2 usage "usage: bash $(shown "${0##*/}") $usage"
fi
case $mode in
  plan | apply | verify) ;;
  '')
    if [ ! -t 0 ] || [ ! -t 1 ]; then
      finish 2 usage "without a terminal say what to do: bash $(shown "${0##*/}") $usage"
    fi
    # Each step says by itself how it ended, also when it is interrupted, but not when it is killed.
    trap : INT
    trap '[ $? -le 3 ] || interrupted' EXIT
    "$BASH" -- "$0" plan | has_a_plan
    ended="${PIPESTATUS[*]}"
    [ "$ended" = '0 0' ] || exit "${ended% *}"
    trap 'interrupted' INT
    printf 'Do this? [y/N] '
    read -r answer
    case $answer in
      y | Y | yes) ;;
      *) finish 0 nothing 'nothing was changed: the answer was no' ;;
    esac
    trap : INT
    "$BASH" -- "$0" apply && "$BASH" -- "$0" verify
    exit $?
    ;;
  *) finish 2 usage "usage: bash $(shown "${0##*/}") $usage" ;;
esac

# ---- What every remedy has that ends processes ------------------------------------------------------------------

force=no
[ $# -lt 2 ] || force=yes
birth=''
state=''
ticks_per_second=$(getconf CLK_TCK 2> /dev/null || echo 100)

for tool in awk grep sort xargs; do
  command -v "$tool" > /dev/null || finish 1 failed "$tool is needed, and is not to be found in $PATH"
done
if is_linux && [ ! -r /proc/stat ]; then
  finish 1 failed '/proc is needed to look at processes, and is not mounted here'
fi

# Set fields to those of a process behind its name in /proc/PID/stat: state first, then parent, and so on. Fails when it
# is gone. The name may hold anything, brackets and line breaks too; what is behind it are numbers and one letter.
read_stat() {
  local line=''
  { IFS= read -r -d '' line < "/proc/$1/stat"; } 2> /dev/null
  line=${line##*) }
  # shellcheck disable=SC2206 # It is to be split.
  fields=($line)
  [ "${#fields[@]}" -gt 20 ]
}

process_name() {
  if is_linux; then
    cat "/proc/$1/comm" 2> /dev/null
  else
    ps -o comm= -p "$1" 2> /dev/null
  fi
}

process_command() {
  if is_linux; then
    head -c 4096 "/proc/$1/cmdline" 2> /dev/null | tr '\0\n' '  '
  else
    ps -o args= -p "$1" 2> /dev/null
  fi
}

process_parent() {
  if is_linux; then
    read_stat "$1" && printf '%s\n' "${fields[1]}"
  else
    ps -o ppid= -p "$1" 2> /dev/null | tr -d ' '
  fi
}

# Set birth to what no other process of this pid has: when it started, in ticks since boot on Linux, in Unix seconds
# elsewhere; and state to its state. Fails when it is gone or a zombie.
read_birth() {
  if is_linux; then
    read_stat "$1" || return 1
    state=${fields[0]}
    birth=${fields[19]}
  else
    state=$(ps -o state= -p "$1" 2> /dev/null) || return 1
    birth=$(date -j -f '%a %b %d %T %Y' "$(ps -o lstart= -p "$1" | tr -s ' ')" +%s 2> /dev/null) || return 1
  fi
  case $state in
    # The first thread of a process may end before the others do.
    Z* | X*) is_linux && [ "${fields[17]}" -gt 1 ] ;;
    *) ;;
  esac
}

# Say whether a process still is the one of that birth. On Linux this starts no other one, so a signal right after it
# meets the same: a pid is given again only when all others were.
is_same() { read_birth "$1" && [ "$birth" = "$2" ]; }

# Print when a process of that birth started, in whole Unix seconds.
started_at() {
  if is_linux; then
    awk -v ticks="$1" -v hz="$ticks_per_second" '$1 == "btime" { printf "%.0f\n", $2 + int(ticks / hz) }' /proc/stat
  else
    printf '%s\n' "$1"
  fi
}

# Print why a process must be left alone; nothing when it may be touched.
protection() {
  local pid=$1 ancestor=$$ name
  if [ "$pid" -le 2 ]; then
    printf 'it is the system itself'
    return
  fi
  while [ -n "$ancestor" ] && [ "$ancestor" -gt 1 ]; do
    if [ "$ancestor" = "$pid" ]; then
      printf 'this script runs under it'
      return
    fi
    ancestor=$(process_parent "$ancestor")
  done
  # The kernel marks its own threads with 0x200000.
  if is_linux && read_stat "$pid" && [ $((fields[6] & 0x200000)) -ne 0 ]; then
    printf 'it is part of the kernel'
    return
  fi
  # A process may call itself anything, so the program that it runs counts as well.
  for name in "$(process_name "$pid")" "$(readlink "/proc/$pid/exe" 2> /dev/null)"; do
    # One that was updated since it started is deleted by now.
    name=${name% (deleted)}
    case ${name##*/} in
      systemd | systemd-* | init | upstart | runit | runsv | runsvdir | s6-* | launchd | supervisord | openrc* | dinit | \
        dbus-daemon | dbus-broker* | udevd)
        printf 'it is part of the init system'
        return
        ;;
      sshd | sshd-* | dropbear | login | getty | agetty)
        printf 'it lets people in'
        return
        ;;
      postgres | postmaster | mysqld | mariadbd | mongod | mongos | redis-server | redis-sentinel | valkey-server | \
        keydb-server | oracle* | ora_* | sqlservr | db2sysc | clickhouse* | influxd | cassandra | scylla | cockroach | \
        etcd | memcached | slapd)
        printf 'it is a database'
        return
        ;;
      dockerd | containerd | containerd-shim* | podman | conmon | runc | crun | crio | cri-o | kubelet | lxcfs | \
        libvirtd | virtqemud | qemu-* | firecracker)
        printf 'it runs containers or virtual machines'
        return
        ;;
      X | Xorg | Xwayland | gdm* | sddm* | lightdm* | gnome-shell | gnome-session* | plasmashell | kwin* | ksmserver | \
        cinnamon* | xfce4-session | mate-session | lxsession | sway | weston | WindowServer | loginwindow | Dock | \
        Finder | kernel_task)
        printf 'it is the desktop session'
        return
        ;;
      *) ;;
    esac
  done
  case " $(process_command "$pid") " in
    *[\ /]fleetmedic\ * | *\ cli.main\ * | *\ cli.guardian\ * | *celery*fleetmedic*) printf 'it is part of Fleetmedic' ;;
    *org.apache.cassandra.* | *org.elasticsearch.* | *org.opensearch.* | *org.neo4j.*) printf 'it is a database' ;;
    *) ;;
  esac
}

may_signal() { kill -0 "$1" 2> /dev/null; }

# Say whether a process still is the one that started then, in whole Unix seconds, or empty where that is not known.
is_named() {
  local started
  read_birth "$1" || return 1
  [ -n "$2" ] || return 0
  started=$(started_at "$birth")
  # What the kernel takes for the time of its boot may move by a second.
  [ "$started" -ge $(($2 - 2)) ] && [ "$started" -le $(($2 + 2)) ]
}

# Look at the process that was named: end here when it has ended, is another one by now, or is to be left alone. Else
# set born to its birth.
need_target() {
  local pid=$1 whole='' why
  read_birth "$pid" || finish 0 nothing "process $pid has ended by itself"
  is_named "$pid" "$2" ||
    finish 0 nothing "the process has ended: its pid $pid is now that of another one, which is left alone"
  born=$birth
  if is_linux; then
    whole=$(awk '$1 == "Tgid:" { print $2 }' "/proc/$pid/status" 2> /dev/null)
  fi
  [ "${whole:-$pid}" = "$pid" ] || finish 2 usage "pid must be that of a process: $pid is a thread of process $whole"
  why=$(protection "$pid")
  [ -z "$why" ] || finish 3 refused "process $pid ($(process_name "$pid")) is left alone: $why"
  may_signal "$pid" || finish 3 refused "process $pid belongs to another user: run this as root"
}

# Wait until a process has gone, and fail when it has not within that many seconds.
wait_for_end() {
  local fifths=0
  while is_same "$1" "$2"; do
    [ "$fifths" -lt $(($3 * 5)) ] || return 1
    sleep 0.2
    fifths=$((fifths + 1))
  done
}

# Ask a process to end, wait, and only with --force kill it; note what ended it. Fails when it is still there.
end_process() {
  local pid=$1 born=$2 grace=$3 name action='end'
  is_same "$pid" "$born" || return 0
  name=$(process_name "$pid")
  log_action "asking process $pid ($(shown "$name")) to end"
  is_same "$pid" "$born" && kill -TERM "$pid" 2> /dev/null
  # A process that is stopped hears nothing until it goes on.
  is_same "$pid" "$born" && [ "${state#T}" != "$state" ] && kill -CONT "$pid" 2> /dev/null
  if ! wait_for_end "$pid" "$born" "$grace"; then
    if [ "$force" = no ]; then
      printf 'Process %s (%s) did not end within %s s: --force would kill it.\n' "$pid" "$(shown "$name")" "$grace"
      return 1
    fi
    log_action "killing process $pid ($(shown "$name"))"
    is_same "$pid" "$born" && kill -KILL "$pid" 2> /dev/null
    if ! wait_for_end "$pid" "$born" "$grace"; then
      printf 'Process %s (%s) was killed, and ends when the kernel is done with it.\n' "$pid" "$(shown "$name")"
      return 1
    fi
    action='kill'
  fi
  note changed "{\"pid\":$pid,\"name\":$(json "$name"),\"action\":\"$action\"}"
}

# ---- What both remedies for memory have -------------------------------------------------------------------------

# Print how much memory there is and how much of it is available, in KiB.
memory_kib() {
  if is_linux; then
    # A container may be told its own limit as the total, and what is available on the whole host.
    awk '$1 == "MemTotal:" { total = $2 } $1 == "MemAvailable:" { available = $2 }
      END { print total, (available < total ? available : total) }' /proc/meminfo
  else
    vm_stat | awk -v total="$(sysctl -n hw.memsize)" '
      /page size of/ { size = $8 }
      /^Pages (free|inactive|speculative|purgeable)/ { pages += $NF }
      END { printf "%.0f %.0f\n", total / 1024, pages * size / 1024 }'
  fi
}

# Print the tightest memory limit of the control groups that a process is in, what of it is used beside file caches that
# the kernel gives back by itself, and the group's folder; the sizes in KiB. Nothing where no limit is below the memory
# that there is.
group_kib() {
  local base limits used idle group name limit least found=''
  group=$(awk -F: '$2 ~ /(^|,)memory(,|$)/ { sub(/^[^:]*:[^:]*:/, ""); print }' "/proc/$1/cgroup" 2> /dev/null)
  if [ -n "$group" ]; then
    base=/sys/fs/cgroup/memory limits=memory.limit_in_bytes used=memory.usage_in_bytes idle=total_inactive_file
  else
    group=$(awk '/^0::/ { sub(/^0::/, ""); print }' "/proc/$1/cgroup" 2> /dev/null)
    base=/sys/fs/cgroup limits='memory.max memory.high' used=memory.current idle=inactive_file
  fi
  case $group in
    # In a container a group of outside has no path.
    */..*) group='' ;;
    *) group=${group%/} ;;
  esac
  least=$(memory_kib)
  least=${least% *}
  while :; do
    for name in $limits; do
      limit=$(cat "$base$group/$name" 2> /dev/null)
      case $limit in
        '' | *[!0-9]*) ;;
        *)
          limit=$((limit / 1024))
          if [ "$limit" -gt 0 ] && [ "$limit" -lt "$least" ]; then
            least=$limit
            found=$base$group
          fi
          ;;
      esac
    done
    [ -n "$group" ] || break
    group=${group%/*}
  done
  if [ -n "$found" ]; then
    idle=$(awk -v name="$idle" '$1 == name { printf "%.0f", $2 }' "$found/memory.stat" 2> /dev/null)
    used=$(cat "$found/$used" 2> /dev/null)
    printf '%s %s %s\n' "$least" "$(((${used:-0} - ${idle:-0}) / 1024))" "$found"
  fi
}

# Measure memory. Sets used to what is used in percent, of_what to whose that is, and total_kib to what a process can
# have. Where the control group that this runs in has a limit, as a container has, what is fuller counts.
measure_memory() {
  local available group_used group_percent
  read -r total_kib available < <(memory_kib)
  used=$((100 * (total_kib - available) / total_kib))
  of_what="the machine's $((total_kib / 1024)) MiB"
  own_group=$(group_kib "$$")
  if [ -n "$own_group" ]; then
    read -r total_kib group_used _ < <(printf '%s\n' "$own_group")
    group_percent=$((100 * group_used / total_kib))
    if [ "$group_percent" -ge "$used" ]; then
      used=$group_percent
      of_what="this control group's $((total_kib / 1024)) MiB"
    fi
  fi
}

# Print the memory that a process holds, in KiB; what of it is swapped out counts as well.
held_kib() {
  if is_linux; then
    cat "/proc/$1/status" 2> /dev/null | awk '$1 == "VmRSS:" || $1 == "VmSwap:" { sum += $2 } END { printf "%.0f", sum }'
  else
    ps -o rss= -p "$1" 2> /dev/null | awk '{ sum += $1 } END { printf "%.0f", sum }'
  fi
}

# Say which limit a control group sets to a process, where there is one.
tell_group() {
  local limit group_used folder swap
  [ -n "$2" ] || return 0
  read -r limit group_used folder < <(printf '%s\n' "$2")
  # Version 1 counts memory and swap together.
  swap=$(cat "$folder/memory.swap.max" 2> /dev/null || cat "$folder/memory.memsw.limit_in_bytes" 2> /dev/null)
  case $swap in
    '' | *[!0-9]*) swap='' ;;
    *)
      [ -r "$folder/memory.swap.max" ] || swap=$((swap - limit * 1024))
      swap=", and $((swap / 1048576)) MiB of swap"
      ;;
  esac
  printf '%s may use %s MiB%s; it uses %s MiB beside file caches.\n' "$1" $((limit / 1024)) "$swap" $((group_used / 1024))
}

# Say what a process held when the event opened and what it holds now, in KiB.
tell_growth() {
  local now=$2 was=$((memory_bytes / 1024)) more
  more="$(((now - was) / 1024)) MiB more"
  [ "$now" -ge "$was" ] || more="$(((was - now) / 1024)) MiB less"
  printf 'Process %s held %s MiB when the event opened and holds %s MiB now: %s.\n' "$1" $((was / 1024)) $((now / 1024)) "$more"
}

# ---- This remedy ------------------------------------------------------------------------------------------------

need_integer pid "$pid" 2 4194304
[ -z "$start_time" ] || need_integer start_time "$start_time" 0 253402300799
[ -z "$memory_bytes" ] || need_integer memory_bytes "$memory_bytes" 0 1000000000000000
need_integer grace_seconds "$grace" 1 300

measure_memory
note before "\"memory_percent\":$used,\"total_kib\":$total_kib"
if [ "$mode" = verify ] && ! is_named "$pid" "$start_time"; then
  finish 0 "done" "process $pid has ended; memory is used at $used % of $of_what"
fi
[ "$mode" = verify ] || need_target "$pid" "$start_time"
name=$(process_name "$pid")
kib=$(held_kib "$pid")
percent=$((100 * kib / total_kib))
printf 'Process %s (%s) holds %s MiB, %s %% of the memory: %s\n' \
  "$pid" "$(shown "$name")" $((kib / 1024)) "$percent" "$(shown "$(process_command "$pid")")"
note before "\"process\":{\"pid\":$pid,\"name\":$(json "$name"),\"memory_percent\":$percent,\"memory_kib\":$kib}"
tell_group 'Its control group' "$(group_kib "$pid")"
well=no
if [ -n "$memory_bytes" ]; then
  tell_growth "$pid" "$kib"
  # The limit that the event opened by may be another one than the default.
  [ $((kib * 2)) -ge $((memory_bytes / 1024)) ] || well=yes
elif [ "$percent" -lt "$limit_percent" ]; then
  well=yes
fi

if [ "$mode" = verify ]; then
  [ "$well" = yes ] || finish 1 failed "process $pid still holds $percent % of the memory"
  finish 0 "done" "process $pid holds $percent % of the memory"
fi
if [ -n "$memory_bytes" ] && [ "$well" = yes ]; then
  finish 0 nothing "process $pid has given back more than half of what it held"
fi
if [ "$mode" = plan ]; then
  printf 'Would ask process %s (%s) to end, and wait %s s for it.\n' "$pid" "$(shown "$name")" "$grace"
  finish 0 planned 'nothing was changed'
fi

end_process "$pid" "$born" "$grace" || finish 1 failed "process $pid did not end"
measure_memory
note after "\"memory_percent\":$used,\"total_kib\":$total_kib"
finish 0 "done" "process $pid has ended; memory is now used at $used % of $of_what"
