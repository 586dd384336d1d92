#!/bin/busybox sh
# Process 1 of an emulated guest, in its root image.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/ LC_ALL=C TERM=dumb
. /forebay/places.sh
mount -t debugfs debug /sys/kernel/debug
modprobe -a virtio_console virtio_rng virtio_net nvme_tcp xfs loop || echo "FOREBAY-VM modprobe failed"
echo 1 >/proc/sys/kernel/panic_on_oops
ip link set lo up
ip addr add 10.0.2.15/24 dev eth0
ip link set eth0 up
ip route add default via 10.0.2.2
for port in /sys/class/virtio-ports/*; do
  [ "$(cat "$port/name")" = agent ] && agent=/dev/${port##*/}
done
[ -c "$agent" ] || echo "FOREBAY-VM no agent port"
# Where the machine has services: systemd takes over as process 1, and the agent goes on beside it.
if grep -q forebay.services /proc/cmdline; then
  echo 0123456789abcdef0123456789abcdef >/etc/machine-id  # or it were the first boot, which enables all there is
  busybox sh /forebay/agent.sh "$agent" &
  [ -x /usr/lib/systemd/systemd ] || exec /lib/systemd/systemd  # bookworm
  exec /usr/lib/systemd/systemd
fi
exec busybox sh /forebay/agent.sh "$agent"
