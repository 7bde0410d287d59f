"""Put at a path what should not be there."""

import io
import json
import os
import random
import shutil
import socket
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np

RNG = random.Random(7)
DEEP = 100_000


def remove(path):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def put(path, content):
    """Write bytes, text or JSON there, or have a function put something else there."""
    if not callable(content):
        content = content.encode() if isinstance(content, str) else content
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return
    content(path)


def loop(path):
    remove(path)
    path.symlink_to(path)


def dangling(path):
    remove(path)
    path.symlink_to(path.with_name("nowhere"))


def zeros(path):
    remove(path)
    path.symlink_to("/dev/zero")


def fifo(path):
    remove(path)
    os.mkfifo(path)


def listening(path):
    remove(path)
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's name has at most 107 bytes
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(path.name)
    os.chdir(here)


def folder(path):
    remove(path)
    path.mkdir()


def terabyte(path):
    remove(path)
    path.touch()
    os.truncate(path, 10**12)


NO_FILES = {
    "a folder": folder,
    "a FIFO": fifo,
    "a link loop": loop,
    "a dangling link": dangling,
    "dev zero": zeros,
    "a socket": listening,
    "a terabyte": terabyte,
}
BYTES = {
    "empty": b"",
    "a NUL": b"\0",
    "not UTF-8": b"\xff\xfe\xfd",
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "HTML": b"<!DOCTYPE html><html><body>mine</body></html>",
    "gzip": b"\x1f\x8b\x08\x00" + bytes(50),
    "noise": RNG.randbytes(1000),
}
JSON = {
    "null": b"null",
    "true": b"true",
    "a number": b"1",
    "a huge number": b"9" * 5000,
    "NaN": b"NaN",
    "a string": b'"text"',
    "an empty list": b"[]",
    "an empty object": b"{}",
    "a list of nulls": b"[null, null]",
    "deep lists": b"[" * DEEP + b"]" * DEEP,
    "deep objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "deep and cut": b"[" * DEEP,
    "a surrogate": b'{"status": "\\ud800"}',
    "escapes": b'{"status": "\\u001b[31m\\u202e"}',
    "many lists": b"[" + b"[]," * 2_000_000 + b"[]]",
}


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def header(shape, descr="'<f8'", order="False"):
    """Return the head of an .npy file, which may announce anything."""
    text = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text) % 65536) + text


def zipped(members, kind=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", kind) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def bomb(name, megabytes, head):
    """Return a small archive of one array of zeros, megabytes large."""

    def write(path):
        with (
            zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
            archive.open(name, "w", force_zip64=True) as member,
        ):
            member.write(head)
            for _ in range(megabytes):
                member.write(bytes(2**20))

    return write


def lying(content, name, size):
    """Return an archive whose directory calls the member as large as `size`, which it is not."""
    archive = bytearray(zipped({name: content}))
    place = archive.rindex(b"PK\x01\x02")
    archive[place + 24 : place + 28] = struct.pack("<I", size)
    return bytes(archive)


def archives(good):
    """Return what is no .npz file in the layout of the good one, {name: array}; the first name's array is spoilt."""
    first = next(iter(good))
    array, whole = np.asarray(good[first]), npz(**good)

    def other(value):
        return npz(**good | {first: value})

    member = f"{first}.npy"
    return {
        "cut short": whole[: len(whole) // 2],
        "a byte short": whole[:-1],
        "a flipped bit": whole[:300] + bytes([whole[300] ^ 1]) + whole[301:],
        "an empty archive": zipped({}),
        "no array": zipped({"readme.txt": "hello"}),
        "one array missing": npz(**{name: value for name, value in good.items() if name != first}),
        "objects": other(np.array([{"a": 1}, None], object)),
        "a pickle": zipped({member: b"cos\nsystem\n(S'touch pwned'\ntR."}),
        "text": other(np.array(["a", "b"])),
        "records": other(np.zeros(3, [("a", "u1"), ("b", "f8")])),
        "complex numbers": other(np.zeros((784, 5), complex)),
        "no dimension": other(np.uint8(3)),
        "too many dimensions": other(np.zeros((2,) * 20, np.uint8)),
        "no rows": other(array[:0]),
        "a wrong width": other(np.zeros((4, 3), array.dtype)),
        "booleans": other(np.zeros(array.shape, bool)),
        "times": other(np.zeros(array.shape, "M8[s]")),
        "a header alone": zipped({member: header("(10,)")}),
        "a header that announces 10**15 numbers": zipped(
            {member: header("(10**15,)".replace("10**15", "1" + "0" * 15))}
        ),
        "a header that announces negative lengths": zipped({member: header("(-1, 5)")}),
        "a header that announces 10**30 numbers": zipped({member: header("(1" + "0" * 30 + ",)")}),
        "a header of expressions": zipped({member: header("(9**9**9,)")}),
        "a header that is deep": zipped({member: header("(" * 3000 + ")" * 3000)}),
        "a header without end": zipped({member: b"\x93NUMPY\x02\x00\xff\xff\xff\x7f" + b" " * 100}),
        "a directory that lies": lying(header("(10,)") + bytes(80), member, 2**31),
        "a bomb of bytes": bomb(member, 300, header(f"({300 * 2**20},)", "'|u1'")),
        "a bomb of floats": bomb(member, 300, header(f"({300 * 2**17},)")),
        "a bomb in another member": bomb("other.npy", 300, header(f"({300 * 2**20},)", "'|u1'")),
        "an unknown compression": zipped({member: b"x"})
        .replace(b"PK\x03\x04\x14\x00\x00\x00\x00\x00", b"PK\x03\x04\x14\x00\x00\x00\x61\x00")
        .replace(b"PK\x01\x02\x14\x03\x14\x00\x00\x00\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x00\x00\x61\x00"),
        "an encrypted member": zipped({member: b"x" * 20})
        .replace(b"PK\x03\x04\x14\x00\x00\x00", b"PK\x03\x04\x14\x00\x01\x00")
        .replace(b"PK\x01\x02\x14\x03\x14\x00\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01\x00"),
        "a compressed stream that breaks": zipped({member: header("(10,)") + bytes(80)}, zipfile.ZIP_DEFLATED).replace(
            zlib.compress(b"")[2:4], b"\xff\xff"
        ),
        "ten thousand members": lambda path: path.write_bytes(zipped({f"{n}.npy": b"" for n in range(10_000)})),
    }
