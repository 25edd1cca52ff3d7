"""An extractor's file is read again only when it has changed."""

from ltgans_tf.evaluation import evaluator_settings, extractor_network, extractors, features


def _extractor(seed):
    network, _ = extractor_network.build((8, 8, 3), 2, seed, False)
    return features.Extractor(network, [(0, None), (1, None)], {"domains": ["a", "b"]})


def test_rows_share_the_extractor_of_a_file_until_it_changes(tmp_path):
    path = tmp_path / "eval" / "extractor.npz"
    first, other = _extractor(0), _extractor(1)
    first.save(str(path))
    made = extractors.Extractors(evaluator_settings.EvaluatorSettings(), None, None, lambda text: None)
    loaded = made.prepare(None, str(tmp_path))
    assert loaded.sha256 == first.sha256 and made.prepare(None, str(tmp_path)) is loaded
    other.save(str(path))
    assert made.prepare(None, str(tmp_path)).sha256 == other.sha256
