//! A head that came in another form than lines (HTTP/2): judged by the same rules.

use super::line::{HeadSoFar, check_value, count_controls, is_token};
use super::request_line::check_target;
use super::{Bounds, Fault};

/// Judges a head. `authority` is what the request names beside `Host`, which it stands for where there is none.
pub fn check_decoded<'h>(
    target: &str,
    authority: Option<&[u8]>,
    fields: impl Iterator<Item = (&'h [u8], &'h [u8])>,
    bounds: &Bounds,
) -> Result<(), Fault> {
    if target.len() > bounds.max_target {
        return Err(Fault::target_too_long(format!("The target is longer than {} bytes.", bounds.max_target)));
    }
    let mut head = HeadSoFar::default();
    if !target.is_empty() {
        if !target.starts_with('/') && target != "*" {
            return Err(Fault::head("The target is no path."));
        }
        check_target(b"", target.as_bytes(), &mut head)?;
    }
    head.authority = authority.map(<[u8]>::to_vec);
    for (name, value) in fields {
        head.lines += 1;
        head.size += name.len() + value.len() + 4;
        if head.lines > bounds.max_headers {
            return Err(Fault::too_many_lines(bounds.max_headers));
        }
        if head.size > bounds.max_head {
            return Err(Fault::head_too_large(bounds.max_head));
        }
        if !is_token(name) {
            return Err(Fault::head(format!("Field {} of the head has no valid name.", head.lines)));
        }
        if count_controls(value) > 0 {
            return Err(Fault::head(format!("Field {} of the head holds a control byte.", head.lines)));
        }
        check_value(name, value, &mut head)?;
    }
    match authority {
        // The same rules, whichever of the two names the host.
        Some(authority) => check_value(b"host", authority, &mut HeadSoFar::default()),
        None => head.finish().map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { max_head: 200, max_headers: 4, max_target: 20 };

    fn judge(target: &str, authority: Option<&str>, fields: &[(&str, &str)]) -> Result<(), Fault> {
        let fields = fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        check_decoded(target, authority.map(str::as_bytes), fields, &BOUNDS)
    }

    #[test]
    fn a_sound_head_passes() {
        assert_eq!(judge("/", Some("g:80"), &[("a", "b"), ("content-length", "5")]), Ok(()));
        assert_eq!(judge("/", Some("g"), &[("host", "G")]), Ok(()));
        assert_eq!(judge("/", None, &[("host", "g")]), Ok(()));
    }

    #[test]
    fn what_a_line_may_not_be_is_refused_here_too() {
        let long = "x".repeat(300);
        for (target, authority, fields, status) in [
            ("/", None, &[][..], 400),
            ("/", Some("a@b"), &[], 400),
            ("/", Some("g"), &[("host", "other")], 400),
            ("/", Some("g"), &[("host", "g"), ("host", "g")], 400),
            ("/", Some("g"), &[("\"x", "y")], 400),
            ("/", Some("g"), &[("", "y")], 400),
            ("/", Some("g"), &[("x", "a\nb")], 400),
            ("/", Some("g"), &[("content-length", "")], 400),
            ("/", Some("g"), &[("content-length", "1"), ("content-length", "1")], 400),
            ("/", Some("g"), &[("x", &long)], 431),
            ("/", Some("g"), &[("x", "y"); 5], 431),
            ("/a b", Some("g"), &[], 400),
            ("/aaaaaaaaaaaaaaaaaaaaa", Some("g"), &[], 414),
        ] {
            assert_eq!(
                judge(target, authority, fields).unwrap_err().status,
                status,
                "{target} {authority:?} {fields:?}"
            );
        }
    }
}
