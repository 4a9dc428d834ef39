"""Programs that damage files at random, and look at the memory it takes."""

import sys

import pytest

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

# Unlike getrusage, this leaves out what the parent once used.
MEMORY = """
import pathlib, re

def megabytes(which):
    status = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(which + r":\\s+(\\d+) kB", status).group(1)) / 1e3
"""

# Damages a file in one of the ways that break decoders.
DAMAGE = r"""
import struct, zlib
import numpy as np

def damaged(file, generator):
    content, ways = bytearray(file), generator.integers(8)
    place = int(generator.integers(len(content)))
    header = int(generator.integers(min(len(content), 64)))
    noise = generator.bytes(int(generator.integers(1, 64)))
    if ways == 0:  # flipped bits
        for place in generator.integers(len(content), size=noise[0] % 8 + 1):
            content[place] ^= 1 << int(generator.integers(8))
    elif ways == 1:  # cut
        del content[place:]
    elif ways == 2:  # cut out
        del content[place : place + noise[0]]
    elif ways == 3:  # another header
        content[header] = noise[0]
    elif ways == 4:  # noise put in
        content[place:place] = noise
    elif ways == 5:  # noise put over
        content[place : place + len(noise)] = noise
    elif ways == 6:  # nothing but noise behind the signature
        content[8:] = noise
    else:  # a chunk of PNG, or a segment of JPEG, with the right sum
        names = [b"IHDR", b"PLTE", b"IDAT", b"tRNS", b"iCCP", b"acTL", b"fdAT"]
        names.append(b"eXIf")
        name = names[int(generator.integers(len(names)))]
        chunk = struct.pack(">I", len(noise)) + name + noise
        content[33:33] = chunk + struct.pack(">I", zlib.crc32(name + noise))
        if file[:2] == b"\xff\xd8":
            marker = bytes([255, 192 + noise[0] % 64])
            length = struct.pack(">H", len(noise) + 2)
            content = bytearray(file)
            content[2:2] = marker + length + noise
    return bytes(content)
"""
