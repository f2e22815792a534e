# SPDX-License-Identifier: Apache-2.0
"""English text from a file or a Debian package, as records of tokens: what a prompt is, and what follows it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import numpy as np
from tokenizers import ByteLevelBPETokenizer
from transformers import PreTrainedTokenizerFast

WORDNET = Path("/usr/share/wordnet")
FORTUNES = Path("/usr/share/games/fortunes")


def read_records(path: Optional[str]) -> tuple[str, list[str]]:
    """Where the text is from, and its records: the lines of ``path``; else WordNet's definitions; else the texts of fortune."""
    if path is not None:
        try:
            lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError as error:
            raise SystemExit(f"examples/trl: cannot read --text {path}: {error.strerror}")
        return path, [line.strip() for line in lines if line.strip()]
    if (WORDNET / "data.noun").exists():
        return "wordnet-base", [r for kind in ("noun", "verb", "adj", "adv") for r in _definitions(WORDNET / f"data.{kind}")]
    if FORTUNES.is_dir():
        files = sorted(f for f in FORTUNES.iterdir() if f.suffix == "" and f.is_file() and f.name != "ascii-art")
        texts = [t for f in files for t in f.read_text(encoding="utf-8", errors="replace").split("\n%\n")]
        return "fortunes", [" ".join(t.split()) for t in texts if t.strip()]
    raise SystemExit("examples/trl: no English text: apt install wordnet-base (or fortunes), or give --text FILE with a record a line")


def _definitions(path: Path) -> list[str]:
    """``word: definition`` of every line of a data file of WordNet (wndb(5)), without the quoted examples."""
    records = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("  ") or " | " not in line:  # the licence
            continue
        fields, gloss = line.split(" | ", 1)
        word = re.sub(r"\(.*\)$", "", fields.split(" ", 5)[4]).replace("_", " ")
        definition = re.split(r'[;:,]? *"', gloss, maxsplit=1)[0].strip(" ;")
        if definition:
            records.append(f"{word}: {definition}")
    return records


@dataclass(frozen=True)
class Records:
    """Rows of ``prompt + completion`` tokens, padded behind the end; every prompt has the same number of tokens.

    TRL hands GPT-2 no positions, so prompts of different lengths, which it pads on the left, would be read at the wrong ones.
    """

    ids: np.ndarray  # (R, prompt + completion)
    prompt: int

    def __getitem__(self, part: slice) -> "Records":
        return Records(self.ids[part], self.prompt)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def prompts(self) -> np.ndarray:
        return self.ids[:, : self.prompt]

    @property
    def completions(self) -> np.ndarray:
        return self.ids[:, self.prompt :]


def train_tokenizer(records: list[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE of these records, with one token for the end and one for padding."""
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(records, vocab_size=vocabulary, min_frequency=2, special_tokens=["<|pad|>", "<|end|>"], show_progress=False)
    return PreTrainedTokenizerFast(tokenizer_object=bpe._tokenizer, pad_token="<|pad|>", eos_token="<|end|>", padding_side="left")


def encode(records: list[str], tokenizer: PreTrainedTokenizerFast, prompt: int, completion: int, seed: int) -> Records:
    """The records in random order; those are left out whose prompt is all of it, or would be read as other tokens alone."""
    order = np.random.default_rng(seed).permutation(len(records))
    rows = tokenizer([records[i] for i in order])["input_ids"]
    rows = [row for row in rows if len(row) > prompt + 2]
    heads = tokenizer(tokenizer.batch_decode([row[:prompt] for row in rows]))["input_ids"]
    rows = [row for row, head in zip(rows, heads) if row[:prompt] == head]
    ids = np.full((len(rows), prompt + completion), tokenizer.pad_token_id, dtype=np.int64)
    for i, row in enumerate(rows):
        row = [*row, tokenizer.eos_token_id][: prompt + completion]
        ids[i, : len(row)] = row
    return Records(ids, prompt)
