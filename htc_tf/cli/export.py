"""Exports a trained model as a SavedModel.

Example:
  htc-export --model=model --output=export/1
"""

import argparse
import os
import sys
from typing import List, Optional

from htc_tf.errors import HTCError


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
      prog='htc-export', description='Writes a SavedModel with the signatures serving_default '
      '(uint8 pictures) and image_bytes (JPEG or PNG files), for TensorFlow Serving.')
  add = parser.add_argument
  add('--model', required=True, help='model directory or checkpoint prefix')
  add('--output', required=True, help='new folder, e.g. export/1')
  add('--experiment', help='experiment a bare checkpoint belongs to')
  add('--params_override', default='', help='overrides of the configuration, as for training')
  return parser


def main(argv: Optional[List[str]] = None) -> int:
  """Runs the command; returns its exit status: 0, or 2 after an error message."""
  args = _parser().parse_args(argv)
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
  try:
    from htc_tf.serving import export, loading  # pylint: disable=g-import-not-at-top
    predictor = loading.load_model(args.model, args.experiment, args.params_override)
    print(export.export_saved_model(predictor, args.output))
  except (HTCError, OSError) as error:
    print(f'error: {error}', file=sys.stderr)
    return 2
  return 0


if __name__ == '__main__':
  sys.exit(main())
