"""A disk that is slow, hangs or fails, for one node: tests/disk_faults.c, preloaded, and its
control file."""
import errno
import mmap
import pathlib
import shutil
import struct
import subprocess

SOURCE = pathlib.Path(__file__).resolve().parent / "disk_faults.c"
LAYOUT = struct.Struct("=6I")  # Control there


def build(directory):
    """The library, made in `directory`: its path."""
    library = f"{directory}/disk_faults.so"
    compiler = next(name for name in ("clang-19", "clang", "gcc") if shutil.which(name))
    subprocess.run(
        [compiler, "-O2", "-shared", "-fPIC", "-o", library, str(SOURCE), "-ldl"],
        check=True,
        timeout=60,
    )
    return library


class Disk:
    """The files under `data` of the process that is started with prefix()."""

    def __init__(self, library, control, data):
        self.library = library
        self.control = control
        self.data = data
        with open(control, "wb") as file:
            file.write(bytes(LAYOUT.size))
        with open(control, "r+b") as file:
            self.shared = mmap.mmap(file.fileno(), LAYOUT.size)

    def prefix(self):
        return [
            "env",
            f"LD_PRELOAD={self.library}",
            f"DISK_FAULTS_CONTROL={self.control}",
            f"DISK_FAULTS_UNDER={self.data}",
        ]

    def met(self):
        """(delays, errors) so far."""
        return LAYOUT.unpack(self.shared[:])[4:]

    def set(self, sync_ms=0, write_ms=0, sync_fails=False, write_fails=False):
        words = (sync_ms, sync_fails and errno.EIO, write_ms, write_fails and errno.EIO)
        self.shared[:16] = struct.pack("=4I", *map(int, words))

    def heal(self):
        self.set()
