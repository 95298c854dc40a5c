"""{{name}}: an archive format for msb.

An archive has the document `{{name}}.json`, which lists images, and a file for each configuration
and each layer, called by their digests.
"""

import json
import re

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.archive import (
    Description,
    Document_Entry,
    Image,
    Layer,
    LayerData_Entry,
    Plan,
)
from wit_world.imports import log, sink, source
from wit_world.imports.types import (
    Error_Malformed,
    Error_Missing,
    Error_NotMine,
    Error_TooLarge,
    Error_Unsupported,
)

NAME = "{{name}}"

# Where the list of images is, and the most bytes that it may have: as many as one call reads.
INDEX = "{{name}}.json"
INDEX_LIMIT = 1 << 20
DEPTH_LIMIT = 100

# The version of the format, which is in the list.
VERSION = 1

# A text, or what begins or ends a list or an object.
TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[][{}]', re.DOTALL)

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class Archive(exports.Archive):
    """What msb calls. componentize-py looks for a class that is called like the interface."""

    def describe(self):
        return Description(
            name=NAME,
            title="Images by their digests",
            reads=True,
            writes=True,
            attributes=[],
        )

    def read(self, options):
        entry = source.find(INDEX)
        if entry is None:
            raise Err(Error_NotMine(f"there is no {INDEX}"))
        index = read_json(entry)
        version = field(index, "version", int)
        if version != VERSION:
            raise Err(
                Error_Unsupported(
                    f"{INDEX} has version {version}, and this plugin reads version {VERSION}"
                )
            )
        images = [image(listed) for listed in field(index, "images", list)]
        return Plan(images=images, notices=[], attributes=[])

    def write(self, images, options):
        index = {"version": VERSION, "images": [listed(image) for image in images]}
        sink.put_file(INDEX, json.dumps(index, indent=2).encode())
        # Images may have layers in common, and no path may be written twice.
        written = set()
        for image in images:
            path = place("configs", image.config_digest)
            if path not in written:
                sink.put_file(path, image.config)
                written.add(path)
            for layer in image.layers:
                path = place("layers", layer.diff_id)
                if path not in written:
                    sink.put_layer(path, layer.number)
                    written.add(path)
        log.emit(
            log.Level.DEBUG,
            "manifests are not kept; msb composes them when it reads the archive",
        )


def read_json(entry):
    """Returns a document of the archive. What it says is not to be trusted."""
    if entry.size > INDEX_LIMIT:
        raise Err(Error_TooLarge(f"{entry.path} has more than {INDEX_LIMIT} bytes"))
    try:
        text = source.read(entry.index, 0, INDEX_LIMIT).decode()
        if depth(text) > DEPTH_LIMIT:
            raise ValueError("it is nested too deeply")
        return json.loads(text)
    except ValueError as error:
        raise Err(Error_Malformed(f"{entry.path} is no JSON: {error}")) from None


def depth(text):
    """Returns how deep lists and objects are nested.

    `json` descends until there is no stack left.
    """
    deepest = level = 0
    for token in TOKEN.finditer(text):
        if token[0] in "[{":
            level += 1
            deepest = max(deepest, level)
        elif token[0] in "]}":
            level -= 1
    return deepest


def field(value, name, kind):
    """Returns a field of an object if it is of the kind that it has to be."""
    found = value.get(name) if isinstance(value, dict) else None
    if type(found) is not kind:
        raise Err(Error_Malformed(f"{INDEX}: `{name}` is missing or of another type"))
    return found


def image(listed):
    """Returns an image of the list with the entries that have its parts.

    The host reads the layers, and compares all digests.
    """
    config = field(listed, "config", str)
    layers = []
    for digest in field(listed, "layers", list):
        entry = find("layers", digest)
        layers.append(
            Layer(
                data=LayerData_Entry(entry.index),
                digest=digest,
                size=entry.size,
                media_type=None,
                attributes=[],
            )
        )
    references = field(listed, "references", list)
    if not all(isinstance(reference, str) for reference in references):
        raise Err(Error_Malformed(f"{INDEX}: a reference is not a text"))
    return Image(
        manifest=None,
        manifest_digest=None,
        config=Document_Entry(find("configs", config).index),
        config_digest=config,
        layers=layers,
        references=references,
        attributes=[],
    )


def listed(image):
    """Returns what the list has of an image of the store."""
    return {
        "references": [f"{reference.name}:{reference.tag}" for reference in image.references],
        "config": image.config_digest,
        "layers": [layer.diff_id for layer in image.layers],
    }


def find(folder, digest):
    path = place(folder, digest)
    entry = source.find(path)
    if entry is None:
        raise Err(Error_Missing(f"{path}, which {INDEX} lists, is not there"))
    return entry


def place(folder, digest):
    """Returns where the file with a digest is. A text that is not a digest would lead elsewhere."""
    if not isinstance(digest, str) or not DIGEST.fullmatch(digest):
        raise Err(Error_Malformed(f"{INDEX}: {json.dumps(digest)[:100]} is not a digest"))
    return f"{folder}/{digest.replace(':', '/')}"
