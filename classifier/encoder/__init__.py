"""The pretrained encoder: texts in, unit-length vectors out.

`load_encoder` finds, converts, checks and loads it; `Encoder.encode` runs it.
"""

from classifier.encoder.encode import Encoder
from classifier.encoder.errors import EncoderUnavailable
from classifier.encoder.load import load_encoder

__all__ = ["Encoder", "EncoderUnavailable", "load_encoder"]
