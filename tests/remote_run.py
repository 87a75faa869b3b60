"""A whole training run below `ram://`, TensorFlow's file system in the memory of a process.

Started by a test in an empty working directory. It prints what it has found as JSON in its last
line.
"""

import json
import os
import pathlib
import sys
import tempfile

ROOT = 'ram://bucket/run'
_WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_CHANGES = ('os.mkdir', 'os.rename', 'os.remove', 'os.rmdir', 'shutil.rmtree')


def _watch(changed: list[str]) -> None:
  """Add every file that Python code writes, creates, renames or removes to a list."""

  def hook(event, arguments):
    if event == 'open' and isinstance(arguments[0], (str, bytes, os.PathLike)):
      path, _, flags = arguments
      if flags & _WRITE_FLAGS and not _is_allowed(os.fsdecode(path)):
        changed.append(f'{event} {path}')
    elif event in _CHANGES:
      changed.append(f'{event} {arguments[0]}')

  sys.addaudithook(hook)


def _is_allowed(path: str) -> bool:
  """Whether a library writes a file on its own account: TensorFlow's autograph, or a cache."""
  folder, name = os.path.split(path)
  temporary = tempfile.gettempdir()
  is_autograph = folder == temporary and name.startswith('__autograph_generated_file')
  is_font_list = 'matplotlib' in folder.split(os.sep)  # Its cache in the home of the user.
  return is_autograph or is_font_list or path in (temporary, os.devnull)


class _Commands:
  """The commands, run in this process; each must end with status 0."""

  def __init__(self, options: list[str]):
    from absl import flags

    from htc_tf.cli import train

    train.define_flags()
    from official.vision import train as _  # noqa: F401

    flags.FLAGS(['htc-train', *options])
    self._flags = flags.FLAGS

  def train(self, mode: str, **overrides) -> None:
    import gin

    from htc_tf.cli import train

    gin.clear_config()  # The command locks it.
    self._flags.mode = mode
    self._flags.params_override = json.dumps(overrides)
    status = train.main([])
    assert status == 0, f'htc-train --mode={mode}: status {status}'

  @staticmethod
  def run(name: str, *options: str) -> None:
    import importlib

    status = importlib.import_module(f'htc_tf.cli.{name}').main(list(options))
    assert status == 0, f'{name} {options}: status {status}'


def _upload(source: pathlib.Path, target: str) -> None:
  from htc_tf import files

  for path in source.rglob('*'):
    if path.is_file():
      files.write_bytes(f'{target}/{path.relative_to(source)}', path.read_bytes())


def _list_all(folder: str) -> list[str]:
  import tensorflow as tf

  return sorted(
    f'{parent}/{name}'.replace('//', '/').removeprefix(folder.replace('//', '/') + '/')
    for parent, _, names in tf.io.gfile.walk(folder)
    for name in names
  )


def _tear(path: str) -> None:
  """Cut a file in the middle, as a process does that is killed while writing."""
  import tensorflow as tf

  with tf.io.gfile.GFile(path, 'rb') as file:
    content = file.read()
  tf.io.gfile.remove(path)  # Otherwise `ram://` appends.
  with tf.io.gfile.GFile(path, 'wb') as file:
    file.write(content[: len(content) // 2])


def _detect(image: pathlib.Path) -> dict[str, list]:
  """Scores of the model directory, of its checkpoint and of its export, by kind of path."""
  from htc_tf.data import images
  from htc_tf.serving import detectors

  pixels = images.read_image(image)
  found = {}
  for name in ('model', 'model/ckpt-3', 'export/1'):
    detector = detectors.load_detector(f'{ROOT}/{name}')
    (instances,) = detector.detect([pixels])
    found[name] = [instances.scores.tolist(), list(detector.category_names)]
  return found


def main(source: str, config: str) -> None:
  """Train, evaluate, resume, fine-tune, detect and export below `ROOT`.

  Args:
    source: local folder with records, and the published file `published.pth`.
    config: local configuration of the run.
  """
  changed: list[str] = []
  from htc_tf import file_systems, files, registry_imports  # noqa: F401

  _upload(pathlib.Path(source) / 'records', f'{ROOT}/records')
  files.write_bytes(f'{ROOT}/config.yaml', pathlib.Path(config).read_bytes())
  commands = _Commands(
    [
      '--experiment=htc_nuclei',
      '--mode=train',
      f'--model_dir={ROOT}/model',
      f'--config_file={ROOT}/config.yaml',
    ]
  )
  _watch(changed)
  commands.train('train_and_eval', trainer={'train_steps': 2, 'validation_interval': 2})
  model = f'{ROOT}/model'
  first = _list_all(model)
  # A damaged checkpoint, an unfinished one, and files of a killed process.
  _tear(f'{model}/ckpt-2.data-00000-of-00001')
  files.write_bytes(f'{model}/ckpt-9.data-00000-of-00001', b'without an index')
  files.write_bytes(f'{model}/checkpoint.tmp123', b'')
  commands.train('train')
  resumed = _list_all(model)
  commands.train('eval')
  commands.run('export', f'--model={model}', f'--output={ROOT}/export/1', '--no_warmup')
  detected = _detect(next((pathlib.Path(source) / 'train_images').iterdir()))
  commands._flags.model_dir = f'{ROOT}/tuned'
  commands.train('train', task={'init_checkpoint': model}, trainer={'train_steps': 1})
  starts = json.loads(file_systems.read_bytes(f'{model}/run.json'))['starts']
  report = {
    'first': first,
    'resumed': resumed,
    'all': _list_all(ROOT),
    'steps': [start['step'] for start in starts],
    'data': starts[0]['data']['train_data'],
    'figures': json.loads(file_systems.read_bytes(f'{model}/results/step-3-metrics.json')),
    'detected': detected,
    'changed': changed,
    'working_directory': os.listdir(),
  }
  print(json.dumps(report))


if __name__ == '__main__':
  main(*sys.argv[1:])
