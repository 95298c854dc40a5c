import assert from "node:assert/strict";
import { test } from "node:test";

import { host } from "./host.js";
import { credentials } from "../src/provider.js";

const TOKEN = { trimmed: () => TOKEN };

// Asks the provider. What is a function stands in for what msb does; a value is what it returns.
function ask({ registry = "registry.example.com", username, variable, file }) {
  const answering = (value) => (typeof value === "function" ? value : () => value);
  host.settings = { plugin: () => '{"registries": {"registry.example.com": "ann"}}' };
  host.env = { get: answering(variable) };
  host.files = { read: answering(file) };
  return credentials.get({ registry, username, action: "pull", challenges: [], attempt: 1 });
}

function refuse() {
  throw Object.assign(new Error(), { payload: { tag: "denied", val: "grant it" } });
}

test("the token is that of the variable", () => {
  const answer = ask({ variable: TOKEN });
  assert.deepEqual(answer.credential, { tag: "basic", val: ["ann", TOKEN] });
  assert.equal(answer.source, "${{env}}_TOKEN");
});

test("without the variable it is that of the file", () => {
  const answer = ask({ file: { contents: TOKEN, path: "~/.{{name}}-token" } });
  assert.deepEqual(answer.credential, { tag: "basic", val: ["ann", TOKEN] });
  assert.equal(answer.source, "~/.{{name}}-token");
});

test("others are left to others", () => {
  assert.throws(() => ask({ registry: "ghcr.io", variable: TOKEN }), { tag: "not-mine" });
  assert.throws(() => ask({ username: "bob", variable: TOKEN }), { tag: "not-found" });
});

test("without a token the user hears where it is looked for", () => {
  assert.throws(
    () => ask({}),
    ({ tag, val }) => tag === "misconfigured" && /{{env}}_TOKEN.*{{name}}-token/.test(val.message),
  );
});

test("what is not granted is said in the words of msb", () => {
  assert.throws(() => ask({ variable: refuse }), { tag: "denied", val: { message: "grant it" } });
  ask({ variable: refuse, file: { contents: TOKEN, path: "x" } });
});
