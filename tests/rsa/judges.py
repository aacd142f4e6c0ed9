"""rsatoolbox's names for our comparators."""

JUDGES = {"pearson": "corr", "spearman": "rho-a", "kendall": "tau-a", "cosine": "cosine"}
WHITENED_JUDGES = {"whitened_pearson": "corr_cov", "whitened_cosine": "cosine_cov"}
