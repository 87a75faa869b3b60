"""Tests of prediction on files, which writes overlays and COCO JSON, and of its command."""

import json
import os

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from htc_tf.cli import predict
from htc_tf.data import images, mask_codec
from htc_tf.errors import InputError
from htc_tf.evaluation import ground_truth
from htc_tf.serving import detectors, predict_files
from htc_tf.serving.instances import Instances


@pytest.fixture(name='folder')
def _folder(tmp_path):
  folder = tmp_path / 'images'
  folder.mkdir()
  rng = np.random.default_rng(0)
  for name, mode in (('000000000139.png', 'RGB'), ('000000000285.jpg', 'L')):
    Image.fromarray(rng.integers(0, 256, (40, 60, 3), np.uint8)).convert(mode).save(folder / name)
  return folder


def _read(output):
  with ground_truth.silence():
    coco = COCO(os.path.join(output, 'images.json'))
    return coco, coco.loadRes(os.path.join(output, 'predictions.json'))


@pytest.mark.parametrize('kind', ['model_dir', 'saved_model'])
def test_command_writes_overlays_and_json(request, kind, folder, tmp_path):
  output = tmp_path / 'out'
  status = predict.main(
    [
      '--model',
      request.getfixturevalue(kind),
      '--output',
      str(output),
      '--score_threshold',
      '0',
      str(folder),
    ]
  )
  assert status == 0
  coco, results = _read(output)
  assert sorted(coco.imgs) == [139, 285]
  assert {category['name'] for category in coco.cats.values()} == {'cat', 'dog'}
  found = results.loadAnns(results.getAnnIds())
  assert found and {entry['category_id'] for entry in found} <= {7, 30}
  assert all(entry['segmentation']['size'] == [40, 60] for entry in found)
  for name in ('000000000139.png', '000000000285.png'):
    assert np.asarray(Image.open(output / name)).std() > 0


def test_unreadable_images_are_named_and_the_others_are_predicted(
  model_dir, folder, tmp_path, caplog
):
  (folder / 'empty.png').write_bytes(b'')
  (folder / 'text.jpg').write_text('no image')
  detector = detectors.load_detector(model_dir)
  paths = predict_files.list_images([str(folder)])
  failed = predict_files.predict_files(detector, paths, str(tmp_path / 'out'))
  assert [os.path.basename(path) for path in failed] == ['empty.png', 'text.jpg']
  coco, _ = _read(tmp_path / 'out')
  assert len(coco.imgs) == 2
  assert 'The file is empty' in caplog.text and 'text.jpg cannot be read' in caplog.text


def test_images_are_turned_upright(tmp_path):
  image = Image.fromarray(np.zeros((40, 60, 3), np.uint8))
  exif = image.getexif()
  exif[0x0112] = 6  # Rotated by 90 degrees.
  image.save(tmp_path / 'turned.jpg', exif=exif)
  assert predict_files.read_image(str(tmp_path / 'turned.jpg')).pixels().shape == (60, 40, 3)


# Python calls the superscript a digit, and cannot convert it to a number.
@pytest.mark.parametrize('name', ['street.png', '²³.png'])
def test_ids_are_counted_if_a_name_is_not_a_number(model_dir, folder, tmp_path, name):
  os.rename(folder / '000000000139.png', folder / name)
  detector = detectors.load_detector(model_dir)
  paths = predict_files.list_images([str(folder)])
  predict_files.predict_files(detector, paths, str(tmp_path))
  with open(tmp_path / 'images.json', encoding='utf-8') as file:
    assert [image['id'] for image in json.load(file)['images']] == [1, 2]


def test_a_missing_input_and_an_empty_folder_are_rejected(tmp_path):
  with pytest.raises(InputError, match='misspelled'):
    predict_files.list_images([str(tmp_path / 'nothing')])
  with pytest.raises(InputError, match='There are no images'):
    predict_files.list_images([str(tmp_path)])


@pytest.mark.parametrize(
  'threshold, batch_size, output, message',
  [
    (float('nan'), 1, 'out', 'from 0 to 1. Got: nan'),
    (30, 1, 'out', 'Got: 30.*a percentage'),
    (-0.1, 1, 'out', 'Got: -0.1'),
    (0.3, 0, 'out', 'batch size.*1 or more'),
    (0.3, 1, 'taken', 'Expected: a folder, new or existing. Got: a file'),
  ],
)
def test_options_out_of_range_are_rejected(tmp_path, threshold, batch_size, output, message):
  (tmp_path / 'taken').write_text('mine')
  detector = predict_files.Detector(lambda images: pytest.fail('detected'), [], [])
  with pytest.raises(InputError, match=message):
    predict_files.predict_files(detector, ['a.png'], str(tmp_path / output), threshold, batch_size)
  assert os.listdir(tmp_path) == ['taken']


def test_a_missing_model_is_one_clear_error(tmp_path, folder, capsys):
  status = predict.main(
    ['--model', str(tmp_path / 'none'), '--output', str(tmp_path / 'out'), str(folder)]
  )
  assert status == 2
  assert 'There is no checkpoint at' in capsys.readouterr().err
  assert not (tmp_path / 'out').exists()


def test_an_image_of_too_many_pixels_is_not_decoded(tmp_path):
  path = tmp_path / 'bomb.png'
  Image.new('1', (10_000, 10_000)).save(path)
  with pytest.raises(InputError, match=r'bomb.png.*too many pixels.*50000000.*10000x10000'):
    predict_files.read_image(str(path))


@pytest.mark.parametrize('save', [(), ('coco',), ('overlay', 'coco')])
def test_an_image_has_one_id_in_all_files_and_an_overlay_only_if_it_is_saved(tmp_path, save):
  for name in ('10.png', '7.png', '12.png'):
    Image.new('RGB', (4, 4)).save(tmp_path / name)
  (tmp_path / '8.png').write_text('no image')
  paths = [str(tmp_path / f'{number}.png') for number in (10, 8, 7, 12)]
  output = tmp_path / 'out'
  predict_files.predict_files(_STUB, paths, str(output), save=save)
  entries = {entry['file_name']: entry for entry in _entries(output)}
  assert {name: entry['id'] for name, entry in entries.items()} == {
    '10.png': 10,
    '7.png': 7,
    '12.png': 12,
  }
  assert all(('overlay' in entry) == ('overlay' in save) for entry in entries.values())
  if 'coco' in save:
    images = json.loads((output / 'annotations.json').read_text())['images']
    assert {entry['file_name']: entry['id'] for entry in images} == {
      name: entry['id'] for name, entry in entries.items()
    }


def test_a_file_that_is_no_image_has_a_message_that_is_the_same_in_each_run(tmp_path):
  (tmp_path / 'a.png').write_bytes(b'no image')
  with pytest.raises(InputError, match=r'Got: cannot identify image file\. Likely'):
    predict_files.read_image(str(tmp_path / 'a.png'))


def test_what_is_not_read_in_a_folder_is_counted(tmp_path, caplog):
  (tmp_path / 'nested').mkdir()
  for name in ('a.png', 'b.jfif', 'notes.txt', '.hidden'):
    (tmp_path / name).touch()
  assert predict_files.list_images([str(tmp_path)]) == [str(tmp_path / 'a.png')]
  assert f'3 of 4 entries of {tmp_path} are not read' in caplog.text
  with pytest.raises(InputError, match='a folder of folders, which are not searched'):
    predict_files.list_images([str(tmp_path / 'nested')])
  caplog.clear()
  predict_files.list_images([str(tmp_path / 'b.jfif')])
  assert not caplog.text


def _stub(images):
  """A detector of nothing, which needs no model."""
  none = Instances(np.zeros([0, 4], np.float32), np.zeros([0], int), np.zeros([0]), [])
  return [none] * len(images)


_STUB = predict_files.Detector(_stub, ['cat', 'dog'], [1, 2])


def _entries(output):
  with open(os.path.join(output, 'images.json'), encoding='utf-8') as file:
    return json.load(file)['images']


def test_files_that_cannot_be_opened_are_named_and_the_others_are_predicted(
  folder, tmp_path, caplog, monkeypatch
):
  (folder / 'broken_link.png').symlink_to(folder / 'nothing')
  (folder / 'loop.png').symlink_to(folder / 'loop.png')
  os.mkfifo(folder / 'pipe.png')
  (folder / 'folder.png').mkdir()
  for name in ('vanished.png', 'forbidden.png'):
    Image.new('RGB', (4, 4)).save(folder / name)
  paths = predict_files.list_images([str(folder)])
  (folder / 'vanished.png').unlink()
  read = images.read_image

  def read_unless_forbidden(path):
    if path.endswith('forbidden.png'):  # Permissions do not stop root, who may run the tests.
      raise PermissionError(13, 'Permission denied', path)
    return read(path)

  monkeypatch.setattr(images, 'read_image', read_unless_forbidden)
  failed = predict_files.predict_files(_STUB, paths, str(tmp_path / 'out'))
  names = ['broken_link.png', 'forbidden.png', 'loop.png', 'pipe.png', 'vanished.png']
  assert [os.path.basename(path) for path in failed] == names
  assert all(f'{name} cannot be' in caplog.text for name in names)
  assert len(_entries(tmp_path / 'out')) == 2


def test_a_broken_link_that_is_given_by_name_is_the_affair_of_that_file(folder, tmp_path):
  (folder / 'link.png').symlink_to(folder / 'nothing')
  paths = predict_files.list_images([str(folder / 'link.png'), str(folder / '000000000139.png')])
  assert len(predict_files.predict_files(_STUB, paths, str(tmp_path / 'out'))) == 1


@pytest.mark.parametrize('name', [b'caf\xe9.png', b'a:b.png', 'cafe\u0301.png'.encode()])
def test_unusual_names_lead_back_to_the_file(folder, tmp_path, name):
  path = os.path.join(os.fsencode(folder), name)
  os.rename(folder / '000000000139.png', path)
  failed = predict_files.predict_files(
    _STUB, predict_files.list_images([str(folder)]), str(tmp_path / 'out')
  )
  assert not failed
  (entry,) = [entry for entry in _entries(tmp_path / 'out') if '285' not in entry['file_name']]
  assert os.fsencode(entry['file_name']) == name
  assert (tmp_path / 'out' / entry['overlay']).exists()


def test_repeated_files_and_names_are_told_apart(folder, tmp_path, caplog):
  other = tmp_path / 'other'
  other.mkdir()
  Image.new('RGB', (4, 4)).save(other / '000000000139.png')
  inputs = [str(folder), str(folder / '000000000139.png'), str(other)]
  paths = predict_files.list_images(inputs)
  assert not predict_files.predict_files(_STUB, paths, str(tmp_path / 'out'))
  assert '000000000139.png is given more than once' in caplog.text
  entries = _entries(tmp_path / 'out')
  assert [entry['id'] for entry in entries] == [1, 2, 3]
  for entry in entries:
    with Image.open(tmp_path / entry['file_name']) as image:
      assert image.size == (entry['width'], entry['height'])
  assert len({entry['overlay'] for entry in entries}) == 3


@pytest.fixture(name='annotations')
def _annotations(folder, tmp_path):
  """A COCO file of the images in the folder, with other category ids than the model."""
  content = {
    'images': [
      {'id': 900 + index, 'file_name': name, 'height': 40, 'width': 60}
      for index, name in enumerate(sorted(os.listdir(folder)))
    ],
    'annotations': [],
    'categories': [{'id': 4, 'name': 'dog'}, {'id': 5, 'name': 'cat'}],
  }
  path = tmp_path / 'val.json'
  path.write_text(json.dumps(content), encoding='utf-8')
  return str(path)


def test_results_have_the_ids_of_the_annotations(model_dir, folder, tmp_path, annotations, caplog):
  Image.new('RGB', (50, 50)).save(folder / 'other.png')
  arguments = [f'--model={model_dir}', f'--output={tmp_path}/out', f'--annotations={annotations}']
  assert predict.main([*arguments, str(folder)]) == 1
  assert f'{folder}/other.png is left out' in caplog.text
  with ground_truth.silence():
    results = COCO(annotations).loadRes(str(tmp_path / 'out' / 'predictions.json'))
  found = results.loadAnns(results.getAnnIds())
  assert {entry['image_id'] for entry in found} == {900, 901}
  assert {entry['category_id'] for entry in found} <= {4, 5}
  assert [entry['id'] for entry in _entries(tmp_path / 'out')] == [900, 901]


def test_annotations_of_other_images_are_one_clear_error(folder, tmp_path, annotations):
  for path in folder.iterdir():
    path.rename(folder / f'x{path.name}')
  paths = predict_files.list_images([str(folder)])
  with pytest.raises(InputError, match='another split'):
    predict_files.predict_files(_STUB, paths, str(tmp_path / 'out'), annotations=annotations)
  assert not (tmp_path / 'out').exists()


_ALL = ('overlay', 'coco', 'labelme', 'masks', 'cutouts', 'csv')


def _one_cat(images):
  """A detector of a cat in the upper left corner."""
  found = []
  for image in images:
    mask = np.zeros(image.size, bool)
    mask[:2, :3] = True
    box, rles = np.array([[0, 0, 2, 3]], np.float32), [mask_codec.encode(mask)]
    found.append(Instances(box, np.array([1]), np.array([0.9], np.float32), rles))
  return found


_CAT = _STUB._replace(detect=_one_cat)


def test_all_outputs_and_a_line_about_them_are_written(folder, tmp_path):
  os.rename(folder / '000000000139.png', os.path.join(os.fsencode(folder), b'caf\xe9.png'))
  paths, lines = predict_files.list_images([str(folder)]), []
  output = tmp_path / 'out'
  assert not predict_files.predict_files(_CAT, paths, str(output), save=_ALL, log=lines.append)
  assert len(list(output.glob('*.png'))) == len(list((output / 'labelme').glob('*.json'))) == 2
  found = len(json.loads((output / 'predictions.json').read_text()))
  polygons = json.loads((output / 'annotations.json').read_text())
  table = (output / 'measurements.csv').read_bytes().splitlines()
  assert len(polygons['annotations']) == found == len(table) - 1
  assert [image['file_name'] for image in polygons['images']] == list(map(os.path.basename, paths))
  assert sum(line.startswith(b'caf\xe9.png,1,cat,0.9000,') for line in table) == 1
  assert len(list((output / 'cutouts').glob('*_001_cat.png'))) == 2
  (line,) = lines
  expected = f'2 images, 2 objects with a score of 0.3 or more (cat 2), 14 files in {output}'
  assert line == expected
  written = [path for path in output.rglob('*') if path.is_file()]
  assert len(written) == 14
  assert not list(output.glob('.*'))


def test_images_of_one_name_are_told_apart_in_every_output(tmp_path):
  paths = [tmp_path / name for name in ('first/a.png', 'second/a.png', 'second/a_classes.png')]
  for width, path in enumerate(paths, 5):
    path.parent.mkdir(exist_ok=True)
    Image.new('RGB', (width, 4)).save(path)
  output, lines = tmp_path / 'out', []
  predict_files.predict_files(_CAT, [*map(str, paths)], str(output), save=_ALL, log=lines.append)
  names = ['first/a.png', 'second/a.png', 'second/a_classes.png']
  for file in ('images.json', 'annotations.json'):
    images_in_file = json.loads((output / file).read_text())['images']
    assert [image['file_name'] for image in images_in_file] == names
  table = (output / 'measurements.csv').read_text().splitlines()
  assert [line.split(',')[0] for line in table[1:]] == names
  widths = sorted(np.asarray(Image.open(path)).shape[1] for path in output.glob('masks/*.png'))
  assert widths == [5, 5, 6, 6, 7, 7]
  assert ' 19 files in ' in lines[0] and len([p for p in output.rglob('*') if p.is_file()]) == 19


def test_an_unknown_output_is_refused_before_anything_is_written(folder, tmp_path):
  with pytest.raises(InputError, match='outputs of the prediction are wrong'):
    predict_files.predict_files(_STUB, [str(folder)], str(tmp_path / 'out'), save=['overlays'])
  assert not (tmp_path / 'out').exists()


def test_an_interruption_before_the_first_image_keeps_the_files_of_an_earlier_run(folder, tmp_path):
  def interrupted(images):
    raise KeyboardInterrupt

  paths, output = predict_files.list_images([str(folder)]), tmp_path / 'out'
  predict_files.predict_files(_CAT, paths, str(output), save=_ALL)
  before = {path: path.read_bytes() for path in output.rglob('*') if path.is_file()}
  with pytest.raises(KeyboardInterrupt):
    predict_files.predict_files(
      _CAT._replace(detect=interrupted), paths, str(output), 0.0, save=_ALL
    )
  assert {path: path.read_bytes() for path in output.rglob('*') if path.is_file()} == before


def test_an_interruption_keeps_what_is_done_in_every_output(folder, tmp_path):
  def interrupted(images):
    if '285' in images[0].path:
      raise KeyboardInterrupt
    return _one_cat(images)

  detector = _STUB._replace(detect=interrupted)
  paths = predict_files.list_images([str(folder)])
  with pytest.raises(KeyboardInterrupt):
    predict_files.predict_files(detector, paths, str(tmp_path / 'out'), 0.0, save=_ALL)
  polygons = json.loads((tmp_path / 'out' / 'annotations.json').read_text())
  assert [image['file_name'] for image in polygons['images']] == ['000000000139.png']
  assert len(polygons['annotations']) == 1
  assert len((tmp_path / 'out' / 'measurements.csv').read_text().splitlines()) == 2
  assert not list((tmp_path / 'out').glob('.*'))


@pytest.mark.parametrize('num_pages', [1, 3])
def test_a_file_of_several_pages_is_named_in_the_log(tmp_path, caplog, num_pages):
  pages = [Image.new('RGB', (60, 40), (index * 9, 0, 0)) for index in range(num_pages)]
  path = tmp_path / 'stack.tif'
  pages[0].save(path, save_all=True, append_images=pages[1:])
  assert predict_files.read_image(str(path)).size == (40, 60)
  assert ('stack.tif has several pages or frames' in caplog.text) == (num_pages > 1)


@pytest.mark.parametrize('largest, told', [(0, False), (100, True), (4095, True), (65535, False)])
def test_samples_of_few_bits_in_a_file_of_16_are_told(tmp_path, caplog, largest, told):
  path = tmp_path / 'camera.png'
  values = np.linspace(0, largest, 2400).reshape(40, 60).astype(np.uint16)
  Image.fromarray(values).save(path)
  predict_files.read_image(str(path))
  assert ('camera.png is nearly black: its largest value is ' in caplog.text) == told
