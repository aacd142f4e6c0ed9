from bioplausible.foundation.progress import now_and_then, progress_bar, silent


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


def test_a_log_gets_a_line_now_and_then_with_what_is_left(capsys):
    times = iter([0.0, 10.0, 59.0, 60.0, 90.0, 3720.0, 3800.0])
    show = now_and_then(clock=lambda: next(times))
    for done, of, line in [(4, 10, "a"), (5, 10, "b"), (6, 10, "c"), (7, 10, "d"), (9, 10, "e"), (3, 0, "f")]:
        show(done, of, line)
    # Four were there before it began: two took a minute, so that four more take two.
    assert capsys.readouterr().err.splitlines() == [
        "1:00: 6 of 10, 2:00 left: c",
        "1:02:00: 9 of 10, 12:24 left: e",
        "1:03:20: 3: f",
    ]
