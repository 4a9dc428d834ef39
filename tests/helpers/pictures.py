"""Picture files, and the chunks that PNG files are made of."""

import io
import struct
import zlib

from PIL import Image


def picture(image):
    """Draw an image with Pillow."""
    return Image.fromarray(image[..., 0])


def image_file(picture, kind, **options):
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def png_file(image):
    return image_file(picture(image), "PNG")


def chunk(name, content):
    body = name + content
    checksum = struct.pack(">I", zlib.crc32(body))
    return struct.pack(">I", len(content)) + body + checksum


def size_of(plot):
    """Width and height of a figure in pixels."""
    with Image.open(plot) as image:
        return image.size
