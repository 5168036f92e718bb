"""Makes a folder with a model's tokenizer as Hugging Face's transformers read it: for clients that count tokens."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "text"))
import tokenizer_compare


def write_tokenizer(model, folder):
    vocabulary = tokenizer_compare.read_gguf(model)
    os.makedirs(folder, exist_ok=True)
    tokenizer_compare.bpe_reference(vocabulary).save(os.path.join(folder, "tokenizer.json"))
    names = {f"{name}_token": vocabulary.tokens[vocabulary.ids[name]] for name in ("bos", "eos")}
    with open(os.path.join(folder, "tokenizer_config.json"), "w") as file:
        json.dump({"tokenizer_class": "PreTrainedTokenizerFast", **names}, file)
