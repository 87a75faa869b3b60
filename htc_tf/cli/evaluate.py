"""Evaluation of a model, or of a results file, as a report of figures, errors and pictures.

Examples:
  htc-evaluate --model=model
  htc-evaluate --results=predictions.json --annotations=val.json --image_folder=images
"""

import argparse
import functools
import os
import sys
from typing import TYPE_CHECKING, NamedTuple

from htc_tf import file_systems
from htc_tf.cli import command
from htc_tf.cli.model_arguments import (
  add_configuration_arguments,
  add_ensemble_arguments,
  add_views_argument,
  ensemble_of,
  views_overrides,
)
from htc_tf.errors import DataError, InputError

if TYPE_CHECKING:
  from pycocotools import coco

  from htc_tf.evaluation.analysis import Analysis
  from htc_tf.reports.evaluation_report import Subject
  from htc_tf.reports.worst_images import ReadImages


# Arguments that need a model.
_OF_MODELS = (
  'data',
  'input_path',
  'experiment',
  'params_override',
  'tta',
  'ensemble',
  'ensemble_level',
)


class _Evaluated(NamedTuple):
  """What is evaluated, and where its images are."""

  subject: 'Subject'
  analysis: 'Analysis'
  ground_truth: 'coco.COCO'
  read_images: 'ReadImages | None'


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog='htc-evaluate',
    description='Evaluate a model on its validation records, or a results file against '
    'annotations; write report.html, per_class.csv, metrics.json and the detections. The report of '
    'a model is of its latest checkpoint, also while it is trained.',
  )
  add = parser.add_argument
  add('--model', help='model directory or checkpoint prefix such as model/ckpt-1000')
  add('--results', help="JSON file in COCO's results format, in the place of a model")
  add('--annotations', help='COCO file; with --model: default is the one beside the records')
  add('--data', help='folder of records, in the place of those that the model was validated on')
  add('--input_path', help='pattern of records such as data/val-*.tfrecord, instead of --data')
  add('--image_folder', help='folder of the images, to show the worst ones; needed with --results')
  add(
    '--output',
    help='folder of the report (default: the folder report beside the checkpoint or the results '
    'file); an earlier report in it is replaced',
  )
  add_configuration_arguments(parser)
  add_views_argument(parser)
  add_ensemble_arguments(parser)
  return parser


def _execute(args: argparse.Namespace) -> int:
  _check_paths(args)
  _check_combination(args)
  from htc_tf.reports import report_files

  output = args.output or os.path.join(_folder_of_inputs(args), 'report')
  report_files.check_apart(output, {'--results': args.results, '--annotations': args.annotations})
  earlier = report_files.earlier_report(output)
  with report_files.output_folder(output):
    evaluated = _evaluate_results(args) if args.results else _evaluate_model(args)
    if earlier:
      print(f'the report of {earlier} in {output} is replaced', file=sys.stderr)
    for note in evaluated.subject.notes:
      print(f'note: {note}', file=sys.stderr)
    _write(output, evaluated)
  if args.model:
    words = (f'--model={args.model}', '--output=predictions')
    command.print_next('htc-predict', *words, 'IMAGE_OR_FOLDER')
  return 0


def _check_paths(args: argparse.Namespace) -> None:
  """Raise InputError if a given path cannot be used, before anything takes time."""
  file_systems.check_local(args.image_folder, '--image_folder')
  for name in ('model', 'output', 'results', 'annotations', 'data', 'input_path', 'image_folder'):
    file_systems.check_given(getattr(args, name), f'--{name}')  # Most of them have a default.
    file_systems.check_usable(getattr(args, name), f'--{name}')
  for name in ('results', 'annotations', 'data', 'input_path', 'image_folder'):
    path = getattr(args, name)
    patterns = path.split(',') if path and name == 'input_path' else [path or '']
    is_there = file_systems.glob if name == 'input_path' else file_systems.exists
    for pattern in patterns:
      if pattern and not is_there(pattern.strip()):
        raise InputError(
          f'{pattern} does not exist',
          expected=f'the path of --{name}',
          got='nothing there',
          likely_cause='a misspelled path, or another working directory',
        )


def _check_combination(args: argparse.Namespace) -> None:
  """Raise InputError unless the arguments fit each other."""
  of_model = any(getattr(args, name) for name in _OF_MODELS)
  wrong = [
    (not args.model and not args.results, '--model or --results', 'neither'),
    (args.model and args.results, 'one of --model and --results', 'both'),
    (args.results and not args.annotations, '--annotations beside --results', 'none'),
    (args.data and args.input_path, 'one of --data and --input_path', 'both'),
    (
      args.results and of_model,
      'only --annotations, --image_folder and --output beside --results',
      ', '.join(f'--{name}' for name in _OF_MODELS if getattr(args, name)),
    ),
  ]
  for is_wrong, expected, got in wrong:
    if is_wrong:
      raise InputError('The evaluation cannot start', expected=expected, got=got)


def _folder_of_inputs(args: argparse.Namespace) -> str:
  """The model directory, or the folder of the checkpoint or of the results file."""
  if args.model and file_systems.is_folder(args.model):
    return args.model
  return file_systems.dirname(args.model or args.results)


def _evaluate_model(args: argparse.Namespace) -> _Evaluated:
  from htc_tf.reports import image_sources
  from htc_tf.reports.evaluation_report import Subject
  from htc_tf.serving import record_detections

  ensemble = ensemble_of(args)
  ensemble.check()
  checkpoint = record_detections.check_model(args.model)
  input_path = _validation_pattern(args.data) if args.data else args.input_path
  found = record_detections.detect(
    checkpoint,
    record_detections.Records(input_path, args.annotations),
    args.experiment,
    [*args.params_override, *views_overrides(args.tta)],
    ensemble,
  )
  analysis = _analyze(
    found.ground_truth, found.results, found.category_ids, found.has_masks, found.max_detections
  )
  sources = [
    ('checkpoint', found.checkpoint),
    ('records', found.input_path),
    ('annotations', found.annotation_file),
    *([('overrides', ' '.join(args.params_override))] if any(args.params_override) else []),
    *([('test-time augmentation', found.views)] if found.views else []),
    *([('ensemble', found.ensemble)] if found.ensemble else []),
  ]
  read_images = (
    functools.partial(image_sources.read_from_folder, args.image_folder)
    if args.image_folder
    else functools.partial(image_sources.read_from_records, found.input_path)
  )
  subject = Subject(found.checkpoint, sources, found.notes)
  return _Evaluated(subject, analysis, found.ground_truth, read_images)


def _evaluate_results(args: argparse.Namespace) -> _Evaluated:
  from htc_tf.evaluation import ground_truth as ground_truth_lib
  from htc_tf.evaluation import odd_results, results_file
  from htc_tf.reports import image_sources
  from htc_tf.reports.evaluation_report import Subject

  loaded = results_file.load(args.results)
  ground_truth, has_masks = ground_truth_lib.load_with_masks_if_any(
    args.annotations, loaded.has_masks
  )
  results = results_file.check_entries(loaded, ground_truth)
  del loaded  # It needs as much memory as the results.
  ground_truth_lib.adopt_sizes(ground_truth, results.entries)
  findings = [*results.findings, *odd_results.find_oddities(results.entries, ground_truth)]
  if results.has_masks and not has_masks:
    findings.append('the annotations have no masks; boxes alone are evaluated')
  analysis = _analyze(ground_truth, results.entries, sorted(ground_truth.cats), has_masks, None)
  sources = [('results', args.results), ('annotations', args.annotations)]
  read_images = None
  if args.image_folder:
    read_images = functools.partial(image_sources.read_from_folder, args.image_folder)
    sources.append(('images', args.image_folder))
  subject = Subject(args.results, sources, findings)
  return _Evaluated(subject, analysis, ground_truth, read_images)


def _validation_pattern(folder: str) -> str:
  """The pattern of the validation records in a folder."""
  from htc_tf.data import dataset_folder

  prefix = dataset_folder.val_prefix(folder)
  if prefix:
    return os.path.join(folder, f'{prefix}-*.tfrecord')
  present = sorted(map(os.path.basename, file_systems.glob(os.path.join(folder, '*'))))
  raise DataError(
    f'{folder} holds no records for validation',
    expected=f'one of {", ".join(f"{name}.json" for name in dataset_folder.VAL_PREFIXES)}',
    got=', '.join(present[:8]) or 'no files',
    likely_cause='a conversion without --val_fraction; name any records with --input_path',
  )


def _analyze(
  ground_truth: 'coco.COCO',
  results: list,
  category_ids: list[int],
  has_masks: bool,
  max_detections: int | None,
) -> 'Analysis':
  from htc_tf import progress
  from htc_tf.evaluation import analysis, metrics

  total = analysis.num_steps(ground_truth, has_masks)
  with progress.bar(description='evaluating', unit='image', total=total) as bar:
    return analysis.analyze(
      ground_truth,
      results,
      category_ids,
      has_masks,
      max_detections or metrics.STANDARD_LIMIT,
      bar.update,
    )


def _write(output: str, evaluated: _Evaluated) -> None:
  """Write the report, and print its main content."""
  from htc_tf import progress
  from htc_tf.evaluation import metrics
  from htc_tf.reports import evaluation_report, plain_words, report_files

  with progress.bar(description='drawing', unit='image', total=evaluation_report.NUM_WORST) as bar:
    evaluation_report.write_report(output, *evaluated, bar.update)
  print(metrics.format_table(evaluated.analysis.figures))
  print(plain_words.conclusion(evaluated.analysis))
  print(f'report: {os.path.join(output, report_files.PAGE)}')


def main(argv: list[str] | None = None) -> int:
  """Run the command and return its exit status; see `command.run`."""
  return command.run(_parser(), _execute, argv)


if __name__ == '__main__':
  sys.exit(main())
