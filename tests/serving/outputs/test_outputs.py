"""Tests of the outputs of a prediction, read back with other programs' readers."""

import csv
import dataclasses
import json
import math

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from htc_tf.data import conversion_source, image_limits, mask_codec
from htc_tf.data.conversion_options import ConversionOptions
from htc_tf.data.images import read_image
from htc_tf.data.sample_format import RGB, SampleFormat
from htc_tf.errors import InputError
from htc_tf.serving.outputs import measurements, registry
from tests.serving.outputs import detected

_CATEGORIES = [{'id': 5, 'name': 'cat'}, {'id': 9, 'name': 'wild dog'}]


def _write(name, folder, image, stem='a', sample_format=RGB):
  (output,) = registry.build([name], str(folder), _CATEGORIES, sample_format)
  return output.write(image, stem) + output.close()


def _read_png(path):
  with Image.open(path) as image:
    return np.asarray(image)


def test_label_maps_show_the_better_object_on_top(tmp_path):
  assert _write('masks', tmp_path, detected.image()) == 2
  objects = _read_png(tmp_path / 'masks' / 'a.png')
  first, second, third = detected.masks()
  assert objects.dtype == np.uint8
  np.testing.assert_array_equal(objects == 1, first)
  np.testing.assert_array_equal(objects == 2, second)
  np.testing.assert_array_equal(objects == 3, third & ~first)
  classes = _read_png(tmp_path / 'masks' / 'a_classes.png')
  np.testing.assert_array_equal(classes, np.array([0, 1, 2, 1])[objects])


def test_more_than_255_objects_need_16_bits(tmp_path):
  image = detected.image()
  many = image.instances._replace(
    boxes=np.zeros((300, 4), np.float32),
    classes=np.ones(300, np.int32),
    scores=np.linspace(1, 0.5, 300).astype(np.float32),
    rles=[image.instances.rles[0]] * 299 + [image.instances.rles[1]],
  )
  _write('masks', tmp_path, type(image)(image.source, many, ('cat',), (5,)))
  objects = _read_png(tmp_path / 'masks' / 'a.png')
  assert objects.max() == 300 and (objects == 1).sum() == detected.masks()[0].sum()


def test_cutouts_are_transparent_around_the_object(tmp_path):
  assert _write('cutouts', tmp_path, detected.image()) == 3
  names = sorted(path.name for path in (tmp_path / 'cutouts').iterdir())
  assert names == ['a_001_cat.png', 'a_002_wild_dog.png', 'a_003_cat.png']
  ring = _read_png(tmp_path / 'cutouts' / 'a_003_cat.png')
  assert ring.shape == (12, 14, 4)
  mask = detected.masks()[2, 8:20, 20:34]
  np.testing.assert_array_equal(ring[..., 3], mask * 255)
  np.testing.assert_array_equal(ring[mask][:, :3], detected.PIXELS[8:20, 20:34][mask])
  assert not ring[~mask].any()


def test_a_cutout_of_a_class_with_a_long_name_can_be_written(tmp_path):
  image = detected.image(names=('cat', '犬' * 100))
  assert _write('cutouts', tmp_path, image, stem='a' * 200) == 3
  names = sorted(path.name for path in (tmp_path / 'cutouts').iterdir())
  assert [name[200:206] for name in names] == ['_001_c', '_002_犬', '_003_c']


def test_annotations_are_read_by_pycocotools(tmp_path):
  assert _write('coco', tmp_path, detected.image()) == 1
  data = COCO(str(tmp_path / 'annotations.json'))
  annotations = data.loadAnns(data.getAnnIds(imgIds=[1]))
  assert [item['category_id'] for item in annotations] == [5, 9, 5]
  assert data.loadCats([9])[0]['name'] == 'wild dog' and data.imgs[1]['height'] == 40
  expected = detected.masks()
  expected[2, 12:16, 25:30] = True  # The hole is filled.
  for item, mask in zip(annotations, expected):
    np.testing.assert_array_equal(mask_codec.decode(data.annToRLE(item)).astype(bool), mask)
  assert [item['area'] for item in annotations] == [200, 140, 148]
  np.testing.assert_allclose([item['score'] for item in annotations], [0.9, 0.8, 0.7], rtol=1e-6)


def test_every_annotation_has_a_mask_that_pycocotools_reads(tmp_path, monkeypatch):
  """An object without a pixel is left out, and one that is too large for polygons has runs."""
  image = detected.image()
  first, second, third = detected.masks()
  rles = [mask_codec.encode(mask) for mask in (first, second & False, third)]
  image = dataclasses.replace(image, instances=image.instances._replace(rles=rles))
  monkeypatch.setattr(image_limits, 'MAX_PIXELS', 180)
  _write('coco', tmp_path, image)
  data = COCO(str(tmp_path / 'annotations.json'))
  masks = [mask_codec.decode(data.annToRLE(item)) for item in data.loadAnns(data.getAnnIds())]
  assert [mask.sum() for mask in masks] == [200, 168] and sorted(data.anns) == [1, 2]
  np.testing.assert_array_equal(masks[0], first)
  assert [item['area'] for item in data.loadAnns([1, 2])] == [200, 148]


def test_labelme_finds_the_picture_from_a_folder_behind_a_link(tmp_path):
  picture, real = tmp_path / 'in' / 'a.png', tmp_path / 'disk' / 'deep' / 'out'
  for folder in (picture.parent, real):
    folder.mkdir(parents=True)
  Image.fromarray(detected.PIXELS).save(picture)
  (tmp_path / 'out').symlink_to(real)
  image = dataclasses.replace(detected.image(), source=read_image(str(picture)))
  _write('labelme', tmp_path / 'out', image)
  found = json.loads((tmp_path / 'out' / 'labelme' / 'a.json').read_text())['imagePath']
  assert not found.startswith('/')
  assert (tmp_path / 'out' / 'labelme' / found).samefile(picture)


def test_files_of_labelme_are_read_as_annotations(tmp_path):
  """LabelMe's own form: parts of an object share a group, and holes are filled."""
  Image.fromarray(detected.PIXELS).save(tmp_path / 'a.png')
  assert _write('labelme', tmp_path, detected.image()) == 1
  content = json.loads((tmp_path / 'labelme' / 'a.json').read_text())
  assert [shape['label'] for shape in content['shapes']] == ['cat', 'wild dog', 'wild dog', 'cat']
  assert [shape['group_id'] for shape in content['shapes']] == [None, 2, 2, None]
  assert content['shapes'][3]['description'] == 'score 0.700, holes that are filled: 1'
  assert (content['imageHeight'], content['imageWidth']) == detected.HW
  options = ConversionOptions(
    annotation_file=str(tmp_path / 'labelme'),
    image_folder=str(tmp_path),
    output_folder=str(tmp_path / 'records'),
  )
  annotations = conversion_source.read(options).annotations.annotations[1]
  assert len(annotations) == 3


def test_measurements_by_hand(tmp_path):
  assert _write('csv', tmp_path, detected.image()) == 1
  with open(tmp_path / 'measurements.csv', newline='') as file:
    first, second, _ = list(csv.DictReader(file))
  assert (first['image'], first['object'], first['class'], first['score']) == (
    'a',
    '1',
    'cat',
    '0.9000',
  )
  assert [float(first[key]) for key in ('xmin', 'ymin', 'width', 'height')] == [10, 5, 20, 10]
  assert first['area'] == '200' and second['area'] == '140'
  # Through the centers of the border pixels: 2 * 19 + 2 * 9.
  assert float(first['perimeter']) == 56
  assert (float(first['centroid_x']), float(first['centroid_y'])) == (20, 10)
  assert float(first['equivalent_diameter']) == pytest.approx(
    2 * math.sqrt(200 / math.pi), abs=0.01
  )
  mean = detected.PIXELS[5:15, 10:30].reshape(-1, 3).mean(0)
  found = [float(first[f'mean_{name}']) for name in ('red', 'green', 'blue')]
  np.testing.assert_allclose(found, mean, atol=0.01)


# Values of `skimage.measure.perimeter` with four neighbors, of scikit-image 0.26.
@pytest.mark.parametrize('seed, expected', list(enumerate([133.5391, 132.8112, 133.6396, 259.267])))
def test_perimeters_are_those_of_scikit_image(seed, expected):
  rows, columns = np.mgrid[:60, :70]
  angle = np.arctan2(rows - 30, columns - 35)
  radius = 15 + 5 * np.sin(3 * angle + seed) + 3 * np.cos(5 * angle)
  mask = np.hypot(rows - 30, columns - 35) < radius
  if seed == 3:
    mask = np.random.default_rng(3).random((20, 30)) < 0.6
  assert measurements.perimeter_of(mask) == pytest.approx(expected, abs=1e-4)


def test_measurements_without_masks_have_boxes_only(tmp_path):
  _write('csv', tmp_path, detected.image(with_masks=False), sample_format=SampleFormat(3, 8))
  with open(tmp_path / 'measurements.csv', newline='') as file:
    rows = list(csv.DictReader(file))
  assert [row['area'] for row in rows] == ['', '', ''] and rows[0]['width'] == '20.00'
  assert None not in rows[0] and None not in rows[0].values()
  assert measurements.perimeter_of(np.zeros((4, 4), bool)) == 0


def test_a_model_without_masks_gives_rectangles(tmp_path):
  _write('labelme', tmp_path, detected.image(with_masks=False))
  content = json.loads((tmp_path / 'labelme' / 'a.json').read_text())
  assert [shape['shape_type'] for shape in content['shapes']] == ['rectangle'] * 3
  assert content['shapes'][0]['points'] == [[10, 5], [30, 15]]
  _write('coco', tmp_path, detected.image(with_masks=False))
  entries = json.loads((tmp_path / 'annotations.json').read_text())['annotations']
  assert entries[0]['segmentation'] == [] and entries[0]['area'] == 200


@pytest.mark.parametrize('name', ['masks', 'cutouts'])
def test_outputs_of_masks_are_refused_without_masks(tmp_path, name):
  with pytest.raises(InputError, match='no masks'):
    _write(name, tmp_path, detected.image(with_masks=False))


@pytest.mark.parametrize('name', registry.NAMES)
def test_an_image_without_detections_is_written_too(tmp_path, name):
  _write(name, tmp_path, detected.image().filtered(1.0))
  assert not list(tmp_path.glob('.*'))  # No hidden file is left.
  if name == 'coco':
    content = json.loads((tmp_path / 'annotations.json').read_text())
    assert content['annotations'] == [] and len(content['images']) == 1


def test_classes_without_names_have_numbers(tmp_path):
  (output,) = registry.build(['coco'], str(tmp_path), [], RGB)
  output.write(detected.image(names=()), 'a')
  output.close()
  content = json.loads((tmp_path / 'annotations.json').read_text())
  assert content['categories'] == [{'id': 1, 'name': 'class 1'}, {'id': 2, 'name': 'class 2'}]


@pytest.mark.parametrize('names', [['overlay', 'csv', 'overlay'], ['png']])
def test_unknown_and_repeated_outputs_are_refused(names, tmp_path):
  with pytest.raises(InputError, match=r'outputs of the prediction are wrong.*each once'):
    registry.build(names, str(tmp_path), [], RGB)
