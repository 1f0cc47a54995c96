"""Folders of tiny random models with a tokenizer of words."""

import numpy as np
import transformers
from tests.models.pruned import tiny
from tokenizers import Tokenizer, models, pre_tokenizers, processors

VOCABULARY = ["[PAD]", "[BOS]", "[EOS]", "[UNK]", *(f"w{number}" for number in range(tiny.WORDS - 4))]


def tokenizer(special=False):
    made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    if special:
        made.post_processor = processors.TemplateProcessing(
            single="[BOS] $A [EOS]", special_tokens=[("[BOS]", 1), ("[EOS]", 2)]
        )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="[PAD]", bos_token="[BOS]", eos_token="[EOS]", unk_token="[UNK]"
    )


def folder(model, path, special=False):
    model.save_pretrained(path)
    tokenizer(special).save_pretrained(path)
    return path


def causal(path, **options):
    return folder(tiny.llama(**options), path)


def encoder(path, **options):
    return folder(tiny.bert(**options), path, special=True)


def classifier(path, **options):
    made = tiny.bert(auto=transformers.AutoModelForSequenceClassification, num_labels=3, **options)
    return folder(made, path, special=True)


def texts(count=120, words=(12, 30), seed=0):
    """Return texts in which a word often follows from the one before."""
    draw = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        word, said = int(draw.integers(40)), []
        for _ in range(int(draw.integers(*words))):
            said.append(f"w{word}")
            word = (3 * word + 1) % 40 if draw.random() < 0.8 else int(draw.integers(40))
        found.append(" ".join(said))
    return found
