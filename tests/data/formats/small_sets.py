"""Small annotated data sets in each format, written by the tests: two pictures, cats and dogs.

Picture a (24x32) has a cat at rows 4-11, columns 6-15, and a dog at rows 14-19, columns 18-27.
Picture b (20x20) has a cat at rows 2-9, columns 3-12.
"""

import base64
import io
import json

import numpy as np
from PIL import Image

SIZES_HW = {'a': (24, 32), 'b': (20, 20)}
# Picture, class, top, left, bottom, right; the last ones are not included.
OBJECTS = (('a', 'cat', 4, 6, 12, 16), ('a', 'dog', 14, 18, 20, 28), ('b', 'cat', 2, 3, 10, 13))


def mask(item):
  bitmap = np.zeros(SIZES_HW[item[0]], np.uint8)
  bitmap[item[2] : item[4], item[3] : item[5]] = 1
  return bitmap


def write_images(folder, suffix='.png'):
  folder.mkdir(parents=True, exist_ok=True)
  for name, size in SIZES_HW.items():
    Image.fromarray(np.full([*size, 3], 90, np.uint8)).save(folder / (name + suffix))


def write_json(path, content):
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(json.dumps(content), encoding='utf-8')


def write_text(path, text):
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(text, encoding='utf-8')


def write_map(path, array, palette=None):
  path.parent.mkdir(parents=True, exist_ok=True)
  image = Image.fromarray(array)
  if palette:
    image = Image.fromarray(array, 'P')
    image.putpalette(palette)
  image.save(path)


def corners(item):
  _, _, top, left, bottom, right = item
  return [[left, top], [right, top], [right, bottom], [left, bottom]]


def of_picture(name):
  return [item for item in OBJECTS if item[0] == name]


def png(bitmap):
  buffer = io.BytesIO()
  Image.fromarray(bitmap).save(buffer, 'PNG')
  return base64.b64encode(buffer.getvalue()).decode()


def labelme(root):
  write_images(root)
  for name, size in SIZES_HW.items():
    shapes = [
      {'label': item[1], 'points': corners(item), 'group_id': None, 'shape_type': 'polygon'}
      for item in of_picture(name)
    ]
    content = {
      'version': '5.2.1',
      'shapes': shapes,
      'imagePath': f'C:\\photos\\{name}.png',
      'imageData': None,
      'imageHeight': size[0],
      'imageWidth': size[1],
    }
    write_json(root / f'{name}.json', content)
  return root


def via(root):
  write_images(root / 'images')
  entries = {}
  for name in SIZES_HW:
    regions = [
      {
        'shape_attributes': {
          'name': 'polygon',
          'all_points_x': [x for x, _ in corners(item)],
          'all_points_y': [y for _, y in corners(item)],
        },
        'region_attributes': {'difficult': 'no', 'label': item[1]},
      }
      for item in of_picture(name)
    ]
    entries[f'{name}.png12'] = {'filename': f'{name}.png', 'size': 12, 'regions': regions}
  write_json(root / 'project.json', {'_via_settings': {}, '_via_img_metadata': entries})
  return root / 'project.json'


def cvat(root):
  write_images(root / 'images')
  pictures = []
  for name, size in SIZES_HW.items():
    polygons = ''.join(
      f'<polygon label="{item[1]}" points="{";".join(f"{x}.0,{y}.0" for x, y in corners(item))}"/>'
      for item in of_picture(name)
    )
    pictures.append(
      f'<image id="1" name="{name}.png" width="{size[1]}" height="{size[0]}">{polygons}</image>'
    )
  labels = ''.join(f'<label><name>{name}</name></label>' for name in ('cat', 'dog'))
  meta = f'<meta><task><labels>{labels}</labels></task></meta>'
  write_text(root / 'annotations.xml', f'<annotations>{meta}{"".join(pictures)}</annotations>')
  return root


def yolo(root):
  write_images(root / 'images' / 'train')
  for name, (height, width) in SIZES_HW.items():
    lines = [
      f'{["cat", "dog"].index(item[1])} '
      + ' '.join(f'{x / width} {y / height}' for x, y in corners(item))
      for item in of_picture(name)
    ]
    write_text(root / 'labels' / 'train' / f'{name}.txt', '\n'.join(lines))
  write_text(root / 'data.yaml', 'names: {0: cat, 1: dog}\ntrain: images/train\n')
  return root


def labelme3(root):
  write_images(root)
  for name, (height, width) in SIZES_HW.items():
    objects = ''.join(
      f'<object><name>{item[1]}</name><deleted>0</deleted><polygon>'
      + ''.join(f'<pt><x>{x}</x><y>{y}</y></pt>' for x, y in corners(item))
      + '</polygon></object>'
      for item in of_picture(name)
    )
    size = f'<imagesize><nrows>{height}</nrows><ncols>{width}</ncols></imagesize>'
    text = f'<annotation><filename>{name}.png</filename>{size}{objects}</annotation>'
    write_text(root / f'{name}.xml', text)
  return root


def voc(root):
  """Maps with the palette of VOC; cat is 8 and dog 12, and a border of 255 is around objects."""
  write_images(root / 'JPEGImages', '.jpg')
  palette = [0] * 768
  for index in range(256):
    for bit in range(8):
      for channel in range(3):
        palette[3 * index + channel] |= ((index >> (3 * bit + channel)) & 1) << (7 - bit)
  for name, size in SIZES_HW.items():
    objects, classes = np.zeros(size, np.uint8), np.zeros(size, np.uint8)
    for number, item in enumerate(of_picture(name), 1):
      _, label, top, left, bottom, right = item
      for array in (objects, classes):
        array[top - 1 : bottom + 1, left - 1 : right + 1] = 255
      objects[top:bottom, left:right] = number
      classes[top:bottom, left:right] = {'cat': 8, 'dog': 12}[label]
    write_map(root / 'SegmentationObject' / f'{name}.png', objects, palette)
    write_map(root / 'SegmentationClass' / f'{name}.png', classes, palette)
  return root


def masks(root):
  """A map of 16 bits a picture and class."""
  write_images(root / 'images')
  for label in ('cat', 'dog'):
    for name, size in SIZES_HW.items():
      numbers = np.zeros(size, np.uint16)
      for number, item in enumerate(of_picture(name), 300):
        numbers[mask(item) > 0] = number * (item[1] == label)
      write_map(root / 'masks' / label / f'{name}.png', numbers)
  return root


def science_bowl(root):
  """A file an object, in two folders a picture; all objects are of one class."""
  for name, size in SIZES_HW.items():
    (root / f'{name}0c').mkdir(parents=True)
    (root / f'{name}0c' / 'images').mkdir()
    Image.fromarray(np.full([*size, 3], 90, np.uint8)).save(
      root / f'{name}0c' / 'images' / f'{name}0c.png'
    )
    for number, item in enumerate(of_picture(name)):
      write_map(root / f'{name}0c' / 'masks' / f'f{number}e.png', mask(item) * 255)
  return root


def cityscapes(root):
  """Car and person in place of cat and dog, on a road."""
  for name, (height, width) in SIZES_HW.items():
    folder = root / 'leftImg8bit' / 'train' / 'ulm'
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full([height, width, 3], 90, np.uint8)).save(
      folder / f'{name}_leftImg8bit.png'
    )
    road = [[0, 0], [width, 0], [width, height], [0, height]]
    objects = [{'label': 'road', 'polygon': road}]
    for item in of_picture(name):
      # The last row and column belong to polygons of Cityscapes.
      _, label, top, left, bottom, right = item
      points = [[left, top], [right - 1, top], [right - 1, bottom - 1], [left, bottom - 1]]
      objects.append({'label': {'cat': 'person', 'dog': 'car'}[label], 'polygon': points})
    write_json(
      root / 'gtFine' / 'train' / 'ulm' / f'{name}_gtFine_polygons.json',
      {'imgHeight': height, 'imgWidth': width, 'objects': objects},
    )
  return root / 'gtFine'


def panoptic(root):
  """Cats and dogs, a stuff region of grass (id 5) in the rest, and a column of nothing."""
  write_images(root / 'images')
  annotations = []
  for image_id, (name, size) in enumerate(SIZES_HW.items(), 1):
    numbers = np.full(size, 70_000, np.int64)
    segments = [{'id': 70_000, 'category_id': 5, 'iscrowd': 0}]
    for number, item in enumerate(of_picture(name), 257):
      numbers[mask(item) > 0] = number
      segments.append({'id': number, 'category_id': {'cat': 2, 'dog': 9}[item[1]], 'iscrowd': 0})
    numbers[:, 0] = 0
    colors = np.stack([numbers % 256, numbers // 256 % 256, numbers // 65536], -1)
    write_map(root / 'val' / f'{name}.png', colors.astype(np.uint8))
    annotations.append(
      {'image_id': image_id, 'file_name': f'{name}.png', 'segments_info': segments}
    )
  content = {
    'images': [
      {'id': image_id, 'file_name': f'{name}.png', 'height': size[0], 'width': size[1]}
      for image_id, (name, size) in enumerate(SIZES_HW.items(), 1)
    ],
    'annotations': annotations,
    'categories': [
      {'id': 2, 'name': 'cat', 'isthing': 1},
      {'id': 5, 'name': 'grass', 'isthing': 0},
      {'id': 9, 'name': 'dog', 'isthing': 1},
    ],
  }
  write_json(root / 'panoptic.json', content)
  return root / 'panoptic.json'


FORMATS = {
  'labelme': labelme,
  'via': via,
  'cvat': cvat,
  'yolo': yolo,
  'labelme3': labelme3,
  'voc': voc,
  'masks': masks,
  'cityscapes': cityscapes,
  'panoptic': panoptic,
}
