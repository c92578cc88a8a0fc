#!/usr/bin/env bash
# fleetmedic: values
# Makes room on a filesystem by removing what is safe to remove.
#
#   bash fix.sh plan            shows what would be done, and changes nothing
#   bash fix.sh apply           does it
#   bash fix.sh verify          measures whether it helped
#
# Exit codes: 0 done or nothing to do, 1 failed, 2 bad usage, 3 refused. The last line printed is a JSON object.

remedy=disk_full
may_force=no
limit_percent=85

mount=${FM_MOUNT:-/}
days=${FM_OLDER_THAN_DAYS:-7}
journal_mebibytes=${FM_JOURNAL_KEEP_MEBIBYTES:-200}
containers=${FM_INCLUDE_CONTAINERS:-false}

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

# ---- This remedy ------------------------------------------------------------------------------------------------

need_integer older_than_days "$days" 1 3650
need_integer journal_keep_mebibytes "$journal_mebibytes" 16 100000
case $containers in
  true | false) ;;
  *) finish 2 usage 'include_containers must be true or false' ;;
esac
case $mount in
  /*) ;;
  *) finish 2 usage "mount must be an absolute path, not $mount" ;;
esac
[ -d "$mount" ] || finish 2 usage "mount: there is no directory $mount"
[ ! -L "$mount" ] || finish 3 refused "mount: $mount is a link: name what it points to"

# Print used KiB, available KiB and used percent of the filesystem.
space() {
  df -P -k -- "$mount" | awk 'NR > 1 { for (i = 1; i <= NF; i++) if ($i ~ /^[0-9]+%$/) { sub(/%/, "", $i); print $(i - 2), $(i - 1), $i; exit } }'
}

device_of() {
  if is_linux; then
    stat -c %d -- "$1" 2> /dev/null
  else
    stat -f %d -- "$1" 2> /dev/null
  fi
}

device=$(device_of "$mount")
used_percent=$(space | cut -d ' ' -f 3)
printf 'The filesystem of %s is used at %s %%, with %s MiB left.\n' "$(shown "$mount")" "$used_percent" \
  $(($(space | cut -d ' ' -f 2) / 1024))
note before "\"used_percent\":$used_percent,\"available_kib\":$(space | cut -d ' ' -f 2)"

if [ "$mode" = verify ]; then
  [ "$used_percent" -le "$limit_percent" ] || finish 1 failed "still used at $used_percent %, above $limit_percent %"
  finish 0 "done" "used at $used_percent %, not above $limit_percent %"
fi

# Print what takes the most room on the filesystem; at most half a minute is spent on it.
biggest() {
  if is_linux; then
    timeout 30 du -x -a -k -0 -- "$mount" 2> /dev/null | sort -z -rn | head -z -n 11 | tr '\0\n' '\n?'
  else
    du -x -a -k -- "$mount" 2> /dev/null | sort -rn | head -n 11
  fi
}

if [ "$mode" = plan ]; then
  printf 'What takes the most room on it, in MiB:\n'
  biggest | while IFS= read -r line; do
    kib=${line%%[!0-9]*}
    printf '  %8s  %s\n' $((${kib:-0} / 1024)) "$(shown "${line#*[!0-9]}")"
  done
fi

# Inodes on this filesystem that some process has open; root sees those of all.
open_inodes=''
if is_linux; then
  open_inodes=$(find /proc/[0-9]*/fd -maxdepth 1 -type l -exec stat -L -c '%d:%i' -- {} + 2> /dev/null |
    awk -F : -v device="$device" '$1 == device { print $2 }' | sort -u)
elif command -v lsof > /dev/null 2>&1; then
  open_inodes=$(lsof -F i -- "$mount" 2> /dev/null | sed -n 's/^i//p' | sort -u)
fi

freed_kib=0
steps=0
failures=''

# Remove old files below a directory of this filesystem: WHAT, the directory, then what find is to match. Links are
# not followed, other filesystems are not entered, and what a process has open stays.
clean() {
  local what=$1 root=$2 found kib count open inode
  shift 2
  [ -d "$root" ] && [ ! -L "$root" ] && [ "$(device_of "$root")" = "$device" ] || return 0
  open=()
  found=$(find_files "$root" "$@")
  for inode in $(printf '%s\n' "$found" | awk '{ print $1 }' | sort -u | comm -12 - <(printf '%s\n' "$open_inodes")); do
    open[${#open[@]}]='!'
    open[${#open[@]}]=-inum
    open[${#open[@]}]=$inode
  done
  if [ "${#open[@]}" -gt 0 ]; then
    printf '  %s below %s: %s in use, left alone\n' "$what" "$root" $((${#open[@]} / 3))
    found=$(find_files "$root" "$@" "${open[@]}")
  fi
  kib=$(printf '%s\n' "$found" | awk '{ sum += $2 } END { print int(sum / 2) }')
  count=$(printf '%s' "$found" | grep -c .)
  [ "$count" -gt 0 ] || return 0
  steps=$((steps + 1))
  if [ "$mode" = plan ]; then
    printf '  would remove %s of %s below %s: %s MiB\n' "$count" "$what" "$root" $((kib / 1024))
    freed_kib=$((freed_kib + kib))
    return 0
  fi
  log_action "removing $count of $what below $root ($((kib / 1024)) MiB)"
  if [ "${#open[@]}" -gt 0 ]; then
    set -- "$@" "${open[@]}"
  fi
  find "$root" -xdev -type f "${own[@]}" "$@" -delete 2> /dev/null
  found=$(find_files "$root" "$@")
  kib=$((kib - $(printf '%s\n' "$found" | awk '{ sum += $2 } END { print int(sum / 2) }')))
  [ -z "$found" ] || failures="$failures $root"
  printf '  freed %s MiB\n' $((kib / 1024))
  freed_kib=$((freed_kib + kib))
  note changed "{\"action\":\"remove\",\"what\":$(json "$what"),\"root\":$(json "$root"),\"files\":$count,\"freed_kib\":$kib}"
}

# Print inode and blocks of 512 bytes of each file that find matches.
find_files() {
  local root=$1
  shift
  if is_linux; then
    find "$root" -xdev -type f "${own[@]}" "$@" -printf '%i %b\n' 2> /dev/null
  else
    find "$root" -xdev -type f "${own[@]}" "$@" -exec stat -f '%i %b' {} + 2> /dev/null
  fi
}

# Another user sees neither what others have open nor may he remove it.
own=(-size +0)
[ "$(id -u)" -eq 0 ] || own=(-size +0 -user "$(id -u)")
old=(-mtime "+$days")

printf 'What is safe to remove, older than %s days:\n' "$days"
if is_linux; then
  clean 'temporary files' /tmp "${old[@]}" -atime "+$days"
  clean 'temporary files' /var/tmp "${old[@]}" -atime "+$days"
  clean 'packages that were downloaded' /var/cache/apt/archives -name '*.deb'
  clean 'packages that were downloaded' /var/cache/dnf -name '*.rpm'
  clean 'packages that were downloaded' /var/cache/yum -name '*.rpm'
  clean 'packages that were downloaded' /var/cache/zypp -name '*.rpm'
  clean 'rotated logs' /var/log "${old[@]}" \( -name '*.gz' -o -name '*.xz' -o -name '*.bz2' -o -name '*.zst' -o \
    -name '*.old' -o -name '*.[0-9]' -o -name '*.[0-9][0-9]' \)
  clean 'crash dumps' /var/crash "${old[@]}"
  clean 'crash dumps' /var/lib/systemd/coredump "${old[@]}"
  clean 'crash dumps' /var/lib/apport/coredump "${old[@]}"
else
  clean 'temporary files' /private/tmp "${old[@]}" -atime "+$days"
  clean 'temporary files' /private/var/tmp "${old[@]}" -atime "+$days"
  clean 'rotated logs' /private/var/log "${old[@]}" \( -name '*.gz' -o -name '*.bz2' -o -name '*.[0-9]' \)
  clean 'crash reports' /Library/Logs/DiagnosticReports "${old[@]}"
  clean 'crash dumps' /cores "${old[@]}"
fi

# Run a command that frees room by itself, and measure what it freed: WHAT, then the command.
run_cleaner() {
  local what=$1 left freed
  shift
  steps=$((steps + 1))
  if [ "$mode" = plan ]; then
    printf '  would run: %s (%s)\n' "$*" "$what"
    return 0
  fi
  left=$(space | cut -d ' ' -f 2)
  log_action "running $*"
  if "$@" > /dev/null 2>&1; then
    freed=$(($(space | cut -d ' ' -f 2) - left))
    printf '  freed %s MiB\n' $((freed / 1024))
    freed_kib=$((freed_kib + freed))
    note changed "{\"action\":\"run\",\"what\":$(json "$what"),\"freed_kib\":$freed}"
  else
    failures="$failures ($what)"
  fi
}

journal=/var/log/journal
if [ -d "$journal" ] && [ "$(device_of "$journal")" = "$device" ] && command -v journalctl > /dev/null 2>&1; then
  if [ $(($(du -s -k "$journal" 2> /dev/null | cut -f 1) / 1024)) -gt "$journal_mebibytes" ]; then
    run_cleaner 'old entries of the journal' journalctl "--vacuum-size=${journal_mebibytes}M"
  fi
fi
if [ "$containers" = true ]; then
  for engine in docker podman; do
    if command -v "$engine" > /dev/null 2>&1 && "$engine" info > /dev/null 2>&1; then
      run_cleaner 'stopped containers, unused networks and dangling images' "$engine" system prune --force
    fi
  done
fi

if [ "$steps" -eq 0 ]; then
  note after "\"used_percent\":$used_percent"
  finish 0 nothing 'nothing that is safe to remove lies on this filesystem: the list of the biggest tells what fills it'
fi
if [ "$mode" = plan ]; then
  finish 0 planned "nothing was changed; about $((freed_kib / 1024)) MiB would be freed"
fi
used_percent=$(space | cut -d ' ' -f 3)
note after "\"used_percent\":$used_percent,\"available_kib\":$(space | cut -d ' ' -f 2)"
[ -z "$failures" ] || finish 1 failed "not all could be removed:$failures; used at $used_percent % now"
finish 0 "done" "freed $((freed_kib / 1024)) MiB; used at $used_percent % now"
