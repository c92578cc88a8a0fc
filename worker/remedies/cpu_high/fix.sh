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
low_priority=10

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

# Print the time ("now"), the ticks of all CPUs ("cpu": busy, of these at low priority, in all), and each process with its
# birth and its CPU time. The time and that of the processes are in hundredths of a second.
cpu_times() {
  if is_linux; then
    awk '{ printf "now %.0f\n", $1 * 100 }' /proc/uptime
    awk '$1 == "cpu" { busy = $2 + $3 + $4 + $7 + $8 + $9; printf "cpu %.0f %.0f %.0f\n", busy, $3, busy + $5 + $6 }' /proc/stat
    # A name with line breaks makes several lines: grep tells before each whose it is, and only the last has all fields.
    printf '%s\0' /proc/[0-9]*/stat | xargs -0 grep -H '' 2> /dev/null | awk -v hz="$ticks_per_second" '
      { pid = substr($0, 7); sub("/.*", "", pid); sub(/^.*\) /, "") }
      NF > 20 && ($1 != "Z" || $18 > 1) { printf "%s %s %.0f\n", pid, $20, ($12 + $13) * 100 / hz }'
  else
    ps -A -o pid=,time= | awk '{ n = split($2, part, ":"); s = 0; for (i = 1; i <= n; i++) s = s * 60 + part[i]; printf "%s - %.0f\n", $1, s * 100 }'
  fi
}

# Measure for a while. Sets total and polite to how busy all CPUs are and how much of it is at low priority, in percent,
# and ranking to "PERCENT PID BIRTH" of each process that was busy, the busiest first, in percent of one CPU.
measure_cpu() {
  local first second rows cpus i
  cpus=$(getconf _NPROCESSORS_ONLN 2> /dev/null || echo 1)
  first=$(cpu_times)
  # In steps, as bash hears a signal only when what it waits for has ended.
  for ((i = 0; i < measure; i++)); do sleep 1; done
  second=$(cpu_times)
  rows=$(printf '%s\n--\n%s\n' "$first" "$second" | awk -v elapsed="$((measure * 100))" -v cpus="$cpus" '
    $1 == "--" { second = 1; next }
    $1 == "now" { if (second) elapsed = $2 - began; began = $2; next }
    $1 == "cpu" { busy = $2 - busy; polite = $3 - polite; all = $4 - all; next }
    !second { was[$1, $2] = $3; next }
    {
      percent = int(100 * ($3 - was[$1, $2]) / (elapsed > 0 ? elapsed : 1))
      if (percent > 0) { print percent, $1, $2; sum += percent }
    }
    END {
      if (all > 0) print "total", int(100 * busy / all), int(100 * polite / all)
      else print "total", int(sum / cpus), 0
    }')
  total=$(printf '%s\n' "$rows" | awk '$1 == "total" { print $2 }')
  polite=$(printf '%s\n' "$rows" | awk '$1 == "total" { print $3 }')
  ranking=$(printf '%s\n' "$rows" | awk '$1 != "total"' | sort -rn)
}

# Print the percentage of one CPU that a process was measured at.
percent_of() {
  printf '%s\n' "$ranking" | awk -v pid="$1" '$2 == pid { print $1; found = 1; exit } END { if (!found) print 0 }'
}

# Print those threads of a process, of a lower nice value than 10; elsewhere than on Linux threads have none of their own.
eager_threads() {
  if is_linux; then
    printf '%s\0' /proc/"$1"/task/[0-9]*/stat | xargs -0 grep -H '' 2> /dev/null | awk -v least="$low_priority" '
      { split($0, part, "/"); sub(/^.*\) /, "") }
      NF > 20 && $17 < least { print part[5] }'
  else
    ps -o nice=,pid= -p "$1" 2> /dev/null | awk -v least="$low_priority" '$1 < least { print $2 }'
  fi
}

# Lower the priority of a process, and note it. Fails when a thread of it is left out.
lower_priority() {
  local pid=$1 born=$2 name threads
  name=$(process_name "$pid")
  log_action "lowering the priority of process $pid ($(shown "$name")) to nice $low_priority"
  # A thread that was born meanwhile may have the priority of before.
  for _ in 1 2 3; do
    threads=$(eager_threads "$pid")
    if ! is_same "$pid" "$born" || [ -z "$threads" ]; then
      break
    fi
    printf '%s\n' "$threads" | xargs renice "$low_priority" -p > /dev/null 2>&1
  done
  threads=$(eager_threads "$pid")
  ! is_same "$pid" "$born" || [ -z "$threads" ] || return 1
  note changed "{\"pid\":$pid,\"name\":$(json "$name"),\"action\":\"renice\"}"
}

# Before anything is measured: whether the process that was named may be touched at all.
if [ -n "$pid" ] && [ "$mode" != verify ]; then
  need_target "$pid" "$start_time"
fi

measure_cpu
printf 'CPU is busy at %s %%, %s %% at low priority. The busiest processes, in percent of one CPU over %s s:\n' \
  "$total" "$polite" "$measure"
note before "\"cpu_percent\":$total,\"low_priority_percent\":$polite"
processes=''
for one in $(printf '%s\n' "$ranking" | awk 'NR <= 10 { print $2 }'); do
  name=$(process_name "$one")
  percent=$(percent_of "$one")
  printf '  %6s %%  pid %-8s %-20s %s\n' "$percent" "$one" "$(shown "$name")" "$(shown "$(process_command "$one")")"
  processes="$processes${processes:+,}{\"pid\":$one,\"name\":$(json "$name"),\"cpu_percent\":$percent}"
done
note before "\"processes\":[$processes]"

if [ "$mode" = verify ]; then
  load=$total
  besides=''
  if [ "$action" = renice ]; then
    # What gives way to all else does no harm.
    load=$((total - polite))
    besides=" besides what gives way"
  fi
  if [ -n "$pid" ] && [ -n "$start_time" ] && is_named "$pid" "$start_time" && [ "$(percent_of "$pid")" -ge "$minimum" ]; then
    if [ "$action" = terminate ] || [ -n "$(eager_threads "$pid")" ]; then
      finish 1 failed "process $pid still uses $(percent_of "$pid") % of one CPU"
    fi
  fi
  [ "$load" -lt "$limit_percent" ] || finish 1 failed "CPU is still busy at $load %$besides, not below $limit_percent %"
  finish 0 "done" "CPU is busy at $load %$besides, below $limit_percent %"
fi

targets=''
if [ -n "$pid" ]; then
  [ "$(percent_of "$pid")" -ge "$minimum" ] ||
    finish 0 nothing "process $pid uses $(percent_of "$pid") % of one CPU, which is below $minimum %"
  targets=$pid:$born
else
  count=0
  spared=''
  while read -r percent one measured_birth; do
    if [ "${percent:-0}" -lt "$minimum" ] || [ "$count" -ge "$most_targets" ]; then
      break
    fi
    why=$(protection "$one")
    if [ -n "$why" ]; then
      printf 'Process %s (%s) is left alone: %s.\n' "$one" "$(shown "$(process_name "$one")")" "$why"
      spared=yes
    elif read_birth "$one" && { [ "$measured_birth" = "$birth" ] || [ "$measured_birth" = - ]; }; then
      may_signal "$one" || finish 3 refused "process $one belongs to another user: run this as root"
      targets="$targets $one:$birth"
      count=$((count + 1))
    fi
  done < <(printf '%s\n' "$ranking")
  if [ -z "$targets" ]; then
    [ -z "$spared" ] || finish 3 refused 'all that is busy is to be left alone'
    finish 0 nothing "no process uses $minimum % of one CPU or more"
  fi
fi
if [ "$action" = renice ]; then
  eager=''
  for target in $targets; do
    [ -z "$(eager_threads "${target%:*}")" ] || eager="$eager $target"
  done
  targets=$eager
  [ -n "$targets" ] || finish 0 nothing "what is busy gives way already: it has nice $low_priority or more"
fi

if [ "$mode" = plan ]; then
  for target in $targets; do
    name=$(shown "$(process_name "${target%:*}")")
    if [ "$action" = renice ]; then
      printf 'Would lower the priority of process %s (%s) to nice %s: it goes on, and gives way to all else.\n' \
        "${target%:*}" "$name" "$low_priority"
    else
      printf 'Would ask process %s (%s) to end, and wait %s s for it.\n' "${target%:*}" "$name" "$grace"
    fi
  done
  [ "$action" = renice ] || printf 'Milder: with the action renice it would go on, and give way to all else.\n'
  [ -n "$pid" ] || printf 'Without a pid, apply measures anew and takes what is the busiest then.\n'
  finish 0 planned 'nothing was changed'
fi

failed=''
for target in $targets; do
  if [ "$action" = renice ]; then
    lower_priority "${target%:*}" "${target#*:}" || failed="$failed ${target%:*}"
  else
    end_process "${target%:*}" "${target#*:}" "$grace" || failed="$failed ${target%:*}"
  fi
done
measure_cpu
note after "\"cpu_percent\":$total,\"low_priority_percent\":$polite"
[ -z "$failed" ] || finish 1 failed "not done for process$failed; CPU is now busy at $total %"
finish 0 "done" "done; CPU is now busy at $total %, $polite % at low priority"
