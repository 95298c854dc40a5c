"""box: a credential provider that keeps logins with the program docker-credential-box."""

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.credentials import (
    Answer,
    Cache_Session,
    Credential_Basic,
    Description,
    Error_Denied,
    Error_Failed,
    Error_NotFound,
    Error_Unsupported,
    Extent,
    Operations,
    Problem,
)
from wit_world.imports import helper
from wit_world.imports.types import Need, Refusal_Denied


class Credentials(exports.Credentials):
    def describe(self):
        return Description(
            name="box",
            title="a box",
            operations=Operations.STORE | Operations.ERASE,
            registries=["*"],
            needs=[Need("helper", "box", "logins are kept there")],
            attributes=[],
        )

    def get(self, request):
        login = asking(helper.get, "box", request.registry)
        if login is None:
            raise Err(Error_NotFound())
        return Answer(
            credential=Credential_Basic((login.username, login.secret)),
            cache=Cache_Session(),
            extent=Extent.REGISTRY,
            source="the box",
            attributes=[],
        )

    def erase(self, request):
        if asking(helper.get, "box", request.registry) is None:
            raise Err(Error_NotFound())
        asking(helper.erase, "box", request.registry)

    def list(self):
        raise Err(Error_Unsupported())

    def report(self, request, outcome):
        raise Err(Error_Unsupported())

    def store(self, request, credential):
        if not isinstance(credential, Credential_Basic):
            raise Err(Error_Unsupported())
        username, secret = credential.value
        login = helper.Login(username, secret)
        asking(helper.store, "box", request.registry, login)


def asking(function, *arguments):
    """Passes on what msb says, which names the permission that is missing and how to grant it."""
    try:
        return function(*arguments)
    except Err as error:
        problem = Problem(error.value.value, None)
        if isinstance(error.value, Refusal_Denied):
            raise Err(Error_Denied(problem))
        raise Err(Error_Failed(problem))
