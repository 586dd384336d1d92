// By what an operator recognises a disk, on a machine with udev and on one without.
#include "engine/pool/disk_identity.h"

#include <gtest/gtest.h>

#include "tests/engine/pool/fake_system.h"

namespace engine {
namespace {

class DiskIdentityTest : public testing::Test {
 protected:
  DiskIdentityTest() {
    system.add("sdb", "8:16");
    system.add("sdb1", "8:17", "sdb");
    system.write("sdb", "queue/rotational", "1\n");
    system.write("sdb", "device/model", "ST8000NM000A-2K \n");
    system.write("sdb", "device/wwid", "naa.5000c500a1b2c3d4\n");
    system.write("sdb", "device/vpd_pg80", std::string("\0\x80\0\x0c    WRQ0BBBB", 16));
  }
  DiskIdentity of(const std::string& name) {
    return identity_of(system.block(name), system.roots());
  }
  FakeSystem system;
};

TEST_F(DiskIdentityTest, SysfsTellsWhereThereIsNoUdev) {
  for (const char* const name : {"sdb", "sdb1"}) {
    const DiskIdentity identity = of(name);
    EXPECT_EQ(identity.kernel_name, name);
    EXPECT_EQ(identity.model, "ST8000NM000A-2K");
    EXPECT_EQ(identity.serial, "WRQ0BBBB");
    EXPECT_EQ(identity.wwn, "naa.5000c500a1b2c3d4");
    EXPECT_TRUE(identity.is_rotational);
    EXPECT_TRUE(identity.links.empty());
  }
}

TEST_F(DiskIdentityTest, UdevKnowsBetter) {
  system.udev("8:16",
              "S:disk/by-id/x\nI:123\nE:ID_MODEL=ST8000NM000A-2KE101\nE:ID_SERIAL=ST8000_WRQ\n"
              "E:ID_SERIAL_SHORT=WRQ0BBBB=x\nE:ID_WWN=0x5000c500a1b2c3d4\nE:\nnonsense\n");
  const DiskIdentity identity = of("sdb1");
  EXPECT_EQ(identity.model, "ST8000NM000A-2KE101");
  EXPECT_EQ(identity.serial, "WRQ0BBBB=x");
  EXPECT_EQ(identity.wwn, "0x5000c500a1b2c3d4");
}

TEST_F(DiskIdentityTest, LinksAreOfTheVeryDeviceAndTheTellingComesFirst) {
  system.link("disk/by-id/wwn-0x5000c500a1b2c3d4", "../../sdb");
  system.link("disk/by-id/ata-ST8000-WRQ0BBBB", "../../sdb");
  system.link("disk/by-id/scsi-SATA_ST8000_WRQ0BBBB", "../../sdb");
  system.link("disk/by-id/ata-ST8000-WRQ0BBBB-part1", "../../sdb1");
  system.link("disk/by-id/ata-gone", "../../sdz");
  EXPECT_EQ(of("sdb").links,
            (std::vector<std::string>{"ata-ST8000-WRQ0BBBB", "scsi-SATA_ST8000_WRQ0BBBB",
                                      "wwn-0x5000c500a1b2c3d4"}));
  EXPECT_EQ(of("sdb1").links, (std::vector<std::string>{"ata-ST8000-WRQ0BBBB-part1"}));
}

TEST_F(DiskIdentityTest, EveryBusHasItsPlaceForASerialNumber) {
  system.add("nvme0n1", "259:0");
  system.write("nvme0n1", "device/serial", "S4EWNX0R\n");
  system.write("nvme0n1", "wwid", "eui.0025388b91d0a1c2\n");
  EXPECT_EQ(of("nvme0n1").serial, "S4EWNX0R");
  EXPECT_EQ(of("nvme0n1").wwn, "eui.0025388b91d0a1c2");
  system.add("vda", "254:0");
  system.write("vda", "serial", "disk-17\n");
  EXPECT_EQ(of("vda").serial, "disk-17");
  system.add("dm-0", "253:0");
  system.write("dm-0", "dm/name", "vg0-pool\n");
  system.write("dm-0", "dm/uuid", "LVM-abc\n");
  EXPECT_EQ(of("dm-0").serial, "LVM-abc");
  EXPECT_EQ(of("dm-0").model, "vg0-pool");
}

TEST_F(DiskIdentityTest, WhatADiskSaysOfItselfIsHarmlessInAMessage) {
  system.write("sdb", "device/model", "evil\x1b[2J\"\\\x07 \xc2\x9b disk\n");
  system.write("sdb", "device/vpd_pg80", std::string("\0\x80\0\x04", 4));
  EXPECT_EQ(of("sdb").model, "evil?[2J??? ?? disk");
  EXPECT_EQ(of("sdb").serial, "");
  system.write("sdb", "device/vpd_pg80", std::string("\0\x80", 2));
  EXPECT_EQ(of("sdb").serial, "");
  system.write("sdb", "device/vpd_pg80", std::string("\0\x80\0\x06 A\0B\nC", 10));
  EXPECT_EQ(of("sdb").serial, "A");
}

}  // namespace
}  // namespace engine
