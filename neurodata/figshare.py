"""Files of an article on figshare, at a version that is stated: their sizes and checksums are those that figshare states for it."""

from __future__ import annotations

import json
from collections.abc import Mapping

from bioplausible.foundation.errors import InputError
from neurodata.cache import RemoteFile
from neurodata.transfer import read_text

API = "https://api.figshare.com/v2/articles"
DOWNLOADS = "https://ndownloader.figshare.com/files"


def article_files(article: int, version: int, folder: str) -> Mapping[str, RemoteFile]:
    """Ask figshare which files an article has, the first ten of them.

    Parameters
    ----------
    article, version
        their numbers, as in the DOI ("…figshare.20492835.v2").
    folder
        where the files go in the data folder.

    Returns
    -------
    files by name.

    Raises
    ------
    InputError
        when figshare cannot be asked, or answers something else.
    """
    address = f"{API}/{article}/versions/{version}"
    try:
        return {
            str(stated["name"]): RemoteFile(
                f"{folder}/{stated['name']}",
                (str(stated["download_url"]), f"{DOWNLOADS}/{stated['id']}"),
                str(stated["computed_md5"]),
                int(stated["size"]),
                algorithm="md5",
            )
            for stated in json.loads(read_text(address))["files"]
        }
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{address} does not answer with a list of files; expected figshare's, try again later") from error


__all__ = ["article_files"]
