"""Tests of what the detector of an export refuses before it is loaded."""

import pytest

from htc_tf.errors import InputError
from htc_tf.serving import detectors


@pytest.mark.parametrize(
  'options',
  [
    {'params_override': ['task.model.detection_generator.max_detections=3']},
    {'params_override': 'task.model.detection_generator.max_detections=3'},
    {'experiment': 'htc_nuclei'},
  ],
)
def test_a_configuration_cannot_be_given_to_an_export(tmp_path, options):
  """Its graph was made at export, so that these options would have no effect."""
  (tmp_path / 'saved_model.pb').touch()
  with pytest.raises(InputError, match=f'without these options.*--{next(iter(options))}'):
    detectors.load_detector(str(tmp_path), **options)
