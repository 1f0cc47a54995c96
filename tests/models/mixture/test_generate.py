import pytest
import torch
import transformers
from tests.merge.mixture.small import built, family, logits
from tests.models.pruned import tiny

from harmonia.core.errors import InputError
from harmonia.merge.routing import Ppl, Random, TaskVector
from harmonia.models.mixture.mixture import positions

PROMPTS = [[5, 6, 7, 8], [9, 10], [11, 12, 13, 14], [15, 16, 17, 18]]


@pytest.mark.parametrize("mix", ["trunk", "layer", "logprob"])
@pytest.mark.parametrize("shared", ["embed-head", "nothing"])
@pytest.mark.parametrize("tokens", [None, 3])
def test_caches_give_what_reading_everything_again_gives(tmp_path, mix, shared, tokens):
    _, (_, *experts) = family(tmp_path, moved=0.3)
    mixture = built(tmp_path, experts, Ppl(mix=mix, shared=shared, ppl_tokens=tokens, score="neg_nll"))
    found = mixture.generate(PROMPTS, 5, end=[])
    chosen = set()
    for prompt, new in zip(PROMPTS, found, strict=True):
        text = torch.tensor([prompt])
        weights, _ = mixture.route(text, torch.ones_like(text))
        chosen.add(tuple((weights[0] > 0).tolist()))
        for token in new:
            with torch.no_grad():
                logits = mixture(input_ids=text, weights=weights).logits
            assert int(logits[0, -1].argmax()) == token
            text = torch.cat([text, torch.tensor([[token]])], dim=1)
        assert len(new) == 5
    assert len(chosen) > 1


def test_the_prompt_is_read_once_by_the_winners(tmp_path, monkeypatch):
    _, (_, *experts) = family(tmp_path)
    mixture = built(tmp_path, experts, Ppl(top_k=2))
    read = []
    original = type(mixture).states
    monkeypatch.setattr(
        type(mixture),
        "states",
        lambda self, expert, ids, *rest: (read.append((expert, ids.shape[1])), original(self, expert, ids, *rest))[1],
    )
    mixture.generate([[5, 6, 7, 8]], 3, end=[])
    assert read[:3] == [(0, 4), (1, 4), (2, 4)]
    assert len(read) == 3 + 2 * 2 and all(length == 1 for _, length in read[3:])


def test_gates_generate_what_the_stock_model_does(tmp_path):
    _, (_, *experts) = family(tmp_path, moved=0.3)
    mixture = built(tmp_path, experts, Random())
    stock = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "mixture")
    text = torch.tensor([PROMPTS[0]])
    expected = stock.generate(
        text, attention_mask=torch.ones_like(text), max_new_tokens=6, do_sample=False, eos_token_id=None
    )
    assert mixture.generate(PROMPTS[:1], 6, end=[]) == [expected[0, 4:].tolist()]


def test_a_text_ends_at_its_end_and_others_go_on(tmp_path):
    _, (_, *experts) = family(tmp_path, moved=0.3)
    mixture = built(tmp_path, experts, Ppl())
    free = mixture.generate(PROMPTS, 6, end=[])
    end = free[0][1]
    for new, stopped in zip(free, mixture.generate(PROMPTS, 6, end=end), strict=True):
        assert stopped == (new[: new.index(end) + 1] if end in new else new)
    assert mixture.generate(PROMPTS, 0) == [[], [], [], []]
    drawn = mixture.generate(PROMPTS, 6, end=[], temperature=5.0, seed=1)
    assert drawn == mixture.generate(PROMPTS, 6, end=[], temperature=5.0, seed=1) != free
    with pytest.raises(InputError, match="an empty prompt: give at least one token"):
        mixture.generate([[]])


@pytest.mark.parametrize("routing", [Ppl(mix="trunk"), Ppl(mix="layer", ppl_tokens=4), Random(), TaskVector()])
def test_padding_on_either_side_changes_nothing(tmp_path, routing):
    _, (base, *experts) = family(tmp_path)
    mixture = built(tmp_path, experts, routing, base=base)
    alone = tiny.batch((5,))
    expected = logits(mixture, alone)
    for before, after in ((0, 4), (3, 0), (2, 2)):
        ids = torch.nn.functional.pad(alone.ids, (before, after))
        mask = torch.nn.functional.pad(alone.mask, (before, after))
        with torch.no_grad():
            found = mixture(input_ids=ids, attention_mask=mask).logits[:, before : before + 5]
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert positions(torch.tensor([[0, 1, 1], [1, 1, 0]])).tolist() == [[0, 0, 1], [0, 1, 1]]


def test_windows_are_refused_where_layers_are_mixed(tmp_path):
    _, (_, *experts) = family(tmp_path, kind="mistral", sliding_window=4)
    with pytest.raises(InputError, match="mix=layer runs full attention, and the experts have sliding_window=4"):
        built(tmp_path, experts, Ppl(mix="layer"))
