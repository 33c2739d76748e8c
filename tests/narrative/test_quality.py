from ihc.narrative.quality import letters_sentence


def test_letters_that_no_font_has_are_named_with_the_remedy():
    assert letters_sentence(["度", "百"]) == (
        "No font on this machine has 度 (U+5EA6), 百 (U+767E): PNG charts show boxes instead. The charts on this page "
        "use the fonts of your browser. Install a Noto font on this machine and run again."
    )
    assert ", 六 (U+516D) and 1 more: PNG" in letters_sentence(sorted("一二三四五六"))
    assert "has 百 (U+767E): PNG charts show a box instead." in letters_sentence(["百"])
    assert letters_sentence([]) == ""
