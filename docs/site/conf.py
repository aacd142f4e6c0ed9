"""How the site is built: `make docs`, which needs no network, and in which a warning is an error."""

import os
import sys
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "extensions"))
# Examples call the command that belongs to the Python that builds the site, whichever is first for the shell.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
os.environ.setdefault("JAX_PLATFORMS", "cpu")

project = "bioplausible"
author = "the authors of bioplausible"
release = metadata.version("bioplausible")
version = release
project_copyright = f"2026, {author}"

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_design",
    "mathml",
    "generated_pages",
]

exclude_patterns = ["_build", "explanation/rules/parts/*"]
templates_path = ["_templates"]
nitpicky = True
suppress_warnings = ["myst.header"]  # the results' own pages begin where they like

# Names that signatures hold and that other projects document; none of their sites is asked.
nitpick_ignore_regex = [
    (r"py:.*", r"(numpy|np|pandas|pd|jax|jaxtyping|optax|flax|nnx|rsatoolbox|mne|nilearn|nibabel|matplotlib|click|pathlib)(\..*)?"),
]

# --- Markdown and what it runs ------------------------------------------------------------------------------------------------

myst_enable_extensions = ["attrs_inline", "attrs_block", "colon_fence", "deflist", "dollarmath", "fieldlist"]
myst_heading_anchors = 3
nb_execution_mode = os.environ.get("BIOPLAUSIBLE_DOCS_EXECUTION", "force")
nb_execution_excludepatterns = ["notebooks/*"]  # `make notebooks` runs those
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_merge_streams = True
nb_render_image_options = {"align": "left"}
nb_mime_priority_overrides = [("html", "image/svg+xml", 0)]

# --- Reference ----------------------------------------------------------------------------------------------------------------

autosummary_generate = True
autosummary_imported_members = True
autodoc_typehints = "none"
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
numpydoc_xref_param_type = False
maximum_signature_line_length = 88
add_module_names = False
python_use_unqualified_type_names = True
modindex_common_prefix = []

# --- How it looks -------------------------------------------------------------------------------------------------------------

html_theme = "pydata_sphinx_theme"
html_title = "bioplausible"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_math_renderer = "mathml"
html_theme_options = {
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "navbar_persistent": ["search-button"],
    "header_links_before_dropdown": 6,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_prev_next": True,
    "use_edit_page_button": False,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {"index": [], "get_started": []}
copybutton_exclude = ".linenos, .gp, .go"

# --- Kernels that run the examples --------------------------------------------------------------------------------------------

_IPYTHON = HERE / "_build" / "ipython"
(_IPYTHON / "profile_default" / "startup").mkdir(parents=True, exist_ok=True)
(_IPYTHON / "profile_default" / "ipython_config.py").write_text(
    "c = get_config()\nc.InlineBackend.figure_formats = {'svg'}\nc.HistoryManager.enabled = False\n", encoding="utf-8"
)
(_IPYTHON / "profile_default" / "startup" / "00_shell.py").write_text(
    (HERE / "extensions" / "kernel_startup.py").read_text(encoding="utf-8"), encoding="utf-8"
)
os.environ["IPYTHONDIR"] = str(_IPYTHON)
# What examples keep by content stays with the site, and no user's settings reach them.
os.environ["BIOPLAUSIBLE_CACHE"] = str(HERE / "_build" / "cache")
