"""ClipCap has the tensors of the published checkpoints, and captions as the authors' code does."""

import numpy as np
import pytest
import torch
from support.fill import fill, image, values
from support.golden import assert_golden, facts, parameters, shapes
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from promptmix.networks.build import build
from promptmix.networks.checkpoints import load_weights, save_weights

GPT = {"vocab_size": 61, "n_positions": 48, "n_embd": 32, "n_layer": 2, "n_head": 4}
BEAM = "beam (size 5, best first)"


def small(mapping):
    return build("clipcap", prefix_length=4, clip_length=3, prefix_size=24, num_layers=2, mapping=mapping, gpt=GPT)


@pytest.fixture(scope="module", params=["mlp", "transformer"])
def golden(request):
    """The small model of the golden run, filled by the formula, and the facts about it."""
    expected = facts(f"clipcap_{request.param}")
    network = small(request.param)
    assert shapes(network) == expected["golden model"]["state_dict"]
    return fill(network, expected["golden"][0]["gain"]), expected["golden"][0]


@pytest.fixture(params=[torch.float32, torch.float64], ids=["float32", "float64"])
def features(request, golden):
    golden[0].to(request.param)
    return torch.from_numpy(values("features", (2, 24)).astype(np.float32)).to(request.param)


@pytest.mark.parametrize("mapping", ["mlp", "transformer"])
def test_keys_shapes_and_parameters_are_the_published_ones(mapping):
    expected = facts(f"clipcap_{mapping}")
    with torch.device("meta"):
        network = build("clipcap", mapping=mapping)
    assert list(shapes(network).items()) == list(expected["state_dict"].items())
    assert parameters(network) == expected["parameters"]
    for part, count in expected["parameters by part"].items():
        assert parameters(network.get_submodule(part)) == count


def test_the_published_transformer_checkpoint_has_prefixes_of_40():
    expected = facts("clipcap_transformer")["published checkpoint"]
    with torch.device("meta"):
        network = build("clipcap", prefix_length=40, clip_length=40, prefix_size=640, mapping="transformer")
    assert expected["shapes that differ"].items() <= shapes(network).items()
    for part, count in expected["parameters"].items():
        assert parameters(network.get_submodule(part)) == count


def test_prefix_and_logits_are_the_authors(golden, features):
    network, run = golden
    tokens, mask = torch.tensor(run["input"]["tokens"]), torch.tensor(run["input"]["mask"])
    with torch.no_grad():
        assert_golden(network.clip_project(features), run["outputs"]["prefix"])
        assert_golden(network(tokens, features, mask).logits, run["outputs"]["logits"])


def test_greedy_captions_are_the_authors(golden, features):
    network, run = golden
    with torch.no_grad():
        prefix = network.clip_project(features)
    for entry in run["decoding"]:
        row, stop, length = entry["features row"], entry["stop token"], entry["entry length"]
        assert network.greedy(prefix, stop, max_tokens=length)[row] == entry["greedy"]
        assert network.greedy(prefix[row : row + 1], stop, max_tokens=length) == [entry["greedy"]]


def test_beam_captions_are_the_authors(golden, features):
    network, run = golden
    with torch.no_grad():
        prefix = network.clip_project(features)
    for entry in run["decoding"]:
        row, stop, length = entry["features row"], entry["stop token"], entry["entry length"]
        assert network.beam(prefix, stop, max_tokens=length)[row] == entry[BEAM]
        assert network.beam(prefix[row : row + 1], stop, max_tokens=length) == [entry[BEAM]]


def test_beams_of_one_are_greedy(golden, features):
    network, _ = golden
    with torch.no_grad():
        prefix = network.clip_project(features)
    for stop in (9, 13, 23):
        assert network.beam(prefix, stop, max_tokens=20, beams=1) == [[c] for c in network.greedy(prefix, stop, 20)]


def test_a_caption_that_stops_at_once_is_empty(golden, features):
    network, _ = golden
    with torch.no_grad():
        prefix = network.clip_project(features)
    first, *_ = network.greedy(prefix, stop_token=60, max_tokens=20)[0]
    captions = network.greedy(prefix, first, max_tokens=20)
    assert captions[0] == []
    assert captions[1] == network.greedy(prefix[1:], first, max_tokens=20)[0]
    assert network.beam(prefix, first, max_tokens=1)[0][0] == [first]  # as with the authors


def test_captions_end_at_the_last_position(golden, features):
    network, _ = golden
    with torch.no_grad():
        prefix = network.clip_project(features)
    assert [len(caption) for caption in network.greedy(prefix, stop_token=60, max_tokens=45)] == [45, 45]
    for decode in (network.greedy, network.beam):
        with pytest.raises(ValueError, match=r"max_tokens is 67; .*gpt\.n_positions.* allow 1 to 45"):
            decode(prefix, stop_token=60)


def test_unknown_mappings_and_gpt_settings_are_named_with_what_was_meant():
    with pytest.raises(ValueError, match=r"'transfromer' is not a mapping .* Known: mlp, transformer"):
        small("transfromer")
    with pytest.raises(ValueError, match=r"gpt\.n_layers is not a setting .* Did you mean 'n_layer'\?"):
        build("clipcap", gpt={"n_layers": 2})


def test_shared_weights_are_stored_once_and_legacy_buffers_are_dropped(tmp_path):
    network = small("mlp")
    save_weights(tmp_path / "clipcap.safetensors", network)
    loaded = small("mlp")
    load_weights(loaded, tmp_path / "clipcap.safetensors")
    assert loaded.gpt.lm_head.weight is loaded.gpt.transformer.wte.weight

    published = dict(network.state_dict())
    for key, buffer in facts("clipcap_mlp")["legacy buffers"]["tensors"].items():
        dtype = {"uint8": torch.uint8, "float32": torch.float32}[buffer["dtype"]]
        published[key] = torch.zeros([min(side, 8) for side in buffer["shape"]], dtype=dtype)
    torch.save(published, tmp_path / "clipcap.pt")
    loaded = small("mlp")
    load_weights(loaded, tmp_path / "clipcap.pt")
    for key, tensor in network.state_dict().items():
        assert loaded.state_dict()[key].equal(tensor), key


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_clip_image_features_are_the_golden_ones(dtype):
    expected = facts("clipcap_mlp")["clip"]
    encoder = CLIPVisionModelWithProjection(
        CLIPVisionConfig(
            hidden_size=32,
            intermediate_size=64,
            projection_dim=24,
            num_hidden_layers=2,
            num_attention_heads=4,
            image_size=32,
            patch_size=8,
            hidden_act="quick_gelu",
        )
    )
    assert shapes(encoder) == expected["state_dict"]
    (run,) = expected["golden"]
    fill(encoder, run["gain"]).to(dtype)
    with torch.no_grad():
        features = encoder(image(*run["input"]["image"]).to(dtype)).image_embeds
    assert_golden(features, run["outputs"]["image features"])
