"""Tests of the page with the docstrings of the public API."""

import pathlib

from docs_pages.site import reference
from tests.test_docs import public_names, resolve

_API = (pathlib.Path(__file__).parents[3] / 'docs' / 'api.md').read_text(encoding='utf-8')


def test_the_page_has_every_public_name_below_its_section():
  page = reference.page(_API)
  assert reference.names(_API) == public_names()
  assert page.count('\n::: ') == len(public_names())
  prediction, data = page.split('\n## ')[1:3]
  assert prediction.startswith('Prediction\n') and 'DetectedImage\n' in prediction
  assert data.startswith('Data\n') and '::: htc_tf.data.split.Division\n' in data
  assert '## Commands' not in page and '## Files' not in page


def test_a_name_that_is_imported_late_is_read_where_it_is_defined():
  page = reference.page('## Prediction\n\n| `htc_tf.load_model` | load |\n')
  (defined,) = reference._DEFINED.values()
  assert resolve(defined) is resolve('htc_tf.load_model')
  assert f'::: {defined}\n    options:\n      heading: htc_tf.load_model\n' in page


def test_only_public_names_lead_to_the_page():
  html = '<td><code>htc_tf.a.B</code> <code>htc_tf.a.C</code></td>'
  assert reference.linked(html, ['htc_tf.a.B'], 'r.html') == (
    '<td><a href="r.html#htc_tf.a.B"><code>htc_tf.a.B</code></a> <code>htc_tf.a.C</code></td>'
  )
