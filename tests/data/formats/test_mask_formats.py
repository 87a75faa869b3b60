"""Tests of formats with maps or covering polygons: VOC, masks, Cityscapes, panoptic, and YOLO."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from htc_tf.data import coco_to_tfrecord, example_decoder
from htc_tf.data.conversion_options import ConversionOptions
from htc_tf.data.formats import masks, registry, voc
from htc_tf.errors import DataError
from tests.data.conftest import CocoFolder
from tests.data.formats import small_sets
from tests.data.formats.reading import SIZE_HW, bitmaps_of, read, square, write_image


def convert(path, root, **options):
  """Metadata, decoded records by name of the picture, and the written annotations."""
  values = {'num_shards': 1, **options}
  output = root / 'records'
  info = coco_to_tfrecord.convert(
    ConversionOptions(str(path), '', str(output), **values), lambda _: None
  )
  folder = CocoFolder(root, {})
  records = folder.records(include_semantic=info.semantic is not None)
  content = json.loads((output / 'train_annotations.json').read_text(encoding='utf-8'))
  names = {image['id']: image['file_name'] for image in content['images']}
  return info, {names[id_]: record for id_, record in records.items()}, content


# --- panoptic COCO


def test_things_and_the_map_of_all_categories_are_made_at_once(tmp_path):
  """Categories 2, 5 and 9 have the labels 0, 1 and 2; the first column has no segment."""
  info, records, content = convert(small_sets.panoptic(tmp_path / 'set'), tmp_path)
  assert info.category_names == ['cat', 'dog'] and info.category_ids == [2, 9]
  assert (info.semantic.source, info.semantic.num_classes) == ('panoptic', 3)
  expected = np.ones(small_sets.SIZES_HW['a'], np.uint8)
  expected[:, 0] = 255
  for item in small_sets.of_picture('a'):
    expected[small_sets.mask(item) > 0] = {'cat': 0, 'dog': 2}[item[1]]
  np.testing.assert_array_equal(records['a.png']['semantic'].reshape(expected.shape), expected)
  masks_of_a = [small_sets.mask(item) for item in small_sets.of_picture('a')]
  for encoded, mask in zip(records['a.png']['masks_png'], masks_of_a, strict=True):
    np.testing.assert_array_equal(example_decoder.decode_label_png(encoded), mask)
  assert [entry['name'] for entry in content['semantic_categories']] == ['cat', 'grass', 'dog']


def test_the_map_of_panoptic_annotations_can_be_left_out_and_replaced(tmp_path):
  path = small_sets.panoptic(tmp_path / 'set')
  assert convert(path, tmp_path, semantic='none')[0].semantic is None
  info, _, _ = convert(path, tmp_path, semantic='instances')
  assert (info.semantic.source, info.semantic.num_classes) == ('instances', 3)


def test_crowd_segments_are_crowd_regions(tmp_path):
  path = small_sets.panoptic(tmp_path / 'set')
  content = json.loads(path.read_text(encoding='utf-8'))
  content['annotations'][0]['segments_info'][1]['iscrowd'] = 1
  small_sets.write_json(path, content)
  assert [entry['iscrowd'] for entry in read(path).content['annotations']] == [1, 0, 0]


def test_missing_panoptic_maps_are_an_error(tmp_path):
  path = small_sets.panoptic(tmp_path / 'set')
  maps = tmp_path / 'far' / 'away' / 'maps'
  maps.parent.mkdir(parents=True)
  (tmp_path / 'set' / 'val').rename(maps)
  with pytest.raises(DataError, match=r'panoptic maps of .* are not found'):
    read(path)
  source = read(path, semantic='panoptic', stuff_folder=str(maps))
  assert len(source.content['annotations']) == 3


def test_instances_have_no_panoptic_map(tmp_path):
  with pytest.raises(DataError, match='no panoptic maps'):
    convert(small_sets.labelme(tmp_path / 'set'), tmp_path, semantic='panoptic')


# --- Pascal VOC


def voc_colors(folder):
  """Maps in color, as CVAT writes them: a cell, a nucleus with few pixels of another class."""
  write_image(folder / 'JPEGImages', 'a.jpg')
  objects, classes = (np.zeros([*SIZE_HW, 3], np.uint8) for _ in range(2))
  objects[5:15, 10:20] = 128, 0, 0
  classes[5:15, 10:20] = 0, 128, 0
  objects[5:15, 30:40] = 0, 128, 0
  classes[5:15, 30:40] = 64, 0, 0
  classes[5:7, 30:40] = 0, 128, 0
  objects[4, 10:20] = 224, 224, 192
  small_sets.write_map(folder / 'SegmentationObject' / 'a.png', objects)
  small_sets.write_map(folder / 'SegmentationClass' / 'a.png', classes)
  text = '# label:color_rgb:parts:actions\nbackground:0,0,0::\ncell:0,128,0::\nnucleus:64,0,0::\n'
  small_sets.write_text(folder / 'labelmap.txt', text)


def test_colors_of_voc_are_those_of_the_label_map(tmp_path):
  voc_colors(tmp_path)
  found = bitmaps_of(read(tmp_path))
  assert sorted(name for name, _ in found) == ['cell', 'nucleus']
  by_name = dict(found)
  np.testing.assert_array_equal(by_name['cell'], square())
  np.testing.assert_array_equal(by_name['nucleus'], square(left=30, right=40))


def test_boxes_of_voc_without_a_mask_are_boxes(tmp_path):
  voc_colors(tmp_path)
  boxes = ''.join(
    f'<object><name>{name}</name><bndbox><xmin>{x}</xmin><ymin>5</ymin><xmax>{x + 10}</xmax>'
    '<ymax>15</ymax></bndbox></object>'
    for name, x in (('cell', 10), ('cell', 30))
  )
  small_sets.write_text(tmp_path / 'Annotations' / 'a.xml', f'<annotation>{boxes}</annotation>')
  entries = read(tmp_path).content['annotations']
  assert [entry['bbox'] for entry in entries if not entry['segmentation']] == [[30, 5, 10, 10]]
  assert len(entries) == 3


def test_the_list_of_a_split_chooses_pictures_of_voc(tmp_path):
  small_sets.voc(tmp_path)
  small_sets.write_text(tmp_path / 'ImageSets' / 'Segmentation' / 'val.txt', 'b\n')
  source = read(tmp_path, split='val')
  assert [image['file_name'] for image in source.content['images']] == ['JPEGImages/b.jpg']
  assert source.report.counts['other_split'] == 1


def voc_xml(folder, name, database, *corners):
  keys = ('xmin', 'ymin', 'xmax', 'ymax')
  box = ''.join(f'<{key}>{value}</{key}>' for key, value in zip(keys, corners))
  text = f'<source><database>{database}</database></source>'
  text += f'<object><name>cell</name><bndbox>{box}</bndbox></object>'
  small_sets.write_text(folder / f'{name}.xml', f'<annotation>{text}</annotation>')


@pytest.mark.parametrize(
  'database, corners',
  [('The VOC2012 Database', (11, 6, 20, 15)), ('Unknown', (10, 5, 20, 15))],
)
def test_boxes_of_the_voc_database_count_pixels_from_1(tmp_path, database, corners):
  """The same box: columns 10-19, rows 5-14, in both conventions."""
  write_image(tmp_path, 'a.jpg')
  voc_xml(tmp_path, 'a', database, *corners)
  (entry,) = read(tmp_path).content['annotations']
  assert entry['bbox'] == [10, 5, 10, 10]


def test_pictures_of_voc_with_boxes_alone_are_not_trained_as_background(tmp_path):
  voc_colors(tmp_path)
  write_image(tmp_path / 'JPEGImages', 'b.jpg')
  voc_xml(tmp_path / 'Annotations', 'b', 'The VOC2012 Database', 1, 1, 9, 9)
  source = read(tmp_path)
  assert [image['file_name'] for image in source.content['images']] == ['JPEGImages/a.jpg']
  assert source.report.counts['picture_without_map'] == 1
  for options in ({'boxes_as_masks': True}, {'include_masks': False}):
    assert len(read(tmp_path, **options).content['images']) == 2


def test_a_split_of_voc_without_lists_is_a_folder(tmp_path):
  for part, name in (('train', 'a'), ('valid', 'b')):
    write_image(tmp_path / part, f'{name}.jpg')
    voc_xml(tmp_path / part, name, 'Unknown', 1, 1, 9, 9)
  source = read(tmp_path, split='val')
  assert [image['file_name'] for image in source.content['images']] == ['valid/b.jpg']
  assert source.report.counts == {'other_split': 1}


@pytest.mark.parametrize('kind', ['masks', 'voc', 'panoptic'])
@pytest.mark.parametrize('content', [b'no image', None], ids=['damaged', 'other size'])
def test_an_image_whose_masks_cannot_be_read_is_no_background(tmp_path, kind, content):
  path = small_sets.FORMATS[kind](tmp_path)
  damaged = {'masks': 'masks/cat', 'voc': 'SegmentationObject', 'panoptic': 'val'}[kind]
  if content:
    (tmp_path / damaged / 'a.png').write_bytes(content)
  else:
    with Image.open(tmp_path / damaged / 'a.png') as image:
      image.crop((0, 0, 30, 24)).save(tmp_path / damaged / 'a.png')
  source = read(path)
  assert [Path(image['file_name']).stem for image in source.content['images']] == ['b']
  assert len(source.content['annotations']) == 1
  assert source.report.counts['annotation_file_unusable'] == 1


def test_voc_files_of_the_same_name_in_two_folders_are_an_error(tmp_path):
  for part in ('first', 'second'):
    small_sets.voc(tmp_path / part)
  with pytest.raises(DataError, match=r"'a' has several annotation files.*first.*second"):
    read(tmp_path)


def test_the_palette_of_voc_has_its_published_colors():
  colors = {1: (128, 0, 0), 2: (0, 128, 0), 8: (64, 0, 0), 15: (192, 128, 128), 20: (0, 64, 128)}
  for index, (red, green, blue) in colors.items():
    assert voc._palette_color(index) == red + 256 * green + 65536 * blue


# --- instance masks


@pytest.mark.parametrize(
  'image, mask, name',
  [
    ('images/a.jpg', 'masks/a.png', 'object'),
    ('a.jpg', 'a_masks.png', 'object'),
    ('images/a.jpg', 'masks/a_mask.png', 'object'),
    ('images/train/a.jpg', 'masks/train/a.png', 'object'),
    ('images/a.jpg', 'labels/cell/a.tif', 'cell'),
    ('images/a.jpg', 'masks/a/7.png', 'object'),
    ('images/a.jpg', 'masks/a_7.png', 'object'),
    ('images/a.jpg', 'masks/a_cell_7.png', 'cell'),
    ('a/images/x.png', 'a/masks/0f3.png', 'object'),
    ('images/a.jpg', 'masks/a/big cell_7.png', 'big cell'),
    ('images/a.jpg', 'masks/a_7_cell.png', 'cell'),
    ('images/a.jpg', 'masks/a/mask_7.png', 'object'),
    ('images/a.jpg', 'masks/a_object_7.png', 'object'),
    ('a/images/x.png', 'a/masks/0cafe.png', 'object'),
    ('a/images/x1.png', 'a/masks/f47ac10b-abcd-4372-a567-0e02b2c3d479.png', 'object'),
  ],
)
def test_layouts_of_masks(tmp_path, image, mask, name):
  write_image((tmp_path / image).parent, (tmp_path / image).name)
  small_sets.write_map(tmp_path / mask, square() * 9)
  source = read(tmp_path)
  assert source.format == masks.NAME
  ((found, bitmap),) = bitmaps_of(source)
  assert found == name
  np.testing.assert_array_equal(bitmap, square())
  assert source.content['images'][0]['file_name'].endswith(image.split('/')[-1])


@pytest.mark.parametrize('kind', ['uint8', 'uint16', 'color', 'palette'])
def test_each_value_of_a_map_is_an_object(tmp_path, kind):
  write_image(tmp_path / 'images')
  numbers = square() * 1 + square(left=30, right=40) * 2
  palette = None
  if kind == 'uint16':
    numbers = numbers.astype(np.uint16) * 1000
  elif kind == 'color':
    numbers = np.stack([numbers * 0, numbers, numbers * 0], -1)
  elif kind == 'palette':
    palette = [0, 0, 0, 9, 9, 9, 9, 9, 9]  # The same color twice: indices count.
  small_sets.write_map(tmp_path / 'masks' / 'a.png', numbers, palette)
  found = [bitmap for _, bitmap in bitmaps_of(read(tmp_path))]
  np.testing.assert_array_equal(found, [square(), square(left=30, right=40)])


def test_faults_of_masks_are_counted(tmp_path):
  for name in ('a.png', 'b.png', 'c.png'):
    write_image(tmp_path / 'images', name)
  small_sets.write_map(tmp_path / 'masks' / 'a.png', square() * 255)
  small_sets.write_map(tmp_path / 'masks' / 'b.png', np.ones([4, 4], np.uint8))
  small_sets.write_map(tmp_path / 'masks' / 'c.png', square() * 0)
  counts = read(tmp_path).report.counts
  assert counts == {
    'annotation_file_unusable': 1,
    'mask_empty': 1,
    'class_assumed': 1,
    'mask_map_binary': 1,
  }


@pytest.mark.parametrize('value, number', [(3.0, 1), (0.5, 0), (np.nan, 0), (np.inf, 0)])
def test_maps_of_floats_are_read_if_they_are_numbers_of_objects(tmp_path, value, number):
  for name in ('a.png', 'b.png'):
    write_image(tmp_path / 'images', name)
    numbers = square().astype(np.float32) * np.float32(2)
    numbers[0, 0] = value if name == 'a.png' else 0
    small_sets.write_map(tmp_path / 'masks' / name.replace('png', 'tif'), numbers)
  source = read(tmp_path)
  assert len(source.content['images']) == 1 + number
  assert len(source.content['annotations']) == 1 + 2 * number
  assert source.report.counts['annotation_file_unusable'] == 1 - number


def test_maps_with_a_single_value_are_counted(tmp_path):
  write_image(tmp_path / 'images')
  small_sets.write_map(tmp_path / 'masks' / 'a.png', (square() + square(left=30, right=40)) * 255)
  source = read(tmp_path)
  assert len(source.content['annotations']) == 1 and source.report.counts['mask_map_binary'] == 1


def test_a_folder_of_masks_alone_needs_the_image_folder(tmp_path):
  write_image(tmp_path / 'photos')
  small_sets.write_map(tmp_path / 'numbers' / 'a.png', square())
  with pytest.raises(DataError, match='is unknown'):
    read(tmp_path / 'numbers')
  options = ConversionOptions(str(tmp_path / 'numbers'), str(tmp_path / 'photos'), 'records')
  assert len(registry.read(options).content['annotations']) == 1


# --- Cityscapes


def cityscapes(root, *objects):
  folder = root / 'leftImg8bit' / 'val' / 'ulm'
  write_image(folder, 'ulm_0_leftImg8bit.png')
  small_sets.write_json(
    root / 'gtFine' / 'val' / 'ulm' / 'ulm_0_gtFine_polygons.json',
    {'imgHeight': 40, 'imgWidth': 50, 'objects': list(objects)},
  )
  return read(root / 'gtFine')


def polygon(label, left, right, top=5, bottom=14, **values):
  points = [[left, top], [right, top], [right, bottom], [left, bottom]]
  return {'label': label, 'polygon': points, **values}


def test_later_polygons_cover_earlier_ones(tmp_path):
  source = cityscapes(
    tmp_path, polygon('car', 10, 29), polygon('person', 20, 39), polygon('pole', 30, 32)
  )
  found = dict(bitmaps_of(source))
  np.testing.assert_array_equal(found['car'], square(right=20))
  expected = square(left=20, right=40)
  expected[:, 30:33] = 0
  np.testing.assert_array_equal(found['person'], expected)
  assert source.report.counts['shape_not_annotated'] == 1


def test_groups_are_crowds_and_hidden_and_deleted_objects_are_left_out(tmp_path):
  source = cityscapes(
    tmp_path,
    polygon('cargroup', 10, 19),
    polygon('person', 22, 24),
    polygon('bus', 21, 28),
    polygon('truck', 30, 33, deleted=1),
    polygon('license plate', 21, 28),
    polygon('scooter', 35, 40),
  )
  names = {entry['id']: entry['name'] for entry in source.content['categories']}
  found = [(names[e['category_id']], e['iscrowd']) for e in source.content['annotations']]
  assert found == [('car', 1), ('bus', 0), ('scooter', 0)]
  assert source.report.counts['shape_hidden'] == 1
  assert list(names.values())[:2] == ['person', 'rider'] and names[9] == 'scooter'


# --- YOLO


def yolo(folder, *lines, names='names: [cell, nucleus]\n', **options):
  write_image(folder / 'images')
  small_sets.write_text(folder / 'labels' / 'a.txt', '\n'.join(lines))
  small_sets.write_text(folder / 'data.yaml', names)
  return read(folder, **options)


POLYGON = '1 0.2 0.125 0.4 0.125 0.4 0.375 0.2 0.375'


def test_polygons_of_yolo_are_masks(tmp_path):
  ((name, bitmap),) = bitmaps_of(yolo(tmp_path, POLYGON))
  assert name == 'nucleus'
  np.testing.assert_array_equal(bitmap, square())


@pytest.mark.parametrize('line', ['0 0.3 0.25 0.2 0.25', '0 0.3 0.25 0.2 0.25 0.87'])
def test_boxes_of_yolo_are_boxes(tmp_path, line):
  (entry,) = yolo(tmp_path, line).content['annotations']
  np.testing.assert_allclose(entry['bbox'], [10, 5, 10, 10])
  assert entry['segmentation'] == [] and entry['category_id'] == 1


@pytest.mark.parametrize(
  'line, check',
  [
    ('0 0.3 0.25', 'shape_unusable'),
    ('0 0.3 0.25 x 0.25', 'shape_unusable'),
    ('0 120 80 40 40', 'shape_unusable'),
    ('0 0.3 0.25 0 0.25', 'shape_unusable'),
    ('7 0.3 0.25 0.2 0.25', 'shape_without_class'),
  ],
)
def test_faulty_lines_of_yolo_are_counted(tmp_path, line, check):
  source = yolo(tmp_path, POLYGON, line)
  assert len(source.content['annotations']) == 1 and source.report.counts == {check: 1}


def test_images_without_labels_stay_and_splits_are_chosen_by_folder(tmp_path):
  for split, name in (('train', 'a'), ('valid', 'b'), ('valid', 'c')):
    write_image(tmp_path / split / 'images', f'{name}.jpg')
    if name != 'c':
      small_sets.write_text(tmp_path / split / 'labels' / f'{name}.txt', POLYGON)
  small_sets.write_text(tmp_path / 'data.yaml', 'names: [cell, nucleus]\n')
  source = read(tmp_path, split='valid')
  names = [image['file_name'] for image in source.content['images']]
  assert names == ['valid/images/b.jpg', 'valid/images/c.jpg']
  assert source.report.counts == {'other_split': 1, 'image_without_label_file': 1}
  for path in (tmp_path, tmp_path / 'data.yaml'):
    source = read(path)
    assert len(source.content['images']) == 3
    assert source.report.examples['split_joined'] == ['train', 'val']


def yolo_export(folder, **entries):
  """The layout of exports: the validation part has the folder `valid` and the entry `val`."""
  for part, names in (('train', 'ab'), ('valid', 'cd'), ('test', 'e')):
    for name in names:
      write_image(folder / part / 'images', f'{name}.jpg')
      small_sets.write_text(folder / part / 'labels' / f'{name}.txt', POLYGON)
  return yolo_export_of(folder, **entries)


def yolo_export_of(folder, **entries):
  paths = {'train': '../train/images', 'val': '../valid/images', 'test': '../test/images'}
  content = {'names': ['cell', 'nucleus'], 'nc': 2, **paths, **entries}
  small_sets.write_text(folder / 'data.yaml', json.dumps(content))
  return folder / 'data.yaml'


def stems_of(source):
  return ''.join(Path(image['file_name']).stem for image in source.content['images'])


@pytest.mark.parametrize(
  'split, expected',
  [('train', 'ab'), ('val', 'cd'), ('valid', 'cd'), ('validation', 'cd'), ('test', 'e')],
)
def test_a_split_of_yolo_is_that_of_its_configuration(tmp_path, split, expected):
  path = yolo_export(tmp_path)
  for annotations in (path, tmp_path):
    source = read(annotations, split=split)
    assert stems_of(source) == expected
    assert source.report.counts == {'other_split': 5 - len(expected)}


def test_splits_of_yolo_that_are_read_together_are_counted(tmp_path):
  path = yolo_export(tmp_path)
  source = read(path)
  assert stems_of(source) == 'eabcd' and source.report.counts == {'split_joined': 3}
  assert source.report.examples['split_joined'] == ['test', 'train', 'val']
  for part in ('valid', 'test'):
    shutil.rmtree(tmp_path / part)
  path = yolo_export_of(tmp_path, val='../train/images', test='')
  assert not read(path).report.counts  # One split for both, as in the smallest examples.


@pytest.mark.parametrize(
  'lines', ['./images/b.jpg', '/home/other/set/valid/images/d.jpg', 'valid/images/a.jpg']
)
def test_lists_of_images_in_the_configuration_of_yolo_are_followed(tmp_path, lines):
  path = yolo_export(tmp_path, path='elsewhere', val=['lists/part.txt'])
  write_image(tmp_path / 'valid' / 'images', 'a.jpg')  # Another one than train/images/a.jpg.
  small_sets.write_text(tmp_path / 'lists' / 'part.txt', lines + '\n')
  source = read(path, split='val')
  (image,) = source.content['images']
  expected = {'b': 'train/images/b.jpg', 'd': 'valid/images/d.jpg', 'a': 'valid/images/a.jpg'}
  assert image['file_name'] == expected[Path(lines).stem]


def test_a_split_of_yolo_that_is_not_there_is_an_error(tmp_path):
  path = yolo_export(tmp_path, val='../elsewhere/images')
  with pytest.raises(DataError, match=r"split 'val' are not found.*elsewhere"):
    read(path, split='val')


def test_the_configuration_of_yolo_may_be_elsewhere(tmp_path):
  """The entry `path` names the data set; other classes change the fingerprint."""
  path = yolo_export(tmp_path / 'set', path='../set')
  moved = tmp_path / 'configs' / 'my.yaml'
  moved.parent.mkdir()
  path.rename(moved)
  first = read(moved, split='val')
  assert stems_of(first) == 'cd' and first.content['categories'][1]['name'] == 'nucleus'
  moved.write_text(moved.read_text().replace('nucleus', 'other'))
  second = read(moved, split='val')
  assert second.content['categories'][1]['name'] == 'other' and second.digest != first.digest


def test_an_image_with_two_label_files_of_yolo_is_an_error(tmp_path):
  yolo(tmp_path, POLYGON)
  small_sets.write_text(tmp_path / 'runs' / 'labels' / 'a.txt', POLYGON)
  with pytest.raises(DataError, match=r'several label files.*labels/a.txt and runs/labels/a.txt'):
    read(tmp_path)


def test_key_points_of_yolo_are_no_polygons(tmp_path):
  line = '0 0.3 0.25 0.2 0.25 0.1 0.2 0.3 0.4'
  (entry,) = yolo(tmp_path, line, names='names: [cell]\nkpt_shape: [2, 2]\n').content['annotations']
  np.testing.assert_allclose(entry['bbox'], [10, 5, 10, 10])
  assert entry['segmentation'] == []


def test_class_numbers_without_names_are_counted(tmp_path):
  source = yolo(tmp_path, POLYGON, names='x: 1\n')
  assert [entry['name'] for entry in source.content['categories']] == ['class 1']
  assert source.report.counts == {'class_assumed': 1}


# --- all the way


def test_records_of_a_labelme_folder(tmp_path):
  info, records, _ = convert(small_sets.labelme(tmp_path / 'set'), tmp_path)
  assert info.category_names == ['cat', 'dog'] and info.num_instances == 3
  assert (info.semantic.source, info.semantic.num_classes) == ('instances', 3)
  np.testing.assert_array_equal(
    records['a.png']['image'], np.asarray(Image.open(tmp_path / 'set' / 'a.png'))
  )
  assert records['a.png']['classes'].tolist() == [1, 2]


def test_images_without_readable_masks_count_among_the_dropped_images(tmp_path):
  path = small_sets.masks(tmp_path / 'set')
  for label in ('cat', 'dog'):
    (path / 'masks' / label / 'b.png').write_bytes(b'')
  (path / 'masks' / 'dog' / 'b.png').unlink()
  lines = []
  options = ConversionOptions(str(path), '', str(tmp_path / 'records'), num_shards=1)
  coco_to_tfrecord.convert(options, lines.append)
  assert lines[0].startswith('1 of 2 images dropped: 1 files of annotations or masks that cannot')


def test_dropped_shapes_count_among_the_dropped_annotations(tmp_path):
  path = small_sets.labelme(tmp_path / 'set')
  content = json.loads((path / 'a.json').read_text(encoding='utf-8'))
  content['shapes'][0]['shape_type'] = 'linestrip'
  small_sets.write_json(path / 'a.json', content)
  lines = []
  options = ConversionOptions(str(path), '', str(tmp_path / 'records'))
  coco_to_tfrecord.convert(options, lines.append)
  assert lines[0].startswith('1 of 3 annotations dropped: 1 lines and points\n')
  assert lines[1] == f'annotations: LabelMe JSON files; images: {path}'
