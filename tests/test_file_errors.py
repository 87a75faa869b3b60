"""Tests of the messages for files that the operating system refuses."""

import errno
import os

import pytest
import tensorflow as tf

from htc_tf import file_errors
from htc_tf.errors import InputError


def message(error):
  return str(file_errors.explained(error))


@pytest.mark.parametrize(
  'number, cause',
  [
    (errno.ENOENT, 'a misspelled path'),
    (errno.EACCES, 'another user'),
    (errno.EROFS, 'mounted read-only'),
    (errno.ENOSPC, 'a full disk'),
    (errno.EDQUOT, 'a used-up quota'),
    (errno.EFBIG, 'ulimit -f'),
    (errno.ENOTDIR, 'a file where a folder is expected'),
    (errno.EISDIR, 'a folder where a file is expected'),
    (errno.EMFILE, 'ulimit -n'),
    (errno.EIO, 'a failing disk'),
  ],
)
def test_every_error_names_the_file_and_a_cause(number, cause):
  text = os.strerror(number)
  expected = f'/a b/c cannot be used. Expected: .*. Got: {text}. Likely cause: .*{cause}'
  for error in (
    OSError(number, text, '/a b/c'),
    tf.errors.UnknownError(None, None, f'/a b/c; {text}'),
    tf.errors.UnknownError(None, None, f'{{{{function_node __x/y}}}} /a b/c; {text} [Op:Save]'),
  ):
    with pytest.raises(InputError, match=expected), file_errors.as_input_errors():
      raise error


def test_tensorflow_says_it_in_its_own_words_for_a_file_in_place_of_a_folder(tmp_path):
  (tmp_path / 'file').touch()
  with pytest.raises(tf.errors.FailedPreconditionError) as raised:
    tf.io.gfile.makedirs(str(tmp_path / 'file' / 'x'))
  assert message(raised.value).startswith(
    f'{tmp_path}/file cannot be used. Expected: a folder. Got'
  )


def test_errors_of_tensorflow_on_proc_and_on_a_missing_file_are_explained(tmp_path):
  for path, use in (
    ('/proc/x', lambda: tf.io.gfile.makedirs('/proc/x')),
    (f'{tmp_path}/none', lambda: tf.io.gfile.GFile(f'{tmp_path}/none').read()),
    ('/dev/full', lambda: _write('/dev/full')),
  ):
    with pytest.raises(tf.errors.OpError) as raised:
      use()
    assert message(raised.value).startswith(f'{path} cannot be used. Expected: ')


def _write(path):
  with tf.io.gfile.GFile(path, 'w') as file:
    file.write('x' * 100_000)


@pytest.mark.parametrize(
  'path, shown',
  [
    ('/out/.1.0123456789ab.part.png', '/out/1.png'),
    ('.model.0123456789ab.part/ckpt-0.data', 'model'),
    ('/out/.export.0123456789ab.part/variables/x', '/out/export'),
    ('/out/export/.0123456789ab.part/variables/x', '/out/export'),
    ('/out/.hidden/a.part', '/out/.hidden/a.part'),
    ('', "''"),
  ],
)
def test_a_temporary_name_is_shown_as_the_name_of_the_output(path, shown):
  assert message(FileNotFoundError(2, 'x', path)).startswith(f'{shown} cannot be used.')


def test_an_error_without_a_name_or_of_another_kind_is_still_one_line():
  assert message(OSError('broken')) == 'A file cannot be used. Got: broken.'
  assert message(OSError(errno.ENOSPC, 'full', 3)).startswith('A file cannot be used. Expected: fr')
  assert message(OSError(errno.EPIPE, 'Broken pipe')) == 'A file cannot be used. Got: Broken pipe.'


def test_a_missing_input_has_no_causes_of_outputs():
  missing = FileNotFoundError(errno.ENOENT, 'No such file or directory', 'a.png')
  for reading, is_of_outputs in ((True, False), (False, True)):
    with pytest.raises(InputError, match='a misspelled path') as raised:  # noqa: SIM117
      with file_errors.as_input_errors(reading=reading):
        raise missing
    assert ('output' in str(raised.value)) == is_of_outputs
  in_tensorflow = tf.errors.NotFoundError(None, None, '/a; No such file or directory')
  assert 'output' not in str(file_errors.explained(in_tensorflow, reading=True))


def test_other_errors_are_not_explained():
  for error in (
    ValueError('/a; Permission denied'),
    tf.errors.InvalidArgumentError(None, None, 'shapes differ'),
  ):
    assert file_errors.explained(error) is None
    with pytest.raises(type(error)), file_errors.as_input_errors():
      raise error
