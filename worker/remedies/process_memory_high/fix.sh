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

# Print the fields of a process behind its name as /proc/PID/stat has them: state first, then parent, and so on.
stat_fields() {
  local line
  line=$(cat "/proc/$1/stat" 2> /dev/null) || return 1
  printf '%s\n' "${line##*) }"
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
    cat "/proc/$1/cmdline" 2> /dev/null | tr '\0\n' '  '
  else
    ps -o args= -p "$1" 2> /dev/null
  fi
}

process_parent() {
  if is_linux; then
    stat_fields "$1" | cut -d ' ' -f 2
  else
    ps -o ppid= -p "$1" 2> /dev/null | tr -d ' '
  fi
}

# Print when a process started, in whole Unix seconds; nothing when it is gone or a zombie.
process_start() {
  local fields boot ticks state
  if is_linux; then
    fields=$(stat_fields "$1") || return 1
    state=${fields%% *}
    case $state in Z | X) return 1 ;; esac
    ticks=$(printf '%s\n' "$fields" | cut -d ' ' -f 20)
    boot=$(awk '$1 == "btime" { print $2 }' /proc/stat)
    printf '%d\n' $((boot + ticks / $(getconf CLK_TCK 2> /dev/null || echo 100)))
  else
    state=$(ps -o state= -p "$1" 2> /dev/null)
    case $state in '' | Z*) return 1 ;; esac
    date -j -f '%a %b %d %T %Y' "$(ps -o lstart= -p "$1" | tr -s ' ')" +%s 2> /dev/null
  fi
}

# Say whether a process still is the one that started then (whole Unix seconds).
is_same() {
  local started
  started=$(process_start "$1") || return 1
  [ "$started" -ge $(($2 - 2)) ] && [ "$started" -le $(($2 + 2)) ]
}

# Print why a process must be left alone; nothing when it may be touched.
protection() {
  local pid=$1 ancestor=$$ name command
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
  name=$(process_name "$pid")
  name=${name##*/}
  command=$(process_command "$pid")
  if is_linux && [ -z "$command" ]; then
    printf 'it is part of the kernel'
    return
  fi
  case $name in
    systemd | systemd-* | init | upstart | runit | runsvdir | s6-* | launchd | dbus-daemon | dbus-broker* | udevd)
      printf 'it is part of the init system' ;;
    sshd | sshd-* | login | getty | agetty)
      printf 'it lets people in' ;;
    postgres | postmaster | mysqld | mariadbd | mongod | redis-server | valkey-server | oracle* | ora_* | sqlservr | db2sysc | \
      clickhouse* | influxd | cassandra | etcd | memcached)
      printf 'it is a database' ;;
    dockerd | containerd | containerd-shim* | podman | conmon | runc | crun | crio | cri-o | kubelet | lxcfs | libvirtd | qemu-*)
      printf 'it runs containers or virtual machines' ;;
    Xorg | Xwayland | gdm* | sddm* | lightdm* | gnome-shell | gnome-session* | plasmashell | kwin* | cinnamon | xfce4-session | \
      WindowServer | loginwindow | Dock | Finder | kernel_task)
      printf 'it is the desktop session' ;;
    *)
      case " $command" in
        *[\ /]fleetmedic\ * | *\ cli.main\ * | *celery*fleetmedic*) printf 'it is part of Fleetmedic' ;;
      esac
      ;;
  esac
}

force=no
[ $# -lt 2 ] || force=yes

# Ask a process to end, wait, and only with --force kill it. Fails when it is still there.
end_process() {
  local pid=$1 started=$2 grace=$3 name waited=0
  name=$(shown "$(process_name "$pid")")
  is_same "$pid" "$started" || return 0
  log_action "asking process $pid ($name) to end"
  kill -TERM "$pid" 2> /dev/null
  while [ "$waited" -lt $((grace * 5)) ]; do
    is_same "$pid" "$started" || return 0
    sleep 0.2
    waited=$((waited + 1))
  done
  if [ "$force" = no ]; then
    printf 'process %s (%s) did not end within %s s: --force would kill it\n' "$pid" "$name" "$grace"
    return 1
  fi
  log_action "killing process $pid ($name)"
  kill -KILL "$pid" 2> /dev/null
  sleep 0.5
  ! is_same "$pid" "$started"
}

may_signal() { kill -0 "$1" 2> /dev/null; }

# ---- This remedy ------------------------------------------------------------------------------------------------

need_integer pid "$pid" 2 4194304
[ -z "$start_time" ] || need_integer start_time "$start_time" 0 253402300799
need_integer grace_seconds "$grace" 1 300

# Print how much memory there is and how much of it is available, in KiB.
memory_kib() {
  if is_linux; then
    awk '$1 == "MemTotal:" { total = $2 } $1 == "MemAvailable:" { available = $2 } END { print total, available }' /proc/meminfo
  else
    vm_stat | awk -v total="$(sysctl -n hw.memsize)" '
      /page size of/ { size = $8 }
      /^Pages (free|inactive|speculative|purgeable)/ { pages += $NF }
      END { print int(total / 1024), int(pages * size / 1024) }'
  fi
}

memory_percent() { memory_kib | awk '{ print int(100 * ($1 - $2) / $1) }'; }

# Print the memory that a process holds, in KiB; 0 when it is gone.
held_kib() {
  local kib
  if is_linux; then
    kib=$(awk '$1 == "VmRSS:" { print $2 }' "/proc/$1/status" 2> /dev/null)
  else
    kib=$(ps -o rss= -p "$1" 2> /dev/null | tr -d ' ')
  fi
  printf '%s' "${kib:-0}"
}

used=$(memory_percent)
total_kib=$(memory_kib | cut -d ' ' -f 1)
note before "\"memory_percent\":$used"
if ! started=$(process_start "$pid"); then
  finish 0 nothing "process $pid has ended; memory is used at $used %"
fi
if [ -n "$start_time" ] && ! is_same "$pid" "$start_time"; then
  finish 0 nothing "the process has ended: its pid $pid is now that of another one, which is left alone"
fi
name=$(process_name "$pid")
kib=$(held_kib "$pid")
percent=$((100 * kib / total_kib))
printf 'Process %s (%s) holds %s MiB, %s %% of the memory: %s\n' \
  "$pid" "$(shown "$name")" $((kib / 1024)) "$percent" "$(shown "$(process_command "$pid")")"
note before "\"process\":{\"pid\":$pid,\"name\":$(json "$name"),\"started\":$started,\"memory_percent\":$percent,\"memory_kib\":$kib}"

if [ "$mode" = verify ]; then
  [ "$percent" -le "$limit_percent" ] || finish 1 failed "process $pid still holds $percent % of the memory"
  finish 0 "done" "process $pid holds $percent % of the memory, not above $limit_percent %"
fi

why=$(protection "$pid")
[ -z "$why" ] || finish 3 refused "process $pid ($name) is left alone: $why"
may_signal "$pid" || finish 3 refused "process $pid belongs to another user: run this as root"
if [ "$mode" = plan ]; then
  printf 'Would ask process %s (%s) to end, and wait %s s for it.\n' "$pid" "$(shown "$name")" "$grace"
  finish 0 planned 'nothing was changed'
fi

end_process "$pid" "$started" "$grace" || finish 1 failed "process $pid did not end"
note changed "{\"pid\":$pid,\"name\":$(json "$name"),\"action\":\"end\"}"
used=$(memory_percent)
note after "\"memory_percent\":$used"
finish 0 "done" "process $pid has ended; memory is now used at $used %"
