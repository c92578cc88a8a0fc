#!/usr/bin/env bash
# fleetmedic: values
# Restarts a service that is down, and checks that it stays up.
#
#   bash fix.sh plan            shows what would be done, and changes nothing
#   bash fix.sh apply           does it
#   bash fix.sh verify          measures whether it helped
#
# Exit codes: 0 done or nothing to do, 1 failed, 2 bad usage, 3 refused. The last line printed is a JSON object.

remedy=service_restart
may_force=no

service=${FM_SERVICE:-}
settle=${FM_SETTLE_SECONDS:-5}

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
  local answers="$remedy${FM_EVENT:+ for event $FM_EVENT}${FM_HOST:+ on $FM_HOST}"
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
    # Each step says by itself how it ended, also when it is interrupted.
    trap : INT
    trap - EXIT
    bash -- "$0" plan | has_a_plan
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
    bash -- "$0" apply && bash -- "$0" verify
    exit $?
    ;;
  *) finish 2 usage "usage: bash $(shown "${0##*/}") $usage" ;;
esac

# ---- This remedy ------------------------------------------------------------------------------------------------

need_integer settle_seconds "$settle" 1 120
case $service in
  '') finish 2 usage 'service is needed: the name of a systemd unit or launchd job' ;;
  -* | *[!A-Za-z0-9:_.@\\-]*) finish 2 usage "service must be the name of a systemd unit or launchd job, not $service" ;;
esac

has_systemd() { [ -d /run/systemd/system ] && command -v systemctl > /dev/null 2>&1; }

if has_systemd; then
  property() { systemctl show --property="$1" --value -- "$service" 2> /dev/null; }
  is_known() { [ "$(property LoadState)" = loaded ]; }
  state() { property ActiveState; }
  restarts() { property NRestarts; }
  last_lines() { journalctl --no-pager --quiet --lines=10 --output=short-iso --unit="$service" 2> /dev/null; }
  restart() { systemctl restart -- "$service"; }
elif [ "$system" = Darwin ]; then
  is_known() { launchctl print "system/$service" > /dev/null 2>&1; }
  state() { launchctl print "system/$service" 2> /dev/null | awk '$1 == "state" { print ($3 == "running") ? "active" : $3; exit }'; }
  restarts() { launchctl print "system/$service" 2> /dev/null | awk '$1 == "runs" { print $3; exit }'; }
  last_lines() { log show --style compact --last 10m --predicate "process == \"${service##*.}\"" 2> /dev/null | tail -n 10; }
  restart() { launchctl kickstart -k "system/$service"; }
else
  finish 3 refused 'there is neither systemd nor launchd here that could restart a service'
fi

is_known || finish 3 refused "there is no service $service here"
now=$(state)
printf 'Service %s is %s. Its last log lines:\n' "$service" "$now"
last_lines | while IFS= read -r line; do printf '  %s\n' "$(shown "$line")"; done
note before "\"service\":$(json "$service"),\"state\":$(json "$now")"

if [ "$mode" = verify ]; then
  [ "$now" = active ] || finish 1 failed "service $service is $now"
  finish 0 "done" "service $service runs"
fi

# What is down can only gain; what runs may carry others.
if [ "$now" = active ]; then
  case $service in
    systemd-* | dbus* | ssh.service | sshd* | ssh | getty@* | display-manager* | gdm* | sddm* | lightdm* | docker* | containerd* | \
      podman* | crio* | postgresql* | mysql* | mariadb* | mongod* | redis* | valkey* | fleetmedic* | com.apple.*)
      finish 3 refused "service $service runs, and other things depend on it: it is left alone"
      ;;
    *) finish 0 nothing "service $service runs" ;;
  esac
fi
if [ "$mode" = plan ]; then
  printf 'Would restart %s, and watch for %s s that it stays up.\n' "$service" "$settle"
  finish 0 planned 'nothing was changed'
fi

[ "$(id -u)" -eq 0 ] || finish 3 refused 'a service can be restarted by root only: run this with sudo'
log_action "restarting service $service"
restart || finish 1 failed "service $service could not be restarted"
began=$(restarts)
waited=0
while [ "$waited" -lt "$settle" ]; do
  sleep 1
  waited=$((waited + 1))
  now=$(state)
  case $now in
    active | activating | reloading) ;;
    *) break ;;
  esac
done
note after "\"state\":$(json "$now")"
note changed "{\"service\":$(json "$service"),\"action\":\"restart\"}"
if [ "$now" != active ] || [ "$(restarts)" != "$began" ]; then
  last_lines | while IFS= read -r line; do printf '  %s\n' "$(shown "$line")"; done
  finish 1 failed "service $service did not stay up: it is $now"
fi
finish 0 "done" "service $service runs, and did for $settle s"
