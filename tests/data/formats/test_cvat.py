"""Tests of CVAT for images: boxes, masks and groups."""

import numpy as np
import pytest

from htc_tf.errors import DataError
from tests.data.formats import small_sets
from tests.data.formats.reading import bitmaps_of, read, square, write_image


def cvat(folder, elements, **options):
  write_image(folder)
  picture = f'<image id="0" name="a.png" width="50" height="40">{elements}</image>'
  label = '<meta><label><name>cell</name></label></meta>'
  small_sets.write_text(folder / 'x.xml', f'<annotations>{label}{picture}</annotations>')
  return read(folder, **options)


BOX = '<box label="cell" xtl="10" ytl="5" xbr="20" ybr="15"/>'


def test_boxes_of_cvat_are_masks_on_request(tmp_path):
  without = cvat(tmp_path, BOX)
  assert without.content['annotations'][0]['segmentation'] == []
  assert without.content['annotations'][0]['bbox'] == [10, 5, 10, 10]
  ((_, bitmap),) = bitmaps_of(cvat(tmp_path, BOX, boxes_as_masks=True))
  np.testing.assert_array_equal(bitmap, square())


def test_a_rotated_box_of_cvat_is_turned(tmp_path):
  box = '<box label="cell" xtl="10" ytl="8" xbr="30" ybr="12" rotation="90"/>'
  ((_, bitmap),) = bitmaps_of(cvat(tmp_path, box, boxes_as_masks=True))
  np.testing.assert_array_equal(bitmap, square(0, 20, 18, 22))


def test_a_mask_of_cvat_has_runs_of_rows(tmp_path):
  mask = '<mask label="cell" rle="1, 2, 1, 3, 2" left="10" top="5" width="3" height="3"/>'
  ((_, bitmap),) = bitmaps_of(cvat(tmp_path, mask))
  assert bitmap[5:8, 10:13].tolist() == [[0, 1, 1], [0, 1, 1], [1, 0, 0]] and bitmap.sum() == 5


def test_shapes_of_a_group_of_cvat_are_one_object(tmp_path):
  polygons = ''.join(
    f'<polygon label="cell" group_id="3" points="{x},5;{x + 10},5;{x + 10},15;{x},15"/>'
    for x in (10, 30)
  )
  ((_, bitmap),) = bitmaps_of(cvat(tmp_path, polygons))
  np.testing.assert_array_equal(bitmap, square() + square(left=30, right=40))


def test_lines_of_cvat_are_dropped_and_tracks_refused(tmp_path):
  line = '<polyline label="cell" points="1,2;3,4"/>'
  assert cvat(tmp_path, line + BOX).report.counts == {'shape_without_area': 1}
  small_sets.write_text(tmp_path / 'x.xml', '<annotations><track id="1"/></annotations>')
  with pytest.raises(DataError, match='1 tracks'):
    read(tmp_path)


def test_all_files_of_cvat_in_a_folder_are_read(tmp_path):
  """More files than those that show the format; others are counted."""
  write_image(tmp_path)
  for number in range(60):
    write_image(tmp_path, f'{number}.png')
    picture = f'<image name="{number}.png" width="50" height="40">{BOX}</image>'
    small_sets.write_text(tmp_path / f'{number}.xml', f'<annotations>{picture}</annotations>')
  small_sets.write_text(tmp_path / 'other.xml', '<settings/>')
  source = read(tmp_path)
  assert len(source.content['annotations']) == 60
  assert source.report.counts == {'other_file': 1, 'unannotated_image': 1}


def test_entities_in_xml_are_not_expanded(tmp_path):
  text = '<!DOCTYPE a [<!ENTITY x "y">]><annotations><image name="&x;"/></annotations>'
  small_sets.write_text(tmp_path / 'x.xml', text)
  with pytest.raises(DataError, match='unknown'):
    read(tmp_path)
