"""Runs the provider natively; `unittest.mock` stands in for what msb does."""

import unittest
from unittest.mock import Mock, patch

import provider
from componentize_py_types import Err
from wit_world.exports.credentials import (
    Action,
    Error_Denied,
    Error_Misconfigured,
    Error_NotFound,
    Error_NotMine,
    Request,
)
from wit_world.imports.types import Refusal_Denied

SETTINGS = '{"registries": {"registry.example.com": "ann"}}'


def ask(registry="registry.example.com", username=None, variable=None, file=None):
    """Asks the provider; a value that is an exception is raised by what would return it."""
    request = Request(registry, None, Action.PULL, [], username, 1, [])
    with (
        patch.object(provider.settings, "plugin", return_value=SETTINGS),
        patch.object(provider.env, "get", side_effect=[variable]),
        patch.object(provider.files, "read", side_effect=[file]),
    ):
        return provider.Credentials().get(request)


class Tests(unittest.TestCase):
    def assert_fails(self, case, **question):
        with self.assertRaises(Err) as raised:
            ask(**question)
        self.assertIsInstance(raised.exception.value, case)
        return raised.exception.value

    def test_the_token_is_that_of_the_variable(self):
        token = Mock()
        answer = ask(variable=token)
        self.assertEqual(answer.credential.value, ("ann", token))
        self.assertEqual(answer.source, "$" + provider.VARIABLE)

    def test_without_the_variable_it_is_that_of_the_file(self):
        file = Mock(path=provider.FILE)
        answer = ask(file=file)
        self.assertEqual(answer.credential.value, ("ann", file.contents.trimmed()))
        self.assertEqual(answer.source, provider.FILE)

    def test_others_are_left_to_others(self):
        self.assert_fails(Error_NotMine, registry="ghcr.io", variable=Mock())
        self.assert_fails(Error_NotFound, username="bob", variable=Mock())

    def test_without_a_token_the_user_hears_where_it_is_looked_for(self):
        error = self.assert_fails(Error_Misconfigured)
        self.assertIn(provider.VARIABLE, error.value.message)
        self.assertIn(provider.FILE, error.value.message)

    def test_what_is_not_granted_is_said_in_the_words_of_msb(self):
        refused = Err(Refusal_Denied("grant it"))
        error = self.assert_fails(Error_Denied, variable=refused)
        self.assertEqual(error.value.message, "grant it")
        ask(variable=refused, file=Mock())
