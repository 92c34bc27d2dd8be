"""Check, or fetch again, the files that other people wrote: of the pages, and of their tests.

    tools/vendor.py            every file is listed in vendor.toml, with this very content
    tools/vendor.py refresh    unpack the named versions with `npm pack` and write the new hashes

`vendor.toml` names package, version, licence and files; where packages come from is the client's
own setting, so no address stands in the repository.
"""

import hashlib
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = (ROOT / "src" / "skywire" / "ui" / "vendor", ROOT / "tests" / "browser" / "vendor")
LIST = "vendor.toml"
PACK_TIME = 120.0  # seconds for one package

HEADER = """\
# Files of other projects, kept as they are. `tools/vendor.py` checks the hashes; to take a new
# version, change it here and run `tools/vendor.py refresh`.
"""


def problems(vendor: Path) -> list[str]:
    """What is wrong in `vendor`, one line each; empty when all is as listed."""
    found = {str(path.relative_to(vendor)) for path in vendor.rglob("*") if path.is_file()} - {LIST}
    wrong = []
    for package in tomllib.loads((vendor / LIST).read_text())["package"]:
        for entry in package["files"]:
            name = f"{package['folder']}/{entry['name']}"
            if name not in found:
                wrong.append(f"{name}: missing; it belongs to {package['name']}")
            elif (actual := sha256((vendor / name).read_bytes())) != entry["sha256"]:
                wrong.append(f"{name}: sha256 is {actual}, expected {entry['sha256']}")
            found.discard(name)
    return wrong + [f"{name}: not listed in {LIST}" for name in sorted(found)]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def refresh(vendor: Path) -> None:
    """Unpack every listed file anew and rewrite the list with the hashes found."""
    lines = [HEADER]
    for package in tomllib.loads((vendor / LIST).read_text())["package"]:
        lines.append("\n[[package]]\n")
        lines += [f'{key} = "{package[key]}"\n' for key in ("name", "version", "licence", "folder")]
        lines.append("files = [\n")
        for entry in package["files"]:
            data = unpack(package["name"], package["version"], entry["source"])
            target = vendor / package["folder"] / entry["name"]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            lines.append(
                f'  {{ name = "{entry["name"]}", source = "{entry["source"]}", '
                f'sha256 = "{sha256(data)}" }},\n'
            )
        lines.append("]\n")
    (vendor / LIST).write_text("".join(lines))


def unpack(package: str, version: str, member: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["npm", "pack", "--silent", f"{package}@{version}"],
            cwd=folder,
            check=True,
            timeout=PACK_TIME,
            stdout=subprocess.DEVNULL,
        )
        (archive,) = Path(folder).glob("*.tgz")
        with tarfile.open(archive) as tar:
            content = tar.extractfile(f"package/{member}")
            if content is None:
                raise SystemExit(f"{package} {version}: {member} is no file")
            return content.read()


def main() -> int:
    if sys.argv[1:] == ["refresh"]:
        for vendor in FOLDERS:
            refresh(vendor)
    wrong = [f"{vendor.parent.name}: {line}" for vendor in FOLDERS for line in problems(vendor)]
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
