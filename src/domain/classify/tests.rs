//! Rules that no recording covers.
