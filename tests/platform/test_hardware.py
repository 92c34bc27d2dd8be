"""What the survey tells of a computer: from a made-up one, and from this one."""

import json
import re
from pathlib import Path

import pytest

from skywire.platform import hardware

CPU = """processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Intel(R) Core(TM) i5
cpu MHz\t\t: 2400.123
cache size\t: 6144 KB
physical id\t: 0
core id\t\t: 0
flags\t\t: fpu vme {flag}

processor\t: 1
vendor_id\t: GenuineIntel
physical id\t: 0
core id\t\t: 0

"""


def machine(tmp_path: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.fixture
def computer(tmp_path: Path) -> Path:
    sda = {
        "size": "2000000\n",
        "removable": "0",
        "queue/rotational": "1",
        "queue/physical_block_size": "4096",
        "device/vendor": "ATA     ",
        "device/model": "Disk",
        "sda1/partition": "1",
        "sda1/size": "1000",
        "sda1/ro": "0",
    }
    root = machine(
        tmp_path,
        {
            "etc/machine-id": "abc123\n",
            "etc/timezone": "Europe/Vienna\n",
            "etc/os-release": 'PRETTY_NAME="Debian 12"\nID=debian\nVERSION_ID="12"\n',
            "proc/cpuinfo": CPU.format(flag="sse"),
            "proc/meminfo": "MemTotal:       16000000 kB\nMemFree: 1 kB\n",
            "sys/class/dmi/id/sys_vendor": "LENOVO\n",
            "sys/class/dmi/id/product_name": "T480\n",
            "sys/class/dmi/id/product_serial": "S1\n",
            "sys/class/dmi/id/chassis_type": "10\n",
            "sys/class/dmi/id/chassis_asset_tag": "tag\n",
            "sys/class/dmi/id/bios_date": "01/02/2020\n",
            "sys/class/net/eth0/address": "dd:00:00:00:00:01\n",
            "sys/class/net/eth0/speed": "1000\n",
            "sys/class/net/eth0/device/vendor": "x",
            "sys/class/net/lo/address": "00:00:00:00:00:00\n",
            "sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages": "0",
            "sys/block/loop0/size": "8",
            **{f"sys/block/sda/{name}": text for name, text in sda.items()},
        },
    )
    (root / "sys/class/net/eth0/device/driver").symlink_to("../../drivers/e1000e")
    return root


def test_a_computer_is_told_in_the_names_of_the_go_libraries(computer: Path) -> None:
    found = hardware.system_information(computer)
    assert found["node"]["machineid"] == "abc123"
    assert found["node"]["timezone"] == "Europe/Vienna"
    assert "hypervisor" not in found["node"]
    assert found["os"]["name"] == "Debian 12"
    assert (found["os"]["vendor"], found["os"]["version"]) == ("debian", "12")
    assert found["product"] == {"name": "T480", "vendor": "LENOVO", "serial": "S1"}
    assert found["chassis"] == {"type": 10, "assettag": "tag"}
    assert found["bios"] == {"date": "01/02/2020"}
    assert found["cpu"] == {
        "vendor": "GenuineIntel",
        "model": "Intel(R) Core(TM) i5",
        "speed": 2400,
        "cache": 6144,
        "cpus": 1,
        "cores": 1,
        "threads": 2,
    }
    assert found["memory"] == {"size": 15625}
    assert found["storage"] == [{"name": "sda", "vendor": "ATA", "model": "Disk", "size": 1}]
    assert found["network"] == [
        {"name": "eth0", "driver": "e1000e", "macaddress": "dd:00:00:00:00:01", "speed": 1000}
    ]


def test_disks_product_and_memory(computer: Path) -> None:
    blocks = hardware.block_information(computer)
    (disk,) = blocks["disks"]
    assert blocks["total_size_bytes"] == disk["size_bytes"] == 1_024_000_000
    assert (disk["drive_type"], disk["removable"]) == ("hdd", False)
    assert disk["physical_block_size_bytes"] == 4096
    assert disk["partitions"] == [{"name": "sda1", "size_bytes": 512_000, "read_only": False}]
    product = hardware.product_information(computer)
    assert (product["vendor"], product["uuid"]) == ("LENOVO", "unknown")
    memory = hardware.memory_information(computer)
    assert memory["total_usable_bytes"] == 16_000_000 * 1024
    assert memory["supported_page_sizes"] == [2 * 1024 * 1024]


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ({"proc/cpuinfo": CPU.format(flag="sse")}, ""),
        ({"proc/cpuinfo": CPU.format(flag="hypervisor")}, "unknown"),
        (
            {
                "proc/cpuinfo": CPU.format(flag="hypervisor"),
                "sys/class/dmi/id/sys_vendor": "QEMU",
            },
            "kvm",
        ),
        (
            {
                "proc/cpuinfo": CPU.format(flag="hypervisor"),
                "sys/class/dmi/id/product_name": "VMware Virtual Platform",
            },
            "vmware",
        ),
        ({"sys/hypervisor/type": "xen\n"}, "xenhvm"),
        ({"proc/device-tree/hypervisor/compatible": "linux,kvm\0"}, "kvm"),
        ({}, ""),
    ],
    ids=["none", "stranger", "kvm", "vmware", "xen", "arm", "empty"],
)
def test_a_simulated_machine_says_so(tmp_path: Path, files: dict[str, str], name: str) -> None:
    assert hardware.hypervisor(machine(tmp_path, files)) == name


@pytest.mark.parametrize(
    ("machine", "go"),
    [("x86_64", "amd64"), ("aarch64", "arm64"), ("armv7l", "arm"), ("i686", "386"), ("vax", "vax")],
)
def test_architectures_have_go_s_names(machine: str, go: str) -> None:
    assert hardware.go_arch(machine) == go


def test_a_computer_that_tells_nothing_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_bytes(b"\xff\xfe\0" * 100)
    found = hardware.system_information(tmp_path)
    assert found["cpu"] == {}
    assert found["storage"] == found["network"] == []
    assert hardware.block_information(tmp_path) == {"total_size_bytes": 0, "disks": []}
    assert hardware.memory_information(tmp_path)["total_usable_bytes"] == 0


def test_this_computer_has_memory_and_a_processor() -> None:
    found = hardware.system_information()
    assert found["memory"]["size"] > 100
    assert found["cpu"]["threads"] >= 1
    assert re.fullmatch(r"[a-z0-9]+", hardware.go_arch())
    json.dumps([found, hardware.block_information(), hardware.product_information()])
