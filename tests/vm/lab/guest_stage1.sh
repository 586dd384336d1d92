#!/bin/busybox sh
# First stage, from the initramfs: reach the root image, put a scratch layer over it, go there.
busybox mkdir -p /dev /proc /sys /ro /rw /root
busybox mount -t devtmpfs dev /dev
busybox mount -t proc proc /proc
busybox mount -t sysfs sys /sys
busybox sh /load-modules
busybox mount -t ext4 -o ro /dev/vda /ro || echo "FOREBAY-VM root image not mounted"
busybox mount -t tmpfs -o size=256M rw /rw
busybox mkdir /rw/upper /rw/work
busybox mount -t overlay -o lowerdir=/ro,upperdir=/rw/upper,workdir=/rw/work root /root
for place in dev proc sys; do busybox mount -o move /$place /root/$place; done
exec busybox switch_root /root /usr/bin/busybox sh /forebay/start.sh
