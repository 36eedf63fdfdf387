//! The bounded store of buckets, and the limiters over it.
