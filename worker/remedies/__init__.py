"""The fixes: one folder each, with ``remedy.toml``, ``fix.sh`` and ``fix.ps1``, and what renders them."""
