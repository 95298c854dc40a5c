"""{{name}}: a credential provider for msb.

Its settings name registries and the user on each. The token that belongs to them is in a variable
of the environment or in a file. The provider passes it on and never reads it.
"""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.credentials import (
    Answer,
    Cache_Session,
    Credential_Basic,
    Description,
    Error_Denied,
    Error_Failed,
    Error_Misconfigured,
    Error_NotFound,
    Error_NotMine,
    Error_Unavailable,
    Error_Unsupported,
    Extent,
    Operations,
    Problem,
)
from wit_world.imports import env, files, settings
from wit_world.imports.types import Need, Refusal_Denied, Refusal_Unavailable

NAME = "{{name}}"

# Where the token is: in this variable or, where it is not set, in this file.
VARIABLE = "{{env}}_TOKEN"
FILE = "~/.{{name}}-token"


class Credentials(exports.Credentials):
    """What msb calls. componentize-py looks for a class that is called like the interface."""

    def describe(self):
        return Description(
            name=NAME,
            title="a token in a variable or a file",
            operations=Operations(0),
            registries=["*"],
            needs=[
                Need("env", VARIABLE, "the token"),
                Need("files", FILE, "the token, where no variable has it"),
            ],
            attributes=[],
        )

    def get(self, request):
        username = users().get(request.registry)
        if username is None:
            raise Err(Error_NotMine())
        if request.username not in (None, username):
            raise Err(Error_NotFound())
        token, source = find_token()
        return Answer(
            credential=Credential_Basic((username, token)),
            cache=Cache_Session(),
            extent=Extent.REGISTRY,
            source=source,
            attributes=[],
        )

    def erase(self, request):
        raise Err(Error_Unsupported())

    def list(self):
        raise Err(Error_Unsupported())

    def report(self, request, outcome):
        raise Err(Error_Unsupported())

    def store(self, request, credential):
        raise Err(Error_Unsupported())


def users():
    """Returns the user on each registry, as plugins.settings.{{name}} of config.json has them."""
    text = settings.plugin()
    if text is None:
        return {}
    registries = json.loads(text).get("registries")
    if not isinstance(registries, dict) or not all(
        isinstance(username, str) for username in registries.values()
    ):
        raise Err(
            Error_Misconfigured(
                Problem(
                    "`registries` in the settings does not say who the user is on each",
                    'set it to something like {"registry.example.com": "ann"}',
                )
            )
        )
    return registries


def find_token():
    """Returns the token, a handle, and where it is from.

    Who has it in one of the places need not grant the other.
    """
    refusal = None
    try:
        token = env.get(VARIABLE)
        if token is not None:
            return token, f"${VARIABLE}"
    except Err as error:
        refusal = error.value
    try:
        file = files.read(FILE)
        if file is not None:
            return file.contents.trimmed(), file.path
    except Err as error:
        refusal = error.value
    if refusal is not None:
        raise Err(from_refusal(refusal))
    raise Err(
        Error_Misconfigured(
            Problem(
                f"{VARIABLE} is not set, and there is no {FILE}",
                "put the token into one of them",
            )
        )
    )


def from_refusal(refusal):
    """Passes on what msb says, which names the permission that is missing and how to grant it."""
    problem = Problem(refusal.value, None)
    match refusal:
        case Refusal_Denied():
            return Error_Denied(problem)
        case Refusal_Unavailable():
            return Error_Unavailable(problem)
        case _:
            return Error_Failed(problem)
