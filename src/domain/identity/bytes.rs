//! Bytes of a credential: borrowed from the request, or decoded and then wiped.

use std::fmt;
use std::ops::Deref;

use zeroize::Zeroizing;

/// Bytes of a credential. Decoded ones are wiped when dropped.
pub enum Bytes<'t> {
    /// A part of what the client sent.
    Borrowed(&'t [u8]),
    /// Decoded.
    Owned(Zeroizing<Vec<u8>>),
}

impl Deref for Bytes<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }
}

impl From<Vec<u8>> for Bytes<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Owned(Zeroizing::new(bytes))
    }
}

impl PartialEq for Bytes<'_> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Bytes<'_> {}

/// Prints the length only.
impl fmt::Debug for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes({})", self.len())
    }
}
