"""Package metadata; `requirements.txt` holds the exact versions tested together."""

import pathlib
import re

import setuptools

_HERE = pathlib.Path(__file__).parent
_VERSION = re.search(r"__version__ = '(.+)'", (_HERE / 'htc_tf' / '__init__.py').read_text())[1]

setuptools.setup(
    name='htc_tf',
    version=_VERSION,
    description='Hybrid Task Cascade for instance segmentation, in TensorFlow Model Garden',
    long_description=(_HERE / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    python_requires='>=3.11,<3.12',
    packages=setuptools.find_packages(include=['htc_tf', 'htc_tf.*']),
    package_data={'htc_tf.data': ['nuclei/*']},
    install_requires=[
        'absl-py', 'matplotlib', 'numpy', 'opencv-python-headless', 'pillow', 'pycocotools>=2.0.8',
        'tensorflow>=2.20,<2.21', 'tf-keras>=2.20,<2.21', 'tf-models-official>=2.20,<2.21', 'tqdm',
    ],
    # The gRPC client and the warm-up requests; all else does without.
    extras_require={'serving': ['grpcio', 'tensorflow-serving-api>=2.20,<2.21']},
    entry_points={'console_scripts': [
        'htc-convert=htc_tf.cli.convert:main',
        'htc-create-coco-records=htc_tf.cli.create_coco_records:main',
        'htc-train=htc_tf.cli.train:run',
        'htc-predict=htc_tf.cli.predict:main',
        'htc-export=htc_tf.cli.export:main',
        'htc-lower=htc_tf.cli.lower:main',
        'htc-client=htc_tf.cli.client:main',
    ]},
)
