"""Tests that no module takes a remote path for a local one."""

import ast

import pytest

from tests import source_code

# Modules whose functions take every path for a local one.
_MODULES = {'pathlib', 'glob', 'shutil', 'tempfile', 'fileinput'}
_OS_FUNCTIONS = {
  'access',
  'chmod',
  'link',
  'listdir',
  'lstat',
  'makedirs',
  'mkdir',
  'open',
  'remove',
  'removedirs',
  'rename',
  'renames',
  'replace',
  'rmdir',
  'scandir',
  'stat',
  'symlink',
  'truncate',
  'unlink',
  'utime',
  'walk',
}
# Functions of os.path that look at files, or that lose a slash or the scheme of a remote path.
_PATH_FUNCTIONS = {
  'abspath',
  'dirname',
  'exists',
  'getmtime',
  'getsize',
  'isdir',
  'isfile',
  'islink',
  'lexists',
  'normpath',
  'realpath',
  'relpath',
  'samefile',
  'split',
}
_REFUSES = 'ConversionOptions refuses remote paths'
# Modules with local paths only, and the reason.
_LOCAL = {
  'configs/experiment_files.py': 'it looks at files of the package and of a checkout',
  'training/seeding.py': 'it makes local paths absolute only',
  'file_systems.py': 'it decides between local and remote paths',
  'file_locks.py': 'conversions refuse remote paths, and a remote model directory has no lock',
  'files.py': 'it handles local folders apart from remote ones',
  'convert/checkpoint_file.py': 'it maps local files into memory, and reads remote ones whole',
  'data/coco_to_tfrecord.py': _REFUSES,
  'data/file_copies.py': _REFUSES,
  'data/split_overlap.py': _REFUSES,
  'data/conversion_fingerprint.py': _REFUSES,
  'data/conversion_lock.py': _REFUSES,
  'data/conversion_outputs.py': _REFUSES,
  'data/panoptic_maps.py': _REFUSES,
  **{
    f'data/formats/{name}.py': _REFUSES
    for name in (
      *('coco', 'image_locations', 'image_sizes', 'panoptic', 'registry', 'source_files'),
      *('yolo', 'yolo_config'),
    )
  },
  **{
    f'serving/outputs/{name}.py': 'predict_files refuses a remote output folder'
    for name in ('base', 'cutouts', 'index_masks', 'labelme')
  },
  'data/image_paths.py': _REFUSES,
  'data/record_shards.py': _REFUSES,
  'data/stuff_map_check.py': 'check refuses remote folders',
  'data/usable_images.py': _REFUSES,
  'data/images.py': 'list_images and ConversionOptions refuse remote paths of images',
  'data/nuclei.py': 'write_nuclei_coco refuses a remote folder',
  'demo.py': 'run refuses a remote folder',
  'cli/command.py': 'it looks for the device files of GPUs',
  'serving/predict_files.py': 'list_images and predict_files refuse remote paths',
  'serving/input_files.py': 'list_images refuses remote paths',
  'cli/detection/stream.py': 'it opens the null device',
  'data/tiff_windows.py': 'list_images refuses remote paths of images',
  'serving/large_images.py': 'list_images refuses remote paths of images',
  'serving/output_folder.py': 'check_options refuses a remote folder',
  'serving/predict_stream.py': 'output_folder.check_options refuses a remote folder',
  'serving/runtimes/onnx_int8.py': 'onnxruntime writes the model into a temporary local folder',
  'serving/runtimes/tflite_runtime.py': 'the converter needs a temporary local folder',
  'serving/video/frames.py': 'list_images_and_videos refuses remote paths',
  **{
    f'serving/video/{name}.py': 'output_folder.check_options refuses a remote folder'
    for name in ('predict_video', 'video_files', 'writer')
  },
  'serving/result_files.py': 'predict_files refuses a remote output folder',
  'serving/appended_bytes.py': 'predict_files refuses a remote output folder',
  'serving/annotated_images.py': 'it compares the local paths of images',
  'training/driver.py': 'a worker that is not the chief has a temporary local folder',
  # `basename(urlparse(url).path)` only; no file.
}


def findings(source):
  """(line, name) of everything in a module's source that takes a path for a local one."""
  found = []
  for node in ast.walk(ast.parse(source)):
    found += source_code.imported(node, _MODULES)
    if isinstance(node, ast.ImportFrom):
      found += source_code.imported(node, ['os'])  # Its functions would have no prefix.
    elif isinstance(node, ast.Attribute):
      name = ast.unparse(node)
      if name in {f'os.{x}' for x in _OS_FUNCTIONS} | {f'os.path.{x}' for x in _PATH_FUNCTIONS}:
        found.append((node.lineno, name))
    elif isinstance(node, ast.Call) and getattr(node.func, 'id', None) == 'open':
      found.append((node.lineno, 'open'))
  return found


@pytest.mark.parametrize(
  'source, name',
  [
    ('import pathlib', 'pathlib'),
    ('from pathlib import Path', 'pathlib'),
    ('from os.path import exists', 'os'),
    ('def f(path):\n  import glob', 'glob'),
    ('with open(path) as file: pass', 'open'),
    ('os.path.exists(path)', 'os.path.exists'),
    ('list(map(os.path.getsize, paths))', 'os.path.getsize'),
    ('os.replace(a, b)', 'os.replace'),
  ],
)
def test_a_local_operation_is_found(source, name):
  assert [found for _, found in findings(source)] == [name]


def test_joining_and_other_uses_are_allowed():
  assert not findings(
    'import os\nos.path.join(a, b)\nos.path.basename(a)\nos.path.splitext(a)\nos.fspath(a)\n'
    'Image.open(a)\nfile_systems.exists(a)\ntext.split()\nos.environ.get("x")'
  )


def test_only_the_listed_modules_take_paths_for_local_ones():
  found = dict(source_code.findings_by_module(findings))
  unlisted = {name: lines for name, lines in found.items() if name not in _LOCAL}
  assert not unlisted, 'use htc_tf.file_systems, or refuse remote paths and add a reason to _LOCAL'
  assert found.keys() == _LOCAL.keys(), 'a listed module needs no exception'


@pytest.mark.parametrize(
  'name',
  ['data/conversion_options.py', 'data/nuclei.py', 'demo.py', 'serving/predict_files.py'],
)
def test_modules_that_say_so_refuse_remote_paths(name):
  assert 'file_systems.check_local(' in (source_code.FOLDER / name).read_text(encoding='utf-8')
