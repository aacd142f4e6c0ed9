"""What runs in a kernel before a page's first cell: commands print all at once, without colours, as wide as a page is."""

import os
import subprocess
import sys
import warnings

from IPython import get_ipython

for _name in ("FORCE_COLOR", "CLICOLOR_FORCE", "CLICOLOR"):
    os.environ.pop(_name, None)
os.environ.update(NO_COLOR="1", TERM="dumb", COLUMNS="88")
# A progress bar that finds no widgets says so, wherever it is.
warnings.filterwarnings("ignore", module="tqdm.*")


def sh(line: str, cell: str) -> None:
    """Run a cell of commands; IPython's own cuts what they print into pieces, and goes on when they fail."""
    done = subprocess.run(["sh", "-ec", cell], capture_output=True, text=True, check=False)
    sys.stderr.write(done.stderr)
    print(done.stdout, end="")
    if done.returncode:
        raise RuntimeError(f"status {done.returncode}: {done.stderr[-2000:]}")


get_ipython().register_magic_function(sh, "cell")
