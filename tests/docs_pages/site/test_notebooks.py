"""Tests of notebooks as pages."""

import base64
import json

from docs_pages.site import notebooks


def code(source, *outputs):
  return {'cell_type': 'code', 'source': source, 'outputs': list(outputs)}


def page(*cells):
  return notebooks.page(json.dumps({'cells': list(cells)}), 'steps')


def test_text_and_code_stand_in_their_order():
  markdown, pictures = page(
    {'cell_type': 'markdown', 'source': ['# Steps\n', 'A [link](../README.md).']},
    code(['a = 1\n', 'b = 2']),
    code('  \n'),
  )
  assert markdown == '# Steps\nA [link](../README.md).\n\n~~~~~~ python\na = 1\nb = 2\n~~~~~~\n'
  assert pictures == {}


def test_outputs_follow_their_code():
  picture = {'image/png': base64.b64encode(b'png').decode(), 'text/plain': '<Figure>'}
  table = '<div><style scoped>a {}</style><table border="1" class="dataframe"></table></div>'
  markdown, pictures = page(
    code(
      'run()',
      {'output_type': 'stream', 'name': 'stdout', 'text': ['one\n', '\x1b[31mtwo\x1b[0m\n']},
      {'output_type': 'display_data', 'data': picture},
      {'output_type': 'execute_result', 'data': {'text/html': [table], 'text/plain': 'a'}},
      {'output_type': 'execute_result', 'data': {'text/plain': ['3']}},
      {'output_type': 'error', 'ename': 'E', 'evalue': '', 'traceback': ['a', 'E']},
    ),
    code('draw()', {'output_type': 'display_data', 'data': {'image/jpeg': ['anBn']}}),
  )
  assert pictures == {'steps_0.png': b'png', 'steps_1.jpg': b'jpg'}
  assert markdown.split('\n\n') == [
    '~~~~~~ python\nrun()\n~~~~~~',
    '~~~~~~ text\none\ntwo\n~~~~~~',
    '![Output of the code above](steps_0.png)',
    '<div><table></table></div>',
    '~~~~~~ text\n3\n~~~~~~',
    '~~~~~~ text\na\nE\n~~~~~~',
    '~~~~~~ python\ndraw()\n~~~~~~',
    '![Output of the code above](steps_1.jpg)\n',
  ]


def test_links_to_notebooks_lead_to_their_pages():
  text = '[a](notebooks/a.ipynb) [b](../notebooks/b.ipynb#end) `c.ipynb` [d](https://d.org/d.ipynb)'
  assert notebooks.linked(text) == (
    '[a](notebooks/a.md) [b](../notebooks/b.md#end) `c.ipynb` [d](https://d.org/d.ipynb)'
  )
