import bioplausible.foundation.errors

from . import cichy92 as cichy92
from . import kriegeskorte92 as kriegeskorte92
from .cache import RemoteFile as RemoteFile
from .cache import data_path as data_path
from .cache import fetch as fetch
from .containers import PatternSet as PatternSet
from .containers import RdmSet as RdmSet
from .containers import Recording as Recording
from .containers import Stimuli as Stimuli
from .folder import save as save
from .registry import check_name as check_name
from .registry import describe as describe
from .registry import download as download
from .registry import load as load
from .registry import names as names
from .registry import references as references
from .selection import select as select
from .simulated import default_stimuli as default_stimuli
from .simulated import simulate as simulate
from .stages import STAGES as STAGES

InputError = bioplausible.foundation.errors.InputError
