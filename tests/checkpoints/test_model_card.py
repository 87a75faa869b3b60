"""Tests of the card of a model."""

import dataclasses
import hashlib
import uuid

import pytest
import tensorflow as tf
from official.core import exp_factory

from htc_tf import file_systems
from htc_tf.checkpoints import model_card
from htc_tf.data.dataset_info import Category, DatasetInfo
from tests import tiny_records


@pytest.fixture(scope='module')
def info(tmp_path_factory):
  return DatasetInfo.find(tiny_records.write(tmp_path_factory.mktemp('records')))


@pytest.fixture(params=['local', 'remote'])
def folder(request, tmp_path):
  return str(tmp_path) if request.param == 'local' else f'ram://{uuid.uuid4()}/model'


def card(folder, info, **sections):
  """The text of the card of a checkpoint with one variable."""
  prefix = tf.train.Checkpoint(value=tf.Variable(1.0)).write(f'{folder}/ckpt-7')
  config = exp_factory.get_exp_config('htc_nano').task.model
  model_card.write(folder, 'A model', config, info, sections, prefix)
  return file_systems.read_bytes(f'{folder}/{model_card.CARD_FILE}').decode()


def test_the_hashes_are_those_of_the_files(folder, info):
  text = card(folder, info)
  for name in ('ckpt-7.index', 'ckpt-7.data-00000-of-00001'):
    content = file_systems.read_bytes(f'{folder}/{name}')
    digest = hashlib.sha256(content).hexdigest()
    assert f'- `{name}`: {len(content)} bytes, SHA-256 {digest}\n' in text


def test_the_classes_have_their_numbers_of_images_and_objects(tmp_path, info):
  # Classes with several objects in an image, so that the columns differ.
  more = tuple(3 * number + 1 for number in info.statistics.images_by_category)
  known = dataclasses.replace(info.statistics, instances_by_category=more)
  text = card(tmp_path, dataclasses.replace(info, statistics=known))
  for row in zip(
    info.category_ids, info.category_names, known.images_by_category, known.instances_by_category
  ):
    assert '| ' + ' | '.join(map(str, row)) + ' |' in text
  assert f'at most {known.max_objects} objects in an image' in text


def test_a_model_without_known_classes_has_a_card(tmp_path):
  text = card(tmp_path, None)
  assert text.startswith('# A model\n\n## Model\n') and '## Classes' not in text


def test_classes_of_data_without_statistics_have_no_numbers_and_no_limits(tmp_path, info):
  text = card(tmp_path, dataclasses.replace(info, statistics=None))
  assert '| id | name |\n' in text and '## Limits' not in text


def test_long_lists_of_classes_are_cut_with_a_word(tmp_path, info):
  many = tuple(Category(number, f'class {number}', number) for number in range(1, 131))
  text = card(tmp_path, dataclasses.replace(info, categories=many, statistics=None))
  assert '| 100 | class 100 |' in text and '| 101 |' not in text
  assert '30 more are in the metadata beside this file.' in text


def test_names_cannot_break_the_table_or_the_list(tmp_path, info):
  odd = (Category(1, 'a | b\nc', 1),)
  text = card(
    tmp_path, dataclasses.replace(info, categories=odd, statistics=None), Data={'source': 'x\n# y'}
  )
  assert '| 1 | a \\| b c |' in text
  assert '- source: x # y' in text


def test_a_section_without_rows_is_left_out(tmp_path, info):
  text = card(tmp_path, info, Empty={}, Full={'name': 'text'})
  assert '## Empty' not in text and '## Full\n\n- name: text\n' in text


@pytest.mark.parametrize(
  'stages,mask,semantic,expected',
  [
    (3, True, True, 'by a cascade, with boxes, masks, a semantic branch'),
    (2, True, False, 'by a cascade, with boxes, masks'),
    (1, False, False, 'by one stage, with boxes'),
  ],
)
def test_the_kind_names_the_branches(stages, mask, semantic, expected):
  config = exp_factory.get_exp_config('htc_nano').task.model
  config.cascade.stages = config.cascade.stages[:stages]
  config.include_mask, config.semantic_head.enabled = mask, semantic
  assert model_card._kind(config).endswith(expected)


def test_the_source_and_the_hash_of_the_data_are_named(info):
  rows = model_card.data_rows(info)
  assert rows['images'] == str(info.num_images)
  assert rows['hash of the conversion'] == info.fingerprint
