"""Encodings are named only if they are right."""

from __future__ import annotations

import random

import pytest

from textrnn.data.reading.encodings import MARKS, find_mark, find_utf16, guess_encoding

TEXTS = {
    "cp949": (
        "어제 주문했는데 아직도 출발하지 않았네요. 고객센터는 전화를 받지 않고 답변도 없습니다. 그래도 품질은 좋"
        "아서 다시 살 생각은 있어요 ㅠㅠ 사이즈가 작게 나왔으니 한 치수 크게 고르세요. 포장이 뜯겨 있어서 기분이 "
        "나빴지만 바로 바꿔 주셨습니다."
    ),
    "cp932": (
        "昨日頼んだのに、まだ発送されていません。電話をしても誰も出ないし、メールの返事もない。でも品質はよいので"
        "、また買うつもりです。サイズが小さめなので、大きいほうを選んでください。"
    ),
    "gb18030": (
        "昨天下的单到现在还没有发货，客服电话打不通，留言也没有人回。不过质量还是很好的，下次我还会再买。尺码偏小"
        "，大家要买大一号的。"
    ),
    "big5": (
        "昨天下的單到現在還沒有出貨，客服電話打不通，留言也沒有人回。不過品質還是很好的，下次我還會再買。尺寸偏小"
        "，大家要買大一號的。"
    ),
    "cp1251": (
        "Заказал вчера, а посылку до сих пор не отправили. По телефону никто не отвечает, на письма тоже. Но каче"
        "ство хорошее, куплю снова. Размер маловат, берите на один больше."
    ),
    "cp1252": (
        "J’ai commandé hier et rien n’a été expédié. Personne ne répond au téléphone, ni aux courriels. Malgré ça"
        ", la qualité est là : très bonne matière, et je rachèterai sûrement. Ça taille petit, prenez la taille a"
        "u-dessus, même si vous hésitez."
    ),
    "cp1252 de": (
        "Gestern bestellt und bis jetzt nicht verschickt. Am Telefon hört niemand zu, für Rückfragen gibt es kein"
        "e Adresse. Die Qualität überzeugt trotzdem, ich würde es wieder kaufen. Fällt klein aus, größer bestelle"
        "n! Schöne Grüße aus Köln."
    ),
    "cp1252 es": (
        "Lo pedí ayer y todavía no salió. Nadie contesta el teléfono y tampoco el correo electrónico. La calidad "
        "está muy bien, así que volveré a comprar. ¿La talla? Es pequeña, elijan una más grande. ¡Qué lástima el "
        "envío, señores!"
    ),
    "cp1250": (
        "Zamówiłem wczoraj, a przesyłka wciąż nie wyszła. Nikt nie odbiera telefonu, na pytania też brak odpowied"
        "zi. Jakość jest świetna, więc kupię jeszcze raz. Rozmiar zaniżony, bierzcie większy."
    ),
    "cp1250 cs": (
        "Včera jsem objednal a zásilka ještě neodešla. Na telefonu nikdo není, na dotazy také neodpovídají. Kvali"
        "ta je výborná, příště koupím znovu. Velikost je menší, vezměte si větší číslo."
    ),
    "cp1254": (
        "Dün sipariş verdim, hâlâ gönderilmedi. Telefona kimse bakmıyor, mesajlara da cevap yok. Kalitesi güzel, "
        "yine alırım. Kalıbı dar, bir beden büyük seçin, çünkü küçük geliyor."
    ),
    "cp1253": (
        "Παρήγγειλα χθες και ακόμα δεν έχει σταλεί. Στο τηλέφωνο δεν απαντά κανείς. Η ποιότητα όμως είναι καλή κα"
        "ι θα το ξαναπάρω."
    ),
}
TEXTS |= {"euc_jp": TEXTS["cp932"], "koi8_r": TEXTS["cp1251"]}


@pytest.mark.parametrize("name", TEXTS)
def test_an_encoding_is_named_only_if_it_is_right(name: str) -> None:
    encoding, text, rng = name.partition(" ")[0], TEXTS[name], random.Random(0)
    assert guess_encoding(f"{text}\n".encode(encoding)) == encoding
    named = 0
    for _ in range(200):
        start, size = rng.randrange(len(text) - 4), rng.randrange(4, 250)
        part = text[start : start + size].encode(encoding)
        guess = guess_encoding(rng.choice([b"", b"label\t"]) + part + b"\n")
        if guess is not None and not part.isascii():
            named += 1
            assert part.decode(guess) == text[start : start + size]
    assert named


@pytest.mark.parametrize("encoding", ["cp949", "cp932", "gb18030", "cp1251", "cp1252", "cp1250"])
def test_a_label_in_ascii_and_many_lines_change_nothing(encoding: str) -> None:
    words = TEXTS[encoding].split(" ")
    lines = "".join(f"label {i},{' '.join(words[i % 5 :])}\r\n" for i in range(400))
    assert guess_encoding(lines.encode(encoding)) == encoding
    assert guess_encoding(lines.encode(encoding)[:-5]) == encoding  # cut inside a character


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        ("한국어".encode(), "utf-8"),
        ("가".encode(), "utf-8"),
        ("한국어".encode()[:-1], "utf-8"),  # the rest has not arrived
        ("가나\n".encode() * 5 + b"\xff\xfe\n" * 5, "utf-8"),
        (b"ascii\n" * 100 + b"\xff\n" * 4, "utf-8"),
        (b"ascii\n" * 100 + b"\xff\n" * 40, None),
        ("환불".encode("cp949"), None),
        ("café\n".encode("cp1252"), None),
        ("café\n".encode("cp1252") * 30, "cp1252"),
        ("“I don’t know” – she said…\n".encode("cp1252") * 30, "cp1252"),
        (random.Random(0).randbytes(500), None),
        (bytes(range(128, 256)) * 3, None),
    ],
)
def test_damage_and_too_little_text(data: bytes, encoding: str | None) -> None:
    assert guess_encoding(data) == encoding


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        ("label\ttext\n".encode("utf-16-le"), "utf-16-le"),
        ("label\ttext\n환불 order 부탁\n".encode("utf-16-be"), "utf-16-be"),
        (b"a\0b\0", None),
        (b"a\0\0b and some more text\0\0 with NULs\n", None),
        (b"\0\1\2\3" * 20, None),
        (b"plain text\n", None),
        (b"", None),
    ],
)
def test_utf16_without_a_mark(data: bytes, encoding: str | None) -> None:
    assert find_utf16(data) == encoding


def test_marks() -> None:
    for mark in MARKS:
        assert find_mark(mark + b"text") == mark
    assert find_mark(b"\xff\xfea\0") == b"\xff\xfe"
    assert find_mark(b"text") == find_mark(b"") == b""
