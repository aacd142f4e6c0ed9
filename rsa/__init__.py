"""Representational similarity analysis: RDMs, comparators, noise ceilings and inference, arrays in and arrays out.

Condensed RDMs (upper triangle, row by row) are the currency. Everything computes in double precision whatever JAX's
global setting is, takes its randomness from explicit keys, and returns NumPy arrays. rsatoolbox is the interchange
format and the oracle of the tests.
"""

from bioplausible.foundation.errors import InputError
from rsa.alignment import narrow
from rsa.bootstrap import bootstrap_counts, pair_weights
from rsa.ceilings import NoiseCeiling, noise_ceiling
from rsa.chosen_layers import BestLayers, evaluate_best_layers
from rsa.clusters import Cluster, ClusterTest, cluster_permutations, cluster_sign_flips
from rsa.comparators import COMPARATORS, Comparator
from rsa.comparison import compare
from rsa.convert import dataset_to_rsatoolbox, from_rsatoolbox, from_rsatoolbox_dataset, to_rsatoolbox
from rsa.crossvalidated import crossnobis, poisson_cv
from rsa.distances import DISTANCES, rdm
from rsa.factors import FACTORS, MINIMUM, Draws, crossed_variance, draw_all, usable_factors
from rsa.flexible import FlexibleScore, best_layer, weighted_layers
from rsa.flips import SignFlips, sign_flips, student_t
from rsa.generalisation import (
    Generalisation,
    GeneralisedContrast,
    generalise,
    generalise_evaluation,
    generalise_scores,
    generalised_contrast,
)
from rsa.inference import Aggregate, Contrast, Evaluation, aggregate, contrast, evaluate
from rsa.measures import MEASURES, Measure, measure_named, network_rdm, region_rdm
from rsa.multiple import false_discovery_rate, holm, max_statistic_p_values
from rsa.neighbourhoods import Neighbourhoods, score_map, volume_neighbourhoods
from rsa.noise import noise_precision
from rsa.nulls import permutation_null
from rsa.pairs import condition_count, to_condensed, to_square
from rsa.partial import PARTIAL_COMPARATORS, partial_compare
from rsa.partial_inference import partial_evaluate
from rsa.partitioning import partition_variance
from rsa.permuted_searchlights import SearchlightTest, searchlight_permutations
from rsa.reference_models import REFERENCE_MODELS, has_colours, reference_rdms
from rsa.representations import PATTERN_COMPARATORS, PatternComparator, angular_distance, compare_patterns
from rsa.searchlights import searchlight, searchlight_rdms
from rsa.split_halves import SplitHalves, split_half_ceiling
from rsa.temporal import generalise_over_time, temporal_generalisation

__all__ = [
    "COMPARATORS",
    "DISTANCES",
    "MEASURES",
    "Measure",
    "measure_named",
    "network_rdm",
    "region_rdm",
    "FACTORS",
    "MINIMUM",
    "PARTIAL_COMPARATORS",
    "PATTERN_COMPARATORS",
    "REFERENCE_MODELS",
    "Aggregate",
    "BestLayers",
    "Cluster",
    "ClusterTest",
    "Comparator",
    "Contrast",
    "Draws",
    "Evaluation",
    "FlexibleScore",
    "Generalisation",
    "GeneralisedContrast",
    "InputError",
    "Neighbourhoods",
    "NoiseCeiling",
    "PatternComparator",
    "SearchlightTest",
    "SplitHalves",
    "SignFlips",
    "aggregate",
    "angular_distance",
    "best_layer",
    "bootstrap_counts",
    "cluster_permutations",
    "cluster_sign_flips",
    "compare",
    "compare_patterns",
    "condition_count",
    "contrast",
    "crossed_variance",
    "crossnobis",
    "dataset_to_rsatoolbox",
    "draw_all",
    "evaluate",
    "evaluate_best_layers",
    "false_discovery_rate",
    "from_rsatoolbox",
    "from_rsatoolbox_dataset",
    "generalise",
    "generalise_evaluation",
    "generalise_over_time",
    "generalise_scores",
    "generalised_contrast",
    "has_colours",
    "holm",
    "max_statistic_p_values",
    "narrow",
    "noise_ceiling",
    "noise_precision",
    "pair_weights",
    "partial_compare",
    "partial_evaluate",
    "partition_variance",
    "permutation_null",
    "poisson_cv",
    "rdm",
    "reference_rdms",
    "score_map",
    "searchlight",
    "searchlight_permutations",
    "searchlight_rdms",
    "split_half_ceiling",
    "sign_flips",
    "student_t",
    "temporal_generalisation",
    "to_condensed",
    "to_rsatoolbox",
    "to_square",
    "usable_factors",
    "volume_neighbourhoods",
    "weighted_layers",
]
