// {{name}}: an archive format for msb.
//
// An archive has the document `{{name}}.json`, which lists images, and a file for each
// configuration and each layer, called by their digests.

import * as log from "msb:plugin/log@{{api}}";
import * as sink from "msb:plugin/sink@{{api}}";
import * as source from "msb:plugin/source@{{api}}";

const NAME = "{{name}}";

// Where the list of images is, and the most bytes that it may have: as many as one call reads.
const INDEX = "{{name}}.json";
const INDEX_LIMIT = 1 << 20;
const DEPTH_LIMIT = 100;

// The version of the format, which is in the list.
const VERSION = 1;

const DIGEST = /^sha256:[0-9a-f]{64}$/;

// What msb calls: an object that is called like the interface.
export const archive = {
  describe() {
    return {
      name: NAME,
      title: "Images by their digests",
      reads: true,
      writes: true,
      attributes: [],
    };
  },

  read(options) {
    const entry = source.find(INDEX);
    if (entry == null) throw { tag: "not-mine", val: `there is no ${INDEX}` };
    const index = readJson(entry);
    const version = field(index, "version", "number");
    if (version !== VERSION) {
      throw {
        tag: "unsupported",
        val: `${INDEX} has version ${version}, and this plugin reads version ${VERSION}`,
      };
    }
    return { images: list(index, "images").map(image), notices: [], attributes: [] };
  },

  write(images, options) {
    const index = { version: VERSION, images: images.map(listed) };
    sink.putFile(INDEX, jsonBytes(index));
    // Images may have layers in common, and no path may be written twice.
    const written = new Set();
    const once = (path, put) => {
      if (!written.has(path)) put(path);
      written.add(path);
    };
    for (const image of images) {
      once(place("configs", image.configDigest), (path) => sink.putFile(path, image.config));
      for (const layer of image.layers) {
        once(place("layers", layer.diffId), (path) => sink.putLayer(path, layer.number));
      }
    }
    log.emit("debug", "manifests are not kept; msb composes them when it reads the archive");
  },
};

// Returns a document of the archive. What it says is not to be trusted.
function readJson(entry) {
  if (entry.size > INDEX_LIMIT) {
    throw { tag: "too-large", val: `${entry.path} has more than ${INDEX_LIMIT} bytes` };
  }
  const bytes = source.read(entry.index, 0, INDEX_LIMIT);
  if (depth(bytes) > DEPTH_LIMIT) throw malformed("it is nested too deeply");
  try {
    return JSON.parse(textOf(bytes));
  } catch (error) {
    throw malformed(`it is no JSON: ${error.message}`);
  }
}

// Returns how deep lists and objects are nested. JSON.parse of QuickJS goes down as far as it is
// told, until there is no stack left.
function depth(bytes) {
  let [depth, deepest, quoted] = [0, 0, false];
  for (let at = 0; at < bytes.length; at++) {
    const character = String.fromCharCode(bytes[at]);
    if (quoted && character === "\\") at++;
    else if (character === '"') quoted = !quoted;
    else if (!quoted && "[{".includes(character)) deepest = Math.max(deepest, ++depth);
    else if (!quoted && "]}".includes(character)) depth--;
  }
  return deepest;
}

// Returns what is in UTF-8. QuickJS has no TextDecoder.
function textOf(bytes) {
  const escaped = Array.from(bytes, (byte) => `%${byte.toString(16).padStart(2, "0")}`);
  return decodeURIComponent(escaped.join(""));
}

// Returns a value as JSON, in which all but ASCII is escaped. QuickJS has no TextEncoder.
function jsonBytes(value) {
  const escape = (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
  const text = JSON.stringify(value, null, 2).replace(/[^\x00-\x7f]/g, escape);
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function malformed(text) {
  return { tag: "malformed", val: `${INDEX}: ${text}` };
}

// Returns a field of an object if it is of the type that it has to be.
function field(value, name, type) {
  const found = typeof value === "object" ? value?.[name] : undefined;
  if (typeof found !== type) throw malformed(`\`${name}\` is missing or of another type`);
  return found;
}

function list(value, name) {
  const found = field(value, name, "object");
  if (!Array.isArray(found)) throw malformed(`\`${name}\` is not a list`);
  return found;
}

// Returns an image of the list with the entries that have its parts. The host reads the layers,
// and compares all digests.
function image(listed) {
  const config = field(listed, "config", "string");
  const layers = list(listed, "layers").map((digest) => {
    const entry = find("layers", digest);
    return { data: { tag: "entry", val: entry.index }, digest, size: entry.size, attributes: [] };
  });
  const references = list(listed, "references");
  if (!references.every((reference) => typeof reference === "string")) {
    throw malformed("a reference is not a text");
  }
  return {
    config: { tag: "entry", val: find("configs", config).index },
    configDigest: config,
    layers,
    references,
    attributes: [],
  };
}

// Returns what the list has of an image of the store.
function listed(image) {
  return {
    references: image.references.map((reference) => `${reference.name}:${reference.tag}`),
    config: image.configDigest,
    layers: image.layers.map((layer) => layer.diffId),
  };
}

function find(folder, digest) {
  const path = place(folder, digest);
  const entry = source.find(path);
  if (entry == null) {
    throw { tag: "missing", val: `${path}, which ${INDEX} lists, is not there` };
  }
  return entry;
}

// Returns where the file with a digest is. A text that is not a digest would lead elsewhere.
function place(folder, digest) {
  if (typeof digest !== "string" || !DIGEST.test(digest)) {
    throw malformed(`${String(JSON.stringify(digest)).slice(0, 100)} is not a digest`);
  }
  return `${folder}/${digest.replace(":", "/")}`;
}
