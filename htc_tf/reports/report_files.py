"""The files of an evaluation report, and the folder that they are written to."""

import contextlib
import csv
import io
import json
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from htc_tf import file_errors, file_systems, files, version
from htc_tf.errors import InputError
from htc_tf.evaluation import coco_results, matching
from htc_tf.evaluation.analysis import Analysis
from htc_tf.evaluation.calibration import Calibration
from htc_tf.reports import class_table
from htc_tf.reports.class_table import ClassRow

PAGE, CLASSES, METRICS = 'report.html', 'per_class.csv', 'metrics.json'
DETECTIONS, MASK_DETECTIONS = 'detections.json', 'detections.segm.json'
ALL = (PAGE, CLASSES, METRICS, DETECTIONS, MASK_DETECTIONS)
_WRITER = 'htc-evaluate'


def earlier_report(folder: str) -> str | None:
  """What the report in a folder is of, if there is one that may be replaced; None for no report.

  Args:
    folder: the output folder, which may be missing.

  Raises:
    InputError: the folder has a file with the name of one of a report, but no report.
  """
  present = [name for name in ALL if file_systems.exists(os.path.join(folder, name))]
  if not present:
    return None
  try:
    content = json.loads(file_systems.read_bytes(os.path.join(folder, METRICS)))
    if content['written_by'] == _WRITER:
      return str(content['subject'])
  except (OSError, ValueError, LookupError, TypeError):
    pass
  raise InputError(
    f'The report would replace files in {folder}',
    expected='a folder without such files, or with an earlier report',
    got=', '.join(present),
    likely_cause='the files of another program; name another --output',
  )


@contextlib.contextmanager
def output_folder(folder: str) -> Iterator[None]:
  """Create the output folder, so that a folder that cannot be written is known at the start.

  If an error ends the context, a new folder that is still empty is removed.

  Args:
    folder: the output folder.

  Raises:
    InputError: the folder cannot be created, or is a file.
  """
  is_new = not file_systems.exists(folder)
  with file_errors.as_input_errors():
    file_systems.make_folders(folder)
  try:
    yield
  except BaseException:
    if is_new and file_systems.is_folder(folder) and not file_systems.list_folder(folder):
      file_systems.remove_folder(folder)
    raise


def check_apart(folder: str, inputs: dict[str, str | None]) -> None:
  """Raise InputError if a file of the report would replace an input.

  Args:
    folder: the output folder.
    inputs: paths of inputs by the name of their argument; None for inputs that are not given.
  """
  for name, path in inputs.items():
    if path is None or os.path.basename(path) not in ALL:
      continue
    # The folders need not be spelled alike.
    if file_systems.same_folder(folder, file_systems.dirname(path)):
      raise InputError(
        f'The report would replace {path}',
        expected='an output folder without the inputs',
        got=f'--output={folder}',
        likely_cause=f'the {name} of an earlier report; name another --output',
      )


def write_classes(path: str, analysis: Analysis, rows: list[ClassRow]) -> None:
  """Write the table of classes as CSV; figures are in [0, 1], and empty if there is none."""
  names = class_table.columns(analysis)
  stream = io.StringIO(newline='')
  writer = csv.DictWriter(stream, names, lineterminator='\n')
  writer.writeheader()
  writer.writerows(class_table.as_dict(row, names) for row in rows)
  # A byte-order mark tells spreadsheets that names are UTF-8.
  files.write_bytes(path, stream.getvalue().encode('utf-8-sig', errors='replace'))


def write_metrics(
  path: str, analysis: Analysis, rows: list[ClassRow], subject: str, sources: dict[str, Any]
) -> None:
  """Write all figures as JSON.

  Args:
    path: path of the file.
    analysis: analysis of the detections.
    rows: figures of the classes.
    subject: what was evaluated, in words.
    sources: paths and settings that the evaluation is of.
  """
  names = class_table.columns(analysis)
  content = {
    'written_by': _WRITER,
    'version': version.__version__,
    'subject': subject,
    'sources': sources,
    'images': analysis.num_images,
    'instances': int(analysis.num_objects.sum()),
    'detections': analysis.num_detections,
    'figures': analysis.figures,
    'classes': [class_table.as_dict(row, names) for row in rows],
    'errors': {key: _errors(region) for key, region in analysis.by_region.items()},
    'best_threshold': analysis.best_point._asdict(),
    'confusion': {
      'score_threshold': analysis.threshold,
      'classes': [*analysis.names, 'background'],
      'truth_by_detected': analysis.confusion.tolist(),
    },
    'calibration': _calibration(analysis.calibration),
  }
  files.write_bytes(path, (json.dumps(content, indent=2, allow_nan=False) + '\n').encode())


def write_detections(folder: str, analysis: Analysis) -> None:
  """Write the detections as COCO results; with masks, also without boxes.

  As `COCOEvaluator.save_results` says, pycocotools computes the mask AP by size from the latter.
  """
  coco_results.write_results(os.path.join(folder, DETECTIONS), analysis.results)
  path = os.path.join(folder, MASK_DETECTIONS)
  if 'segm' in analysis.by_region:
    coco_results.write_results(path, matching.matched_fields(analysis.results, 'segm'))
  elif file_systems.exists(path):
    file_systems.remove(path)  # Of an earlier report.


def _errors(region: Any) -> dict[str, Any]:
  return {
    'AP50': region.errors.ap50,
    'cost_in_AP50': {kind.value: cost for kind, cost in region.errors.by_kind.items()},
    'cost_of_false_positives': region.errors.false_positives,
    'cost_of_false_negatives': region.errors.false_negatives,
    'counts': {kind.value: count for kind, count in region.error_counts.items()},
  }


def _calibration(found: Calibration | None) -> dict[str, Any] | None:
  if found is None:
    return None
  return {
    'expected_calibration_error': found.expected_error,
    'bias': found.bias,
    'counts': found.counts.tolist(),
    'mean_scores': _numbers(found.mean_scores),
    'precisions': _numbers(found.precisions),
  }


def _numbers(values: np.ndarray) -> list[float | None]:
  """Values as JSON has them; None for NaN."""
  return [None if np.isnan(value) else float(value) for value in values]
