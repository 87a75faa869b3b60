"""Compares the models with stored numbers of the published implementations: `make parity`.

Example:
  python -m parity --pack=folder --markdown=docs/parity.md
"""

import argparse
import functools
import os
import pathlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence

from htc_tf.errors import HTCError


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog='python -m parity',
    description='Measures, level by level, how far the models '
    'are from mmdetection and laihuihui/htc with the same weights.',
  )
  add = parser.add_argument
  add(
    '--pack',
    default=str(pathlib.Path(__file__).parent / 'extract'),
    help='folder with the reference arrays; what it lacks is '
    'listed as not run (default: the extract of the tests)',
  )
  add('--json', default='build/parity.json', help='rows for machines (default: build/parity.json)')
  add('--markdown', default='', help='also write the page of the documentation')
  return parser


def _sections(folder: str) -> Iterator:
  """The report, section by section; each model is gone before the next is built."""
  from parity import inputs, mmdet_batch, mmdet_image, ops, paddle_image, training
  from parity.pack import Pack

  pack = Pack(folder)
  yield _section('single operations', ops.measurements(pack))
  yield _step(
    'from pictures to network inputs',
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
  model = functools.lru_cache(maxsize=1)(lambda: paddle_image.build_paddle_model(pack))
  for image in 'ab':
    yield _section(
      f'laihuihui/htc on PaddlePaddle 2.6.2, R50, image {image}',
      paddle_image.PaddleImage(pack, image, model).measurements(),
    )
  del model
  yield _step(
    'mmdetection 3.3.0, training step of htc_r50_fpn_1x_coco',
    folder,
    training.training_checks,
    ('mmdet_r50_inference.npz', 'mmdet_r50_losses.npz', 'mmdet_r50_grads.json'),
  )


def _section(title: str, measurements: Iterable):
  """A section of rows that are measured or not one by one."""
  from parity import measurement
  from parity.report import Section

  print(f'\n{title}', flush=True)
  return Section(title, *measurement.run(measurements, lambda line: print(line, flush=True)))


def _step(title: str, folder: str, run: Callable, needed: Sequence[str]):
  """A section that is measured as a whole or not at all."""
  from parity.measurement import NotRun
  from parity.report import Section

  missing = [name for name in needed if not os.path.exists(os.path.join(folder, name))]
  if missing:
    return Section(title, (), (NotRun('all of its checks', None, ', '.join(missing)),))
  print(f'\n{title}', flush=True)
  return Section(title, run(folder))


def main(argv: list[str] | None = None) -> int:
  """Runs the command; returns 0, 1 if a check fails, 2 after an error message."""
  args = _parser().parse_args(argv)
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  try:
    from parity import report

    sections = list(_sections(args.pack))
    report.write(sections, args.json, args.markdown)
  except (HTCError, OSError) as error:
    print(f'error: {error}', file=sys.stderr)
    return 2
  print(report.table(sections))
  return int(any(section.num_failed for section in sections))


if __name__ == '__main__':
  sys.exit(main())
