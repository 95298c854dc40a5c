"""Runs the format natively, against an archive in memory."""

import hashlib
import json
import unittest
from unittest.mock import patch

import archive_format
from componentize_py_types import Err
from wit_world.exports.archive import ImageReference, StoredImage, StoredLayer
from wit_world.imports.source import Entry, EntryKind
from wit_world.imports.types import (
    Error_Malformed,
    Error_Missing,
    Error_NotMine,
    Error_Unsupported,
)

CONFIG = b'{"architecture": "amd64", "os": "linux"}'


def digest(contents):
    return "sha256:" + hashlib.sha256(contents).hexdigest()


class Files:
    """Stands in for `source` and `sink`: files by their paths, in the order of the archive."""

    def __init__(self, files=()):
        self.files = dict(files)

    def find(self, path):
        if path not in self.files:
            return None
        index = list(self.files).index(path)
        return Entry(index, path, EntryKind.FILE, len(self.files[path]), None, True, None)

    def read(self, index, offset, length):
        return list(self.files.values())[index][offset : offset + length]

    def put_file(self, path, contents):
        assert path not in self.files, f"{path} is written twice"
        self.files[path] = contents

    def put_layer(self, path, layer):
        self.put_file(path, f"layer {layer}".encode())


def read(files):
    with patch.object(archive_format, "source", Files(files)):
        return archive_format.Archive().read([])


def write(images):
    sink = Files()
    with patch.object(archive_format, "sink", sink), patch.object(archive_format.log, "emit"):
        archive_format.Archive().write(images, [])
    return sink.files


def stored():
    layers = [StoredLayer(number, digest(f"layer {number}".encode()), 7) for number in range(2)]
    reference = ImageReference("docker.io/library/app", "app", "1")
    return StoredImage(b"{}", digest(b"{}"), "", CONFIG, digest(CONFIG), layers, [reference], [])


class Tests(unittest.TestCase):
    def test_what_was_written_is_read_again(self):
        files = write([stored()])
        [image] = read(files).images
        self.assertEqual(image.references, ["docker.io/library/app:1"])
        self.assertEqual(list(files.values())[image.config.value], CONFIG)
        for number, layer in enumerate(image.layers):
            contents = list(files.values())[layer.data.value]
            self.assertEqual(contents, f"layer {number}".encode())
            self.assertEqual(layer.digest, digest(contents))

    def test_what_images_have_in_common_is_written_once(self):
        first, second = read(write([stored(), stored()])).images
        self.assertEqual(first.layers, second.layers)

    def test_another_archive_is_not_its_own(self):
        with self.assertRaises(Err) as raised:
            read({"manifest.json": b"[]"})
        self.assertIsInstance(raised.exception.value, Error_NotMine)

    def test_a_list_that_makes_no_sense_is_refused_with_what_is_wrong(self):
        def index(config):
            image = {"references": [], "config": config, "layers": []}
            return json.dumps({"version": 1, "images": [image]}).encode()

        for contents, case, wrong in [
            (b"{", Error_Malformed, archive_format.INDEX),
            (b"\xff", Error_Malformed, archive_format.INDEX),
            (b"[" * 1000, Error_Malformed, "deeply"),
            (b"[]", Error_Malformed, "`version`"),
            (b'{"version": 2, "images": []}', Error_Unsupported, "version 2"),
            (index("../../etc"), Error_Malformed, '"../../etc" is not a digest'),
            (index(7), Error_Malformed, "`config`"),
            (index(digest(b"")), Error_Missing, "configs/sha256/"),
        ]:
            with self.subTest(contents), self.assertRaises(Err) as raised:
                read({archive_format.INDEX: contents})
            self.assertIsInstance(raised.exception.value, case)
            self.assertIn(wrong, raised.exception.value.value)
