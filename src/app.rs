//! Composition root: configuration → wired, bound, running.
