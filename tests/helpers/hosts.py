"""Hosts on a network of their own, all of them on this machine.

A host is a network namespace with an address and a mount namespace, and what
hosts share is a disk in memory. Their cables end in a switch, a process that
passes every Ethernet frame on and may delay or lose it, for not every kernel
has netem. Nothing of this has a name in the system or a way out of it, and it
ends with the process that made it.
"""

import collections
import contextlib
import fcntl
import os
import pathlib
import random
import select
import shutil
import struct
import subprocess
import sys
import time

TOOLS = ("ip", "mount", "nsenter", "unshare")
SIZE = ("-o", "size=64m")  # of the disk that hosts share


class Site:
    """Some hosts, their switch and a folder that all of them share.

    Attributes:
        hosts: The hosts.
        shared: Where they find the folder that they share.
        seen: The same folder, for this process, which is outside.
    """

    def __init__(self, addresses, folder):
        if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
            raise OSError(f"there is no command {missing[0]}")
        self._processes = contextlib.ExitStack()
        try:
            self._make(addresses, folder)
        except BaseException:
            self.close()
            raise

    def _make(self, addresses, folder):
        self.shared = folder / "shared"
        self.shared.mkdir()
        command = (sys.executable, __file__, str(len(addresses)))
        self._switch = self._start("unshare", "--net", "--mount", *command)
        switch = Namespaces(self._switch.pid)
        switch.run("mount", "-t", "tmpfs", *SIZE, "tmpfs", self.shared)
        root = pathlib.Path(f"/proc/{self._switch.pid}/root")
        self.seen = root / self.shared.relative_to("/")
        self.hosts = []
        for number, address in enumerate(addresses):
            # It sees the switch's disk, and idles until its input ends.
            idle = ("unshare", "--net", "--mount", "sh", "-c", "echo; read x")
            process = self._start(*switch.enter(*idle))
            port = ("ip", "link", "set", f"port{number}")
            switch.run(*port, "netns", str(process.pid), "name", "eth0")
            host = Namespaces(process.pid)
            host.run("ip", "link", "set", "lo", "up")
            host.run("ip", "link", "set", "eth0", "up")
            host.run("ip", "address", "add", f"{address}/24", "dev", "eth0")
            self.hosts.append(host)

    def _start(self, *command):
        """Start a process that says a line when it is there."""
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for pytest, which ends it
        )
        self._processes.enter_context(process)  # waits for its end
        self._processes.callback(process.kill)
        if not process.stdout.readline():
            raise OSError(process.stderr.read().strip())
        return process

    def set_cables(self, delay=0.0, loss=0.0):
        """Choose the seconds that a frame takes, and the share that is lost."""
        self._switch.stdin.write(f"{delay} {loss}\n")
        self._switch.stdin.flush()
        assert self._switch.stdout.readline()

    def close(self):
        """Leave nothing."""
        self._processes.close()


class Namespaces:
    """The network and the mounts that a process has to itself."""

    def __init__(self, pid):
        self.pid = pid

    def enter(self, *command):
        """Return the command that runs another one in here."""
        target = ("--target", str(self.pid), "--net", "--mount")
        return ("nsenter", *target, *command)

    def run(self, *command):
        """Run a command in here.

        Raises:
            OSError: If it fails; says what the command says.
        """
        done = subprocess.run(
            self.enter(*map(str, command)),
            capture_output=True,
            text=True,
            timeout=20,
        )
        if done.returncode:
            raise OSError(done.stderr.strip() or f"{command[0]} fails")


# --- the switch, a process of its own -----------------------------------

_TUNSETIFF = 0x400454CA  # of linux/if_tun.h, as the two flags below
_IFF_TAP_WITHOUT_HEADER = 0x0002 | 0x1000


def open_port(name):
    """Make a network interface whose frames this process reads and writes."""
    port = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    request = struct.pack("16sH22x", name.encode(), _IFF_TAP_WITHOUT_HEADER)
    fcntl.ioctl(port, _TUNSETIFF, request)
    return port


def pass_frames_on(ports, commands):
    """Do so until the commands, lines of a delay and a loss, have an end."""
    delay, loss = 0.0, 0.0
    draw = random.Random(0)
    under_way = collections.deque()
    while True:
        patience = None
        if under_way:
            patience = max(0.0, under_way[0][0] - time.monotonic())
        ready, _, _ = select.select([commands, *ports], [], [], patience)
        if commands in ready:
            line = commands.readline()
            if not line:
                return
            delay, loss = map(float, line.split())
            print("done", flush=True)
        for port in ports:
            if port in ready:
                frame = os.read(port, 1 << 16)
                if draw.random() >= loss:
                    arrival = time.monotonic() + delay
                    under_way.append((arrival, port, frame))
        while under_way and under_way[0][0] <= time.monotonic():
            _, source, frame = under_way.popleft()
            for port in ports:
                if port != source:
                    # A full queue loses a frame, as in any switch.
                    with contextlib.suppress(OSError):
                        os.write(port, frame)


if __name__ == "__main__":
    try:
        opened = [open_port(f"port{n}") for n in range(int(sys.argv[1]))]
    except OSError as missing:
        sys.exit(f"/dev/net/tun: {missing.strerror}")
    print("ready", flush=True)
    pass_frames_on(opened, sys.stdin)
