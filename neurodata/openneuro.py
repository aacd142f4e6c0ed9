"""Files of a dataset on OpenNeuro, at a commit and version that are stated.

OpenNeuro keeps each dataset in a git repository of which the large files are annexed: the repository holds a link whose
target is named by size and checksum, and the bytes lie in a public bucket that keeps every version of them. (openneuro-py
would do this; its licence, GPL-3, keeps it out.)

References
----------
Markiewicz et al. (2021), The OpenNeuro resource for sharing of neuroscience data, eLife 10:e71774. doi:10.7554/eLife.71774;
git-annex.branchable.com/internals/key_format
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from bioplausible.foundation.errors import InputError
from neurodata.cache import RemoteFile
from neurodata.transfer import read_text

REPOSITORIES = "https://raw.githubusercontent.com/OpenNeuroDatasets"
BUCKET = "https://s3.amazonaws.com/openneuro.org"
_KEY = re.compile(r"(?P<algorithm>SHA256|MD5)E?-s(?P<size>\d+)--(?P<checksum>[0-9a-f]{32,64})")


def annexed_file(dataset: str, commit: str, path: str, version: str, folder: str) -> RemoteFile:
    """Look a large file's size and checksum up.

    Parameters
    ----------
    dataset, commit
        accession number and git commit, "ds004212" say.
    path
        of the file in the dataset.
    version
        of the object in the bucket.
    folder
        where the file goes in the data folder, under its own name.

    Raises
    ------
    InputError
        when the link cannot be read, or names no annexed file.
    """
    address = f"{REPOSITORIES}/{dataset}/{commit}/{path}"
    target = PurePosixPath(read_text(address).strip()).name
    key = _KEY.match(target)
    if key is None:
        raise InputError(f"{address} is '{target[:60]}', no link to an annexed file; expected its size and checksum")
    return RemoteFile(
        f"{folder}/{PurePosixPath(path).name}",
        f"{BUCKET}/{dataset}/{path}?versionId={version}",
        key["checksum"],
        int(key["size"]),
        algorithm=key["algorithm"].lower(),
    )


__all__ = ["annexed_file"]
