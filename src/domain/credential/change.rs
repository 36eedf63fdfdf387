//! The repairs that were made to a credential.

/// One repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are the contract's; each is described in the reference")]
pub enum Change {
    BearerAdded,
    SchemeCase,
    SchemeReplaced,
    SchemeDeduplicated,
    WhitespaceTrimmed,
    NewlineTrimmed,
    QuotesRemoved,
    ColonRemoved,
    DuplicateDropped,
    BasicApiKeyToBearer,
    Restored,
    NominationIgnored,
}

impl Change {
    /// Every change, in the order of the contract.
    pub const ALL: [Self; 12] = [
        Self::BearerAdded,
        Self::SchemeCase,
        Self::SchemeReplaced,
        Self::SchemeDeduplicated,
        Self::WhitespaceTrimmed,
        Self::NewlineTrimmed,
        Self::QuotesRemoved,
        Self::ColonRemoved,
        Self::DuplicateDropped,
        Self::BasicApiKeyToBearer,
        Self::Restored,
        Self::NominationIgnored,
    ];

    /// The name in logs, metrics and headers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BearerAdded => "bearer_added",
            Self::SchemeCase => "scheme_case",
            Self::SchemeReplaced => "scheme_replaced",
            Self::SchemeDeduplicated => "scheme_deduplicated",
            Self::WhitespaceTrimmed => "whitespace_trimmed",
            Self::NewlineTrimmed => "newline_trimmed",
            Self::QuotesRemoved => "quotes_removed",
            Self::ColonRemoved => "colon_removed",
            Self::DuplicateDropped => "duplicate_dropped",
            Self::BasicApiKeyToBearer => "basic_api_key_to_bearer",
            Self::Restored => "restored",
            Self::NominationIgnored => "nomination_ignored",
        }
    }
}

/// The set of repairs made to one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes(u16);

impl Changes {
    /// Adds one.
    pub const fn insert(&mut self, change: Change) {
        self.0 |= 1 << change as u16;
    }

    /// Adds all of `other`.
    pub const fn extend(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Whether `change` was made.
    pub const fn contains(self, change: Change) -> bool {
        self.0 & (1 << change as u16) != 0
    }

    /// Whether nothing was changed.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether nothing was changed but what `others` names.
    pub const fn is_within(self, others: Self) -> bool {
        self.0 & !others.0 == 0
    }

    /// The changes in the order of the contract.
    pub fn iter(self) -> impl Iterator<Item = Change> {
        Change::ALL.into_iter().filter(move |change| self.contains(*change))
    }
}

impl FromIterator<Change> for Changes {
    fn from_iter<I: IntoIterator<Item = Change>>(changes: I) -> Self {
        let mut set = Self::default();
        for change in changes {
            set.insert(change);
        }
        set
    }
}
