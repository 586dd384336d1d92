"""What a scenario is given: a target, hosts on demand, a capture; and the checks that end every scenario."""

import shutil
from collections.abc import Callable
from pathlib import Path

from lab import diagnosis, shell
from lab.capture import Capture
from lab.emulated_guest import EmulatedGuest
from lab.errors import Failed
from lab.guest_target import GuestTarget
from lab.host import Host
from lab.initiator import Initiator
from lab.local_target import LocalTarget
from lab.machine import Image
from lab.namespace import ADDRESS
from lab.pool_disk import PoolDisk
from lab.programs import Programs
from lab.service_target import ServiceTarget
from lab.target import MIB, SUBSYSTEM, Target
from lab.uml_guest import UmlGuest


class Lab:
    """`require` states what must hold; what no scenario may leave behind is checked by `finish`."""

    def __init__(self, image: Image, programs: Programs, folder: Path, uml: Path | None = None):
        """`uml`: a User-mode Linux kernel, for a scenario that has its host there and no capture."""
        self.image, self.folder = image, folder
        self.target: Target = LocalTarget(programs, folder)
        self._programs = programs
        # Volumes get a cache.
        self.cached = False
        # Patterns of kernel messages that this scenario provokes.
        self.allowed_complaints = ""
        self._hosts: dict[int, Host] = {}
        self._initiators: dict[int, Initiator] = {}
        # What finish() adds to its line.
        self.note = ""
        self._uml = uml
        self._capture = None if uml else Capture(folder / "capture.pcapng")

    def serve(self, *volumes: tuple[int, str, int, int] | tuple[int, str, int, int, bool]) -> None:
        """Starts the target with volumes given as (nsid, name, size, block size), and whether their hosts may format them."""
        self.target.create_pool()
        if self.cached:
            self.target.create_cache()
        for volume in volumes or [(1, "data", 64 * MIB, 4096)]:
            self.target.add_volume(*volume)
        self.target.start()

    def use_guest_target(self, form: str, disk: type[PoolDisk] = PoolDisk) -> GuestTarget:
        """The target is in a guest, its cache on an NVDIMM: "fsdax" or "devdax". Before anything is served."""
        self.target = target = GuestTarget(self.image, self._programs, self.folder, form,
                                           disk(self.folder, GuestTarget.FIRST_DISK))
        self.cached = True
        return target

    def use_service_target(self) -> ServiceTarget:
        """The target is in a guest, installed as a service. Before anything is served."""
        self.target = target = ServiceTarget(self.image, self._programs, self.folder)
        self.cached = True
        return target

    def host(self, index: int = 0) -> Host:
        if index not in self._hosts:
            guest = EmulatedGuest(self.image, self.folder / f"guest{index}", f"guest{index}")
            guest.resume()
            self._hosts[index] = Host(guest, index)
        return self._hosts[index]

    def initiator(self, index: int = 0) -> Initiator:
        """A host that speaks iSCSI (too)."""
        if index not in self._initiators:
            self._initiators[index] = Initiator(self.host(index), index)
        return self._initiators[index]

    def serve_iscsi(self, size: int = 64 * MIB, block_size: int = 4096, addresses: tuple[str, ...] = (ADDRESS,)) -> None:
        """Starts the target with one volume, which is LUN 0 and namespace 1."""
        self.target.create_pool()
        self.target.add_volume(1, "data", size, block_size)
        self.target.offer_by_iscsi({0: "data"}, *addresses)
        self.target.start()

    def fast_host(self) -> Host:
        """The host under User-mode Linux."""
        guest = UmlGuest(self._uml, self.image.root, self.folder / "uml")
        guest.boot()
        self._hosts[0] = Host(guest, 0)
        return self._hosts[0]

    def own_client(self, *options: str) -> None:
        """Verified reads and writes by the project's own client, on this machine."""
        shell.run(self._programs.path("forebay-load"), "--address", ADDRESS, "--subsystem", SUBSYSTEM, "--verify", "--mix", "50",
                  "--quiet", *options)

    def require(self, holds: object, otherwise: str) -> None:
        if not holds:
            raise Failed(otherwise)

    def finish(self) -> str:
        """Checks what no scenario may leave behind; a line about what was seen."""
        for guest in [host.guest for host in self._hosts.values()] + self.target.guests():
            complaints = guest.complaints(self.allowed_complaints)
            self.require(not complaints, f"the kernel of {guest.name} complained:\n" + "\n".join(complaints[:20]))
        for initiator in self._initiators.values():
            initiator.log_out()
        for host in self._hosts.values():
            host.disconnect()
        self.target.check()
        if self.target.running():
            self.target.stop()
        notes = [self.note] if self.note else []
        if self._capture:
            seen = self._capture.verify(with_tls=self.target.permits_tls())
            self.require(seen.pdus or self._initiators, "the capture holds no NVMe/TCP PDU")
            self.require(seen.iscsi_pdus or not self._initiators, "the capture holds no iSCSI PDU")
            asked = {option for host in self._hosts.values() for option in host.asked_for}
            self.require("-g" not in asked or seen.good_header_digests, "not one header digest in the capture")
            self.require("-G" not in asked or seen.good_data_digests, "not one data digest in the capture")
            notes.append(f"{seen.pdus + seen.iscsi_pdus} PDUs decoded, {seen.good_header_digests} header and {seen.good_data_digests} "
                         "data digests checked")
            if seen.encrypted.streams:
                notes.append(f"{len(seen.encrypted.streams)} connections with {seen.encrypted.records} encrypted records")
            self.require(seen.encrypted.records or "--tls" not in asked, "nothing in the capture is encrypted")
        return ", ".join(notes)

    def close(self, keep: bool) -> None:
        if self._capture:
            self._capture.stop()
        for host in self._hosts.values():
            host.guest.stop()
        self.target.close()
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    def describe(self) -> str:
        """What helps to understand a failure."""
        return diagnosis.describe(self._hosts, self.target, self._capture)


Scenario = Callable[[Lab], None]
