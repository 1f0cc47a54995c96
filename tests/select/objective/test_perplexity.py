import numpy as np
import pytest

from harmonia.core.errors import InputError
from harmonia.maths.ngram_lm import NgramLM
from harmonia.select.context import Context
from harmonia.select.objective.perplexity import Perplexity
from harmonia.select.pool import Pool

RNG = np.random.default_rng(0)
PLAIN = [" ".join(RNG.choice(["the", "cat", "sat", "on", "mat"], 20)) for _ in range(30)]
ODD = ["".join(RNG.choice(list("qxzjkvwy#&"), 80)) for _ in range(6)]


def fit(pool, part, **context):
    return part.fit(pool, Context(**context)).scores()


def test_lowest_and_highest_are_the_loss_per_token_of_the_model():
    texts = PLAIN[10:] + ODD
    tokens = np.arange(1, len(texts) + 1)
    pool = Pool.from_arrays(texts=texts, tokens=tokens)
    lowest = fit(pool, Perplexity(band="lowest", target_texts=tuple(PLAIN[:10]), order=3))
    loss = NgramLM.train(PLAIN[:10], 3).bits(texts) * np.log(2) / tokens
    np.testing.assert_allclose(lowest, -loss, rtol=1e-12)
    highest = fit(pool, Perplexity(band="highest", target_texts=tuple(PLAIN[:10]), order=3))
    np.testing.assert_allclose(highest, loss, rtol=1e-12)


def test_the_middle_is_the_median_rank():
    texts = PLAIN[10:19]
    pool = Pool.from_arrays(texts=texts)
    lowest = fit(pool, Perplexity(band="lowest", target_texts=tuple(PLAIN[:10])))
    middle = fit(pool, Perplexity(band="middle", target_texts=tuple(PLAIN[:10])))
    rank = np.argsort(np.argsort(-lowest))
    np.testing.assert_allclose(middle, -np.abs(rank / 8 - 0.5), atol=1e-12)


def test_without_a_target_halves_of_the_pool_judge_each_other():
    pool = Pool.from_arrays(texts=PLAIN + ODD, ids=[str(i) for i in range(36)])
    scores = fit(pool, Perplexity(band="lowest"))
    assert scores[:30].min() > scores[30:].max()
    order = np.random.default_rng(0).permutation(36)
    moved = Pool.from_arrays(texts=[(PLAIN + ODD)[i] for i in order], ids=[str(i) for i in order])
    np.testing.assert_allclose(fit(moved, Perplexity(band="lowest")), scores[order], rtol=1e-12)


def test_no_document_is_judged_by_a_model_that_has_read_it():
    # were the document in its own training text, its loss would fall with its repetitions inside the pool
    alone = Pool.from_arrays(texts=[*PLAIN, ODD[0]])
    scores = fit(alone, Perplexity(band="lowest"))
    foreign = NgramLM.train(PLAIN, 5)
    assert -scores[-1] > 0.9 * foreign.bits([ODD[0]])[0] * np.log(2) / alone.tokens[-1]


def test_only_the_head_of_a_long_document_is_read_and_paid_for():
    text = PLAIN[0] + " " + ODD[0] * 10
    head = len(PLAIN[0])
    part = {"band": "lowest", "target_texts": tuple(PLAIN[1:])}
    pool = Pool.from_arrays(texts=[text], tokens=np.array([len(text)]))
    cut = fit(pool, Perplexity(**part, read_chars=head))[0]
    alone = fit(Pool.from_arrays(texts=[PLAIN[0]], tokens=np.array([head])), Perplexity(**part))[0]
    assert cut == pytest.approx(alone, rel=1e-12)


def test_empty_documents_are_excluded_and_named():
    said = []
    pool = Pool.from_arrays(texts=["a cat", "", "a mat"], ids=["x", "y", "z"])
    scores = fit(pool, Perplexity(target_texts=("the cat",)), warn=said.append)
    assert np.isneginf(scores).tolist() == [False, True, False]
    assert said == ["perplexity excludes 1 of 3 documents without a token to predict (the first: 'y')"]


@pytest.mark.parametrize(
    ("part", "texts", "message"),
    [
        (Perplexity(target_texts=("",)), ["a"], "perplexity.target: the given list holds no text"),
        (Perplexity(model="m", target_texts=("a",)), ["a"], "either a model or a target"),
        (Perplexity(), ["only one"], "needs two documents that are not empty"),
        (Perplexity(target_texts=("a",)), ["", ""], "none of the 2 documents has a token"),
        (Perplexity(model="no/such/folder"), ["a"], "no/such/folder holds no model: config.json is missing"),
    ],
)
def test_bad_input_is_named(part, texts, message):
    with pytest.raises(InputError, match=message):
        fit(Pool.from_arrays(texts=texts), part)


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    words = ["[UNK]", *sorted({w for t in PLAIN for w in t.split()})]
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel({w: i for i, w in enumerate(words)}, "[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    folder = tmp_path_factory.mktemp("model")
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]").save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(words),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=32,
        initializer_range=1.0,
    )
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def test_a_model_from_a_folder_gives_its_own_loss_alone_or_in_a_batch(tiny_model):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    texts = ["the cat", PLAIN[0], "the cat sat on the mat", "cat", ""]
    scores = fit(Pool.from_arrays(texts=texts), Perplexity(model=str(tiny_model), band="highest"), warn=lambda _: None)
    model = AutoModelForCausalLM.from_pretrained(tiny_model).eval()
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    for text, score in zip(texts[:3], scores[:3], strict=True):
        ids = torch.tensor([tokenizer(text)["input_ids"]])
        with torch.no_grad():
            assert score == pytest.approx(float(model(ids, labels=ids).loss), rel=1e-4)
    assert np.isneginf(scores[3:]).all()


def test_small_batches_give_the_same_losses(tiny_model):
    from harmonia.models.hub_lm import HubLM

    one_by_one = HubLM(tiny_model, batch_tokens=1).losses(PLAIN)
    np.testing.assert_allclose(HubLM(tiny_model).losses(PLAIN), one_by_one, rtol=1e-4)


def test_tokens_beyond_the_context_are_not_read(tiny_model):
    from harmonia.models.hub_lm import HubLM

    long = " ".join(PLAIN[:9])
    head = " ".join(long.split()[:8])
    expected = HubLM(tiny_model).losses([head])[0]
    assert HubLM(tiny_model, context=8).losses([long])[0] == pytest.approx(expected, rel=1e-5)


def test_a_damaged_model_folder_is_named(tmp_path):
    pytest.importorskip("transformers")
    from harmonia.models.hub_lm import HubLM

    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match=r"the model in .* cannot be read"):
        HubLM(tmp_path)
