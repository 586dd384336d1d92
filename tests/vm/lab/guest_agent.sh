#!/bin/busybox sh
# Takes "ID BASE64(COMMAND)" lines from the device named by the first argument and answers each with
# "ID RC LENGTH\n" and LENGTH bytes of output. Commands run at the same time; answers never interleave.
execute() {
  echo "$2" | busybox base64 -d >/run/agent.$1.sh
  setsid bash /run/agent.$1.sh >/run/agent.$1.out 2>&1 </dev/null
  code=$?
  {
    flock 9
    printf '%s %s %s\n' "$1" $code $(busybox stat -c %s /run/agent.$1.out) >&3
    cat /run/agent.$1.out >&3
  } 9>/run/agent.lock
  rm -f /run/agent.$1.sh /run/agent.$1.out
}

exec 3<>"$1"
echo "FOREBAY-VM up $(uname -r)"
while true; do
  if read -r id command <&3; then execute "$id" "$command" & else busybox usleep 50000; fi
done
