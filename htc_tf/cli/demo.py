"""Runs the main job on the embedded images: `python -m htc_tf.cli.demo`."""

import argparse
import json
import os
import sys

from htc_tf.errors import HTCError


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog='demo',
    description='Converts the embedded nuclei image, trains a small HTC, evaluates '
    'it on held-out columns, exports it and draws what the SavedModel finds. A run that was '
    'killed continues when started again.',
  )
  parser.add_argument('--output', default='build/demo', help='folder (default: build/demo)')
  return parser


def main(argv: list[str] | None = None) -> int:
  """Runs the command; returns its exit status: 0, or 2 after an error message."""
  args = _parser().parse_args(argv)
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  try:
    from htc_tf import demo

    summary = demo.run(args.output)
  except (HTCError, OSError) as error:
    print(f'error: {error}', file=sys.stderr)
    return 2
  print(json.dumps(summary, indent=2))
  print(f'picture: {summary["picture"]}')
  return 0


if __name__ == '__main__':
  sys.exit(main())
