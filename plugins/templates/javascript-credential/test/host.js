// Stands in for msb where the plugin runs in Node: `import`s of its interfaces lead to `host`, where
// a test puts what each of their functions is to do.

import { register } from "node:module";

export const host = (globalThis.host = {});

const FUNCTIONS = {
  env: ["get"],
  files: ["read"],
  settings: ["plugin"],
};

const hooks = `
const FUNCTIONS = ${JSON.stringify(FUNCTIONS)};
const interfaceOf = (url) => /^msb:plugin\\/([a-z]+)@/.exec(url)?.[1];

export function resolve(specifier, context, next) {
  if (!interfaceOf(specifier)) return next(specifier, context);
  return { url: specifier, shortCircuit: true };
}

export function load(url, context, next) {
  const name = interfaceOf(url);
  if (!name) return next(url, context);
  if (!FUNCTIONS[name]) throw new Error("name the functions of " + url + " in test/host.js");
  const lines = FUNCTIONS[name].map(
    (it) =>
      "export function " + it + "(...values) { return host." + name + "." + it + "(...values); }",
  );
  return { format: "module", source: lines.join("\\n"), shortCircuit: true };
}
`;

register(`data:text/javascript,${encodeURIComponent(hooks)}`);
