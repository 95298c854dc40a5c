// box: a credential provider that keeps logins with the program docker-credential-box.

import * as helper from "msb:plugin/helper@{{api}}";

export const credentials = {
  describe() {
    return {
      name: "box",
      title: "a box",
      operations: { store: true, erase: true, list: false, report: false },
      registries: ["*"],
      needs: [{ capability: "helper", scope: "box", reason: "logins are kept there" }],
      attributes: [],
    };
  },

  get(request) {
    const login = asking(helper.get, "box", request.registry);
    if (login == null) throw { tag: "not-found" };
    return {
      credential: { tag: "basic", val: [login.username, login.secret] },
      cache: { tag: "session" },
      extent: "registry",
      source: "the box",
      attributes: [],
    };
  },

  erase(request) {
    if (asking(helper.get, "box", request.registry) == null) throw { tag: "not-found" };
    asking(helper.erase, "box", request.registry);
  },

  list() {
    throw { tag: "unsupported" };
  },

  report(request, outcome) {
    throw { tag: "unsupported" };
  },

  store(request, credential) {
    if (credential.tag !== "basic") throw { tag: "unsupported" };
    const [username, secret] = credential.val;
    asking(helper.store, "box", request.registry, { username, secret });
  },
};

// Passes on what msb says, which names the permission that is missing and how to grant it.
function asking(call, ...words) {
  try {
    return call(...words);
  } catch (error) {
    const refusal = error.payload;
    if (refusal === undefined) throw error;
    const tag = refusal.tag === "denied" ? "denied" : "failed";
    throw { tag, val: { message: refusal.val } };
  }
}
