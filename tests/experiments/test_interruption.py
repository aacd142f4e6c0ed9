import signal
import subprocess
import sys
import time

# A call of compiled code that looks for no signals, and lets other threads run meanwhile.
BUSY = """
import hashlib, signal, sys
from experiments.interruption import at_once

# Whoever runs the tests in the background of a shell hands on that this signal is ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
with at_once("stopped", patience=float(sys.argv[1])):
    print("ready", flush=True)
    try:
        if sys.argv[2] == "busy":
            hashlib.pbkdf2_hmac("sha256", b"a", b"b", 10**9)
        else:
            import time; time.sleep(60)
    except KeyboardInterrupt:
        print("by itself", flush=True)
"""


def interrupted(patience, what):
    process = subprocess.Popen(
        [sys.executable, "-c", BUSY, str(patience), what], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.3)
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err, time.monotonic() - started


def test_what_hears_no_signal_is_ended():
    status, out, err, seconds = interrupted(0.5, "busy")
    assert (status, out, err) == (130, "", "stopped\n") and seconds < 10


def test_what_stops_by_itself_is_left_alone():
    status, out, err, _ = interrupted(30, "asleep")
    assert (status, out, err) == (0, "by itself\n", "")
