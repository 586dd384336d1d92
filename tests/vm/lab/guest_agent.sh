#!/bin/busybox sh
# Process 1 of a guest. Takes "ID BASE64(COMMAND)" lines on the port named "agent" and answers each with
# "ID RC LENGTH\n" and LENGTH bytes of output. Commands run at the same time; answers never interleave.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/ LC_ALL=C TERM=dumb
mount -t tmpfs run /run
mount -t tmpfs tmp /tmp
mkdir -p /run/lock /run/udev /etc/nvme /mnt /dev/pts /dev/shm
mount -t devpts pts /dev/pts
mount -t tmpfs shm /dev/shm
ln -s /proc/self/fd /dev/fd
mount -t debugfs debug /sys/kernel/debug
echo root:x:0:0:root:/:/bin/sh >/etc/passwd
echo root:x:0: >/etc/group
ip link set lo up
modprobe -a virtio_console virtio_rng virtio_net nvme_tcp xfs loop || echo "FOREBAY-VM modprobe failed"
echo 1 >/proc/sys/kernel/panic_on_oops
ip addr add 10.0.2.15/24 dev eth0
ip link set eth0 up
ip route add default via 10.0.2.2
for port in /sys/class/virtio-ports/*; do
  [ "$(cat "$port/name")" = agent ] && agent=/dev/${port##*/}
done
[ -c "$agent" ] || echo "FOREBAY-VM no agent port"

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

exec 3<>"$agent"
echo "FOREBAY-VM up $(uname -r)"
while true; do
  if read -r id command <&3; then execute "$id" "$command" & else busybox usleep 50000; fi
done
