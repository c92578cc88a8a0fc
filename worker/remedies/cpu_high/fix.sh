#!/usr/bin/env bash
# fleetmedic: values
# Ends what keeps the CPU busy, or lowers its priority.
#
#   bash fix.sh plan            shows what would be done, and changes nothing
#   bash fix.sh apply [--force] does it; --force kills what does not end when asked
#   bash fix.sh verify          measures whether it helped
#
# Exit codes: 0 done or nothing to do, 1 failed, 2 bad usage, 3 refused. The last line printed is a JSON object.

remedy=cpu_high
may_force=yes
limit_percent=85
most_targets=3

pid=${FM_PID:-}
start_time=${FM_START_TIME:-}
start_time=${start_time%%.*}
action=${FM_ACTION:-terminate}
minimum=${FM_MINIMUM_CPU_PERCENT:-50}
minimum=${minimum%%.*}
measure=${FM_MEASURE_SECONDS:-3}
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

[ -z "$pid" ] || need_integer pid "$pid" 2 4194304
[ -z "$start_time" ] || need_integer start_time "$start_time" 0 253402300799
need_integer minimum_cpu_percent "$minimum" 1 100000
need_integer measure_seconds "$measure" 1 60
need_integer grace_seconds "$grace" 1 300
case $action in
  terminate | renice) ;;
  *) finish 2 usage 'action must be terminate or renice' ;;
esac

# Print the time, the CPUs' work, and each process with its CPU time and its start, all in hundredths of a second.
cpu_times() {
  local hz
  if is_linux; then
    hz=$(getconf CLK_TCK 2> /dev/null || echo 100)
    awk '{ print "now", int($1 * 100) }' /proc/uptime
    awk '$1 == "cpu" { print "cpu", $2 + $3 + $4 + $7 + $8 + $9, $2 + $3 + $4 + $5 + $6 + $7 + $8 + $9 }' /proc/stat
    cat /proc/[0-9]*/stat 2> /dev/null |
      awk -v hz="$hz" '{ pid = $1; sub(/^.*\) /, "") } $1 != "Z" { print pid, int(($12 + $13) * 100 / hz), int($20 * 100 / hz) }'
  else
    printf 'now %d00\n' "$(date +%s)"
    ps -A -o pid=,time= | awk '{ n = split($2, t, ":"); s = 0; for (i = 1; i <= n; i++) s = s * 60 + t[i]; print $1, int(s * 100), 0 }'
  fi
}

# Print "total PERCENT", then "PERCENT PID" of one CPU for each busy process, the busiest first. A process that was
# born meanwhile is rated from its start.
ranking() {
  {
    cpu_times
    echo --
    sleep "$measure"
    cpu_times
  } | awk '
    $1 == "--" { second = 1; next }
    $1 == "now" { if (second) now = $2; else began = $2; next }
    $1 == "cpu" { if (second) { busy = $2 - busy; all = $3 - all } else { busy = $2; all = $3 } next }
    !second { was[$1] = $2; next }
    {
      elapsed = now - began; used = $2 - was[$1]
      if (!($1 in was)) elapsed = now - $3
      if (elapsed < 10) elapsed = 10
      percent = int(100 * used / elapsed)
      if (percent > 0) { print percent, $1; sum += percent }
    }
    END { if (all > 0) print "999999 total", int(100 * busy / all); else print "999999 total", int(sum / cpus) }
  ' cpus="$(getconf _NPROCESSORS_ONLN 2> /dev/null || echo 1)" | sort -rn | sed 's/^999999 //'
}

# Before anything is measured: whether the process that was named may be touched at all.
if [ -n "$pid" ] && [ "$mode" != verify ]; then
  started=$(process_start "$pid") || finish 0 nothing "process $pid has ended by itself"
  if [ -n "$start_time" ] && ! is_same "$pid" "$start_time"; then
    finish 0 nothing "the process has ended: its pid $pid is now that of another one, which is left alone"
  fi
  why=$(protection "$pid")
  [ -z "$why" ] || finish 3 refused "process $pid ($(process_name "$pid")) is left alone: $why"
fi

measured=$(ranking)
total=$(printf '%s\n' "$measured" | awk '$1 == "total" { print $2 }')
busiest=$(printf '%s\n' "$measured" | awk '$1 != "total" && NR <= 11')

# Print the percentage of one CPU that a process was measured at.
percent_of() {
  printf '%s\n' "$busiest" | awk -v pid="$1" '$2 == pid { print $1; found = 1 } END { if (!found) print 0 }'
}

printf 'CPU is busy at %s %%. The busiest processes, in percent of one CPU over %s s:\n' "$total" "$measure"
note before "\"cpu_percent\":$total"
processes=''
for one in $(printf '%s\n' "$busiest" | awk '{ print $2 }'); do
  name=$(process_name "$one")
  printf '  %6s %%  pid %-8s %-20s %s\n' "$(percent_of "$one")" "$one" "$(shown "$name")" "$(shown "$(process_command "$one")")"
  processes="$processes${processes:+,}{\"pid\":$one,\"name\":$(json "$name"),\"cpu_percent\":$(percent_of "$one")}"
done
note before "\"processes\":[$processes]"

if [ "$mode" = verify ]; then
  if [ -n "$pid" ] && [ -n "$start_time" ] && is_same "$pid" "$start_time" && [ "$(percent_of "$pid")" -ge "$minimum" ]; then
    finish 1 failed "process $pid still uses $(percent_of "$pid") % of one CPU"
  fi
  [ "$total" -le "$limit_percent" ] || finish 1 failed "CPU is still busy at $total %, above $limit_percent %"
  finish 0 "done" "CPU is busy at $total %, not above $limit_percent %"
fi

targets=''
if [ -n "$pid" ]; then
  [ "$(percent_of "$pid")" -ge "$minimum" ] ||
    finish 0 nothing "process $pid uses $(percent_of "$pid") % of one CPU, which is below $minimum %"
  targets=$pid:$started
else
  count=0
  spared=''
  for one in $(printf '%s\n' "$busiest" | awk -v least="$minimum" '$1 >= least { print $2 }'); do
    [ "$count" -lt "$most_targets" ] || break
    why=$(protection "$one")
    if [ -n "$why" ]; then
      printf 'Process %s (%s) is left alone: %s.\n' "$one" "$(shown "$(process_name "$one")")" "$why"
      spared=yes
    elif started=$(process_start "$one"); then
      targets="$targets $one:$started"
      count=$((count + 1))
    fi
  done
  if [ -z "$targets" ]; then
    [ -z "$spared" ] || finish 3 refused 'all that is busy is to be left alone'
    finish 0 nothing "no process uses $minimum % of one CPU or more"
  fi
fi

for target in $targets; do
  may_signal "${target%:*}" || finish 3 refused "process ${target%:*} belongs to another user: run this as root"
done
if [ "$mode" = plan ]; then
  for target in $targets; do
    name=$(shown "$(process_name "${target%:*}")")
    if [ "$action" = renice ]; then
      printf 'Would lower the priority of process %s (%s) to nice 10.\n' "${target%:*}" "$name"
    else
      printf 'Would ask process %s (%s) to end, and wait %s s for it.\n' "${target%:*}" "$name" "$grace"
    fi
  done
  finish 0 planned 'nothing was changed'
fi

failed=''
for target in $targets; do
  one=${target%:*}
  name=$(process_name "$one")
  if [ "$action" = renice ]; then
    is_same "$one" "${target#*:}" || continue
    log_action "lowering the priority of process $one ($(shown "$name")) to nice 10"
    if renice -n 10 -p "$one" > /dev/null; then
      note changed "{\"pid\":$one,\"name\":$(json "$name"),\"action\":\"renice\"}"
    else
      failed="$failed $one"
    fi
  elif end_process "$one" "${target#*:}" "$grace"; then
    note changed "{\"pid\":$one,\"name\":$(json "$name"),\"action\":\"end\"}"
  else
    failed="$failed $one"
  fi
done
total=$(ranking | awk '$1 == "total" { print $2 }')
note after "\"cpu_percent\":$total"
[ -z "$failed" ] || finish 1 failed "not done for process$failed; CPU is now busy at $total %"
finish 0 "done" "done; CPU is now busy at $total %"
