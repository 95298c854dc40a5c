// {{name}}: a credential provider for msb.
//
// Its settings name registries and the user on each. The token that belongs to them is in a
// variable of the environment or in a file. The provider passes it on and never reads it.

import * as env from "msb:plugin/env@{{api}}";
import * as files from "msb:plugin/files@{{api}}";
import * as settings from "msb:plugin/settings@{{api}}";

const NAME = "{{name}}";

// Where the token is: in this variable or, where it is not set, in this file.
const VARIABLE = "{{env}}_TOKEN";
const FILE = "~/.{{name}}-token";

// What msb calls: an object that is called like the interface.
export const credentials = {
  describe() {
    return {
      name: NAME,
      title: "a token in a variable or a file",
      operations: { store: false, erase: false, list: false, report: false },
      registries: ["*"],
      needs: [
        { capability: "env", scope: VARIABLE, reason: "the token" },
        { capability: "files", scope: FILE, reason: "the token, where no variable has it" },
      ],
      attributes: [],
    };
  },

  get(request) {
    const username = users().get(request.registry);
    if (username === undefined) throw { tag: "not-mine" };
    if ((request.username ?? username) !== username) throw { tag: "not-found" };
    const { token, source } = findToken();
    return {
      credential: { tag: "basic", val: [username, token] },
      cache: { tag: "session" },
      extent: "registry",
      source,
      attributes: [],
    };
  },

  erase(request) {
    throw { tag: "unsupported" };
  },

  list() {
    throw { tag: "unsupported" };
  },

  report(request, outcome) {
    throw { tag: "unsupported" };
  },

  store(request, credential) {
    throw { tag: "unsupported" };
  },
};

// Returns the user on each registry, as plugins.settings.{{name}} of config.json has them.
function users() {
  const text = settings.plugin() ?? '{"registries": {}}';
  const { registries } = JSON.parse(text);
  const users = new Map(
    typeof registries === "object" && registries !== null ? Object.entries(registries) : [[]],
  );
  if (![...users.values()].every((username) => typeof username === "string")) {
    throw {
      tag: "misconfigured",
      val: {
        message: "`registries` in the settings does not say who the user is on each",
        hint: 'set it to something like {"registry.example.com": "ann"}',
      },
    };
  }
  return users;
}

// Returns the token, a handle, and where it is from. Who has it in one of the places need not
// grant the other.
function findToken() {
  let refusal;
  try {
    const token = env.get(VARIABLE);
    if (token != null) return { token, source: `$${VARIABLE}` };
  } catch (error) {
    refusal = error;
  }
  try {
    const file = files.read(FILE);
    if (file != null) return { token: file.contents.trimmed(), source: file.path };
  } catch (error) {
    refusal = error;
  }
  if (refusal !== undefined) throw fromRefusal(refusal);
  throw {
    tag: "misconfigured",
    val: {
      message: `${VARIABLE} is not set, and there is no ${FILE}`,
      hint: "put the token into one of them",
    },
  };
}

// Passes on what msb says, which names the permission that is missing and how to grant it.
function fromRefusal(error) {
  const refusal = error.payload;
  if (refusal === undefined) throw error;
  const known = ["denied", "unavailable"].includes(refusal.tag);
  return { tag: known ? refusal.tag : "failed", val: { message: refusal.val } };
}
