"""A BERT that is real in every respect but its size, made in a moment.

Word pieces cover German and English mail: whole common words, endings, and every letter, so
that any text in these languages is tokenised without [UNK]. The weights are random but always
the same; they are drawn wider than BERT's own, so that different words give clearly different
vectors and texts that share words lie closer to each other.
"""

from __future__ import annotations

import string
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

HIDDEN_SIZE = 32
LAYERS = 2
MAX_POSITIONS = 512
_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_LETTERS = string.ascii_lowercase + "äöüßéèáàçñ"
_SIGNS = string.digits + string.punctuation + "€£§°–—„“”‚‘’…«»"
_WORDS = """
the a and or of to in for on with from by at is are was be been have has had will would can we you
your our i my it this that not no as if please dear hello hi regards best thanks thank kind
sincerely mail email message news newsletter subject query account order invoice payment paid due
amount bank statement transfer delivery package shipped tracking customer service meeting agenda
minutes call project report draft review attached attachment file document contract insurance
policy tax school parents class trip flight hotel booking travel ticket family birthday photo
weekend today tomorrow monday tuesday wednesday thursday friday saturday sunday january march april
may june july october update password login security offer sale discount unsubscribe list group
team work office question der die das den dem des ein eine einen einem einer und oder von zu zum
zur im in für auf mit aus bei ist sind war sein haben hat hatte wird werden würde kann können wir
sie ihr ihre unser unsere ich mein es dies dass nicht kein als wenn bitte liebe lieber hallo guten
tag grüße gruß freundlichen viele danke vielen dank nachricht neuigkeiten betreff anfrage konto
bestellung rechnung zahlung bezahlt fällig betrag bank kontoauszug überweisung lieferung paket
versendet sendung kunde kunden dienst besprechung termin protokoll anruf projekt bericht entwurf
prüfung anhang anlage datei dokument vertrag kündigung versicherung steuer finanzamt schule eltern
klasse ausflug flug hotel buchung reise karte familie geburtstag foto wochenende heute morgen
montag dienstag mittwoch donnerstag freitag samstag sonntag januar märz april mai juni juli oktober
aktualisierung passwort anmeldung sicherheit angebot rabatt abbestellen liste gruppe arbeit büro
frage miete wohnung verein training spiel fußball müll strom gas
"""
_ENDINGS = """
s es en er e n em st t te ten ter ung ungen lich liche lichen heit keit isch ische schaft chen lein
bar ing ed ly ion tion ions ment ness able al ers est ive ful less ity
"""


def tiny_bert_directory(path: Path, *, seed: int = 0) -> Path:
    """Write model.safetensors, config.json and a fast tokenizer into `path`; returns `path`.

    Hidden size 32, two layers, four heads, 512 positions, about 700 word pieces, some 0.3 MB.
    Another `seed` gives other weights.
    """
    path.mkdir(parents=True, exist_ok=True)
    vocabulary = _vocabulary()
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=HIDDEN_SIZE,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=MAX_POSITIONS,
        initializer_range=0.3,
        pad_token_id=vocabulary["[PAD]"],
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        BertModel(config, add_pooling_layer=False).save_pretrained(path)
    _tokenizer(vocabulary).save_pretrained(path)
    return path


def _vocabulary() -> dict[str, int]:
    pieces = [*_SPECIAL, *_LETTERS, *_SIGNS]
    pieces += [f"##{sign}" for sign in _LETTERS + string.digits]
    pieces += [f"##{ending}" for ending in _ENDINGS.split()]
    pieces += _WORDS.split()
    return {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}


def _tokenizer(vocabulary: dict[str, int]) -> PreTrainedTokenizerFast:
    backend = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    # Accents stay: "Müll" and "mull" are different words in German mail.
    backend.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=False)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, vocabulary[token]) for token in ("[CLS]", "[SEP]")],
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # transformers
        tokenizer_object=backend,
        cls_token="[CLS]",
        sep_token="[SEP]",
        pad_token="[PAD]",
        unk_token="[UNK]",
        mask_token="[MASK]",
        model_max_length=MAX_POSITIONS,
    )
