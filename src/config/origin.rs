//! Where a value came from.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::masking::mask_tokens;

/// Who set a value, the strongest last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody: the value of the reference.
    Default,
    /// A place in the configuration file; lines and columns count from one.
    File {
        /// The file as the operator named it.
        name: Arc<str>,
        /// The line.
        line: usize,
        /// The column, in characters.
        column: usize,
    },
    /// An environment variable.
    Environment(String),
    /// A flag, with its dashes.
    Flag(String),
}

impl Origin {
    /// The place alone: `gtp.yaml:3:5`, `GTP_LISTEN`, `--listen`.
    pub fn place(&self) -> String {
        match self {
            Self::Default => "default".to_owned(),
            // Somebody may have given a token where a file was asked for.
            Self::File { name, line: 0, .. } => mask_tokens(name).into_owned(),
            Self::File { name, line, column } => format!("{}:{line}:{column}", mask_tokens(name)),
            Self::Environment(name) | Self::Flag(name) => name.clone(),
        }
    }

    /// The whole file, where no line can be named.
    pub fn whole_file(name: &Arc<str>) -> Self {
        Self::File { name: Arc::clone(name), line: 0, column: 0 }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { .. } => write!(f, "file {}", self.place()),
            Self::Environment(name) => write!(f, "env {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// Who set each key.
#[derive(Clone, Debug, Default)]
pub struct Origins(BTreeMap<&'static str, Origin>);

impl Origins {
    /// This one set this key, last.
    pub fn set(&mut self, path: &'static str, origin: Origin) {
        self.0.insert(path, origin);
    }

    /// Who set this key.
    pub fn of(&self, path: &str) -> Origin {
        self.0.get(path).cloned().unwrap_or(Origin::Default)
    }
}
