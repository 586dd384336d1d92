#!/bin/busybox sh
# Takes "ID BASE64(COMMAND)" lines from the device named by the first argument and answers each with
# "ID RC LENGTH\n" and LENGTH bytes of output. Commands run at the same time; answers never interleave.
#
# Every command ignores SIGPIPE. The kernel's nvme-tcp sends in the context of the process that does the I/O, without
# MSG_NOSIGNAL: a request sent to a target that has just died, before the kernel has noticed, gets EPIPE, and the process
# gets the signal although the kernel goes on to retry the request ("failed to send request -32"). An ignored signal
# stays ignored over exec.
execute() {
  echo "$2" | busybox base64 -d >/run/agent.$1.sh
  setsid bash -c 'trap "" PIPE; exec bash "$0"' /run/agent.$1.sh >/run/agent.$1.out 2>&1 </dev/null
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
