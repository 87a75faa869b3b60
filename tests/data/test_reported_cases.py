"""Tests of situations that users reported from their data sets, with the command of conversion."""

import itertools
import json
import struct
import unicodedata
import zlib

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from htc_tf.cli import create_coco_records
from htc_tf.data import example_decoder
from tests.data.conftest import CocoFolder, annotation

HEIGHT, WIDTH = 48, 64
LARGE, SMALL = (5, 6, 20, 15), (30, 20, 10, 10)
CATEGORIES = [{'id': 1, 'name': 'cell'}, {'id': 2, 'name': 'nucleus'}]


class Reported(CocoFolder):
  """A data set of images of 64x48 pixels, and the command that converts it."""

  def write_image(self, name='a.png', pixels=None, **options):
    if pixels is None:
      pixels = np.full([HEIGHT, WIDTH, 3], 90, np.uint8)
    Image.fromarray(pixels).save(self.images / name, **options)

  def command(self, *flags, annotations='annotations.json', semantic='instances'):
    return create_coco_records.main(
      [
        f'--annotations={self.root / annotations}',
        f'--image_folder={self.images}',
        f'--output_folder={self.output}',
        '--num_shards=1',
        '--num_processes=1',
        f'--semantic={semantic}',
        *flags,
      ]
    )

  def boxes(self, image_id=1):
    """Boxes x, y, width and height of a record, rounded."""
    found = self.records()[image_id]['boxes_normalized'] * [HEIGHT, WIDTH, HEIGHT, WIDTH]
    top, left, bottom, right = found.T
    return np.stack([left, top, right - left, bottom - top], axis=1).round(3).tolist()

  def masks(self, image_id=1):
    encoded = self.records()[image_id]['masks_png']
    return [example_decoder.decode_label_png(png).numpy() for png in encoded]


def filled(box):
  """The mask of a box."""
  mask = np.zeros([HEIGHT, WIDTH], np.uint8)
  x, y, width, height = box
  mask[y : y + height, x : x + width] = 1
  return mask


@pytest.fixture
def case(tmp_path):
  """A data set of one image with a large and a small instance."""
  content = {
    'images': [{'id': 1, 'file_name': 'a.png', 'width': WIDTH, 'height': HEIGHT}],
    'annotations': [annotation(1, 1, 1, LARGE), annotation(2, 1, 1, SMALL)],
    'categories': CATEGORIES,
  }
  folder = Reported(tmp_path, content)
  folder.images.mkdir()
  folder.write_image()
  return folder


def check_converted(case, capsys, *flags, finding='', **options):
  """Convert a data set; both instances must be in the records, and the finding in the summary."""
  assert case.save().command(*flags, **options) == 0
  assert case.boxes() == [list(LARGE), list(SMALL)]
  for mask, box in zip(case.masks(), (LARGE, SMALL)):
    np.testing.assert_array_equal(mask, filled(box))
  printed = capsys.readouterr().out
  assert finding in printed
  return printed


def check_refused(case, capsys, *messages, **options):
  assert case.save().command(**options) == 2
  (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith('error: ')]
  for message in messages:
    assert message in line


def test_boxes_without_area_beside_good_polygons(case, capsys):
  for id_, box in enumerate(([5, 6, 0, 15], [25, 21, -20, -15], [0, 0, 0, 0]), 3):
    case.content['annotations'].append(annotation(id_, 1, 1, LARGE, bbox=box))
  assert case.save().command() == 0
  assert case.boxes() == [list(LARGE), list(SMALL), *[list(LARGE)] * 3]
  finding = '3 annotations without a usable box (taken from the mask): e.g. annotation 3'
  assert finding in capsys.readouterr().out


def test_every_annotation_is_a_crowd_of_run_lengths(case, capsys):
  for entry, box in zip(case.content['annotations'], (LARGE, SMALL)):
    runs = [len(list(group)) for _, group in itertools.groupby(filled(box).T.ravel())]
    entry.update(iscrowd=1, segmentation={'size': [HEIGHT, WIDTH], 'counts': runs})
  check_refused(case, capsys, 'No trainable instance is left', '2 crowd regions', 'CVAT')
  assert not list(case.output.glob('*'))


def test_sizes_and_ids_are_floats(case, capsys):
  case.content['images'][0].update(id=1.0, width=64.0, height=48.0)
  for entry in case.content['annotations']:
    entry.update(image_id=1.0, category_id=1.0)
  check_converted(case, capsys, finding='7 whole numbers written as floats (read)')


def test_a_file_name_with_colons(case, capsys):
  name = '2023-01-02T12:30:00.png'
  (case.images / 'a.png').rename(case.images / name)
  case.content['images'][0]['file_name'] = name
  check_converted(case, capsys)


def test_an_umlaut_is_decomposed_on_disk_and_composed_in_the_file(case, capsys):
  (case.images / 'a.png').rename(case.images / unicodedata.normalize('NFD', 'bäume.png'))
  case.content['images'][0]['file_name'] = unicodedata.normalize('NFC', 'bäume.png')
  finding = '1 file names with accents in another Unicode form (found): e.g. bäume.png'
  check_converted(case, capsys, finding=finding)


def test_a_second_conversion_with_the_default_prefix_into_the_same_folder(case, capsys):
  check_converted(case, capsys, semantic='none')
  written = {path.name: path.read_bytes() for path in case.output.iterdir()}
  content = {**case.content, 'annotations': [annotation(1, 1, 1, SMALL)]}
  (case.root / 'val.json').write_text(json.dumps(content), encoding='utf-8')
  message = 'a second split without --prefix'
  check_refused(case, capsys, 'would overwrite', message, annotations='val.json', semantic='none')
  assert {path.name: path.read_bytes() for path in case.output.iterdir()} == written


def test_ids_of_128_bits(case, capsys):
  huge = 81645724526782010095170042166076916798
  case.content['images'][0]['id'] = huge
  case.content['annotations'][0]['id'] = 73216957984849726665203162571459676114
  for entry in case.content['annotations']:
    entry['image_id'] = huge
  printed = check_converted(case, capsys, finding='sections with ids that are text or very large')
  assert '1 annotations with an unusable id (replaced by a new one)' in printed
  written = json.loads((case.output / 'train_annotations.json').read_text())
  assert (written['images'][0]['id'], written['images'][0]['original_id']) == (1, huge)


def test_iscrowd_is_zero_in_six_forms(case, capsys):
  boxes = [LARGE, SMALL, SMALL, SMALL, (3, 20, 10, 10), (3, 30, 10, 10)]
  forms = ['0', 'false', None, 0.0, False, '']
  case.content['annotations'] = [
    {**annotation(id_, 1, 1, box), 'iscrowd': form}
    for id_, (box, form) in enumerate(zip(boxes, forms), 1)
  ]
  assert case.save().command() == 0
  assert case.records()[1]['is_crowd'].tolist() == [False] * 6
  assert '6 iscrowd written as text, float, null, true or false (read)' in capsys.readouterr().out


def test_a_byte_order_mark(case, capsys):
  path = case.root / 'bom.json'
  path.write_text(json.dumps(case.content), encoding='utf-8-sig')
  check_converted(case, capsys, annotations='bom.json', finding='byte-order mark (read): e.g. utf-')


def test_all_annotations_lack_a_box(case, capsys):
  for entry in case.content['annotations']:
    del entry['bbox']
  check_converted(case, capsys, finding='2 annotations without a usable box (taken from the mask)')


def test_boxes_alone_without_the_flag_for_them(case, capsys):
  for entry in case.content['annotations']:
    entry['segmentation'] = []
  check_refused(
    case, capsys, '2 annotations without a usable polygon', 'convert them with --no_masks'
  )


def test_an_image_without_height_and_width(case, capsys):
  del case.content['images'][0]['width'], case.content['images'][0]['height']
  finding = '1 image entries without height and width (read from the image): e.g. a.png'
  check_converted(case, capsys, finding=finding)


@pytest.mark.parametrize('is_readable', [True, False])
def test_one_of_a_hundred_images_has_no_size(case, capsys, is_readable):
  case.content['images'] = [
    {'id': number, 'file_name': f'{number}.png', 'width': WIDTH, 'height': HEIGHT}
    for number in range(100)
  ]
  case.content['annotations'] = [annotation(1 + number, number, 1, LARGE) for number in range(99)]
  for number in range(100):
    case.write_image(f'{number}.png')
  del case.content['images'][99]['width']
  if not is_readable:
    (case.images / '99.png').write_bytes(b'')
  assert case.save().command() == 0
  printed = capsys.readouterr().out
  counts = (
    ('100 images, 99 instances', '1 image entries without height and width (read')
    if is_readable
    else ('99 images, 99 instances', '1 images without height and width that cannot be read (drop')
  )
  for text in counts:
    assert text in printed
  assert 'e.g. 99.png' in printed


def test_the_annotations_of_another_program_have_the_name_of_an_output(case, capsys):
  other = case.root / 'train_annotations.json'
  other.write_text('{"images": []}', encoding='utf-8')
  assert case.save().command(f'--output_folder={case.root}', semantic='none') == 2
  error = capsys.readouterr().err
  assert 'would overwrite' in error and 'train_annotations.json' in error
  assert other.read_text() == '{"images": []}'


def test_png_files_without_an_end_or_with_bytes_after_it(case, capsys):
  """What the conversion accepts can be read by TensorFlow."""
  pixels = np.random.default_rng(0).integers(0, 256, [HEIGHT, WIDTH, 3], np.uint8)
  case.write_image('ok.png', pixels)
  content = (case.images / 'ok.png').read_bytes()
  gamma = b'\0\0\0\x04gAMA\0\0\xb1\x8f\x0b\xfca\x05'
  files = {
    'cut4.png': content[:-4],
    'cut14.png': content[:-14],
    'noiend.png': content[:-12],
    'trail.png': content + b'trailing bytes',
    'gama.png': content[:33] + gamma + content[33:],
  }
  for name, changed in files.items():
    (case.images / name).write_bytes(changed)
  names = ['ok.png', *files]
  case.content['images'] = [
    {'id': id_, 'file_name': name, 'width': WIDTH, 'height': HEIGHT}
    for id_, name in enumerate(names, 1)
  ]
  case.content['annotations'] = [annotation(id_, id_, 1, LARGE) for id_ in range(1, 7)]
  assert case.save().command('--skip_missing_images') == 0
  assert 'train: 6 images, 6 instances' in capsys.readouterr().out
  for record in case.records().values():
    np.testing.assert_array_equal(record['image'], pixels)


def test_polygons_far_over_the_border(case, capsys):
  polygons = [[-900, 10, 900, 10, 900, 20, -900, 20], [-900, 30, 900, 30, 900, 38, -900, 38]]
  boxes = [[0, 10, 64, 10], [-900, 30, 1800, 8]]
  for id_, (polygon, box) in enumerate(zip(polygons, boxes), 3):
    case.content['annotations'].append(
      annotation(id_, 1, 1, LARGE, segmentation=[polygon], bbox=box, area=640)
    )
  assert case.save().command() == 0
  assert case.boxes()[2:] == [[0, 10, 64, 10], [0, 30, 64, 8]]
  for mask, polygon in zip(case.masks()[2:], polygons):
    expected = coco_mask.merge(coco_mask.frPyObjects([polygon], HEIGHT, WIDTH))
    assert coco_mask.encode(np.asfortranarray(mask))['counts'] == expected['counts']
  printed = capsys.readouterr().out
  assert '2 segmentations that cross the image border' in printed
  assert 'do not fit their masks' not in printed


def test_polygons_without_inner_brackets(case, capsys):
  for entry in case.content['annotations']:
    (entry['segmentation'],) = entry['segmentation']
  check_converted(case, capsys, finding='2 polygons written as one flat list')


def test_polygons_of_pairs_with_and_without_outer_brackets(case, capsys):
  first, second = case.content['annotations']
  first['segmentation'] = [[[5, 6], [25, 6], [25, 21], [5, 21]]]
  second['segmentation'] = [[30, 20], [40, 20], [40, 30], [30, 30]]
  check_converted(case, capsys, finding='2 segmentations with polygons written as [x, y] pairs')


def test_image_ids_are_text_in_the_annotations_alone(case, capsys):
  case.content['images'][0]['id'] = 0
  for entry in case.content['annotations']:
    entry['image_id'] = '0'
  assert case.save().command() == 0
  assert case.boxes(image_id=0) == [list(LARGE), list(SMALL)]
  finding = '2 numbers written as text (read): e.g. image_id of annotation 1'
  assert finding in capsys.readouterr().out


def write_stuff_map(case, image):
  folder = case.root / 'stuff'
  folder.mkdir()
  image.save(folder / 'a.png')
  return [f'--stuff_folder={folder}']


def check_stuff_map_is_refused(case, capsys, image, *messages):
  flags = write_stuff_map(case, image)
  assert case.save().command(*flags, semantic='stuff_maps') == 2
  error = capsys.readouterr().err
  for message in ('No stuff map in', *messages):
    assert message in error
  assert not list(case.output.glob('*.tfrecord'))


def test_a_stuff_map_of_0_and_255(case, capsys):
  labels = filled(LARGE) * 255
  check_stuff_map_is_refused(
    case, capsys, Image.fromarray(labels), '1 stuff maps with only 0 and 255', 'write 1 instead'
  )


def test_a_stuff_map_in_gray_of_4_bits(case, capsys):
  labels = (np.arange(HEIGHT * WIDTH) % 4).astype(np.uint8).reshape(HEIGHT, WIDTH)
  flags = write_stuff_map(case, Image.fromarray(labels))
  write_gray_png(case.root / 'stuff' / 'a.png', labels)
  assert case.save().command(*flags, semantic='stuff_maps') == 0
  np.testing.assert_array_equal(case.records(include_semantic=True)[1]['semantic'], labels)
  assert 'stuff maps' not in capsys.readouterr().out


def write_gray_png(path, labels):
  """Write a PNG of four bits, which Pillow cannot write: two labels a byte."""

  def chunk(kind, data):
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))

  header = struct.pack('>IIBBBBB', WIDTH, HEIGHT, 4, 0, 0, 0, 0)
  rows = b''.join(b'\0' + bytes(row[::2] * 16 + row[1::2]) for row in labels)
  path.write_bytes(
    b'\x89PNG\r\n\x1a\n'
    + chunk(b'IHDR', header)
    + chunk(b'IDAT', zlib.compress(rows))
    + chunk(b'IEND', b'')
  )


def test_a_stuff_map_in_color(case, capsys):
  image = Image.fromarray(np.zeros([HEIGHT, WIDTH, 3], np.uint8))
  check_stuff_map_is_refused(case, capsys, image, 'mode RGB', 'colored maps')


def test_a_stuff_map_of_another_size(case, capsys):
  image = Image.fromarray(np.zeros([24, 32], np.uint8))
  check_stuff_map_is_refused(case, capsys, image, '1 stuff maps', 'size 32x24')


def test_one_of_three_annotations_has_an_unknown_category(case, capsys):
  case.content['annotations'].append(annotation(3, 1, 7, (3, 30, 10, 10)))
  printed = check_converted(case, capsys)
  first, *rest = printed.splitlines()
  assert first.startswith('1 of 3 annotations dropped: 1 annotations with an unknown category id')
  assert any('e.g. annotation 3 of category 7' in line for line in rest)


def test_boxes_are_given_by_two_corners(case, capsys):
  first, second = case.content['annotations']
  first['bbox'], second['bbox'] = [5, 6, 25, 21], [30, 20, 40, 30]
  assert case.save().command() == 0
  finding = '2 boxes that fit their masks as x1, y1, x2, y2 (kept as x, y, width, height)'
  assert finding in capsys.readouterr().out


_BACK = {
  2: Image.Transpose.FLIP_LEFT_RIGHT,
  3: Image.Transpose.ROTATE_180,
  4: Image.Transpose.FLIP_TOP_BOTTOM,
  5: Image.Transpose.TRANSPOSE,
  6: Image.Transpose.ROTATE_90,
  7: Image.Transpose.TRANSVERSE,
  8: Image.Transpose.ROTATE_270,
}


def test_eight_exif_orientations_annotated_upright(case, capsys):
  box = (16, 12, 16, 12)
  scene = Image.fromarray(np.repeat(filled(box)[:, :, None] * 255, 3, axis=2))
  for orientation in range(1, 9):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = scene.transpose(_BACK[orientation]) if orientation > 1 else scene
    stored.save(case.images / f'o{orientation}.jpg', exif=exif, quality=95)
  case.content['images'] = [
    {'id': number, 'file_name': f'o{number}.jpg', 'width': WIDTH, 'height': HEIGHT}
    for number in range(1, 9)
  ]
  case.content['annotations'] = [annotation(number, number, 1, box) for number in range(1, 9)]
  assert case.save().command() == 0
  assert '7 images turned upright by their EXIF orientation' in capsys.readouterr().out
  records = case.records()
  assert sorted(records) == list(range(1, 9))
  for number in records:
    assert case.boxes(number) == [list(box)]
    np.testing.assert_array_equal(records[number]['image'].min(axis=2) > 128, filled(box) > 0)
