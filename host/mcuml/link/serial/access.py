"""Why a serial port could not be opened, and the exact line that helps."""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path

from mcuml.errors import LinkError
from mcuml.link.serial.holders import in_use, users
from mcuml.link.serial.ports import Port, named

_ABSENT = (errno.ENOENT, errno.ENODEV, errno.ENXIO)
_DENIED = (errno.EACCES, errno.EPERM)
_BUSY = (errno.EBUSY, errno.EAGAIN)
_NO_TERMINAL = (errno.ENOTTY, errno.EINVAL, errno.EISDIR)


def refused(port: Port, error: Exception) -> LinkError:
    """The error that says what `error` means, pyserial's when it opened `port`."""
    number = _number(error)
    if sys.platform == "win32" and number in _DENIED:
        return in_use(port.device, [])  # Windows denies what another program has open
    if number in _DENIED:
        return LinkError(f"No permission to open the port {port.device}.", *_permission(port))
    if number in _BUSY:
        return in_use(port.device, users(port.device))
    if number in _ABSENT or (os.name == "posix" and not Path(port.device).exists()):
        try:
            named(port.device)
        except LinkError as absent:
            return absent
        what = f"The port {port.device} is listed, but there is no device behind it."
        return LinkError(what, str(error), "Unplug the board and plug it in again.")
    if number in _NO_TERMINAL:
        return LinkError(f"{port.device} is not a serial port.", str(error), "See which there are: mcuml ports")
    what = f"Cannot open the port {port.device}."
    return LinkError(what, str(error), "Unplug the board, plug it in again, and look: mcuml ports")


def _number(error: Exception) -> int:
    """The system's error number: pyserial hides it behind its own exceptions, and at times in their text alone."""
    at: BaseException | None = error
    while at is not None:
        if isinstance(getattr(at, "errno", None), int):
            return int(at.errno)  # type: ignore[attr-defined]
        if at.args and isinstance(at.args[0], int):  # termios.error
            return at.args[0]
        at = at.__cause__ or at.__context__
    return 0


def _permission(port: Port) -> tuple[str, str]:
    """(who may open it, what to type)."""
    import getpass
    import grp

    held = Path(port.device).stat()
    try:
        group = grp.getgrgid(held.st_gid)
    except KeyError:
        return f"It belongs to group {held.st_gid}, which has no name here.", _rule(port)
    mode = stat.filemode(held.st_mode)
    evidence = f"It is {mode}, of user {held.st_uid} and group {group.gr_name}."
    shared = held.st_mode & 0o060 == 0o060
    return evidence, remedy(port, group.gr_name, shared, getpass.getuser() in group.gr_mem, held.st_gid in os.getgroups())


def remedy(port: Port, group: str, shared: bool, member: bool, active: bool) -> str:
    """What to type. shared: the group may read and write; member: the user is in it; active: this login knows so."""
    if not shared or group == "root" or active:
        return _rule(port)
    if member:
        return f"You are in the group {group}, but logged in before that: log out and in again, or type: newgrp {group}"
    return f"Type: sudo usermod -aG {group} $USER\nThen log out and in again; for this terminal alone: newgrp {group}"


def _rule(port: Port) -> str:
    """A udev rule for this device; below 73, or systemd grants nothing for the tag."""
    match = f'ATTRS{{idVendor}}=="{port.usb[0]:04x}"' if port.usb else f'KERNEL=="{Path(port.device).name}"'
    return (
        f'Type: echo \'SUBSYSTEM=="tty", {match}, MODE="0660", TAG+="uaccess"\' | sudo tee /etc/udev/rules.d/60-mcuml.rules\n'
        "and: sudo udevadm control --reload && sudo udevadm trigger; then plug the board in again."
    )
