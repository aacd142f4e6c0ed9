import bioplausible.foundation.errors

from .adaptation import adaptive_integrate_and_fire as adaptive_integrate_and_fire
from .attention import attention as attention
from .convolutional import convolutional as convolutional
from .convolutional import normalising as normalising
from .convolutional import pooling as pooling
from .dense import dense as dense
from .dense import readout as readout
from .dynamics import gated as gated
from .dynamics import leaky_activity as leaky_activity
from .dynamics import leaky_integrate_and_fire as leaky_integrate_and_fire
from .dynamics import leaky_rate as leaky_rate
from .edge import INPUT as INPUT
from .edge import Edge as Edge
from .flax_modules import from_nnx as from_nnx
from .flax_modules import node_from_nnx as node_from_nnx
from .front_end import FRONT_ENDS as FRONT_ENDS
from .front_end import FrontEnd as FrontEnd
from .front_end import fit_front_end as fit_front_end
from .front_end import no_front_end as no_front_end
from .network import Crossing as Crossing
from .network import Moment as Moment
from .network import Network as Network
from .network import Trace as Trace
from .network import chain as chain
from .nir_export import to_nir as to_nir
from .nir_export import write_nir as write_nir
from .nir_import import from_nir as from_nir
from .node import Node as Node
from .node import Params as Params
from .node import Unit as Unit
from .node import make_node as make_node
from .readings import READINGS as READINGS
from .readings import Reading as Reading
from .readings import make_reading as make_reading
from .registry import ARCHITECTURES as ARCHITECTURES
from .registry import build as build
from .registry import names as names
from .roles import BIAS as BIAS
from .roles import GAIN as GAIN
from .roles import WEIGHT as WEIGHT
from .roles import Role as Role

InputError = bioplausible.foundation.errors.InputError
