"""Compares the models with stored numbers of the published implementations: `make parity`.

Example:
  python -m htc_tf.parity --pack=folder --markdown=docs/parity.md
"""

import argparse
import os
import sys
from typing import Iterator, List, Optional

from htc_tf.errors import HTCError


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
      prog='python -m htc_tf.parity', description='Measures, level by level, how far the models '
      'are from mmdetection and laihuihui/htc with the same weights.')
  add = parser.add_argument
  add('--pack', default='tests/parity', help='folder with the reference arrays; what it lacks is '
      'listed as not run (default: the extract of the tests)')
  add('--json', default='build/parity.json', help='rows for machines (default: build/parity.json)')
  add('--markdown', default='', help='also write the page of the documentation')
  return parser


def _sections(folder: str) -> Iterator:
  """The report, section by section; each model is gone before the next is built."""
  # pylint: disable=g-import-not-at-top
  from htc_tf.parity import measurement, mmdet_batch, mmdet_image, paddle_image
  from htc_tf.parity.pack import Pack
  from htc_tf.parity.report import Section
  pack = Pack(folder)

  def section(title, measurements):
    return Section(title, *measurement.run(measurements, print))

  yield section('mmdetection 3.3.0, htc_r50_fpn_1x_coco',
                mmdet_batch.MmdetBatch(pack).measurements())
  for variant in mmdet_image.VARIANTS:
    yield section(f'mmdetection 3.3.0, {variant.config}',
                  mmdet_image.MmdetImage(pack, variant).measurements())
  for image in 'ab':
    yield section(f'laihuihui/htc on PaddlePaddle 2.6.2, R50, image {image}',
                  paddle_image.PaddleImage(pack, image).measurements())


def main(argv: Optional[List[str]] = None) -> int:
  """Runs the command; returns 0, 1 if a check fails, 2 after an error message."""
  args = _parser().parse_args(argv)
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  try:
    from htc_tf.parity import report  # pylint: disable=g-import-not-at-top
    sections = list(_sections(args.pack))
    report.write(sections, args.json, args.markdown)
  except (HTCError, OSError) as error:
    print(f'error: {error}', file=sys.stderr)
    return 2
  print(report.table(sections))
  return int(any(section.num_failed for section in sections))


if __name__ == '__main__':
  sys.exit(main())
