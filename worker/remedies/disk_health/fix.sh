#!/usr/bin/env bash
# fleetmedic: values
# Looks into a disk that fails. Changes nothing.
#
#   bash fix.sh plan            shows what would be done, and changes nothing
#   bash fix.sh apply           does it
#   bash fix.sh verify          measures whether it helped
#
# Exit codes: 0 done or nothing to do, 1 failed, 2 bad usage, 3 refused. The last line printed is a JSON object.

remedy=disk_health
may_force=no

disk=${FM_DISK:-}

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

problems=0

# Tell of a problem: what it is about, and what it is.
problem() {
  problems=$((problems + 1))
  printf '  %s: %s\n' "$(shown "$1")" "$(shown "$2")"
  found="${found:-}${found:+,}{\"subject\":$(json "$1"),\"problem\":$(json "$2")}"
}

# Say whether a device, a mount or the disk below it is asked for.
is_asked() {
  [ -z "$disk" ] || [ "$1" = "$disk" ] || [ "$1" = "/dev/${disk#/dev/}" ] || [ "${1#/dev/}" = "$disk" ]
}

smart_of() {
  local device=$1 answer
  answer=$(smartctl -H -A "$device" 2> /dev/null)
  case $answer in
    *PASSED* | *'Health Status: OK'*) printf '  %s: SMART says that it is healthy\n' "$(shown "$device")" ;;
    *FAILED* | *FAILING_NOW*) problem "$device" 'SMART says that it fails: copy what matters off it, and replace it' ;;
    *) printf '  %s: SMART does not answer%s\n' "$(shown "$device")" "$([ "$(id -u)" -eq 0 ] || echo ', which root may change')" ;;
  esac
  printf '%s\n' "$answer" | awk '$2 ~ /^(Reallocated_Sector_Ct|Current_Pending_Sector|Offline_Uncorrectable)$/ && $NF > 0 { print "    " $2 ": " $NF }'
}

printf 'Disks:\n'
if command -v smartctl > /dev/null 2>&1; then
  for device in $(smartctl --scan 2> /dev/null | awk '$1 ~ /^\/dev\/[A-Za-z0-9\/._-]+$/ { print $1 }'); do
    ! is_asked "$device" || smart_of "$device"
  done
else
  printf '  smartctl is not installed (package smartmontools): SMART cannot be read\n'
fi
if [ -r /proc/mdstat ]; then
  while read -r array; do
    problem "/dev/$array" 'this RAID array misses a disk'
  done << END
$(awk '/^md/ { name = $1 } /\[[U_]*_[U_]*\]/ { print name }' /proc/mdstat)
END
fi

printf 'Filesystems:\n'
if is_linux; then
  # Read-only although /etc/fstab has it otherwise: what ext4, XFS and others do after an error. Blanks are \040.
  while read -r device mount; do
    [ -n "$device" ] || continue
    if is_asked "$device" || is_asked "$(printf '%b' "${mount//\\/\\0}")"; then
      problem "$mount" "is read-only, and /etc/fstab says that it is not ($device): read the kernel's log, then fsck it unmounted"
    fi
  done << END
$(awk 'FILENAME == "/etc/fstab" { if ($1 !~ /^#/ && ("," $4 ",") !~ /,ro,/) wanted[$2] = 1; next }
  ("," $4 ",") ~ /,ro,/ && ($2 in wanted) { print $1, $2 }' /etc/fstab /proc/mounts 2> /dev/null)
END
else
  mount | awk '/read-only/ { print "  " $0 }' | while IFS= read -r line; do printf '%s\n' "$(shown "$line")"; done
fi

printf 'Errors in the kernel'\''s log:\n'
name=${disk#/dev/}
errors=$(dmesg 2> /dev/null | grep -E -i 'I/O error|medium error|critical target error|EXT4-fs error|XFS .*(error|corrupt)|BTRFS.*error|remounting filesystem read-only|ata[0-9.]+: .*failed' |
  tail -n 20)
case $disk in
  /dev/* | [a-z]*[0-9a-z]) [ -z "$errors" ] || errors=$(printf '%s\n' "$errors" | grep -F -- "${name##*/}") ;;
esac
if [ -n "$errors" ]; then
  while IFS= read -r line; do printf '  %s\n' "$(shown "$line")"; done << END
$errors
END
  problem "${disk:-all disks}" "$(printf '%s\n' "$errors" | grep -c .) errors in the kernel's log"
elif dmesg > /dev/null 2>&1; then
  printf '  none\n'
else
  printf '  it cannot be read by this user\n'
fi

note before "\"problems\":[${found:-}]"
if [ "$mode" = verify ]; then
  [ "$problems" -eq 0 ] || finish 1 failed "$problems problems were found"
  finish 0 "done" 'no problem was found'
fi
if [ "$problems" -eq 0 ]; then
  finish 0 nothing 'no problem was found; this remedy only looks'
fi
finish 0 nothing "$problems problems were found; this remedy only looks: what to do stands above"
