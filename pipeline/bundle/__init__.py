"""The bundle: the part of a run that predicts, saved and loaded without pickle where that can be.

A folder with ``bundle.json`` (format, classes, base, SHA-256 of the payload; where a head is judged
so, ``test_views``, the views that are averaged, and ``threshold``, the lowest probability that is
answered) and one payload:

    network.npz   linear and dense heads: kernel_0, bias_0, kernel_1, … float32
    head.skops    other scikit-learn heads, read with an explicit list of admitted types
    head.joblib   estimators that skops cannot hold or that come from elsewhere; reading one can run
                  any code, so it is done only for whom trusts the bundle
    model.keras   a fine-tuned model: RGB 0–255 in, class probabilities out
"""

from pipeline.bundle.folder import Bundle, load_bundle, save_head, save_model

__all__ = ["Bundle", "load_bundle", "save_head", "save_model"]
