//! Every refusal in one table: status, source, level, title, cause, cure. Logs, headers, metrics, `explain` and the
//! reference are made from it.

use std::fmt;

/// The page on which each reason has a section of its own.
const REFERENCE: &str = "https://github.com/grafana-token-proxy/grafana-token-proxy/blob/main/docs/reasons.md";

/// Who refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// We.
    Proxy,
    /// Grafana itself.
    Grafana,
    /// A datasource or plugin backend behind Grafana.
    Datasource,
    /// Something between us and Grafana.
    Hop,
    /// Nobody: the client's bytes could not be read.
    Client,
}

impl Source {
    /// The name in logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Proxy => "proxy",
            Self::Grafana => "grafana",
            Self::Datasource => "datasource",
            Self::Hop => "hop",
            Self::Client => "client",
        }
    }
}

/// How loudly a refusal is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// A detour that a browser takes every day.
    Info,
    /// A refusal that somebody may have to mend.
    Warn,
    /// Requests fail because of us or of what we depend on.
    Error,
}

impl Level {
    /// The name in logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// One row of the table.
#[derive(Debug)]
struct Row {
    code: &'static str,
    source: Source,
    statuses: &'static [u16],
    level: Level,
    title: &'static str,
    cause: &'static str,
    cure: &'static str,
}

macro_rules! reasons {
    ($($variant:ident $code:literal $source:ident [$($status:literal)*] $level:ident
       $title:literal; $cause:literal; $cure:literal.)*) => {
        /// Why a request was refused. The names are stable and never reused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "each is described by its row in the table")]
        pub enum Reason { $($variant,)* }

        impl Reason {
            /// All, in the order of the reference.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            const fn row(self) -> &'static super::Row {
                match self {
                    $(Self::$variant => &super::Row {
                        code: $code,
                        source: super::Source::$source,
                        statuses: &[$($status,)*],
                        level: super::Level::$level,
                        title: $title,
                        cause: $cause,
                        cure: $cure,
                    },)*
                }
            }

            /// The code in headers, logs and metrics.
            pub const fn code(self) -> &'static str {
                self.row().code
            }

            /// Who refuses with it.
            pub const fn source(self) -> super::Source {
                self.row().source
            }

            /// The statuses that it usually comes with.
            pub const fn statuses(self) -> &'static [u16] {
                self.row().statuses
            }

            /// How loudly it is logged.
            pub const fn level(self) -> super::Level {
                self.row().level
            }

            /// A few words, without a full stop.
            pub const fn title(self) -> &'static str {
                self.row().title
            }

            /// Why it happens.
            pub const fn cause(self) -> &'static str {
                self.row().cause
            }

            /// How to mend it.
            pub const fn cure(self) -> &'static str {
                self.row().cure
            }
        }
    };
}

mod proof;
mod table;

pub use proof::Proof;
pub use table::Reason;

impl Reason {
    /// The reason with this code.
    ///
    /// ```
    /// use grafana_token_proxy::domain::reason::Reason;
    /// assert_eq!(Reason::parse("token_expired"), Some(Reason::TokenExpired));
    /// assert_eq!(Reason::parse("Token_Expired"), None);
    /// ```
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.code() == code)
    }

    /// The name of its section in the reference: the code with `-` for `_`.
    pub fn anchor(self) -> String {
        self.code().replace('_', "-")
    }

    /// Where the reference explains it: `doc` in the log, `type` in our bodies.
    pub fn doc_url(self) -> String {
        format!("{REFERENCE}#{}", self.anchor())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn codes_are_snake_case_unique_and_parse_back() {
        let mut seen = HashSet::new();
        for reason in Reason::ALL {
            let code = reason.code();
            assert!(code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{code}");
            assert!(seen.insert(code), "{code} twice");
            assert_eq!(Reason::parse(code), Some(*reason));
        }
        assert_eq!(Reason::parse(""), None);
    }

    #[test]
    fn texts_are_sentences_and_titles_are_not() {
        for reason in Reason::ALL {
            let (code, title) = (reason.code(), reason.title());
            assert!((3..=60).contains(&title.len()) && !title.ends_with('.'), "{code}: {title}");
            assert!(title.starts_with(|c: char| c.is_uppercase()), "{code}: {title}");
            for text in [reason.cause(), reason.cure()] {
                assert!(text.len() > 30 && text.ends_with('.'), "{code}: {text}");
                assert!(text.starts_with(|c: char| c.is_uppercase() || c == '`'), "{code}: {text}");
                assert!(!text.contains("  "), "{code}: {text}");
            }
        }
    }

    #[test]
    fn our_own_5xx_are_errors_and_redirects_are_info() {
        for reason in Reason::ALL {
            let ours = reason.source() == Source::Proxy && reason.statuses().iter().any(|status| *status >= 500);
            assert_eq!(reason.level() == Level::Error, ours, "{reason}");
            let redirect =
                reason.statuses().iter().all(|status| (300..400).contains(status)) && !reason.statuses().is_empty();
            assert_eq!(reason.level() == Level::Info, redirect, "{reason}");
        }
    }

    #[test]
    fn the_reference_is_found_by_the_code() {
        let url = Reason::TokenExpired.doc_url();
        assert!(url.ends_with("/docs/reasons.md#token-expired"), "{url}");
    }
}
