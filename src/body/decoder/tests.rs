use proptest::prelude::*;

use super::*;

const BOUNDS: Bounds = Bounds { max_head: 256, max_headers: 4, max_target: 0 };

/// The data and the trailers of a body that comes in pieces of `size`; `None` where it is not complete.
fn decoded(mut decoder: Decoder, bytes: &[u8], size: usize) -> Result<Option<(Vec<u8>, HeaderMap)>, Fault> {
    let (mut buffer, mut data, mut trailers) = (BytesMut::new(), Vec::new(), HeaderMap::new());
    for piece in bytes.chunks(size) {
        buffer.extend_from_slice(piece);
        while let Some(frame) = decoder.decode(&mut buffer)? {
            match frame.into_data() {
                Ok(piece) => data.extend_from_slice(&piece),
                Err(frame) => trailers = frame.into_trailers().unwrap(),
            }
        }
        if decoder.is_ended() {
            return Ok(Some((data, trailers)));
        }
    }
    Ok(None)
}

#[test]
fn a_length_ends_where_it_says_and_leaves_what_follows() {
    let (mut decoder, mut buffer) = (Decoder::Sized(3), BytesMut::from("abcGET"));
    assert_eq!(decoder.decode(&mut buffer).unwrap().unwrap().into_data().unwrap(), "abc");
    assert!(decoder.is_ended() && decoder.decode(&mut buffer).unwrap().is_none());
    assert_eq!(buffer, "GET");
}

#[test]
fn the_end_is_known_with_the_last_data() {
    let (mut decoder, mut buffer) = (Decoder::chunked(BOUNDS), BytesMut::from("3\r\nabc\r\n0\r\n\r\nGET"));
    assert_eq!(decoder.decode(&mut buffer).unwrap().unwrap().into_data().unwrap(), "abc");
    assert!(decoder.is_ended());
    assert_eq!(buffer, "GET");
}

#[test]
fn data_before_a_fault_is_passed_on_and_the_fault_after_it() {
    let (mut decoder, mut buffer) = (Decoder::chunked(BOUNDS), BytesMut::from("3\r\nabcX"));
    assert_eq!(decoder.decode(&mut buffer).unwrap().unwrap().into_data().unwrap(), "abc");
    assert!(!decoder.is_ended());
    assert!(decoder.decode(&mut buffer).is_err());
    assert!(matches!(decoder, Decoder::Broken) && decoder.decode(&mut buffer).unwrap().is_none());
}

#[test]
fn trailers_come_out_as_fields() {
    for size in [1, 2, 7, 100] {
        let body = b"1\r\na\r\n0\r\nA: b \r\nB:\r\n\r\n";
        let (data, trailers) = decoded(Decoder::chunked(BOUNDS), body, size).unwrap().unwrap();
        assert_eq!((data.as_slice(), trailers.len()), (&b"a"[..], 2));
        assert_eq!((&trailers["a"], &trailers["b"]), (&HeaderValue::from_static("b"), &HeaderValue::from_static("")));
    }
}

proptest! {
    #[test]
    fn a_body_is_the_same_however_it_is_cut(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6),
        end in prop::sample::select(vec!["0\r\n\r\n", "0\r\nA: b\r\n\r\n", "0\r\nA b\r\n\r\n", "x\r\n", ""]), size in 1usize..50,
    ) {
        let mut wire = Vec::new();
        for chunk in &chunks {
            wire.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            wire.extend_from_slice(chunk);
            wire.extend_from_slice(b"\r\n");
        }
        wire.extend_from_slice(end.as_bytes());
        let whole = decoded(Decoder::chunked(BOUNDS), &wire, wire.len().max(1));
        prop_assert_eq!(&decoded(Decoder::chunked(BOUNDS), &wire, size), &whole);
        match end {
            "0\r\n\r\n" | "0\r\nA: b\r\n\r\n" => prop_assert_eq!(whole.unwrap().unwrap().0, chunks.concat()),
            "" => prop_assert_eq!(whole, Ok(None)),
            _ => prop_assert!(whole.is_err()),
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), size in 1usize..20) {
        let _ = decoded(Decoder::chunked(BOUNDS), &bytes, size);
    }
}
