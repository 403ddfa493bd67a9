# SPDX-License-Identifier: MIT
"""Models of transformers with attn_implementation="pymfa", against float64 and against "sdpa".

Weights are random. A model's result may be at most twice as far from that of the same model in
float64 as with "eager", the naive attention, in the same precision: docs/numerics.md.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest

import pymfa

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("pymfa.transformers")

IDS = [
    [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2],
    [2, 7, 1, 8, 2, 8, 1, 8, 2, 8] + [0] * 7,
]
LENGTHS = (17, 10)


def ids() -> Any:
    return torch.tensor(IDS)


def padding() -> Any:
    return (torch.arange(17) < torch.tensor(LENGTHS)[:, None]).long()


def small(kind: str, **more: Any) -> Any:
    """A config with 3 layers or 2; hidden size 48."""
    sizes = {
        "vocab_size": 11, "hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 6,
        "intermediate_size": 40, "max_position_embeddings": 64,
    }  # fmt: skip
    return getattr(transformers, kind + "Config")(**(sizes | more))


def made(kind: str, config: Any, dtype: Any = torch.float32) -> Any:
    torch.manual_seed(0)
    return getattr(transformers, kind)(config).to(dtype).eval()


def run(model: Any, implementation: str, dtype: Any = None, **inputs: Any) -> Any:
    model = copy.deepcopy(model) if dtype is None else copy.deepcopy(model).to(dtype)
    model.set_attn_implementation(implementation)
    with torch.no_grad():
        return model(**inputs)[0].double()


def assert_as_good(actual: Any, naive: Any, exact: Any, dtype: Any) -> None:
    """Twice the naive error, and the rounding of the largest number."""
    rounding = torch.finfo(dtype).eps / 2 * exact.abs().max()
    error, allowed = (actual - exact).abs().max(), (naive - exact).abs().max()
    assert torch.isfinite(actual).all()
    assert error <= 2 * allowed + rounding, f"off by {error:.3g}; {allowed:.3g} is naive"


def check(model: Any, dtype: Any, *, sdpa: bool = True, seen: Any = None, **inputs: Any) -> None:
    seen = slice(None) if seen is None else seen
    exact = run(model, "eager", torch.float64, **inputs)[seen]
    naive = run(model, "eager", **inputs)[seen]
    actual = run(model, "pymfa", **inputs)[seen]
    assert_as_good(actual, naive, exact, dtype)
    if sdpa:
        other = run(model, "sdpa", **inputs)[seen]
        allowed = 2 * (naive - exact).abs().max() + (other - exact).abs().max()
        rounding = torch.finfo(dtype).eps * exact.abs().max()
        assert (actual - other).abs().max() <= allowed + rounding


DTYPES = [torch.float32, torch.float16, torch.bfloat16]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("masked", [False, True])
def test_bert(dtype: Any, masked: bool) -> None:
    inputs = {"input_ids": ids()} | ({"attention_mask": padding()} if masked else {})
    check(made("BertModel", small("Bert"), dtype), dtype, **inputs)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("masked", [False, True])
def test_llama_with_fewer_heads_of_keys(dtype: Any, masked: bool) -> None:
    inputs = {"input_ids": ids()} | ({"attention_mask": padding()} if masked else {})
    model = made("LlamaForCausalLM", small("Llama", num_key_value_heads=2), dtype)
    check(model, dtype, seen=padding().bool(), **inputs)


def test_gpt2() -> None:
    config = transformers.GPT2Config(vocab_size=11, n_positions=64, n_embd=48, n_layer=2, n_head=3)
    check(made("GPT2LMHeadModel", config), torch.float32, input_ids=ids())


def test_sliding_window() -> None:
    config = small("Mistral", num_key_value_heads=3, sliding_window=5)
    check(made("MistralForCausalLM", config), torch.float32, input_ids=ids())


def test_soft_cap() -> None:
    config = small("Gemma2", num_key_value_heads=2, head_dim=8, attn_logit_softcapping=0.5,
                   sliding_window=4, query_pre_attn_scalar=1)  # fmt: skip
    check(made("Gemma2ForCausalLM", config), torch.float32, sdpa=False, input_ids=ids())


def gpt_oss() -> Any:
    """Sinks are logits of every head; the experts are those that run in float64."""
    config = small("GptOss", num_key_value_heads=2, head_dim=8, num_local_experts=2,
                   num_experts_per_tok=2, sliding_window=4)  # fmt: skip
    model = made("GptOssForCausalLM", config)
    model.set_experts_implementation("eager")
    for layer in model.model.layers:
        torch.nn.init.normal_(layer.self_attn.sinks)
    return model


def test_sinks() -> None:
    check(gpt_oss(), torch.float32, sdpa=False, input_ids=ids())


def t5() -> Any:
    return made("T5ForConditionalGeneration", transformers.T5Config(
        vocab_size=11, d_model=24, d_kv=8, d_ff=40, num_layers=2, num_heads=3, dropout_rate=0.0,
        decoder_start_token_id=0))  # fmt: skip


def test_position_bias_and_cross_attention() -> None:
    check(t5(), torch.float32, input_ids=ids(), attention_mask=padding(),
          decoder_input_ids=ids()[:, :7])  # fmt: skip


@pytest.mark.parametrize("cache", ["dynamic", "static"])
def test_generation_gives_the_tokens_of_sdpa(cache: str) -> None:
    model = made("LlamaForCausalLM", small("Llama", num_key_value_heads=2))
    found = {}
    for implementation in ("sdpa", "pymfa"):
        model.set_attn_implementation(implementation)
        found[implementation] = model.generate(
            ids().flip(1), attention_mask=padding().flip(1), max_new_tokens=12, do_sample=False,
            pad_token_id=0, cache_implementation=cache, disable_compile=True,
        )  # fmt: skip
    assert found["pymfa"].shape == (2, 29)
    assert torch.equal(found["pymfa"], found["sdpa"])


def gradients(model: Any, implementation: str, dtype: Any = None, **inputs: Any) -> Any:
    model = copy.deepcopy(model) if dtype is None else copy.deepcopy(model).to(dtype)
    model.set_attn_implementation(implementation)
    model.train()
    model(**inputs).loss.backward()
    return {name: p.grad.double() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("kind", ["bert", "llama", "t5", "sinks"])
def test_gradients(kind: str) -> None:
    labels = {"input_ids": ids(), "labels": ids()}
    if kind == "bert":
        config = small("Bert", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
        model, labels = made("BertForMaskedLM", config), labels | {"attention_mask": padding()}
    elif kind == "llama":
        model = made("LlamaForCausalLM", small("Llama", num_key_value_heads=2))
    elif kind == "t5":
        model = t5()
    else:
        model = gpt_oss()
    exact = gradients(model, "eager", torch.float64, **labels)
    naive, actual = gradients(model, "eager", **labels), gradients(model, "pymfa", **labels)
    assert actual.keys() == exact.keys()

    def together(found: Any) -> Any:  # each parameter in units of its largest gradient
        return torch.cat([(found[n] / exact[n].abs().max().clamp(min=1e-9)).ravel() for n in exact])

    assert_as_good(together(actual), together(naive), together(exact), torch.float32)


def test_dropout_repeats_with_the_seed() -> None:
    model = made("BertModel", small("Bert", hidden_dropout_prob=0.0))
    model.set_attn_implementation("pymfa")
    model.train()

    def result(seed: int) -> Any:
        torch.manual_seed(seed)
        return model(input_ids=ids())[0]

    assert torch.equal(result(1), result(1))
    assert not torch.equal(result(1), result(2))


def test_chosen_when_the_model_is_made() -> None:
    torch.manual_seed(0)
    model = transformers.AutoModel.from_config(small("Bert"), attn_implementation="pymfa").eval()
    assert model.config._attn_implementation == "pymfa"
    assert torch.equal(model(input_ids=ids())[0].double(), run(model, "pymfa", input_ids=ids()))


def test_what_cannot_be_done_is_refused() -> None:
    model = made("BertModel", small("Bert"))
    with pytest.raises(pymfa.InvalidType, match=r"query is torch\.float64; expected float32"):
        run(model, "pymfa", torch.float64, input_ids=ids())
    with pytest.raises(pymfa.Unsupported, match="output_attentions is True"):
        run(made("LlamaModel", small("Llama")), "pymfa", input_ids=ids(), output_attentions=True)
    forward = transformers.AttentionInterface()["pymfa"]
    x = torch.zeros(1, 2, 3, 8)
    with pytest.raises(pymfa.InvalidType, match=r"key is torch\.float16; expected torch\.float32"):
        forward(model, x, x.half(), x, None)
    with pytest.raises(pymfa.InvalidValue, match=r"value has shape \(2, 3, 8\); expected 4 axes"):
        forward(model, x, x, x[0], None)
    with pytest.raises(pymfa.Unsupported, match="gave cache"):
        forward(model, x, x, x, None, cache=object())
