"""The command that compares the models with stored outputs of the published implementations.

`make parity` runs it.

Example:
  python -m parity --pack folder zoo_folder --markdown=docs/parity.md
"""

import argparse
import functools
import gc
import os
import pathlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from htc_tf.errors import HTCError
from parity import measurement, report
from parity.check import Check
from parity.measurement import Measurement, NotRun
from parity.pack import MEMBER_EXTRACT
from parity.report import Section

_FOLDER = pathlib.Path(__file__).parent


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog='python -m parity',
    description='Measure, level by level, how far the models deviate from mmdetection and '
    'laihuihui/htc with the same weights.',
  )
  add = parser.add_argument
  add(
    '--pack',
    nargs='+',
    default=[str(_FOLDER / 'extract'), str(_FOLDER / 'zoo_extract')],
    help='folders with the reference arrays of HTC and of the families around it; checks whose '
    'arrays are missing there are listed as not run (default: the arrays that the repository '
    'holds for its tests)',
  )
  add('--json', default='build/parity.json', help='JSON file of the rows (default: %(default)s)')
  add('--markdown', default='', help='Markdown file to write as well, such as docs/parity.md')
  return parser


def _sections(folders: Sequence[str]) -> Iterator[Section]:
  """The sections of the report; each model is freed before the next one is built."""
  zoo_folders = [folder for folder in folders if _is_of_zoo(folder)]
  yield from _htc_sections(next((f for f in folders if f not in zoo_folders), folders[0]))
  yield from _zoo_sections(zoo_folders[0] if zoo_folders else folders[0])
  # Packs lack these references, which the repository holds.
  yield from _member_sections(str(MEMBER_EXTRACT) if zoo_folders else folders[0])


def _is_of_zoo(folder: str) -> bool:
  """Whether a folder has the reference of a family around HTC."""
  from parity import zoo

  return any(
    os.path.exists(os.path.join(folder, f'{variant.config}_shapes.json'))
    for variant in zoo.VARIANTS
  )


def _zoo_sections(folder: str) -> Iterator[Section]:
  """The sections of the families around HTC."""
  from parity import zoo

  return _image_sections(folder, zoo.VARIANTS)


def _member_sections(folder: str) -> Iterator[Section]:
  """The sections of the larger networks of these families."""
  from parity import members

  return _image_sections(folder, members.variants())


def _image_sections(folder: str, variants: Iterable[Any]) -> Iterator[Section]:
  """The sections of configurations (`Variant`) that are compared on a stored image."""
  from parity import mmdet_image
  from parity.pack import Pack

  pack = Pack(folder)
  for variant in variants:
    yield _section(
      f'{variant.source}, {variant.config}',
      mmdet_image.MmdetImage(pack, variant).measurements(),
    )


def _htc_sections(folder: str) -> Iterator[Section]:
  """The sections of HTC itself."""
  from parity import inputs, mmdet_batch, mmdet_image, mmdet_views, ops, paddle_image
  from parity.pack import EXTRACT, Pack

  pack = Pack(folder)
  yield _section('single operations', ops.measurements(pack))
  yield _whole_section(
    'network inputs from images',
    folder,
    inputs.input_checks,
    ('paddle_r50_a.npz', 'paddle_r50_b.npz', 'mmdet_r50_inference.npz'),
  )
  yield _section(
    'mmdetection 3.3.0, htc_r50_fpn_1x_coco', mmdet_batch.MmdetBatch(pack).measurements()
  )
  for variant in mmdet_image.VARIANTS:
    yield _section(
      f'mmdetection 3.3.0, {variant.config}', mmdet_image.MmdetImage(pack, variant).measurements()
    )
  # Packs lack this reference and those of training steps, which the repository holds; a folder
  # without weights is no pack.
  is_pack = os.path.exists(os.path.join(folder, 'weights.py'))
  extract = str(EXTRACT) if is_pack else folder
  yield _section(
    'mmdetection 2.28.2, test-time augmentation of htc_r50_fpn_1x_coco',
    mmdet_views.MmdetViews(Pack(extract)).measurements(),
  )
  model = functools.lru_cache(maxsize=1)(lambda: paddle_image.build_paddle_model(pack))
  for image in 'ab':
    yield _section(
      f'laihuihui/htc on PaddlePaddle 2.6.2, R50, image {image}',
      paddle_image.PaddleImage(pack, image, model).measurements(),
    )
  del model
  yield from _training_sections(folder, extract)


def _training_sections(folder: str, extract: str) -> Iterator[Section]:
  """The sections of training steps.

  Args:
    folder: folder of the pack.
    extract: folder of the references that packs lack.
  """
  from parity import family_steps, training, training_trajectory

  yield _whole_section(
    'mmdetection 3.3.0, training step of htc_r50_fpn_1x_coco',
    folder,
    training.training_checks,
    ('mmdet_r50_inference.npz', 'mmdet_r50_losses.npz', 'mmdet_r50_grads.json'),
  )
  yield _whole_section(
    'mmdetection 3.3.0, 20 training steps of a reduced HTC',
    extract,
    training_trajectory.trajectory_checks,
    training_trajectory.FILES,
  )
  for family in family_steps.FAMILIES:
    yield _whole_section(
      f'mmdetection 3.3.0, training step of a reduced model, {family.name}',
      extract,
      functools.partial(family_steps.step_checks, family=family),
      (family.file, family_steps.INPUTS),
    )


def _section(title: str, measurements: Iterable[Measurement]) -> Section:
  """A section in which each measurement whose arrays are missing is listed as not run."""
  print(f'\n{title}', flush=True)
  section = Section(title, *measurement.run(measurements, lambda line: print(line, flush=True)))
  # Layers refer to one another; models that wait for the collector took 14 GB together.
  gc.collect()
  return section


def _whole_section(
  title: str, folder: str, run: Callable[[str], Sequence[Check]], needed: Sequence[str]
) -> Section:
  """A section that is not run at all if one of the needed files is missing."""
  missing = [name for name in needed if not os.path.exists(os.path.join(folder, name))]
  if missing:
    return Section(title, (), (NotRun('all checks of this section', None, ', '.join(missing)),))
  print(f'\n{title}', flush=True)
  return Section(title, run(folder))


def main(argv: list[str] | None = None) -> int:
  """Run the command; the exit status is 1 if a check fails and 2 after an error message."""
  args = _parser().parse_args(argv)
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  try:
    sections = list(_sections(args.pack))
    report.write(sections, args.json, args.markdown)
  except (HTCError, OSError) as error:
    print(f'error: {error}', file=sys.stderr)
    return 2
  print(report.table(sections))
  return int(any(section.num_failed for section in sections))


if __name__ == '__main__':
  sys.exit(main())
