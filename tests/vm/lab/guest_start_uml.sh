#!/bin/busybox sh
# Process 1 of a User-mode Linux guest: the same root image under a scratch layer, the network of its tap, the agent
# on a serial line.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/ LC_ALL=C TERM=dumb
if [ ! -e /forebay/inside ]; then
  mount -t tmpfs rw /mnt
  mkdir /mnt/upper /mnt/work /mnt/root
  mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work root /mnt/root
  mount -t devtmpfs dev /mnt/root/dev
  mount -t proc proc /mnt/root/proc
  mount -t sysfs sys /mnt/root/sys
  touch /mnt/root/forebay/inside
  exec chroot /mnt/root /usr/bin/busybox sh /forebay/start_uml.sh
fi
. /forebay/places.sh
ip link set lo up
ip addr add 192.0.2.2/24 dev vec0
ip link set vec0 up
busybox stty -F /dev/ttyS0 raw -echo
exec busybox sh /forebay/agent.sh /dev/ttyS0
