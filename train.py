"""Training and evaluation: `python train.py --experiment=... --mode=... --model_dir=...`."""

from htc_tf.cli import train

if __name__ == '__main__':
  train.run()
