//! The known name that a mistyped one was meant to be.

/// The candidate most like `written`, if one is like enough to be worth showing.
pub fn nearest<'c>(written: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let written = plain(written);
    if written.is_empty() {
        return None;
    }
    candidates
        .into_iter()
        .map(|candidate| (similarity(&written, &plain(candidate)), candidate))
        .filter(|(similarity, _)| *similarity >= 0.6)
        // The first of equals wins: candidates come in the order of the reference.
        .fold(None, |best: Option<(f64, &str)>, next| match best {
            Some(best) if best.0 >= next.0 => Some(best),
            _ => Some(next),
        })
        .map(|(_, candidate)| candidate)
}

/// Case and the choice between `-`, `_` and `.` are never the difference that counts.
fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '-' | '_' | '.' | ' ')).flat_map(char::to_lowercase).take(80).collect()
}

/// One name that begins with the other is close, however long the rest: `pinned` and `pin`, `timeout` and `time`.
fn similarity(written: &str, candidate: &str) -> f64 {
    let (shorter, longer) = if written.len() < candidate.len() { (written, candidate) } else { (candidate, written) };
    let by_start = if shorter.len() >= 3 && longer.starts_with(shorter) { 0.65 } else { 0.0 };
    strsim::normalized_damerau_levenshtein(written, candidate).max(by_start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_find_their_name() {
        let names = ["listen", "upstream", "max_head", "max_headers", "per_token"];
        for (written, expected) in [
            ("lsiten", Some("listen")),
            ("UPSTREAM", Some("upstream")),
            ("maxHead", Some("max_head")),
            ("per-token", Some("per_token")),
            ("upstreams_of_mine", Some("upstream")),
            ("zebra", None),
            ("", None),
        ] {
            assert_eq!(nearest(written, names), expected, "{written}");
        }
    }
}
