#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a page's files into one C file, as the table that clients/assets.h describes.

usage: embed.py NAME PATH OUTPUT.c FILE…

index.html is at PATH, the others are below /NAME/; clients/NAME/NAME.h declares NAME_assets(). A
line `@import "FILE";` of a style sheet is replaced by that file: what pages share is written once,
and comes with their own.

An entity tag is the SHA-256 of the bytes, cut to 128 bits: the same bytes have the same tag in
every build, so a browser's copy stays good across restarts and upgrades that left a file alone.
"""
import hashlib
import pathlib
import re
import sys

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
BYTES_A_LINE = 24


def read(file: pathlib.Path) -> bytes:
    return re.sub(rb'^@import "(.+)";\n', lambda found: read(file.parent / found[1].decode()),
                  file.read_bytes(), flags=re.MULTILINE)


def array_of(name: str, data: bytes) -> str:
    lines = (data[at:at + BYTES_A_LINE] for at in range(0, len(data), BYTES_A_LINE))
    body = "\n".join("    " + ",".join(str(byte) for byte in line) + "," for line in lines)
    return f"static const unsigned char {name}[] = {{\n{body}\n}};\n"


def main(page: str, path: str, output: str, *names: str) -> None:
    files = [pathlib.Path(name) for name in names]
    parts = [
        "/* SPDX-License-Identifier: Apache-2.0 */",
        "/* Made by clients/demo/embed.py. */",
        f'#include "clients/{page}/{page}.h"\n',
    ]
    rows = []
    for index, file in enumerate(files):
        data = read(file)
        tag = hashlib.sha256(data).hexdigest()[:32]
        parts.append(array_of(f"file_{index}", data))
        own_path = path if file.name == "index.html" else f"/{page}/{file.name}"
        rows.append(f'    {{.path = "{own_path}", .type = "{TYPES[file.suffix]}",'
                    f' .etag = "\\"{tag}\\"",\n'
                    f"     .bytes = file_{index}, .length = sizeof(file_{index})}},")
    parts.append("static const struct client_asset assets[] = {\n" + "\n".join(rows) + "\n};\n")
    parts.append(f"const struct client_asset *{page}_assets(unsigned long *ret_count) {{\n"
                 "    *ret_count = sizeof(assets) / sizeof(assets[0]);\n"
                 "    return assets;\n}\n")
    pathlib.Path(output).write_text("\n".join(parts), encoding="ascii")


if __name__ == "__main__":
    main(*sys.argv[1:])
