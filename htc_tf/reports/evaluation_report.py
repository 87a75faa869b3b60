"""The report of an evaluation: one HTML page, and its figures as CSV and JSON."""

import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from pycocotools import coco

from htc_tf.evaluation import thresholds
from htc_tf.evaluation.analysis import Analysis
from htc_tf.reports import (
  class_table,
  error_sections,
  figure_sections,
  plain_words,
  report_files,
  worst_images,
)
from htc_tf.reports.page import Page, Section
from htc_tf.reports.worst_images import ImageSummary, ReadImages

NUM_WORST = 8


class Subject(NamedTuple):
  """What was evaluated.

  Attributes:
    title: name of the model or of the results.
    sources: (name, value) of the paths and settings of the evaluation.
    notes: remarks that the reader must know, such as what was left out.
  """

  title: str
  sources: list[tuple[str, str]]
  notes: list[str]


def write_report(
  folder: str,
  subject: Subject,
  analysis: Analysis,
  ground_truth: coco.COCO,
  read_images: ReadImages | None,
  on_progress: Callable[[int], object] = lambda num_images: None,
) -> None:
  """Write `report.html`, `per_class.csv`, `metrics.json` and the detections into a folder.

  Args:
    folder: output folder; it is created if missing, and files of an earlier report are replaced.
    subject: what was evaluated.
    analysis: analysis of the detections.
    ground_truth: annotations with their index.
    read_images: function that reads images; None if there are none.
    on_progress: function that is called with 1 for each of `NUM_WORST` images, drawn or not.
  """
  rows = class_table.class_rows(analysis)
  page = build_page(subject, analysis, ground_truth, read_images, on_progress)
  # By this file, the next evaluation knows a report that was interrupted while it was written.
  report_files.write_metrics(
    os.path.join(folder, report_files.METRICS), analysis, rows, subject.title, dict(subject.sources)
  )
  report_files.write_detections(folder, analysis)
  report_files.write_classes(os.path.join(folder, report_files.CLASSES), analysis, rows)
  page.write(os.path.join(folder, report_files.PAGE))


def build_page(
  subject: Subject,
  analysis: Analysis,
  ground_truth: coco.COCO,
  read_images: ReadImages | None,
  on_progress: Callable[[int], object] = lambda num_images: None,
) -> Page:
  """The page of a report; the arguments are those of `write_report`."""
  rows = class_table.class_rows(analysis)
  page = Page(f'Evaluation of {subject.title}', _summary(analysis))
  page.facts(_facts(analysis))
  page.warnings(subject.notes)
  section = page.section('What costs most')
  section.paragraph(plain_words.conclusion(analysis))
  section.items(plain_words.remarks(analysis, rows))
  figure_sections.add_average_precision(page.section('Average precision'), analysis)
  error_sections.add_errors(page.section('Errors'), analysis)
  figure_sections.add_classes(page.section('Classes'), analysis, rows)
  figure_sections.add_curves(page.section('Precision and recall'), analysis, rows)
  error_sections.add_confusion(page.section('Confusion matrix'), analysis)
  error_sections.add_calibration(page.section('Calibration'), analysis)
  _add_worst(page.section('Worst images'), analysis, ground_truth, read_images, on_progress)
  _add_sources(page.section('About this report'), subject, analysis)
  return page


def _summary(analysis: Analysis) -> str:
  num_objects, num_classes = int(analysis.num_objects.sum()), len(analysis.names)
  images = plain_words.counted(analysis.num_images, 'image')
  objects = plain_words.counted(num_objects, 'object')
  classes = plain_words.counted(num_classes, 'class', 'classes')
  return f'{_percent(analysis, "AP")} on {images} with {objects} of {classes}.'


def _percent(analysis: Analysis, name: str) -> str:
  parts = []
  for key, region in class_table.REGIONS.items():
    value = analysis.figures.get(f'{key}_{name}')
    if value is not None:
      parts.append(f'{region} {name} ' + ('not measurable' if value < 0 else f'{100 * value:.1f}'))
  text = ', '.join(parts)
  return text[0].upper() + text[1:]


def _facts(analysis: Analysis) -> list[tuple[str, Any]]:
  facts: list[tuple[str, Any]] = []
  for key, region in class_table.REGIONS.items():
    if key in analysis.by_region:
      for name in ('AP', 'AP50'):
        facts.append(
          (f'{region} {name}', figure_sections.percent(analysis.figures[f'{key}_{name}']))
        )
  best = analysis.best_point.threshold
  facts += [
    ('images', analysis.num_images),
    ('objects', int(analysis.num_objects.sum())),
    ('best threshold', None if best is None else thresholds.written(best)),
  ]
  return facts


def _add_worst(
  section: Section,
  analysis: Analysis,
  ground_truth: coco.COCO,
  read_images: ReadImages | None,
  on_progress: Callable[[int], object],
) -> None:
  """Add the images with the most errors, with the truth beside the detections."""
  worst = worst_images.worst_images(analysis, ground_truth, NUM_WORST)
  if not worst:
    section.paragraph('No image has objects or detections at the best score threshold.')
    on_progress(NUM_WORST)
    return
  section.paragraph(
    'The images with the most errors (wrong detections and objects that are not found) at the '
    f'score threshold {thresholds.written(analysis.threshold)}, and then those in which a found '
    'object overlaps its detection least. Green: found objects and right '
    'detections; red: objects that are not found and wrong detections; gray: crowd regions and '
    'what is in them.'
  )
  entries = [ground_truth.imgs[item.image_id] for item in worst]
  images = read_images(entries) if read_images else {}
  not_shown = []
  for item in worst:
    pixels = images.get(item.image_id)
    if pixels is None:
      not_shown.append(f'{item.name}: {_described(item)}')
    else:
      drawn = worst_images.draw_image(pixels, analysis, ground_truth, item.image_id)
      section.picture(
        drawn, f'truth and detections in {item.name}', f'{item.name}: {_described(item)}'
      )
    on_progress(1)
  on_progress(NUM_WORST - len(worst))
  if not_shown:
    section.paragraph(
      'These images cannot be shown'
      + (':' if read_images else ', because there is no image folder (--image_folder):')
    )
    section.items(not_shown)


def _described(item: ImageSummary) -> str:
  found = f'{item.num_found} of {plain_words.counted(item.num_objects, "object")} found'
  wrong = [
    f'{count} {kind.value}'
    for kind, count in item.counts.items()
    if count and kind.value != 'missed'
  ]
  overlap = f'; worst overlap (IoU) {item.worst_overlap:.2f}' if item.num_found else ''
  return f'{found}; wrong detections: {", ".join(wrong) or "none"}{overlap}'


def _add_sources(section: Section, subject: Subject, analysis: Analysis) -> None:
  """Add where the figures come from and how they are computed."""
  section.table(['source', 'value'], [list(source) for source in subject.sources])
  section.items(_definitions(analysis))


def _definitions(analysis: Analysis) -> Sequence[str]:
  return (
    'AP and AR are those of pycocotools (COCOeval), in percent; the precision-recall curves are '
    'its arrays. They count at most 100 detections of a class in an image.',
    f'Crowd regions ({analysis.num_crowds:,} here) are no objects, and detections in those of '
    'their class count neither as right nor as wrong.',
    'The kinds of errors and their costs follow TIDE (Bolya et al., ECCV 2020), with IoU 0.5 and '
    '0.1. Unlike in its program, classes without objects do not count in the mean, 100 detections '
    'of each class count instead of 100 of all, and detections in crowd regions are no errors.',
    'Small objects have at most 32 x 32 pixels, large ones more than 96 x 96, as in COCO.',
    f'The files beside this page: {report_files.CLASSES} and {report_files.METRICS} with figures '
    f'from 0 to 1, {report_files.DETECTIONS} with the detections'
    + (
      f', and {report_files.MASK_DETECTIONS} with the same without boxes, from which pycocotools '
      'computes these mask AP by size.'
      if analysis.main_type == 'segm'
      else '.'
    ),
  )
