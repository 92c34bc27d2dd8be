"""What this computer is made of, as the survey of a visor tells it. Source: visor.md §7.

The names and units are those of the Go libraries whose output the survey has (zcalusic/sysinfo,
ghw). Everything is read from /proc, /sys and /etc below `root`; what cannot be read, or needs root,
is left out, and nothing here raises. Blocks for some milliseconds.
"""

import platform
import re
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

GO_ARCHITECTURES = {
    "x86_64": "amd64",
    "i386": "386",
    "i486": "386",
    "i586": "386",
    "i686": "386",
    "aarch64": "arm64",
    "armv5tel": "arm",
    "armv6l": "arm",
    "armv7l": "arm",
    "armv8l": "arm",
    "loongarch64": "loong64",
    "mips": "mips",
    "mips64": "mips64",
    "ppc64": "ppc64",
    "ppc64le": "ppc64le",
    "riscv64": "riscv64",
    "s390x": "s390x",
}
SECTOR = 512  # bytes; the unit of sizes in /sys/block, whatever the disk's is
MAX_DEVICES = 64  # listed of one kind
MAX_FILE = 1024 * 1024  # bytes read of one file
_VIRTUAL = {  # vendor or product in the firmware's tables → name of the hypervisor
    "qemu": "kvm",
    "kvm": "kvm",
    "amazon ec2": "kvm",
    "google": "kvm",
    "openstack": "kvm",
    "vmware": "vmware",
    "innotek": "virtualbox",
    "virtualbox": "virtualbox",
    "xen": "xenhvm",
    "microsoft": "hyperv",
    "parallels": "parallels",
    "bhyve": "bhyve",
}


def go_arch(machine: str = "") -> str:
    """`machine` ("": this one) by Go's name; one we do not know keeps its own."""
    name = machine or platform.machine()
    return GO_ARCHITECTURES.get(name, name)


def system_information(root: Path = Path("/")) -> dict[str, Any]:
    """The survey's `zcalusic_sysinfo`."""
    return {
        "sysinfo": {"version": "1.1.2", "timestamp": datetime.now(UTC).isoformat()},
        "node": _known(
            hostname=socket.gethostname(),
            machineid=_text(root / "etc/machine-id"),
            hypervisor=hypervisor(root),
            timezone=_timezone(root),
        ),
        "os": _operating_system(root),
        "kernel": _known(
            release=platform.release(), version=platform.version(), architecture=platform.machine()
        ),
        "product": _firmware(root, "product", "name", "vendor", "version", "serial", "uuid", "sku"),
        "board": _firmware(root, "board", "name", "vendor", "version", "serial", "asset_tag"),
        "chassis": _firmware(root, "chassis", "type", "vendor", "version", "serial", "asset_tag"),
        "bios": _firmware(root, "bios", "vendor", "version", "date"),
        "cpu": _processor(root),
        "memory": _known(size=_memory(root) // (1024 * 1024)),  # MiB
        "storage": [_storage(disk) for disk in _disks(root)],
        "network": [_interface(path) for path in _interfaces(root)],
    }


def block_information(root: Path = Path("/")) -> dict[str, Any]:
    """The survey's `ghw_blockinfo`."""
    disks = [_disk(path) for path in _disks(root)]
    return {"total_size_bytes": sum(disk["size_bytes"] for disk in disks), "disks": disks}


def product_information(root: Path = Path("/")) -> dict[str, str]:
    """The survey's `ghw_productinfo`; ghw says "unknown" where others say nothing."""
    dmi = root / "sys/class/dmi/id"
    files = {
        "family": "product_family",
        "name": "product_name",
        "vendor": "sys_vendor",
        "serial_number": "product_serial",
        "uuid": "product_uuid",
        "sku": "product_sku",
        "version": "product_version",
    }
    return {key: _text(dmi / name) or "unknown" for key, name in files.items()}


def memory_information(root: Path = Path("/")) -> dict[str, Any]:
    """The survey's `ghw_memoryinfo`."""
    pages = root / "sys/kernel/mm/hugepages"
    sizes = [_number(path.name.removeprefix("hugepages-")) * 1024 for path in _entries(pages)]
    usable = _memory(root)
    return {
        "total_physical_bytes": usable,  # what is not usable only the firmware knows
        "total_usable_bytes": usable,
        "supported_page_sizes": sorted(size for size in sizes if size),
        "modules": None,
    }


def hypervisor(root: Path = Path("/")) -> str:
    """The name of what this machine is simulated by, "unknown" for a stranger, "" for none."""
    kind = _text(root / "sys/hypervisor/type")
    if kind:
        return "xenhvm" if kind == "xen" else kind
    tree = _text(root / "proc/device-tree/hypervisor/compatible").strip("\0")
    if tree:
        return "kvm" if "kvm" in tree else tree
    flags = re.search(r"^flags\s*:(.*)$", _text(root / "proc/cpuinfo"), re.MULTILINE)
    if flags is None or "hypervisor" not in flags[1].split():
        return ""
    dmi = root / "sys/class/dmi/id"
    told = " ".join(_text(dmi / name) for name in ("sys_vendor", "product_name")).lower()
    return next((name for word, name in _VIRTUAL.items() if word in told), "unknown")


def _timezone(root: Path) -> str:
    if named := _text(root / "etc/timezone"):
        return named
    try:
        target = str((root / "etc/localtime").readlink())
    except OSError:
        return ""
    return target.partition("zoneinfo/")[2]


def _operating_system(root: Path) -> dict[str, Any]:
    pairs = re.findall(r'^(\w+)="?(.*?)"?$', _text(root / "etc/os-release"), re.MULTILINE)
    values = dict(pairs)
    return _known(
        name=values.get("PRETTY_NAME", ""),
        vendor=values.get("ID", ""),
        version=values.get("VERSION_ID", ""),
        architecture=go_arch(),
    )


def _firmware(root: Path, part: str, *fields: str) -> dict[str, Any]:
    dmi, found = root / "sys/class/dmi/id", {}
    for field in fields:
        name = "sys_vendor" if (part, field) == ("product", "vendor") else f"{part}_{field}"
        found[field.replace("_", "")] = _text(dmi / name)
    if found.get("type", "").isdigit():
        return _known(**found | {"type": int(found["type"])})
    return _known(**found)


def _processor(root: Path) -> dict[str, Any]:
    text = _text(root / "proc/cpuinfo")
    processors = [dict(_FIELD.findall(part)) for part in text.split("\n\n")]
    processors = [one for one in processors if "processor" in one]
    if not processors:
        return {}
    first = processors[0]
    sockets = {one.get("physical id", "0") for one in processors}
    cores = {
        (one.get("physical id", "0"), one.get("core id", one["processor"])) for one in processors
    }
    speed = root / "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq"
    return _known(
        vendor=first.get("vendor_id", ""),
        model=first.get("model name", first.get("Model", "")),
        speed=_number(_text(speed)) // 1000 or _number(first.get("cpu MHz", "")),  # MHz
        cache=_number(first.get("cache size", "")),  # KiB
        cpus=len(sockets),
        cores=len(cores),
        threads=len(processors),
    )


_FIELD = re.compile(r"^([^\t:]+?)\s*:\s*(.*)$", re.MULTILINE)


def _memory(root: Path) -> int:
    """Bytes."""
    found = re.search(r"^MemTotal:\s+(\d+) kB", _text(root / "proc/meminfo"), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def _disks(root: Path) -> list[Path]:
    return [path for path in _entries(root / "sys/block") if (path / "device").exists()]


def _storage(disk: Path) -> dict[str, Any]:
    return _known(
        name=disk.name,
        driver=_link(disk / "device/driver"),
        vendor=_text(disk / "device/vendor"),
        model=_text(disk / "device/model"),
        serial=_text(disk / "device/serial"),
        size=_number(_text(disk / "size")) * SECTOR // 10**9,  # GB
    )


def _disk(disk: Path) -> dict[str, Any]:
    rotates = _text(disk / "queue/rotational") == "1"
    nvme = disk.name.startswith("nvme")
    parts = [path for path in _entries(disk) if (path / "partition").exists()]
    return {
        "name": disk.name,
        "size_bytes": _number(_text(disk / "size")) * SECTOR,
        "physical_block_size_bytes": _number(_text(disk / "queue/physical_block_size")),
        "drive_type": "hdd" if rotates else "ssd",
        "removable": _text(disk / "removable") == "1",
        "storage_controller": "nvme" if nvme else _link(disk / "device/driver") or "unknown",
        "bus_path": "unknown",
        "vendor": _text(disk / "device/vendor") or "unknown",
        "model": _text(disk / "device/model") or "unknown",
        "serial_number": _text(disk / "device/serial") or "unknown",
        "wwn": _text(disk / "device/wwid") or _text(disk / "wwid") or "unknown",
        "wwnNoExtension": "unknown",
        "partitions": [
            {
                "name": part.name,
                "size_bytes": _number(_text(part / "size")) * SECTOR,
                "read_only": _text(part / "ro") == "1",
            }
            for part in parts
        ],
    }


def _interfaces(root: Path) -> list[Path]:
    return [path for path in _entries(root / "sys/class/net") if (path / "device").exists()]


def _interface(path: Path) -> dict[str, Any]:
    return _known(
        name=path.name,
        driver=_link(path / "device/driver"),
        macaddress=_text(path / "address"),
        speed=max(0, _number(_text(path / "speed"))),  # Mb/s; -1 while there is no cable
    )


def _entries(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())[:MAX_DEVICES]
    except OSError:
        return []


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE).decode(errors="replace").strip()
    except OSError:  # not there, or not for us
        return ""


def _link(path: Path) -> str:
    """The last part of what a symbolic link points to."""
    try:
        return path.readlink().name
    except OSError:
        return ""


def _number(text: str) -> int:
    found = re.match(r"-?\d{1,18}", text)
    return int(found[0]) if found else 0


def _known(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value}
