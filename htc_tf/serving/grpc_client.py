"""The gRPC client of TensorFlow Serving."""

from collections.abc import Sequence

import grpc
import numpy as np
import tensorflow as tf

from htc_tf.errors import ServingError, missing_package, stated_text
from htc_tf.serving.target import INPUT, SIGNATURE, Connection, Target

try:
  from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc
except ImportError as failure:
  raise missing_package(
    'The gRPC client cannot be used; the one of http:// can',
    'tensorflow-serving-api',
    'serving',
    failure,
  ) from failure

# Pasted masks are larger than the 4 MB that gRPC allows by default.
_UNLIMITED = [('grpc.max_receive_message_length', -1), ('grpc.max_send_message_length', -1)]


def connect(target: Target, address: str) -> Connection:
  """The connection to a server, which sends nothing before its first call.

  Args:
    target: model on the server.
    address: host and port of the server.
  """
  channel = grpc.insecure_channel(address, options=_UNLIMITED)
  stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

  def call(images: Sequence[bytes]) -> dict[str, np.ndarray]:
    try:
      response = stub.Predict(build_request(target, images), timeout=target.timeout)
    except grpc.RpcError as error:
      raise ServingError(
        f'{target.server} returned no detections',
        expected=f'an answer of model {target.model} within {target.timeout:g} s',
        got=f'{error.code().name}: {stated_text(error.details() or "") or error.details()}',
        likely_cause='no server at this address, or a server that is still loading (UNAVAILABLE), '
        'a wrong model name or version (NOT_FOUND), or too short a timeout',
      ) from error
    return {name: tf.make_ndarray(value) for name, value in response.outputs.items()}

  return Connection(target, call, channel.close)


def build_request(target: Target, images: Sequence[bytes]) -> predict_pb2.PredictRequest:
  """The request for detections in encoded images."""
  request = predict_pb2.PredictRequest()
  request.model_spec.name = target.model
  request.model_spec.signature_name = SIGNATURE
  if target.version is not None:
    request.model_spec.version.value = target.version
  request.inputs[INPUT].CopyFrom(
    tf.make_tensor_proto(list(images), dtype=tf.string, shape=[len(images)])
  )
  return request
