//! placeholder until merged
/// Rules.
#[derive(Debug, Default, Clone)]
pub struct PathRules;
impl PathRules {
    /// Matches.
    pub fn matches(&self, _uri: &http::Uri) -> bool {
        false
    }
}
impl PathRules {
    /// stub
    pub fn new(_r: &[String]) -> Self {
        Self
    }
}
