import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";

import { host } from "./host.js";
import { archive } from "../src/format.js";

const bytes = (text) => new Uint8Array(Buffer.from(text));
const digest = (text) => `sha256:${createHash("sha256").update(text).digest("hex")}`;

const CONFIG = '{"architecture": "amd64", "os": "linux"}';
const REFERENCE = { name: "docker.io/library/äpp", familiar: "äpp", tag: "1" };

// Reads an archive with these files.
function read(files) {
  const paths = Object.keys(files);
  host.source = {
    find: (path) =>
      path in files ? { index: paths.indexOf(path), path, size: files[path].length } : undefined,
    read: (index, offset, length) => files[paths[index]].slice(offset, offset + length),
  };
  return archive.read([]);
}

// Returns the files of the archive that is written.
function write(images) {
  const files = {};
  const putFile = (path, contents) => {
    assert.ok(!(path in files), `${path} is written twice`);
    files[path] = contents;
  };
  host.sink = { putFile, putLayer: (path, layer) => putFile(path, bytes(`layer ${layer}`)) };
  host.log = { emit() {} };
  archive.write(images, []);
  return files;
}

function stored() {
  const layers = [0, 1].map((number) => ({ number, diffId: digest(`layer ${number}`) }));
  return { config: bytes(CONFIG), configDigest: digest(CONFIG), layers, references: [REFERENCE] };
}

test("what was written is read again", () => {
  const files = write([stored()]);
  const contents = (index) => Buffer.from(Object.values(files)[index]).toString();
  const [image] = read(files).images;
  assert.deepEqual(image.references, ["docker.io/library/äpp:1"]);
  assert.equal(contents(image.config.val), CONFIG);
  image.layers.forEach((layer, number) => {
    assert.equal(contents(layer.data.val), `layer ${number}`);
    assert.equal(layer.digest, digest(`layer ${number}`));
  });
});

test("what images have in common is written once", () => {
  const [first, second] = read(write([stored(), stored()])).images;
  assert.deepEqual(first.layers, second.layers);
});

test("another archive is not its own", () => {
  assert.throws(() => read({ "manifest.json": bytes("[]") }), { tag: "not-mine" });
});

test("a list that makes no sense is refused with what is wrong", () => {
  const list = (config) =>
    JSON.stringify({ version: 1, images: [{ references: [], config, layers: [] }] });
  for (const [index, tag, wrong] of [
    [bytes("{"), "malformed", /no JSON/],
    [Uint8Array.of(0xff), "malformed", /no JSON/],
    [bytes("[".repeat(1000)), "malformed", /deeply/],
    [bytes("[]"), "malformed", /`version`/],
    [bytes('{"version": 2, "images": []}'), "unsupported", /version 2/],
    [bytes(list("../../etc")), "malformed", /"..\/..\/etc" is not a digest/],
    [bytes(list(7)), "malformed", /`config`/],
    [bytes(list(digest(""))), "missing", /configs\/sha256\//],
  ]) {
    assert.throws(
      () => read({ "{{name}}.json": index }),
      (error) => error.tag === tag && wrong.test(error.val),
    );
  }
});
