from bioplausible.foundation.progress import progress_bar, silent


def test_away_from_a_terminal_nothing_is_shown(capsys):
    with progress_bar() as progress:
        progress(1, 2, "half")
    silent(1, 2, "half")
    assert capsys.readouterr() == ("", "")


def test_on_a_terminal_a_bar_is_shown_on_stderr(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    with progress_bar() as progress:
        progress(0, 0, "of unknown length")
        progress(1, 2, "half of it")
    out, err = capsys.readouterr()
    assert out == "" and "1/2" in err and "half of it" in err
