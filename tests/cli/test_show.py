"""Tests of `htc-show` on records of small images."""

import json
import os
import re

import pytest
from official.core import exp_factory
from PIL import Image

from htc_tf import registry_imports  # noqa: F401
from htc_tf.checkpoints import model_directory
from htc_tf.cli import show
from htc_tf.visualization import draw
from tests.reports import html_pages, shown_records

_ODD = '<b>bold</b> & "quoted"'


@pytest.fixture(scope='module', name='data')
def _data(tmp_path_factory):
  """Records with two splits; the second category has an odd name."""
  folder = tmp_path_factory.mktemp('show')
  for prefix in ('train', 'val'):
    shown_records.write(folder, prefix, shown_records.rename('nut', _ODD), semantic='instances')
  return folder / 'records'


def _run(data, output, *flags):
  """The parsed page of a run that succeeds."""
  assert show.main([str(data), f'--output={output}', *flags]) == 0
  return html_pages.check_self_contained((output / 'index.html').read_text(encoding='utf-8'))


def test_pictures_and_page_are_written_beside_the_records(data, capsys, monkeypatch):
  texts = []
  original = draw.labels_lib.draw_labels

  def draw_labels(image, labels):
    texts.extend(label.texts[0] for label in labels)
    return original(image, labels)

  monkeypatch.setattr(draw.labels_lib, 'draw_labels', draw_labels)
  assert show.main([str(data)]) == 0
  names = ['index.html', 'train_records.png', 'val_records.png', 'train_training.png']
  paths = [str(data / 'show' / name) for name in names]
  assert capsys.readouterr().out.splitlines() == paths
  page = html_pages.check_self_contained((data / 'show' / 'index.html').read_text(encoding='utf-8'))
  text = page.text()
  assert set(texts) == {'nut', _ODD} and not page.all('b')
  for expected in (
    'Images: 4 in train, 4 in val. Objects of 2 classes.',
    'As training gets them: train',
    '1.png (id 1): 64 x 64; 1 nut, 1 ' + _ODD,
    '4.png (id 4): 64 x 64; no object',
    'augmentation flip',
    'horizontal = 0.5, vertical = 0.0',
    '2 classes have fewer than 5 objects in train: nut (3)',
    'images without any instance (kept)',
  ):
    assert expected in text, expected
  # What the data are comes before the pictures.
  assert page.texts_of('h2') == [
    'Classes',
    'Images',
    'Objects',
    'Findings of the conversion',
    'As stored: train',
    'As stored: val',
    'As training gets them: train',
  ]
  # Four records of both splits and four views of the four records, each with its semantic map,
  # and three charts.
  assert len(page.all('img')) == 2 * (2 * 4 + 4 * 4) + 3
  for path in paths[1:]:
    with Image.open(path) as image:
      assert image.width > 1900
  # Its own files are replaced.
  assert show.main([str(data), '--samples=1', '--views=1']) == 0


def test_the_same_seed_gives_the_same_files(data, tmp_path):
  contents = []
  for name, seed in (('a', 1), ('b', 1), ('c', 2)):
    _run(data, tmp_path / name, f'--seed={seed}', '--samples=1', '--split=train', '--views=1')
    contents.append((tmp_path / name / 'train_training.png').read_bytes())
  assert contents[0] == contents[1] != contents[2]
  pages = [(tmp_path / name / 'index.html').read_bytes() for name in 'ab']
  assert pages[0] == pages[1]


def test_named_images_of_one_split_are_shown(data, tmp_path):
  page = _run(data, tmp_path / 'out', '--split=val', '--images=3.png,1', '--views=1')
  assert sorted(os.listdir(tmp_path / 'out')) == [
    'index.html',
    'val_records.png',
    'val_training.png',
  ]
  headings = page.texts_of('h3')
  assert headings == ['val', 'val', '3.png (id 3)', '1.png (id 1)']


def test_images_of_named_classes_are_shown(data, tmp_path):
  page = _run(data, tmp_path / 'out', f'--classes={_ODD}', '--split=train', '--samples=3')
  captions = [text for text in page.texts_of('figcaption') if '64 x 64;' in text]
  assert captions == ['1.png (id 1): 64 x 64; 1 nut, 1 ' + _ODD]


def test_a_pattern_and_an_experiment_are_accepted(data, tmp_path):
  pattern = data / 'train-*.tfrecord'
  page = _run(pattern, tmp_path / 'out', '--experiment=htc_nuclei', '--samples=1', '--views=1')
  assert 'input pipeline of htc_nuclei' in page.text() and 'val' not in page.texts_of('h3')


def test_the_configuration_of_a_model_is_used(data, tmp_path, capsys):
  params = exp_factory.get_exp_config('htc_nano')
  params.override(
    {
      'task': {
        'model': {'num_classes': 3, 'semantic_head': {'num_classes': 3}},
        'train_data': {
          'input_path': str(data / 'train-*.tfrecord'),
          'parser': {'augmentation': {'flip': {'horizontal': 0.25}}},
        },
      }
    }
  )
  model = tmp_path / 'model'
  model.mkdir()
  model_directory.save_params(str(model), params)
  model_directory.save_dataset_info(str(model), shown_records.load_info(data))
  output = tmp_path / 'out'
  assert show.main([f'--model={model}', f'--output={output}', '--samples=1', '--views=1']) == 0
  text = html_pages.ParsedPage((output / 'index.html').read_text()).text()
  assert 'horizontal = 0.25' in text and str(model) in text
  assert 'next:' not in capsys.readouterr().err  # This model is trained already.


def test_records_with_boxes_only_of_an_earlier_version_are_shown(tmp_path):
  data = shown_records.write(tmp_path, include_masks=False)
  card = json.loads((data / 'train.json').read_text())
  del card['statistics']
  (data / 'train.json').write_text(json.dumps(card))
  page = _run(data, tmp_path / 'out', '--views=1', '--samples=1')
  assert 'are of an earlier version and have no statistics' in page.text()
  assert 'Boxes and names are those of the records.' in page.text()
  assert page.texts_of('dd')[-2:] == ['no', 'none']


def test_three_hundred_classes_are_shown(tmp_path):
  def change(content):
    content['categories'] += [{'id': 100 + index, 'name': f'class {index}'} for index in range(298)]

  data = shown_records.write(tmp_path, change=change)
  page = _run(data, tmp_path / 'out', '--views=1')
  assert page.texts_of('summary') == ['270 more classes']
  assert '298 classes have no object' in page.text() and 'class 297' in page.text()


@pytest.mark.parametrize(
  'flags, gpu, source, expected',
  [
    ([], False, 'htc_nano', '--size=nano'),
    ([], True, 'htc_small', '--size=small'),
    (['--size=small', '--image_size=64'], False, 'htc_small', '--size=small --image_size=64'),
    (['--experiment=htc_nuclei'], False, 'htc_nuclei', '--experiment=htc_nuclei'),
  ],
)
def test_the_pictures_are_those_of_the_training_that_is_named(
  data, tmp_path, capsys, monkeypatch, flags, gpu, source, expected
):
  monkeypatch.setattr(show.command, 'has_gpu', lambda: gpu)
  override = 'task.train_data.parser.augmentation.flip.horizontal=0.25'
  flags = [*flags, '--samples=1', '--views=1', f'--params_override={override}']
  text = _run(data, tmp_path / 'out', *flags).text()
  assert f'input pipeline of {source}' in text and 'horizontal = 0.25' in text
  assert capsys.readouterr().err.splitlines()[-1] == (
    f'next: htc-train --data={data} {expected} --params_override={override} --epochs=100 '
    '--model_dir=model'
  )


@pytest.mark.parametrize(
  'flags, message',
  [
    (['{missing}'], 'no such file'),
    (['{images}'], 'htc-create-coco-records'),
    (['{data}', '--split=test'], "no split 'test'.*'train', 'val'"),
    (['{data}', '--output=gs://bucket/x'], '--output'),
    (['{data}', '--images=1,77.png'], "'77.png'"),
    (['{data}', '--classes=nut,fig'], "'fig'"),
    (['{data}', '--samples=0'], '--samples is out of range'),
    (['{data}', '--samples=501'], '--samples is out of range'),
    (['{data}', '--views=0'], '--views is out of range'),
    (['{data}', '--seed=-1'], '--seed is out of range'),
    (['{data}', '--size=huge'], '--size is unknown'),
    (['{data}', '--experiment=htc_unknown'], 'experiment is unknown'),
    (['{data}', '--experiment=htc_nuclei', '--size=nano'], 'do not go together'),
    (['{data}', '--params_override=task.nothing=1'], 'nothing'),
    (['{data}', '--model={images}'], 'not a model directory'),
    ([], 'nothing to show'),
  ],
)
def test_wrong_arguments_are_one_line(data, tmp_path, capsys, flags, message):
  images = data.parent / 'source_train' / 'train_images'
  places = {'data': data, 'images': images, 'missing': tmp_path / 'missing'}
  arguments = [flag.format(**places) for flag in flags]
  if not any(flag.startswith('--output') for flag in arguments):
    arguments.append(f'--output={tmp_path / "out"}')
  assert show.main(arguments) == 2
  error = capsys.readouterr().err.splitlines()[-1]
  assert error.startswith('error: ')
  assert re.search(message, error), error
  assert not os.listdir(tmp_path)


def test_shards_that_are_missing_are_named(data, tmp_path, capsys):
  (tmp_path / 'train.json').write_bytes((data / 'train.json').read_bytes())
  assert show.main([str(tmp_path)]) == 2
  assert 'train-00000-of-00001.tfrecord' in capsys.readouterr().err
  assert os.listdir(tmp_path) == ['train.json']
