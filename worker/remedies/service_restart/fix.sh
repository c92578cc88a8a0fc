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

need_integer settle_seconds "$settle" 1 120
case $service in
  '') finish 2 usage 'service is needed: the name of a systemd unit or launchd job' ;;
  -* | *[!A-Za-z0-9:_.@\\-]*) finish 2 usage "service must be the name of a systemd unit or launchd job, not $service" ;;
esac

# For systemd and for launchd: whether there is the service, its state, what is measured of it as members of JSON, which
# run of it this is, its names, its last log lines, what speaks against a restart, and the restart itself.
if [ -d /run/systemd/system ] && command -v systemctl > /dev/null 2>&1; then
  property() {
    local line
    line=$(systemctl show --property="$1" -- "$service" 2> /dev/null)
    printf '%s' "${line#*=}"
  }
  is_known() {
    case $(property LoadState) in
      '') finish 3 refused 'systemd does not answer: run this with sudo' ;;
      not-found) return 1 ;;
    esac
  }
  state() { property ActiveState; }
  measured() {
    printf '"state":%s,"sub_state":%s,"result":%s,"exit_status":%d,"restarts":%d' "$(json "$(state)")" \
      "$(json "$(property SubState)")" "$(json "$(property Result)")" "$(property ExecMainStatus)" "$(property NRestarts)"
  }
  this_run() { systemctl show --property=InvocationID --property=NRestarts --property=MainPID -- "$service" 2> /dev/null; }
  names() { property Names; }
  last_lines() { journalctl --no-pager --quiet --lines=10 --output=short-iso --unit="$service" 2> /dev/null; }
  obstacle() {
    local other load
    load=$(property LoadState)
    case $load in
      loaded) ;;
      masked) printf 'it is masked: somebody decided that it must not run' && return ;;
      *) printf 'systemd cannot load its unit (%s)' "$load" && return ;;
    esac
    case $(property Id) in
      emergency.service | rescue.service | debug-shell.service) printf 'it takes the machine over' && return ;;
      *.service) ;;
      *) printf 'it is not a service, and to start it may stop others' && return ;;
    esac
    if [ "$(property Type)$(property RemainAfterExit)" = oneshotno ]; then
      printf 'it runs once and ends: there is nothing to keep up'
    elif [ "$(property RefuseManualStart)" = yes ]; then
      printf 'its unit may not be started by hand'
    fi
    for other in $(property Conflicts) $(property ConflictedBy); do
      case $(systemctl is-active -- "$other") in
        active | activating | reloading) printf 'it would stop %s, which runs' "$other" && return ;;
      esac
    done
    ! is_stopped || return 0
    for other in $(property RequiredBy) $(property BoundBy) $(property ConsistsOf); do
      case $(systemctl is-active -- "$other") in
        active | activating | reloading) printf 'it would restart %s too, which runs' "$other" && return ;;
      esac
    done
  }
  is_stopped() {
    case $(state) in inactive | failed) ;; *) return 1 ;; esac
  }
  restart() {
    local how=restart
    # What needs it and runs on without it would be restarted too.
    ! is_stopped || how=start
    # One that failed too often in a row is not started again before this.
    systemctl reset-failed -- "$service" 2> /dev/null
    systemctl "$how" -- "$service" 2>&1
  }
elif [ "$system" = Darwin ]; then
  of_job() { launchctl print "system/$service" 2> /dev/null | sed -n "s/^[[:space:]]*$1 = //p" | head -n 1; }
  is_known() { launchctl print "system/$service" > /dev/null 2>&1; }
  state() {
    local now
    now=$(of_job state)
    if [ "$now" = running ]; then
      printf 'active'
    else
      printf '%s' "$now"
    fi
  }
  measured() {
    printf '"state":%s,"last_exit_code":%s,"runs":%s' "$(json "$(state)")" "$(json "$(of_job 'last exit code')")" \
      "$(json "$(of_job runs)")"
  }
  this_run() { printf '%s %s' "$(of_job runs)" "$(of_job pid)"; }
  names() { printf '%s' "$service"; }
  last_lines() { log show --style compact --last 10m --predicate "process == \"${service##*.}\"" 2> /dev/null | tail -n 10; }
  obstacle() { :; }
  restart() { launchctl kickstart "system/$service" 2>&1; }
else
  finish 3 refused 'there is neither systemd nor launchd here that could restart a service'
fi

show_last_lines() {
  local line count=0
  while IFS= read -r line; do
    printf '  %s\n' "$(shown "$line")"
    count=$((count + 1))
  done < <(last_lines)
  [ "$count" -gt 0 ] || printf '  none, or none that this user may read\n'
}

is_up() {
  case $(state) in active | reloading | refreshing) ;; *) return 1 ;; esac
}

# Succeed when the service is up all the time, for as long as it must, in one run.
stays_up() {
  local run waited=0
  run=$(this_run)
  while is_up && [ "$(this_run)" = "$run" ]; do
    [ "$waited" -lt $((settle * 2)) ] || return 0
    sleep 0.5
    waited=$((waited + 1))
  done
  return 1
}

is_known || finish 3 refused "there is no service $service here"
printf 'Service %s is %s. Its last log lines:\n' "$service" "$(shown "$(state)")"
show_last_lines
note before "\"service\":$(json "$service"),$(measured)"

if [ "$mode" = verify ]; then
  is_up || finish 1 failed "service $service is $(state)"
  stays_up || finish 1 failed "service $service does not stay up: it went down within $settle s, and is $(state) now"
  finish 0 "done" "service $service is up, and stayed up for $settle s"
fi

# What is down can only gain; what runs may carry others.
if is_up; then
  for name in $(names); do
    case $name in
      systemd-* | dbus* | ssh.service | sshd* | ssh | getty@* | serial-getty@* | display-manager* | gdm* | sddm* | lightdm* | \
        docker* | containerd* | podman* | crio* | kubelet* | libvirtd* | postgresql* | mysql* | mariadb* | mongod* | redis* | \
        valkey* | fleetmedic* | com.apple.*)
        finish 3 refused "service $service runs, and other things depend on it: it is left alone"
        ;;
    esac
  done
  finish 0 nothing "service $service runs"
fi
why=$(obstacle)
[ -z "$why" ] || finish 3 refused "service $service is left alone: $why"
if [ "$mode" = plan ]; then
  printf 'Would restart %s, and watch for %s s that it stays up.\n' "$service" "$settle"
  finish 0 planned 'nothing was changed'
fi

[ "$(id -u)" -eq 0 ] || finish 3 refused 'a service can be restarted by root only: run this with sudo'
log_action "restarting service $service"
note changed "{\"service\":$(json "$service"),\"action\":\"restart\"}"
if said=$(restart) && stays_up; then
  note after "$(measured)"
  finish 0 "done" "service $service is up, and stayed up for $settle s"
fi
note after "$(measured)"
printf '%s' "${said:+  $(shown "$said")$'\n'}"
printf 'Its last log lines:\n'
show_last_lines
finish 1 failed "service $service did not stay up: it is $(state)"
