//! Head + policy + limits → forward or refuse.
