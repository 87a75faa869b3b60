"""Tests of the types of flags of benchmarks."""

import argparse

import pytest

from benchmarks import arguments


@pytest.mark.parametrize(
  'known, text, expected',
  [({'one': 1, 'two': 2}, 'two,one', ['two', 'one']), ((0, 1, 2), '2,0', [2, 0])],
)
def test_known_values_are_taken_in_their_order(known, text, expected):
  assert arguments.some_of(known)(text) == expected


@pytest.mark.parametrize('text', ['1,7', '', '1,', '01'])
def test_unknown_values_are_named(text):
  with pytest.raises(argparse.ArgumentTypeError, match=r'^unknown: .*; known: 0, 1, 2$'):
    arguments.some_of((0, 1, 2))(text)


def test_a_number_has_a_smallest_value():
  assert arguments.at_least(4)('4') == 4


@pytest.mark.parametrize('text', ['3', '-4', '4.0', 'many', ''])
def test_a_smaller_number_or_none_is_refused(text):
  with pytest.raises(argparse.ArgumentTypeError, match='a whole number from 4 on; got'):
    arguments.at_least(4)(text)
