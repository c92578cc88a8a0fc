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

service=${FM_SERVICE:-}
settle=${FM_SETTLE_SECONDS:-5}

set -u
export LC_ALL=C
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# ---- What every remedy has: text, the result, guards, processes -------------------------------------------------

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
  printf '%s\n' "$(shown "$3")"
  printf '{"remedy":"%s","mode":%s,"outcome":"%s","exit_code":%d,"message":%s,"before":{%s},"after":{%s},"changed":[%s]}\n' \
    "$remedy" "$(json "$mode")" "$2" "$1" "$(json "$3")" "$before" "$after" "$changed"
  exit "$1"
}

# Write what is done to the system's log, where there is one.
log_action() {
  printf '%s\n' "$1"
  if command -v logger > /dev/null 2>&1; then
    logger -t fleetmedic -- "$remedy: $1" 2> /dev/null || true
  fi
}

# End with 2 unless a value is a whole number within bounds.
need_integer() {
  case $2 in
    '' | *[!0-9]* | ??????????*) finish 2 usage "$1 must be a whole number from $3 to $4" ;;
  esac
  if [ "$2" -lt "$3" ] || [ "$2" -gt "$4" ]; then
    finish 2 usage "$1 must be a whole number from $3 to $4"
  fi
}

[ $# -le 1 ] || finish 2 usage "usage: bash $(shown "${0##*/}") plan | apply | verify"
case $mode in
  plan | apply | verify) ;;
  '')
    if [ ! -t 0 ] || [ ! -t 1 ]; then
      finish 2 usage "without a terminal say what to do: bash $(shown "${0##*/}") plan | apply | verify"
    fi
    bash "$0" plan || exit $?
    printf 'Do this? [y/N] '
    read -r answer
    case $answer in
      y | Y | yes) bash "$0" apply && bash "$0" verify ;;
      *) printf 'Nothing was changed.\n' ;;
    esac
    exit $?
    ;;
  *) finish 2 usage "usage: bash $(shown "${0##*/}") plan | apply | verify" ;;
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
