"""Warnings of assets: each once, and those about artefacts found again by their keys."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from support.repeatable import REPEATABLE

from mediactl.assets import warnings
from mediactl.jobs.sources import warnings_of
from mediactl.model.assets import AssetWarning

texts = st.lists(st.sampled_from("abcdefgh"), max_size=4, unique=True)
artefacts = st.dictionaries(st.sampled_from(["k1", "k2", "k3", "k4"]), texts)


@REPEATABLE
@given(texts, texts, artefacts, texts)
def test_what_is_kept_gives_the_same_warnings_in_the_same_order(
    source: list[str], whole: list[str], about: dict[str, list[str]], sizes: list[str]
) -> None:
    made = warnings.collected(source, whole, about, sizes)
    said = [each.text for each in made]
    assert len(said) == len(set(said))
    assert set(said) == {*source, *whole, *sizes, *(text for of in about.values() for text in of)}
    kept = {key: warnings.about(key, made) for key in about}
    assert warnings.collected(source, whole, kept, sizes) == made
    # From asset.json, which does not say what each is about.
    unknown = [AssetWarning(text, None) for text in said]
    again = warnings.collected(source, whole, {key: warnings.about(key, unknown) for key in about}, sizes)
    assert {each.text for each in again} <= set(said)
    assert not about or [each.text for each in again] == said


def test_a_dropped_artefact_takes_its_warnings_along() -> None:
    made = warnings.collected([], ["odd"], {"k1": ["a", "b"], "k2": ["b"]}, [])
    assert made == (AssetWarning("odd"), AssetWarning("a", ("k1",)), AssetWarning("b", ("k1", "k2")))
    assert warnings.about("k2", made) == ("b",)


def test_warnings_of_earlier_journals_are_read() -> None:
    assert warnings_of('["a"]') == (AssetWarning("a", None),)
    assert warnings_of('[{"text": "a"}, {"text": "b", "keys": ["k"]}]') == (
        AssetWarning("a"),
        AssetWarning("b", ("k",)),
    )
