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

# The filesystem that turned read-only may be the one of temporary files: nothing here needs one, so no here-documents.

# Where smartmontools lies on a Mac.
PATH=$PATH:/opt/homebrew/sbin
line='
'
problems=0
found=''
disks=''
unseen=''

# Run a command for at most half a minute: a disk that fails may not answer.
bounded() {
  if command -v timeout > /dev/null 2>&1; then
    timeout 30 "$@"
  else
    "$@"
  fi
}

# Tell of a problem: what it is about, and what it is.
problem() {
  problems=$((problems + 1))
  printf '  %s: %s\n' "$(shown "$1")" "$(shown "$2")"
  found="$found${found:+,}{\"subject\":$(json "$1"),\"problem\":$(json "$2")}"
}

# Note that something could not be looked at: WHAT, and why.
not_seen() {
  printf '  %s cannot be read: %s\n' "$1" "$2"
  unseen="$unseen${unseen:+, }$1"
}

# Print device, place, type and options of what is mounted; blanks in a place are \040, as in /etc/fstab.
mounts() {
  if is_linux; then
    cut -d ' ' -f 1-4 /proc/self/mounts 2> /dev/null
  else
    mount | sed -n 's|^\(/dev/[^ ]*\) on \(/[^ ]*\) (\([a-z]*\), \(.*\))$|\1 \2 \3 \4|p' | sed 's/read-only/ro/; s/, /,/g'
  fi
}

# Print the device that is mounted at a place.
mounted_at() {
  local device place _
  while read -r device place _; do
    printf -v place '%b' "${place//\\/\\0}"
    [ "$place" != "$1" ] || printf '%s\n' "$device"
  done < <(mounts) | tail -n 1
}

# Print the kernel's names of a device and of those that it lies on: of a partition its disk, of a volume all its disks,
# of an NVMe disk its controller, of an ATA disk its port.
names_of() {
  local name=${1##*/}
  printf '%s\n' "$name"
  if ! is_linux; then
    printf '%s\n' "${name%s[0-9]*}"
    return
  fi
  bounded lsblk --inverse --noheadings --list --output KNAME "$1" 2> /dev/null | while read -r name; do
    printf '%s\n' "$name"
    case $name in
      nvme*n*) printf '%s\n' "${name%n*}" ;;
      *) readlink -f "/sys/class/block/$name" | sed -n 's|.*/\(ata[0-9]*\)/.*|\1|p' ;;
    esac
  done
}

# What is asked for: the names between ends of lines, empty where it is all disks; and the mount, where it is one.
asked=''
asked_mount=''
if [ -n "$disk" ]; then
  case $disk in
    /*) ;;
    *) disk=/dev/$disk ;;
  esac
  device=$disk
  if [ ! -b "$disk" ] && [ ! -c "$disk" ]; then
    device=$(mounted_at "$disk")
    [ -z "$device" ] || asked_mount=$disk
  fi
  asked="$line$(names_of "${device:-$disk}")$line"
fi

# Say whether a device is asked for, or lies on one that is.
is_asked() {
  local name
  [ -n "$asked" ] || return 0
  while IFS= read -r name; do
    case $asked in
      *"$line$name$line"*) return 0 ;;
      *) ;;
    esac
  done < <(names_of "$1")
  return 1
}

# Print device and type of the disks that SMART can be asked of. The scan takes SATA disks for SCSI, and insisting on
# that would hide their health.
smart_disks() {
  local device type _
  while read -r device _ type _; do
    case $device in
      *[!A-Za-z0-9/._-]*) continue ;;
      /dev/*) ;;
      *) continue ;;
    esac
    case $type in
      '' | scsi | ata | *[!A-Za-z0-9,+/_-]*) type=auto ;;
      *) ;;
    esac
    printf '%s %s\n' "$device" "$type"
  done < <(bounded smartctl --scan 2> /dev/null)
}

# Tell what SMART says of a disk: its device, and the type that smartctl is to take it for. A disk that sleeps is not
# woken up.
smart_of() {
  local device=$1 answer code health=unknown unreadable
  answer=$(bounded smartctl --health --attributes --nocheck=standby "--device=$2" "$device" 2> /dev/null)
  # Bits of the exit status, smartctl(8): 16 an attribute below its threshold, 32 formerly, 64 errors in the disk's own
  # log, 128 a self-test failed.
  code=$?
  case $answer in
    *'test result: PASSED'* | *'Health Status: OK'*) health=healthy ;;
    *'test result: FAILED'* | *'SMART Health Status: '*) health=failing ;;
    *'in STANDBY mode'* | *'in SLEEP mode'*) not_seen "SMART of $device" 'it sleeps, and is not woken up' ;;
    *) not_seen "SMART of $device" "it does not answer$([ "$(id -u)" -eq 0 ] || echo ', which root may change')" ;;
  esac
  if [ "$health" = failing ]; then
    problem "$device" 'SMART says that it fails: copy what matters off it, and replace it'
  elif [ "$health" = healthy ] && [ $((code & 16)) -ne 0 ]; then
    health=failing
    problem "$device" 'SMART has an attribute that foretells failure below its threshold: copy what matters off it, and replace it'
  elif [ "$health" = healthy ]; then
    printf '  %s: SMART says that it is healthy\n' "$device"
  fi
  if [ "$health" != unknown ]; then
    printf '%s\n' "$answer" | awk '
      $2 ~ /^(Reallocated_Sector_Ct|Reported_Uncorrect|Current_Pending_Sector|Offline_Uncorrectable|UDMA_CRC_Error_Count)$/ &&
        $10 + 0 > 0 { printf "    %s: %.0f\n", $2, $10 }
      /^(Critical Warning|Available Spare|Percentage Used|Media and Data Integrity Errors): *[0-9]/ {
        gsub(/[^ -~]/, "?")
        print "    " $0
      }'
    unreadable=$(printf '%s\n' "$answer" | awk '$2 == "Current_Pending_Sector" { printf "%.0f", $10; exit }')
    [ "${unreadable:-0}" -eq 0 ] || problem "$device" "$unreadable sectors of it cannot be read: copy what matters off it"
    [ $((code & 128)) -eq 0 ] || problem "$device" 'it failed a test of itself: copy what matters off it'
    [ $((code & 64)) -eq 0 ] || printf '    it has errors in its own log: smartctl --log=error shows them\n'
    [ $((code & 32)) -eq 0 ] || printf '    an attribute was below its threshold formerly\n'
  fi
  disks="$disks${disks:+,}{\"disk\":$(json "$device"),\"smart\":\"$health\"}"
}

printf 'Disks:\n'
if [ -n "$disk" ] && [ -z "$asked_mount" ] && [ ! -e "$disk" ]; then
  problem "$disk" 'there is no such disk or mount: it has vanished, or the name is wrong'
fi
if command -v smartctl > /dev/null 2>&1; then
  while read -r device type; do
    ! is_asked "$device" || smart_of "$device" "$type"
  done < <(smart_disks)
  [ -n "$disks" ] || printf '  smartctl finds none%s\n' "${disk:+ that is asked for}"
elif is_linux; then
  not_seen SMART 'smartctl is not installed (package smartmontools)'
else
  while read -r device; do
    is_asked "$device" || continue
    case $(diskutil info "$device" 2> /dev/null | sed -n 's/.*SMART Status: *//p') in
      Verified) printf '  %s: SMART says that it is healthy\n' "$device" ;;
      Failing) problem "$device" 'SMART says that it fails: copy what matters off it, and replace it' ;;
      *) not_seen "SMART of $device" 'it does not answer' ;;
    esac
  done < <(diskutil list physical 2> /dev/null | awk '/^\/dev\/disk[0-9]+ / { print $1 }')
fi
if [ -r /proc/mdstat ]; then
  while read -r array; do
    ! is_asked "/dev/$array" || problem "/dev/$array" 'this RAID array misses a disk'
  done < <(awk '/^md/ { name = $1 } /\[[U_]*_[U_]*\]/ { print name }' /proc/mdstat)
fi

# Print the options that /etc/fstab has for a place.
wanted_options() {
  FM_PLACE=$1 awk '$1 !~ /^#/ && $2 == ENVIRON["FM_PLACE"] { print $4; exit }' /etc/fstab 2> /dev/null
}

# Tell of a filesystem that does not write, though it is meant to: device, place and options.
look_at_mount() {
  local device=$1 place
  printf -v place '%b' "${2//\\/\\0}"
  case ,$3, in
    *,emergency_ro,* | *,shutdown,*)
      problem "$place" "the kernel stopped it after an error ($device): read the kernel's log, then fsck it unmounted"
      ;;
    *,ro,*)
      case ,$(wanted_options "$2"), in
        *,ro,*) ;;
        ,,)
          [ "$place" != "$asked_mount" ] ||
            problem "$place" "is read-only ($device): unless that is wanted, read the kernel's log, then fsck it unmounted"
          ;;
        *)
          problem "$place" "is read-only, and /etc/fstab says that it is not ($device): read the kernel's log, then fsck it unmounted"
          ;;
      esac
      ;;
    *) ;;
  esac
}

# Tell of the errors that an ext4 keeps count of: device and place.
look_at_ext4() {
  local device=$1 place count last
  printf -v place '%b' "${2//\\/\\0}"
  device=$(readlink -f -- "$device")
  device=/sys/fs/ext4/${device##*/}
  count=$(cat "$device/errors_count" 2> /dev/null)
  [ "${count:-0}" -gt 0 ] || return 0
  last=$(cat "$device/last_error_time" 2> /dev/null)
  problem "$place" "ext4 counts $count errors since it was last checked ($1), the last one at $(date -d "@${last:-0}" '+%F %T'): fsck it unmounted"
}

printf 'Filesystems:\n'
before_these=$problems
looked_at=$line
while read -r device place type options; do
  case $device in
    /dev/*) is_asked "$device" || continue ;;
    *) [ -z "$asked" ] || [ "$device" = "$(mounted_at "$asked_mount")" ] || continue ;;
  esac
  look_at_mount "$device" "$place" "$options"
  case $type$looked_at in
    *"$line$device$line"*) ;;
    ext[234]*) look_at_ext4 "$device" "$place" ;;
    *) ;;
  esac
  looked_at="$looked_at$device$line"
done < <(mounts)
if [ -z "$(mounts)" ]; then
  not_seen 'what is mounted' 'the system does not tell'
elif [ "$problems" -eq "$before_these" ]; then
  printf '  none is read-only that should not be, and none counts errors\n'
fi

# Print the kernel's log since the boot, where this user may read it.
kernel_log() {
  local text
  # Not every dmesg can tell the time.
  text=$(dmesg --ctime 2> /dev/null || dmesg 2> /dev/null)
  # Where it was cleared the journal has it still, and where it may not be read both may be empty.
  [ -n "$text" ] || ! is_linux || text=$(bounded journalctl --dmesg --boot --quiet --no-pager 2> /dev/null)
  [ -n "$text" ] && printf '%s\n' "$text"
}

# Print a pattern of what the kernel calls what is asked for, its partitions too.
asked_pattern() {
  printf '%s' "$asked" | grep -E '^[A-Za-z0-9_-]+$' |
    sed -e 's/[A-Za-z]$/&[0-9]*/' -e 's/[0-9]$/&(p[0-9]+)?/' | tr '\n' '|'
}

printf 'Errors in the kernel'\''s log:\n'
errors=''
if log=$(kernel_log); then
  errors=$(printf '%s\n' "$log" | grep -E -i "I/O error|medium error|critical target error|unrecovered read error|\
EXT4-fs (error|.*(aborting|remounting filesystem))|XFS .*(error|corrupt|shut down)|BTRFS (error|critical)|JBD2: .*error|\
ata[0-9.]+: .*(failed|error)|nvme.*(timeout, |is down)|md/raid.*disk failure|remounting filesystem read-only")
  if [ -n "$asked" ]; then
    errors=$(printf '%s\n' "$errors" | grep -E "(^|[^A-Za-z0-9_-])($(asked_pattern)no-such-name)([^A-Za-z0-9_-]|$)")
  fi
  if [ -n "$errors" ]; then
    printf '%s\n' "$errors" | tail -n 20 | while IFS= read -r text; do printf '  %s\n' "$(shown "$text")"; done
    problem "${disk:-all disks}" "errors in the kernel's log since it booted: $(printf '%s\n' "$errors" | wc -l | tr -d ' ')"
  else
    printf '  none since it booted\n'
  fi
else
  not_seen "the kernel's log" "it is empty, or this user may not"
fi

note before "\"problems\":[$found],\"disks\":[$disks],\"unseen\":$(json "$unseen")"
if [ "$mode" = verify ]; then
  [ "$problems" -eq 0 ] || finish 1 failed "problems found: $problems"
  # What was complained of cannot be called well unseen.
  if [ -n "$unseen" ] && [ -n "$disk" ] && [ -z "$asked_mount" ]; then
    finish 1 failed "no problem was found, but not all could be read: $unseen"
  fi
  finish 0 "done" "no problem was found${unseen:+, but not all could be read: $unseen}"
fi
if [ "$problems" -eq 0 ]; then
  finish 0 nothing "no problem was found${unseen:+, but not all could be read: $unseen}; this remedy only looks"
fi
finish 0 nothing "problems found: $problems; this remedy only looks: what to do stands above"
