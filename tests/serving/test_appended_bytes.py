"""Tests of bytes that grow on disk."""

import io
import os
import subprocess
import sys

import pytest

from htc_tf.errors import StorageError
from htc_tf.serving.appended_bytes import AppendedBytes


def _first(content, length):
  target = io.BytesIO()
  content.copy(target, length)
  return target.getvalue()


def test_the_first_bytes_are_copied_while_more_are_appended(tmp_path, monkeypatch):
  monkeypatch.setattr('htc_tf.serving.appended_bytes._CHUNK', 3)
  content = AppendedBytes(str(tmp_path))
  assert _first(content, 0) == b''
  content.append(b'abcdef')
  assert (content.length, _first(content, 6), _first(content, 4)) == (6, b'abcdef', b'abcd')
  content.append(b'gh')
  assert (content.length, _first(content, 8)) == (8, b'abcdefgh')
  with pytest.raises(StorageError, match=r'Expected: 9 bytes\. Got: 8'):
    _first(content, 9)
  content.close()


def test_it_has_no_name_and_a_killed_process_leaves_nothing(tmp_path):
  content = AppendedBytes(str(tmp_path))
  content.append(b'x' * 2**20)
  assert _first(content, 3) == b'xxx' and not os.listdir(tmp_path)
  content.close()
  killed = (
    'import os, signal, sys\n'
    'from htc_tf.serving.appended_bytes import AppendedBytes\n'
    'AppendedBytes(sys.argv[1]).append(b"x" * 2**20)\n'
    'os.kill(os.getpid(), signal.SIGKILL)\n'
  )
  subprocess.run([sys.executable, '-c', killed, str(tmp_path)], check=False)
  assert not os.listdir(tmp_path)
