"""The network: compiled loops, published metrics, and simpler classifiers."""
