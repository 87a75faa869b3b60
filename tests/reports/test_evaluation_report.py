"""Tests of the page of an evaluation: complete, self-contained, also in the empty cases."""

import json

import numpy as np
import pytest

from htc_tf.evaluation import analysis as analysis_lib
from htc_tf.evaluation.error_kinds import ErrorKind
from htc_tf.reports import class_table, evaluation_report, plain_words, report_files
from tests import evaluation_cases
from tests.reports import html_pages

SECTIONS = [
  'What costs most',
  'Average precision',
  'Errors',
  'Classes',
  'Precision and recall',
  'Confusion matrix',
  'Calibration',
  'Worst images',
  'About this report',
]
_HOSTILE = '<b>&"\'</b>'
_BOX, _PART, _OTHER = (0, 0, 100, 100), (0, 0, 100, 40), (140, 140, 40, 40)


def analyzed(case, has_masks=True):
  """The analysis of a case."""
  return analysis_lib.analyze(case.ground_truth, case.results, case.category_ids, has_masks)


def _subject(notes=()):
  return evaluation_report.Subject('model', [('results', 'a.json')], list(notes))


def _gray(entries):
  return {item['id']: np.full((item['height'], item['width'], 3), 90, np.uint8) for item in entries}


def built(case, has_masks=True, read_images=_gray, notes=()):
  """The parsed page of a case."""
  page = evaluation_report.build_page(
    _subject(notes), analyzed(case, has_masks), case.ground_truth, read_images
  )
  return html_pages.check_self_contained(page.html())


def _hostile_case():
  case = evaluation_cases.random_case(3, num_images=8, crowds=True)
  for category in case.ground_truth.dataset['categories']:
    category['name'] = f'{_HOSTILE}{category["id"]}'
  for image in case.ground_truth.dataset['images']:
    image['file_name'] = f'<script>{image["id"]}.png'
  return case


@pytest.mark.parametrize('has_masks', [True, False])
def test_all_sections_and_figures_are_there(has_masks):
  case = evaluation_cases.random_case(3, num_images=8, crowds=True)
  page = built(case, has_masks, notes=['3 records were skipped'])
  assert page.texts_of('h2') == SECTIONS
  found = analyzed(case, has_masks)
  text = page.text()
  for name, value in found.figures.items():
    if name.endswith(('_AP', '_AP50', '_AP75')):
      assert f'{100 * value:.1f}' in text, name
  for kind in ErrorKind:
    assert kind.value in text and plain_words.MEANINGS[kind] in text
  assert '3 records were skipped' in text
  assert ('mask AP' in text) == has_masks


def test_names_are_shown_literally():
  page = built(_hostile_case())
  assert not page.all('b') and not page.all('script')
  assert f'{_HOSTILE}1' in page.texts_of('td')
  assert any(text.startswith('<script>') for text in page.texts_of('figcaption'))


@pytest.mark.parametrize('has_masks', [True, False])
@pytest.mark.parametrize(
  'objects, detections, conclusion',
  [
    ([], [], 'no objects'),
    ([], [(1, 1, _BOX, 0.5)], 'no objects'),
    ([(1, 1, _BOX)], [], 'Nothing was detected'),
    ([(1, 1, _BOX)], [(1, 1, _OTHER, 0.5)], 'None of the 1 detections'),
    ([(1, 1, _BOX)], [(1, 1, _BOX, 0.5)], 'No kind of error costs a point'),
    ([(1, 1, _BOX, True)], [(1, 1, _PART, 0.5)], 'no objects'),
  ],
)
def test_empty_cases_have_a_page_that_says_so(objects, detections, conclusion, has_masks):
  page = built(evaluation_cases.build(objects, detections, num_categories=1), has_masks)
  assert page.texts_of('h2') == SECTIONS
  assert conclusion in page.text() and 'nan' not in page.text()


@pytest.mark.parametrize('is_right', [True, False])
def test_scores_that_are_no_probabilities_are_shown_without_calibration(tmp_path, is_right):
  box = _BOX if is_right else _OTHER
  case = evaluation_cases.build([(1, 1, _BOX)], [(1, 1, box, -7.5), (1, 1, _OTHER, -9.25)])
  for result in case.results:
    del result['segmentation']
  found = analyzed(case, has_masks=False)
  evaluation_report.write_report(str(tmp_path), _subject(), found, case.ground_truth, _gray)
  page = html_pages.check_self_contained((tmp_path / 'report.html').read_text())
  assert page.texts_of('h2') == SECTIONS
  assert 'Some scores are outside 0..1' in page.text()
  assert 'too high' not in page.text() and 'too low' not in page.text()
  content = json.loads((tmp_path / 'metrics.json').read_text())
  assert content['calibration'] is None
  # Without a right detection, all are shown.
  assert content['confusion']['score_threshold'] == (-7.5 if is_right else -9.25)
  assert np.sum(content['confusion']['truth_by_detected']) == (1 if is_right else 3)


def test_thresholds_are_shown_with_the_digits_that_separate_detections():
  detections = [(1, 1, _BOX, 0.43716), (1, 1, _OTHER, 0.43704)]
  page = built(evaluation_cases.build([(1, 1, _BOX)], detections, num_categories=1))
  assert '0.4371' in page.texts_of('td') and '0.4371' in page.texts_of('dd')
  assert 'score ≥ 0.4371' in page.texts_of('th')


def test_the_figures_of_empty_cases_are_valid_json(tmp_path):
  case = evaluation_cases.build([], [], num_categories=1)
  found = analyzed(case)
  evaluation_report.write_report(str(tmp_path), _subject(), found, case.ground_truth, None)
  content = json.loads((tmp_path / 'metrics.json').read_text())
  assert content['classes'][0]['mask_AP'] is None and content['best_threshold']['threshold'] is None
  assert (tmp_path / 'per_class.csv').read_text('utf-8-sig').splitlines()[1] == (
    'class 1,1,0,0,,,,,,,,,,'
  )


def test_many_classes_open_with_a_click():
  objects = [(1, label, (0, 0, 5 + label % 90, 50)) for label in range(1, 301)]
  detections = [(1, label, box, 0.4 + label / 1000) for _, label, box in objects if label % 3]
  page = built(evaluation_cases.build(objects, detections, num_categories=300))
  summaries = page.texts_of('summary')
  assert any('260 classes' in text for text in summaries)
  # The mean over the classes has a curve of its own.
  assert any('189 classes' in text for text in summaries)
  assert 'Never found, and therefore without a curve: class 3, class 6, ' in page.text()
  assert 'class 300' in page.text() and '275 others' not in page.text()
  open_rows = [path for path, text in page.texts if text == 'class 3' and 'details' not in path]
  assert open_rows


def test_confusions_among_the_classes_that_are_not_shown_are_named():
  # 25 classes with two errors each, three that are right, and of these one that is confused.
  objects = [(label, label, _BOX) for label in range(1, 29)]
  detections = [(label, label, _OTHER, 0.9) for label in range(1, 26)]
  detections += [(label, label, _BOX, 0.9) for label in (26, 27)] + [(28, 27, _BOX, 0.9)]
  case = evaluation_cases.build(objects, detections, num_images=28, num_categories=28)
  assert '1 of 3 objects are taken for another of these classes' in built(case).text()


def test_images_that_cannot_be_read_are_named():
  case = evaluation_cases.build([(1, 1, _BOX)], [])
  assert '--image_folder' in built(case, read_images=None).text()
  text = built(case, read_images=lambda entries: {}).text()
  assert '1.png: 0 of 1 object found' in text and '--image_folder' not in text


def test_the_costliest_kind_is_named_with_what_to_do():
  objects = [(1, 1, _BOX), (1, 2, _OTHER)]
  detections = [(1, 2, _BOX, 0.9), (1, 2, _OTHER, 0.8)]
  found = analyzed(evaluation_cases.build(objects, detections))
  text = plain_words.conclusion(found)
  assert 'AP is 25.0, so that 75.0 points are missing' in text
  assert 'Most is lost to objects that get the wrong class (75.0 points).' in text
  assert 'merge them' in text
  remarks = plain_words.remarks(found, class_table.class_rows(found))
  assert 'Most often taken for each other: class 1 for class 2 (1).' in remarks
  assert any('only 2 objects' in text for text in remarks)


def test_one_is_counted_in_the_singular():
  objects = [(1, 1, _BOX), (1, 2, _OTHER)]
  found = analyzed(evaluation_cases.build(objects, [(1, 1, _BOX, 0.9)]))
  remarks = ' '.join(plain_words.remarks(found, class_table.class_rows(found)))
  assert 'class 2 (0.0, 1 object)' in remarks and 'AP of 1 medium object' in remarks
  assert plain_words.counted(1000, 'class', 'classes') == '1,000 classes'
  found = analyzed(evaluation_cases.build(objects[:1], [(1, 1, _BOX, 0.9)], num_categories=1))
  assert 'There is only 1 object:' in ' '.join(plain_words.remarks(found, []))


def test_another_number_of_detections_has_rows_of_its_own():
  case = evaluation_cases.random_case(3, num_images=4)
  found = analysis_lib.analyze(case.ground_truth, case.results, case.category_ids, True, 300)
  page = evaluation_report.build_page(_subject(), found, case.ground_truth, None)
  parsed = html_pages.ParsedPage(page.html())
  cells = parsed.texts_of('td')
  for region, key in (('mask', 'segm'), ('box', 'bbox')):
    start = cells.index(f'{region}, 300 detections')
    figures = [found.figures[f'{key}_{name}'] for name in ('AP@300', 'AP50@300', 'AP75@300')]
    assert cells[start + 1 : start + 4] == [f'{100 * value:.1f}' for value in figures]
    assert cells[start + 6] == f'{100 * found.figures[f"{key}_ARmax300"]:.1f}'


def test_progress_adds_up_to_the_number_of_images():
  case = evaluation_cases.random_case(3, num_images=4)
  steps = []
  evaluation_report.build_page(_subject(), analyzed(case), case.ground_truth, _gray, steps.append)
  assert sum(steps) == evaluation_report.NUM_WORST


def test_detections_without_masks_remove_the_mask_file_of_an_earlier_report(tmp_path):
  case = evaluation_cases.random_case(3, num_images=4)
  for result in case.results:
    result['segmentation']['counts'] = result['segmentation']['counts'].decode()
  report_files.write_detections(str(tmp_path), analyzed(case))
  assert (tmp_path / 'detections.segm.json').exists()
  report_files.write_detections(str(tmp_path), analyzed(case, has_masks=False))
  assert [path.name for path in tmp_path.iterdir()] == ['detections.json']
