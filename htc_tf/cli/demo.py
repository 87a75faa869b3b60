"""The demo: conversion, training, evaluation, export and prediction on the packaged image.

Example:
  htc-demo --output=build/demo
"""

import argparse
import json
import sys

from htc_tf.cli import command


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog='htc-demo',
    description='Convert the nuclei image in the package, train a small HTC, evaluate it on '
    'held-out columns, export it, and draw the detections of the SavedModel. After an '
    'interruption, the same command continues.',
  )
  add = parser.add_argument
  add('--output', default='build/demo', help='output folder (default: build/demo)')
  add('--train_steps', type=int, help='number of training steps (default: 540)')
  return parser


def _execute(args: argparse.Namespace) -> int:
  from htc_tf import demo

  steps = {} if args.train_steps is None else demo.shortened(args.train_steps)
  summary = demo.run(args.output, steps)
  print(json.dumps(summary, indent=2))
  print(f'image: {summary["image"]}')
  return 0


def main(argv: list[str] | None = None) -> int:
  """Run the command and return its exit status; see `command.run`."""
  interrupted = 'interrupted; the same command continues where this one stopped'
  return command.run(_parser(), _execute, argv, interrupted)


if __name__ == '__main__':
  sys.exit(main())
