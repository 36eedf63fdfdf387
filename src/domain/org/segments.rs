//! The segments of a path, as Grafana reads them and as a proxy in front of it may.

use std::borrow::Cow;

use percent_encoding::{percent_decode, percent_decode_str};

use crate::domain::path_rule::DECODINGS;

/// What Grafana reads: the segments behind the first slash, decoded once.
pub(super) fn as_grafana_reads(path: &str) -> Vec<Cow<'_, str>> {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.split('/').map(|segment| percent_decode_str(segment).decode_utf8_lossy()).collect()
}

/// The same, decoded as often as it may be on the way, where that makes a difference. It does no harm to Grafana itself, but a
/// proxy that decodes before it sends on something else than we judged.
pub(super) fn as_decoded_before(segments: &[Cow<'_, str>]) -> Option<Vec<Cow<'static, str>>> {
    if !segments.iter().any(|segment| segment.contains('%')) {
        return None;
    }
    let decode = |segment: &Cow<'_, str>| {
        let decoded = decode_fully(segment.as_bytes());
        Cow::Owned(String::from_utf8_lossy(&decoded).into_owned())
    };
    Some(segments.iter().map(decode).collect())
}

/// All segments that anything on the way may read: decoded as often as may be, split at `/` and `\`, and without
/// parameters, since `orgs;a=b` is `orgs` to a reader that knows them (RFC 3986 §3.3).
pub(super) fn as_anything_reads(path: &str) -> Vec<Vec<u8>> {
    decode_fully(path.as_bytes())
        .split(|byte| matches!(byte, b'/' | b'\\'))
        .map(|segment| segment.split(|byte| *byte == b';').next().unwrap_or(segment))
        .map(<[u8]>::to_vec)
        .collect()
}

fn decode_fully(path: &[u8]) -> Cow<'_, [u8]> {
    (0..DECODINGS).fold(Cow::Borrowed(path), |path, _| Cow::Owned(percent_decode(&path).collect()))
}
