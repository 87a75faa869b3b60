"""Test of the line that names the next command."""

import shlex

from htc_tf import next_command


def test_the_line_can_be_pasted_into_a_shell():
  words = ['htc-show', "my data; it's here"]
  text = next_command.line(*words)
  assert text.startswith('next: htc-show ')
  assert shlex.split(text.removeprefix('next: ')) == words
