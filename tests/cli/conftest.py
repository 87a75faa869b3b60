"""The training command in this process, and small records."""

import pytest

from tests import tiny_records


@pytest.fixture(scope='session')
def defined_flags():
  """The flags of the training command."""
  # Other tests of commands do not need Model Garden, whose import takes seconds.
  from official.vision import train as _  # Defines a flag.  # noqa: F401

  from htc_tf.cli import train

  train.define_flags()


@pytest.fixture(scope='module')
def records(tmp_path_factory):
  return tiny_records.write(tmp_path_factory.mktemp('records'), num_images=2)


@pytest.fixture
def run(tmp_path, defined_flags):
  """A function that runs the command in this process and returns its new model directory."""
  import gin
  from absl.testing import flagsaver

  from htc_tf.cli import train

  def run_with(mode='train', **values):
    gin.clear_config()  # Model Garden locks it in every run.
    with flagsaver.flagsaver(mode=mode, model_dir=str(tmp_path / 'model'), **values):
      status = train.main([])
    if status:
      raise SystemExit(status)
    return tmp_path / 'model'

  return run_with
