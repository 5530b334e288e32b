# SPDX-License-Identifier: Apache-2.0
"""Disks that are nearly full."""
import os


def fill_disk(place, leave_bytes):
    """Leaves that much room beside a file of ballast."""
    room = os.statvfs(place)
    count = room.f_bavail * room.f_frsize - leave_bytes
    with open(place / "ballast", "wb") as file:
        os.posix_fallocate(file.fileno(), 0, count)
    return place / "ballast"
