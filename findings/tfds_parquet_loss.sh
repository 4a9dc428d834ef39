#!/usr/bin/env bash
# One would guess that a data set that TFDS has written as Parquet has all of
# its examples, or that writing it fails.
# In fact most are lost without a word: 3,000 examples become 700. The writer
# takes batches of 100 by itertools.islice(iterator, i, i + 100), which counts
# from where the iterator is and not from its start, so it skips 100, 200, 300,
# ... examples between one batch and the next. About 14 * sqrt(n) of n examples
# of a file are left, 3,400 of 60,000; of 100 or fewer all are, so a small test
# shows nothing. The metadata have the full number. as_data_source gives the
# rest as if it were all; as_dataset raises an error, but not before its end.
# In TFDS 4.9.5, the first release with file_format="parquet", as in 4.9.10.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq tensorflow-datasets==4.9.10 tensorflow==2.21.0
cd "$work"
TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES=-1 venv/bin/python - <<'PYTHON'
import contextlib
import sys

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds


class Numbers(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("1.0.0")
    COUNT = 0

    def _info(self):
        features = {"number": tfds.features.Scalar(np.int64)}
        return tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict(features)
        )

    def _split_generators(self, download_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for number in range(self.COUNT):
            yield number, {"number": number}


def write(count, file_format):
    Numbers.COUNT = count
    builder = Numbers(data_dir=f"{file_format}_{count}", file_format=file_format)
    with contextlib.redirect_stdout(sys.stderr):
        builder.download_and_prepare()
    return builder


def read(builder):
    source = builder.as_data_source("train")
    return len({int(example["number"]) for example in source})


tfds.disable_progress_bar()
seen = []
for count in (100, 1000, 3000):
    of_array_record = read(write(count, "array_record"))
    builder = write(count, "parquet")
    said = builder.info.splits["train"].num_examples
    seen.append((count, of_array_record, said, read(builder)))
try:
    error = f"no error, {len(list(builder.as_dataset('train')))} examples"
except tf.errors.FailedPreconditionError as raised:
    error = raised.message.partition("}} ")[2].partition(" [Op")[0]

print(f"tensorflow-datasets {tfds.__version__}, TensorFlow {tf.__version__}")
print("written  in array_record  in parquet: by its info  by as_data_source")
for row in seen:
    print("{:7d}  {:15d}  {:23d}  {:17d}".format(*row))
print(f"as_dataset of the last one: {error}")

expected = [(100, 100, 100, 100), (1000, 1000, 1000, 400), (3000, 3000, 3000, 700)]
if seen != expected or "contained only 700" not in error:
    sys.exit(f"The behavior is no longer as stated: {expected}")
PYTHON
