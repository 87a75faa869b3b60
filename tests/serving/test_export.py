"""The SavedModel in a process that knows neither htc_tf nor Keras."""

import json
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tensorflow as tf

from htc_tf.errors import InputError
from htc_tf.serving import export

_CLIENT = textwrap.dedent('''
    import importlib.abc, sys
    import numpy as np

    class Refuse(importlib.abc.MetaPathFinder):
      def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in ('htc_tf', 'official', 'tf_keras'):
          raise ImportError('not here: ' + name)

    sys.meta_path.insert(0, Refuse())
    import tensorflow as tf
    folder, pictures, answers = sys.argv[1:]
    model = tf.saved_model.load(folder)
    pictures = np.load(pictures)['pictures']
    by_tensor = model.signatures['serving_default'](inputs=tf.constant(pictures))
    encoded = tf.stack([tf.io.encode_png(picture) for picture in pictures])
    by_bytes = model.signatures['image_bytes'](inputs=encoded)
    np.savez(answers, **{'tensor_' + key: value for key, value in by_tensor.items()},
             **{'bytes_' + key: value for key, value in by_bytes.items()})
''')


def test_answers_like_predict_where_htc_tf_cannot_be_imported(predictor, saved_model, tmp_path):
  pictures = np.random.default_rng(0).integers(0, 256, (2, 40, 60, 3), np.uint8)
  np.savez(tmp_path / 'pictures.npz', pictures=pictures)
  subprocess.run([sys.executable, '-c', _CLIENT, saved_model, str(tmp_path / 'pictures.npz'),
                  str(tmp_path / 'answers.npz')], check=True, cwd=tmp_path)
  answers = np.load(tmp_path / 'answers.npz')
  expected = predictor.predict(pictures, verbose=0)
  for key, value in expected.items():
    np.testing.assert_allclose(answers[f'tensor_{key}'], value, atol=1e-4)
    np.testing.assert_allclose(answers[f'bytes_{key}'], value, atol=1e-4)


def test_writes_categories(saved_model):
  with open(os.path.join(saved_model, 'categories.json'), encoding='utf-8') as file:
    assert json.load(file) == {'1': {'id': 7, 'name': 'cat'}, '2': {'id': 30, 'name': 'dog'}}


def test_signatures(saved_model):
  signatures = tf.saved_model.load(saved_model).signatures
  inputs = signatures['serving_default'].structured_input_signature[1]['inputs']
  assert (inputs.dtype, inputs.shape.as_list()) == (tf.uint8, [None, None, None, 3])
  encoded = signatures['image_bytes'].structured_input_signature[1]['inputs']
  assert (encoded.dtype, encoded.shape.as_list()) == (tf.string, [None])


def test_refuses_a_folder_with_files(predictor, tmp_path):
  (tmp_path / 'kept').write_text('mine')
  with pytest.raises(InputError, match='new folder'):
    export.export_saved_model(predictor, str(tmp_path))
  assert (tmp_path / 'kept').read_text() == 'mine'


def test_a_failed_export_leaves_nothing(predictor, tmp_path, monkeypatch):
  def fail(*args):
    raise OSError('disk full')
  monkeypatch.setattr(export, '_write_categories', fail)
  with pytest.raises(OSError, match='disk full'):
    export.export_saved_model(predictor, str(tmp_path / '1'))
  assert not os.listdir(tmp_path)
