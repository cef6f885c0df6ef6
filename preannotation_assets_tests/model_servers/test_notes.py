"""What a run says of its models at their servers."""

from preannotation_assets.model_servers.preflight import ModelIdentity, notes_of


def test_the_notes_of_two_models_are_all_told_and_what_holds_for_both_once() -> None:
    large = ModelIdentity("large", "a", (), notes=("which weights large are", "a hint"))
    small = ModelIdentity("small", "b", (), notes=("which weights small are", "a hint"))
    assert notes_of(large) == list(large.notes)
    assert notes_of(large, small) == ["which weights large are", "a hint", "which weights small are"]
