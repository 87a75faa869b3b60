"""Servers on this machine with TensorFlow Serving's two interfaces, for tests without its binary.

A SavedModel in this process answers. The interfaces are the service of tensorflow-serving-api and
the row format of TensorFlow Serving's JSON. The servers do no batching and have one version.
"""

import base64
import contextlib
import http.server
import json
import re
import threading
from concurrent import futures

import grpc
import tensorflow as tf
from tensorflow_serving.apis import prediction_service_pb2_grpc


class Model:
  """A SavedModel under a name; `requests` lists (signature, batch size) of every request."""

  def __init__(self, folder, name='htc', version=1):
    self.name, self.version = name, version
    self.requests = []
    self._loaded = tf.saved_model.load(folder)

  def matches(self, name, version=None):
    return name == self.name and version in (None, self.version)

  def input_dtype(self, signature):
    specs = self._loaded.signatures[signature].structured_input_signature[1]
    return {name: spec.dtype for name, spec in specs.items()}

  def run(self, signature, inputs):
    self.requests.append((signature, len(next(iter(inputs.values())))))
    return self._loaded.signatures[signature](**inputs)


class _Service(prediction_service_pb2_grpc.PredictionServiceServicer):
  def __init__(self, model):
    self._model = model

  def Predict(self, request, context):  # noqa: N802  The name is given by gRPC.
    from tensorflow_serving.apis import predict_pb2

    spec = request.model_spec
    version = spec.version.value if spec.HasField('version') else None
    if not self._model.matches(spec.name, version):
      context.abort(grpc.StatusCode.NOT_FOUND, f'Servable not found for request: {spec.name}')
    try:
      outputs = self._model.run(
        spec.signature_name or 'serving_default',
        {name: tf.constant(tf.make_ndarray(value)) for name, value in request.inputs.items()},
      )
    except tf.errors.OpError as error:
      context.abort(grpc.StatusCode.INVALID_ARGUMENT, error.message)
    response = predict_pb2.PredictResponse()
    for name, value in outputs.items():
      response.outputs[name].CopyFrom(tf.make_tensor_proto(value.numpy()))
    return response


@contextlib.contextmanager
def grpc_server(model):
  """A server of a model; yields its address, `grpc://...`."""
  server = grpc.server(futures.ThreadPoolExecutor(2))
  prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(_Service(model), server)
  port = server.add_insecure_port('127.0.0.1:0')
  server.start()
  try:
    yield f'grpc://127.0.0.1:{port}'
  finally:
    server.stop(grace=None).wait(10)


def _handler(model):
  class Handler(http.server.BaseHTTPRequestHandler):
    """Handler of POST /v1/models/NAME[/versions/N]:predict, in the row format."""

    def do_POST(self):
      request = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
      match = re.fullmatch(r'/v1/models/([^/:]+)(?:/versions/(\d+))?:predict', self.path)
      if not match or not model.matches(match[1], int(match[2]) if match[2] else None):
        return self._answer(404, {'error': f'Servable not found for request: {self.path}'})
      try:
        return self._answer(200, {'predictions': _predict(model, request)})
      except (KeyError, tf.errors.OpError) as error:
        return self._answer(400, {'error': str(error)})

    def _answer(self, code, content):
      body = json.dumps(content).encode()
      self.send_response(code)
      self.send_header('Content-Length', str(len(body)))
      self.end_headers()
      self.wfile.write(body)

    def log_message(self, *args):
      pass

  return Handler


def _predict(model, request):
  signature = request.get('signature_name', 'serving_default')
  ((name, dtype),) = model.input_dtype(signature).items()
  values = [_decode(row[name]) for row in request['instances']]
  outputs = model.run(signature, {name: tf.constant(values, dtype)})
  columns = {key: value.numpy().tolist() for key, value in outputs.items()}
  return [dict(zip(columns, row)) for row in zip(*columns.values())]


def _decode(value):
  return base64.b64decode(value['b64']) if isinstance(value, dict) else value


@contextlib.contextmanager
def rest_server(handler_or_model):
  """A server of a model, or of any HTTP handler; yields its address, `http://...`."""
  handler = _handler(handler_or_model) if isinstance(handler_or_model, Model) else handler_or_model
  server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler)
  thread = threading.Thread(target=server.serve_forever, daemon=True)
  thread.start()
  try:
    yield f'http://127.0.0.1:{server.server_port}'
  finally:
    server.shutdown()
    thread.join(10)
    server.server_close()
