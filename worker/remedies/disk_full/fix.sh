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
directory=${FM_DIRECTORY:-}
directory_bytes=${FM_DIRECTORY_BYTES:-}

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

# The filesystem that is full may be the one of temporary files: nothing here needs one, so no here-documents, no sort.

need_integer older_than_days "$days" 1 3650
need_integer journal_keep_mebibytes "$journal_mebibytes" 16 100000
directory_bytes=${directory_bytes%%.*}
[ -z "$directory_bytes" ] || need_integer directory_bytes "$directory_bytes" 0 100000000000000000
case $containers in
  true | false) ;;
  *) finish 2 usage 'include_containers must be true or false' ;;
esac
case $mount in
  /*) ;;
  *) finish 2 usage "mount must be an absolute path, not $mount" ;;
esac
case $directory in
  '' | /*) ;;
  *) finish 2 usage "directory must be an absolute path, not $directory" ;;
esac

most_seconds=30

# Run a command for at most half a minute: a filesystem of another machine may never answer.
bounded() {
  if command -v timeout > /dev/null 2>&1; then
    timeout "$most_seconds" "$@"
  else
    "$@"
  fi
}

bounded test -d "$mount"
case $? in
  0) ;;
  124 | 137 | 143) finish 1 failed "mount: $mount does not answer" ;;
  *) finish 2 usage "mount: there is no directory $mount" ;;
esac
[ ! -L "$mount" ] || finish 3 refused "mount: $mount is a link: name what it points to"

# Print used percent, KiB left for users, and used percent of the inodes; percents are rounded up, as df does.
space() {
  if is_linux; then
    bounded stat -f -c '%S %b %f %a %c %d' -- "$mount" 2> /dev/null | awk '
      function percent(used, left, exact) {
        exact = used + left > 0 ? 100 * used / (used + left) : 0
        return exact > int(exact) ? int(exact) + 1 : exact
      }
      $2 > 0 { printf "%d %.0f %d\n", percent($2 - $3, $4), $4 * $1 / 1024, percent($5 - $6, $6) }'
  else
    df -P -k -- "$mount" 2> /dev/null | awk '
      NR > 1 { for (i = 3; i <= NF; i++) if ($i ~ /^[0-9]+%$/) { print int($i), $(i - 1), 0; exit } }'
  fi
}

measure() {
  read -r used_percent left_kib inodes_percent < <(space) ||
    finish 1 failed "mount: the filesystem of $mount has no size, or does not answer"
}

device_of() {
  if is_linux; then
    bounded stat -c %d -- "$1" 2> /dev/null
  else
    stat -f %d -- "$1" 2> /dev/null
  fi
}

# The parts of awk that keep the biggest rows, and print them as KiB and name.
keep_biggest='
  function keep(kib, name, i) {
    for (i = most; i > 0 && (!(i in kibs) || kib > kibs[i]); i--) { kibs[i + 1] = kibs[i]; names[i + 1] = names[i] }
    kibs[i + 1] = kib
    names[i + 1] = name
  }
  function print_biggest(before, i) {
    # Not every awk prints a large number in full.
    for (i = 1; i <= most && names[i] != ""; i++) printf "%s%.0f %s\n", before, kibs[i], names[i]
  }'

# Print the biggest files and directories below a directory as KiB and path: how many, and the directory.
biggest() {
  if is_linux; then
    bounded du -x -a -k -0 -- "$2" 2> /dev/null | tr '\0\n' '\n?'
  else
    bounded du -x -a -k -- "$2" 2> /dev/null
  fi | awk -v most="$1" "$keep_biggest"'
    { kib = $1; sub(/^[0-9]+[ \t]+/, ""); keep(kib, $0) }
    END { print_biggest("") }'
}

# Show rows of KiB and path.
show_rows() {
  local kib path
  while read -r kib path; do
    printf '  %8s  %s\n' $((kib / 1024)) "$(shown "$path")"
  done
}

measure
device=$(device_of "$mount")
[ -n "$device" ] || finish 1 failed "mount: $mount does not answer"
printf 'The filesystem of %s is used at %s %%, with %s MiB left; its inodes are used at %s %%.\n' \
  "$(shown "$mount")" "$used_percent" $((left_kib / 1024)) "$inodes_percent"
note before "\"used_percent\":$used_percent,\"available_kib\":$left_kib,\"inodes_percent\":$inodes_percent"

# Tell what the directory that grew fastest held when the event opened, and what it holds now.
tell_growth() {
  local now before_kib=$((${directory_bytes:-0} / 1024))
  printf 'Grew fastest when the event opened: %s\n' "$(shown "$directory")"
  if [ -L "$directory" ] || [ ! -d "$directory" ] || [ "$(device_of "$directory")" != "$device" ]; then
    printf '  it is no directory of this filesystem now\n'
    return
  fi
  now=$(bounded du -s -x -k -- "$directory" 2> /dev/null | awk 'NR == 1 { print $1 }')
  if [ -z "$now" ]; then
    printf '  it could not be measured in %s s\n' "$most_seconds"
  elif [ -z "$directory_bytes" ]; then
    printf '  it holds %s MiB now\n' $((now / 1024))
    note before "\"directory\":{\"path\":$(json "$directory"),\"now_kib\":$now}"
  else
    printf '  it held %s MiB then, and holds %s MiB now: %+d MiB\n' \
      $((before_kib / 1024)) $((now / 1024)) $(((now - before_kib) / 1024))
    note before "\"directory\":{\"path\":$(json "$directory"),\"then_kib\":$before_kib,\"now_kib\":$now}"
  fi
}

[ -z "$directory" ] || tell_growth
if [ "$mode" = verify ]; then
  [ "$used_percent" -le "$limit_percent" ] || finish 1 failed "still used at $used_percent %, above $limit_percent %"
  [ "$inodes_percent" -le "$limit_percent" ] ||
    finish 1 failed "its inodes are still used at $inodes_percent %, above $limit_percent %"
  finish 0 "done" "used at $used_percent %, not above $limit_percent %"
fi

if is_linux && ! find "$mount" -maxdepth 0 -printf '' 2> /dev/null; then
  finish 1 failed 'find of GNU findutils is needed, and is not what is installed here'
fi

# Print the filesystem's device as /proc/PID/maps has it: on btrfs that is not what stat says.
mapped_device() {
  awk '/^mnt_id:/ { id = $2 } $1 == id { split($3, number, ":"); printf "%02x:%02x", number[1], number[2] }' \
    /proc/self/fdinfo/3 /proc/self/mountinfo 3< "$mount"
}

# Print DEVICE:INODE, hard links, blocks of 512 bytes and pid of each file that is in use, as far as this user may see it:
# open or, of this filesystem, mapped by a process, or by the kernel as a loop device or for swap. Of an overlay files
# have other devices than it has itself.
files_in_use() {
  local file
  if ! is_linux; then
    lsof -F Di 2> /dev/null | awk -v number="$device" -v device="$(printf 'D0x%x' "$device")" '
      /^f/ { here = 0 } /^D/ { here = $0 == device } /^i/ && here { print number ":" substr($0, 2), 1, 0, 0 }'
    return
  fi
  {
    bounded find /proc/[0-9]*/fd -maxdepth 1 -type l -exec stat -L -c '%d %i %h %b %n' -- {} +
    case $? in 124 | 137 | 143) printf '%s unknown 0 0 0\n' "$device" ;; esac
    { cat /sys/block/loop*/loop/backing_file; awk '$2 == "file" { print $1 }' /proc/swaps; } |
      while IFS= read -r file; do bounded stat -c '%d %i 1 0 kernel' -- "$file"; done
  } 2> /dev/null | awk '{ split($5, part, "/"); print $1 ":" $2, $3, $4, part[3] }'
  cat /proc/[0-9]*/maps 2> /dev/null | awk -v number="$device" -v device="$(mapped_device 2> /dev/null)" '
    $4 == device && !seen[$5]++ { print number ":" $5, 1, 0, 0 }'
}

in_use=$(files_in_use)
case $in_use in
  *unknown*) finish 1 failed "what is in use could not be told in $most_seconds s, so nothing is removed: does a filesystem not answer?" ;;
esac

# Tell which processes hold room by files that were removed while they had them open: no listing shows those.
tell_held() {
  local pid kib
  while read -r kib pid; do
    printf '  %8s  by %s (pid %s): they go when it ends or opens its files anew\n' $((kib / 1024)) \
      "$(shown "$(cat "/proc/$pid/comm" 2> /dev/null)")" "$pid"
  done < <(printf '%s\n' "$in_use" | awk -v most=5 -v device="$device:" "$keep_biggest"'
    $2 == 0 && $4 && index($1, device) == 1 && !seen[$1]++ { kib[$4] += $3 / 2 }
    END { for (pid in kib) if (kib[pid] >= 1024) keep(int(kib[pid]), pid); print_biggest("") }')
}

if [ "$mode" = plan ]; then
  printf 'What takes the most room on it, in MiB:\n'
  started=$SECONDS
  biggest 11 "$mount" | show_rows
  [ $((SECONDS - started)) -lt "$most_seconds" ] || printf '  only of what was seen in %s s\n' "$most_seconds"
  if [ -d "$directory" ] && [ ! -L "$directory" ] && [ "$directory" != "$mount" ]; then
    printf 'What takes the most room in what grew fastest, in MiB:\n'
    biggest 6 "$directory" | show_rows
  fi
  held=$(tell_held)
  [ -z "$held" ] || printf 'What removed files hold that are still open, in MiB:\n%s\n' "$held"
fi

freed_kib=0
steps=0
failures=''

# Files of one name each, as removing one of several names frees nothing; empty ones only where inodes are short.
# Another user sees neither what others have open nor may he remove it.
files=(-xdev -type f -links 1)
[ "$inodes_percent" -gt "$limit_percent" ] || files+=(-size +0)
[ "$(id -u)" -eq 0 ] || files+=(-user "$(id -u)")
is_linux || files+=(! -name $'*\n*')

# Print the users that have processes whose open files cannot be seen: in a container root may not look at those of others.
# Not root, whose first process may hide there from the same root, and whose files are most of what lies in these places.
unseen_users() {
  local process line
  is_linux || return 0
  # Who may not read this link may not see what is open either; processes that have ended have none.
  find /proc/[0-9]*/cwd -maxdepth 0 -printf '%l %p\n' 2> /dev/null | while IFS= read -r process; do
    process=${process#' /proc/'}
    process=${process%/cwd}
    case $process in '' | *[!0-9]*) continue ;; esac
    line=''
    { IFS= read -r -d '' line < "/proc/$process/stat"; } 2> /dev/null
    case ${line##*) } in
      '' | [ZX]*) ;;
      *) stat -c %u "/proc/$process" 2> /dev/null ;;
    esac
  done | awk '$1 != 0 && !seen[$1]++'
}

unseen=$(unseen_users)
for user in $unseen; do files+=(! -user "$user"); done

# Print DEVICE:INODE, blocks of 512 bytes and path of each file that find matches below a directory.
find_files() {
  local root=$1
  shift
  if is_linux; then
    find "$root" "${files[@]}" "$@" -printf '%D:%i %b %p\0' 2> /dev/null | tr '\0\n' '\n?'
  else
    find "$root" "${files[@]}" "$@" -exec stat -f '%d:%i %b %N' {} + 2> /dev/null
  fi
}

# Print, of the files that find matches, "open" and DEVICE:INODE of each that is in use; then of the others "sum", their count
# and KiB; then "big", KiB and path of the biggest.
survey() {
  {
    printf '%s\n' "$in_use" end
    find_files "$@"
  } | awk -v most=3 "$keep_biggest"'
    !listed { if ($1 == "end") listed = 1; else used[$1] = 1; next }
    $1 in used { print "open", $1; next }
    { count++; blocks += $2; kib = int($2 / 2); sub(/^[0-9:]+ [0-9]+ /, ""); keep(kib, $0) }
    END { printf "sum %d %.0f\n", count, int(blocks / 2); print_biggest("big ") }'
}

# Print what is mounted below a directory, as patterns for find: -xdev alone enters a bind mount of the same filesystem.
mounts_below() {
  local real
  # The kernel names no place by a link, and one may be above the directory.
  real=$(cd -P -- "$1" && pwd -P)
  [ ! -r /proc/self/mountinfo ] || awk -v real="${real:-$1}/" -v root="$1/" 'index($5, real) == 1 {
    gsub(/\\[0-7][0-7][0-7]|[*[]/, "?", $5)
    print root substr($5, length(real) + 1)
  }' /proc/self/mountinfo
}

# Tell what a step did to the room on the filesystem, and note it: the KiB left before, the KiB freed, and members of
# JSON that say what was done.
tell_step() {
  measure
  printf '  %s MiB were left before, %s MiB are now: %s MiB freed\n' $(($1 / 1024)) $((left_kib / 1024)) $(($2 / 1024))
  freed_kib=$((freed_kib + $2))
  note changed "{$3,\"freed_kib\":$2,\"available_kib_before\":$1,\"available_kib_after\":$left_kib}"
}

# Remove old files below a directory of this filesystem: WHAT, the directory, then what find is to match. Links are
# not followed, other filesystems and mounts are not entered, and what is in use stays.
clean() {
  local what=$1 root=$2 kind first rest below open=0 count=0 kib=0 largest=() before remaining
  shift 2
  [ -d "$root" ] && [ ! -L "$root" ] && [ "$(device_of "$root")" = "$device" ] || return 0
  while IFS= read -r below; do
    set -- "$@" ! -path "$below" ! -path "$below/*"
  done < <(mounts_below "$root")
  while read -r kind first rest; do
    case $kind in
      open)
        open=$((open + 1))
        set -- "$@" ! -inum "${first#*:}"
        ;;
      sum) count=$first kib=$rest ;;
      *) largest[${#largest[@]}]="$first $rest" ;;
    esac
  done < <(survey "$root" "$@")
  [ "$open" -eq 0 ] || printf '  %s below %s: %s in use, left alone\n' "$what" "$root" "$open"
  [ "$count" -gt 0 ] || return 0
  steps=$((steps + 1))
  if [ "$mode" = plan ]; then
    freed_kib=$((freed_kib + kib))
    printf '  would remove %s %s below %s: %s MiB, with %s MiB left then; the biggest of them, in MiB:\n' \
      "$count" "$what" "$root" $((kib / 1024)) $(((left_kib + freed_kib) / 1024))
    printf '%s\n' "${largest[@]}" | show_rows
    return 0
  fi
  measure
  before=$left_kib
  log_action "removing $count $what below $root ($((kib / 1024)) MiB)"
  find "$root" "${files[@]}" "$@" -delete 2> /dev/null
  read -r kind remaining rest < <(survey "$root" "$@")
  [ "$remaining" -eq 0 ] || failures="$failures $root"
  tell_step "$before" $((kib - rest)) \
    "\"action\":\"remove\",\"what\":$(json "$what"),\"root\":$(json "$root"),\"files\":$((count - remaining))"
}

old=(-mtime "+$days")
# What was unpacked or copied may bring an old time of change, so that when it came counts too. Something trusts in
# locks and pid files, which are hardly ever open.
temporary=("${old[@]}" -atime "+$days" -ctime "+$days" ! -name '*.lock' ! -name '*-lock' ! -name '*.pid')
# What was downloaded just now waits to be installed.
downloaded=(-ctime +0)
# Audit logs are evidence.
rotated=("${old[@]}" ! -path '*/log/audit/*' \( -name '*.gz' -o -name '*.xz' -o -name '*.bz2' -o -name '*.zst' -o
  -name '*.old' -o -name '*.[0-9]' -o -name '*.[0-9][0-9]' -o -name '*-20[0-9][0-9][01][0-9][0-3][0-9]' \))

printf 'What is safe to remove, older than %s days:\n' "$days"
if [ "$(id -u)" -eq 0 ] && [ -n "$unseen" ]; then
  printf '  (nothing of the users with these ids, as what they have open cannot be seen: %s)\n' "$(printf '%s' "$unseen" | tr '\n' ' ')"
fi
if is_linux; then
  clean 'temporary files' /tmp "${temporary[@]}"
  clean 'temporary files' /var/tmp "${temporary[@]}"
  clean 'downloaded packages' /var/cache/apt/archives "${downloaded[@]}" -name '*.deb'
  clean 'downloaded packages' /var/cache/dnf "${downloaded[@]}" -name '*.rpm'
  clean 'downloaded packages' /var/cache/libdnf5 "${downloaded[@]}" -name '*.rpm'
  clean 'downloaded packages' /var/cache/yum "${downloaded[@]}" -name '*.rpm'
  clean 'downloaded packages' /var/cache/zypp "${downloaded[@]}" -name '*.rpm'
  clean 'rotated logs' /var/log "${rotated[@]}"
  clean 'crash dumps' /var/crash "${old[@]}"
  clean 'crash dumps' /var/lib/systemd/coredump "${old[@]}"
  clean 'crash dumps' /var/lib/apport/coredump "${old[@]}"
  clean 'crash dumps' /var/spool/abrt "${old[@]}" -name coredump
else
  clean 'temporary files' /private/tmp "${temporary[@]}"
  clean 'temporary files' /private/var/tmp "${temporary[@]}"
  clean 'rotated logs' /private/var/log "${rotated[@]}"
  clean 'crash reports' /Library/Logs/DiagnosticReports "${old[@]}"
  clean 'crash dumps' /cores "${old[@]}"
fi

# Run a command that frees room by itself, and measure what it freed: WHAT, then the command.
run_cleaner() {
  local what=$1 before
  shift
  steps=$((steps + 1))
  if [ "$mode" = plan ]; then
    printf '  would run: %s (%s)\n' "$*" "$what"
    return 0
  fi
  measure
  before=$left_kib
  log_action "running $*"
  if "$@" > /dev/null 2>&1; then
    measure
    tell_step "$before" $((left_kib - before)) "\"action\":\"run\",\"what\":$(json "$what")"
  else
    failures="$failures ($what)"
  fi
}

clean_journal() {
  local journal kib
  # Without its folder journalctl would take to the one below /run too, and the size is to be that of what it vacuums.
  journal=$(cat /etc/machine-id 2> /dev/null)
  case $journal in '' | *[!0-9a-f]*) return 0 ;; esac
  journal=/var/log/journal/$journal
  [ -d "$journal" ] && [ "$(device_of "$journal")" = "$device" ] && command -v journalctl > /dev/null 2>&1 || return 0
  kib=$(du -s -x -k -- "$journal" 2> /dev/null | awk '{ print $1 }')
  [ $((${kib:-0} / 1024)) -gt "$journal_mebibytes" ] || return 0
  run_cleaner "the oldest of the journal: at most $((kib / 1024 - journal_mebibytes)) of its $((kib / 1024)) MiB" \
    journalctl "--directory=$journal" "--vacuum-size=${journal_mebibytes}M"
}

# Containers that are stopped, networks and build caches that nothing uses, and images without a name, all of them made
# that many days ago; never volumes. An engine may be one of another machine, by its settings.
clean_containers() {
  local engine=$1 name root
  read -r name root < <(bounded "$engine" info --format "$2" 2> /dev/null) && [ -n "$root" ] || return 0
  if [ "$name" != "$(uname -n)" ]; then
    printf '  what %s reaches is the machine %s, and left alone\n' "$engine" "$(shown "$name")"
    return 0
  fi
  if [ "$(device_of "$root")" != "$device" ]; then
    printf '  what %s keeps is on another filesystem, and left alone\n' "$engine"
    return 0
  fi
  if [ "$mode" = plan ]; then
    printf '  what %s has, and stopped containers, of which the old ones would go:\n' "$engine"
    {
      bounded "$engine" system df
      bounded "$engine" ps --all --filter status=exited --filter status=created --format '{{.Names}}: {{.Status}}'
    } 2> /dev/null | while IFS= read -r root; do printf '    %s\n' "$(shown "$root")"; done
  fi
  run_cleaner "stopped containers, unused networks and nameless images of $engine" \
    "$engine" system prune --force --filter "until=$((days * 24))h"
}

[ "$(id -u)" -ne 0 ] || clean_journal
if [ "$containers" = true ]; then
  clean_containers docker '{{.Name}} {{.DockerRootDir}}'
  clean_containers podman '{{.Host.Hostname}} {{.Store.GraphRoot}}'
fi

if [ "$steps" -eq 0 ]; then
  note after "\"used_percent\":$used_percent,\"available_kib\":$left_kib,\"inodes_percent\":$inodes_percent"
  finish 0 nothing 'nothing that is safe to remove lies on this filesystem: the plan lists what fills it'
fi
if [ "$mode" = plan ]; then
  note after "\"would_free_kib\":$freed_kib"
  finish 0 planned "nothing was changed; about $((freed_kib / 1024)) MiB would be freed"
fi
measure
note after "\"used_percent\":$used_percent,\"available_kib\":$left_kib,\"inodes_percent\":$inodes_percent"
[ -z "$failures" ] || finish 1 failed "not all could be removed:$failures; used at $used_percent % now"
finish 0 "done" "freed $((freed_kib / 1024)) MiB; used at $used_percent % now"
