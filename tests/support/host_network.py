"""Hosts that are namespaces of this machine, and a switch between them with latency and cuts.

Each host has its own name, processes, network and shared memory; what is on its disk is a folder.
The network is a TUN device in each host. This process reads their packets and passes them on after
a while, or drops them, so no module of the kernel is needed for latencies.

It needs root. Only a process that is in namespaces of its own may make such hosts (``enter``): when
it ends, in whatever way, everything ends.
"""

from __future__ import annotations

import ctypes
import fcntl
import heapq
import os
import selectors
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

_PROGRAMS = ("ip", "mount", "nsenter", "unshare")
_INSIDE = "DATAWORKS_HOST_NETWORK"
_NAMESPACES = ("--net", "--uts", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
_DEVICE, _MTU = "lan0", 60_000
_CLONE_NEWNET = 0x4000_0000
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x4004_54CA, 0x0001, 0x1000
# The first process of a host reaps what its others leave, and outlives a kill of all of them.
_FIRST_PROCESS = """
hostname "$1" && mount --bind "$2" /etc/hosts && mount -t tmpfs tmpfs /dev/shm && ip link set lo up
echo ready; while :; do sleep 1000; done
"""


def unavailable() -> str | None:
    """Return why there cannot be such hosts here."""
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"{', '.join(missing)} is not installed"
    if not Path("/dev/net/tun").exists():
        return "this kernel has no TUN devices"
    if os.geteuid() or subprocess.run(["unshare", *_NAMESPACES, "true"], check=False).returncode:
        return "only root may make network namespaces"
    return None


def enter(module: str) -> None:
    """Replace this process with ``python -m module``, with its arguments, in its own namespaces."""
    if os.environ.get(_INSIDE):
        return
    command = [sys.executable, "-m", module, *sys.argv[1:]]
    own = ["unshare", *_NAMESPACES, *command]
    os.execvpe("unshare", own, {**os.environ, _INSIDE: "1"})  # noqa: S606


class Host:
    """One machine: processes that may be killed all at once."""

    def __init__(self, name: str, address: str, names: Path) -> None:
        self.name, self.address = name, address
        self._programs: dict[str, subprocess.Popen[bytes]] = {}
        self._first = subprocess.Popen(
            ["unshare", *_NAMESPACES, "sh", "-c", _FIRST_PROCESS, "sh", name, str(names)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # that what it waits for was killed
        )
        assert self._first.stdout
        assert self._first.stdout.readline() == b"ready\n", f"{name} does not start"
        of_the_first = Path(f"/proc/{self._first.pid}/task/{self._first.pid}/children")
        self.pid = int(of_the_first.read_text().split()[0])

    def start(
        self, program: str, command: Sequence[str], environment: Mapping[str, str], folder: Path
    ) -> None:
        """Start a program whose output is added to ``folder/PROGRAM.log``."""
        with (folder / f"{program}.log").open("ab") as log:
            self._programs[program] = subprocess.Popen(
                [*self._inside(), *command],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
            )

    def ended(self) -> list[str]:
        """Return the programs that run no more."""
        return [name for name, each in self._programs.items() if each.poll() is not None]

    def signal_all(self, number: signal.Signals) -> None:
        """Send a signal to every process of the host but its first."""
        # Asked from inside, -1 is every process of the host and no other.
        subprocess.run([*self._inside(), "sh", "-c", f"kill -{number.name[3:]} -1"], check=False)
        if number is signal.SIGCONT:
            for each in self._programs.values():
                each.send_signal(number)  # nsenter stops when what it started is stopped

    def power_off(self) -> None:
        """Kill everything that runs on it."""
        self.signal_all(signal.SIGKILL)
        for each in self._programs.values():
            each.kill()  # the nsenter before it
            each.wait()
        self._programs.clear()

    def end(self) -> None:
        """Take the host away."""
        for each in (self._first, *self._programs.values()):
            each.kill()
            each.wait()
        if self._first.stdout:
            self._first.stdout.close()

    def run(self, *command: str) -> None:
        """Run a command on the host to its end."""
        subprocess.run([*self._inside(), *command], check=True)

    def _inside(self) -> list[str]:
        return ["nsenter", "--target", str(self.pid), "--net", "--uts", "--mount", "--pid", "--"]


class HostNetwork:
    """Hosts, this process among them by the name of ``own``; a context manager.

    ``latencies``: what a packet takes from one host to another, in seconds, by their names.
    ``cuts``: the pairs of sender and receiver whose packets are dropped. ``off``: hosts without
    any. All may be changed at any time.
    """

    def __init__(self, own: str, names: Iterable[str], folder: Path) -> None:
        assert os.environ.get(_INSIDE), "this process is not in namespaces of its own"
        self.own = own
        names = [own, *names]
        self.addresses = {name: f"10.77.0.{number}" for number, name in enumerate(names, 1)}
        self.latencies: dict[tuple[str, str], float] = {}
        self.cuts: set[tuple[str, str]] = set()
        self.off: set[str] = set()
        self._file = folder / "hosts"
        lines = ["127.0.0.1 localhost", *(f"{at} {name}" for name, at in self.addresses.items())]
        self._file.write_text("\n".join(lines) + "\n")
        self.hosts: dict[str, Host] = {}
        self._devices: dict[str, int] = {}
        self._thread = threading.Thread(target=self._pass_packets, name="switch", daemon=True)
        self._ends = False

    def __enter__(self) -> Self:
        subprocess.run(["mount", "--bind", str(self._file), "/etc/hosts"], check=True)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        subprocess.run(["hostname", self.own], check=True)
        for name, address in self.addresses.items():
            if name != self.own:
                self.hosts[name] = Host(name, address, self._file)
            pid = self.hosts[name].pid if name != self.own else os.getpid()
            self._devices[name] = _open_device(pid)
            for words in (
                ("addr", "add", f"{address}/24", "dev", _DEVICE),
                ("link", "set", _DEVICE, "mtu", str(_MTU), "up"),
            ):
                if name == self.own:
                    subprocess.run(["ip", *words], check=True)
                else:
                    self.hosts[name].run("ip", *words)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for host in self.hosts.values():
            host.end()
        self._ends = True
        self._thread.join()
        for device in self._devices.values():
            os.close(device)

    def cut(self, first: str, second: str) -> None:
        """Let no packet pass between two hosts."""
        self.cuts |= {(first, second), (second, first)}

    def join(self, first: str, second: str) -> None:
        """Let packets pass again."""
        self.cuts -= {(first, second), (second, first)}

    def _pass_packets(self) -> None:
        names = {_packed(address): name for name, address in self.addresses.items()}
        waiting: list[tuple[float, int, int, bytes]] = []
        number = count()
        with selectors.DefaultSelector() as selector:
            for name, device in self._devices.items():
                selector.register(device, selectors.EVENT_READ, name)
            while not self._ends:
                left = waiting[0][0] - time.monotonic() if waiting else 0.2
                for key, _ in selector.select(max(0.0, left)):
                    for packet in _read(key.fd):
                        way = (key.data, names.get(packet[16:20], ""))
                        if self._passes(way):
                            due = time.monotonic() + self.latencies.get(way, 0.0)
                            entry = (due, next(number), self._devices[way[1]], packet)
                            heapq.heappush(waiting, entry)
                now = time.monotonic()
                while waiting and waiting[0][0] <= now:
                    _, _, device, packet = heapq.heappop(waiting)
                    with suppress(OSError):  # its queue is full: TCP sends it again
                        os.write(device, packet)

    def _passes(self, way: tuple[str, str]) -> bool:
        return bool(way[1]) and way not in self.cuts and not self.off.intersection(way)


def _read(device: int) -> list[bytes]:
    """Read the packets of IPv4 that a device has now."""
    packets: list[bytes] = []
    with suppress(BlockingIOError, OSError):
        while len(packets) < 100:
            packets.append(os.read(device, _MTU + 100))
    return [packet for packet in packets if packet[0] >> 4 == 4]


def _packed(address: str) -> bytes:
    return bytes(map(int, address.split(".")))


def _open_device(pid: int) -> int:
    """Make a TUN device in the network namespace of a process, and open it here."""
    found: list[int] = []

    def there() -> None:
        # A thread of its own, because it stays in that namespace.
        namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
        assert ctypes.CDLL(None).setns(namespace, _CLONE_NEWNET) == 0
        os.close(namespace)
        device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        request = struct.pack("16sH22x", _DEVICE.encode(), _IFF_TUN | _IFF_NO_PI)
        fcntl.ioctl(device, _TUNSETIFF, request)
        found.append(device)

    thread = threading.Thread(target=there)
    thread.start()
    thread.join()
    assert found, f"there is no TUN device for process {pid}"
    return found[0]
