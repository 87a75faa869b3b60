"""Types of the flags of benchmarks."""

import argparse
from collections.abc import Callable, Iterable
from typing import TypeVar

_Value = TypeVar('_Value')


def some_of(known: Iterable[_Value]) -> Callable[[str], list[_Value]]:
  """The type of a flag that takes known values, with commas between them.

  Args:
    known: the values; their texts differ.

  Returns:
    A function from the text of the flag to its values, which raises `argparse.ArgumentTypeError`
    for unknown ones.
  """
  by_text = {str(value): value for value in known}

  def parse(text: str) -> list[_Value]:
    words = text.split(',')
    if unknown := [word for word in words if word not in by_text]:
      raise argparse.ArgumentTypeError(
        f'unknown: {", ".join(unknown)}; known: {", ".join(by_text)}'
      )
    return [by_text[word] for word in words]

  return parse


def at_least(least: int) -> Callable[[str], int]:
  """The type of a flag that takes whole numbers from `least` on."""

  def parse(text: str) -> int:
    if not text.isdecimal() or int(text) < least:
      raise argparse.ArgumentTypeError(f'expected a whole number from {least} on; got {text!r}')
    return int(text)

  return parse


def list_of(parse: Callable[[str], _Value]) -> Callable[[str], list[_Value]]:
  """The type of a flag that takes values with commas between them, each parsed by a function."""

  def parse_all(text: str) -> list[_Value]:
    return [parse(word) for word in text.split(',')]

  return parse_all
