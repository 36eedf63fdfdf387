use std::collections::VecDeque;

use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::SizeHint;
use proptest::prelude::*;

use super::*;
use crate::body::UploadFailure;
use crate::domain::framing::{Bounds, Dechunker, Part};

const HEAD: &[u8] = b"POST /x HTTP/1.1\r\nHost: g\r\n\r\n";

/// What a client sends, piece by piece; `None` stands for a wait.
struct Pieces {
    pieces: VecDeque<Option<Result<Frame<Bytes>, UploadFailure>>>,
    length: Option<u64>,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = UploadFailure;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UploadFailure>>> {
        match self.get_mut().pieces.pop_front() {
            Some(Some(piece)) => Poll::Ready(Some(piece)),
            Some(None) => Poll::Pending,
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map(SizeHint::with_exact).unwrap_or_default()
    }
}

fn data(bytes: impl Into<Bytes>) -> Option<Result<Frame<Bytes>, UploadFailure>> {
    Some(Ok(Frame::data(bytes.into())))
}

fn outgoing(
    length: Option<u64>,
    pieces: impl IntoIterator<Item = Option<Result<Frame<Bytes>, UploadFailure>>>,
) -> Outgoing<Pieces> {
    Outgoing::new(HEAD.to_vec(), Pieces { pieces: pieces.into_iter().collect(), length })
}

/// A socket that takes so many bytes at a time, waits in between, and breaks where it is told to.
#[derive(Default)]
struct Socket {
    taken: Vec<u8>,
    calls: usize,
    most: usize,
    waits: bool,
    breaks_at: Option<usize>,
}

impl Socket {
    fn open() -> Self {
        Self { most: usize::MAX, ..Self::default() }
    }

    fn take(&mut self, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.calls += 1;
        if self.waits && self.calls % 2 == 1 {
            return Poll::Pending;
        }
        let before = self.taken.len();
        for slice in slices {
            let room = self.most - (self.taken.len() - before);
            self.taken.extend_from_slice(&slice[..slice.len().min(room)]);
        }
        if self.breaks_at.is_some_and(|end| self.taken.len() > end) {
            self.taken.truncate(before);
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Poll::Ready(Ok(self.taken.len() - before))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().take(&[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().take(slices)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Asks until it is done; every `Pending` of these parts is followed by progress.
fn write(outgoing: &mut Outgoing<Pieces>, socket: &mut Socket) -> Result<(), Stopped> {
    let mut cx = Context::from_waker(std::task::Waker::noop());
    for _ in 0..100_000 {
        if let Poll::Ready(outcome) = outgoing.poll_write(socket, &mut cx) {
            return outcome;
        }
    }
    panic!("it never ends");
}

fn trailers() -> HeaderMap {
    HeaderMap::from_iter([(HeaderName::from_static("x-checksum"), HeaderValue::from_static("a b"))])
}

#[test]
fn a_head_without_a_body_is_one_write() {
    let (mut outgoing, mut socket) = (outgoing(None, []), Socket::open());
    write(&mut outgoing, &mut socket).unwrap();
    assert_eq!((socket.taken.as_slice(), socket.calls), (HEAD, 1));
}

#[test]
fn a_body_that_is_there_goes_out_with_its_head_in_one_write() {
    let (mut outgoing, mut socket) = (outgoing(Some(5), [data("hello")]), Socket::open());
    write(&mut outgoing, &mut socket).unwrap();
    assert_eq!((socket.taken, socket.calls), ([HEAD, b"hello"].concat(), 1));
}

#[test]
fn a_head_does_not_wait_for_a_slow_body() {
    let (mut outgoing, mut socket) = (outgoing(Some(5), [None, None, data("hello")]), Socket::open());
    let mut cx = Context::from_waker(std::task::Waker::noop());
    assert!(outgoing.poll_write(&mut socket, &mut cx).is_pending());
    assert_eq!(socket.taken, HEAD);
    write(&mut outgoing, &mut socket).unwrap();
    assert_eq!(socket.taken, [HEAD, b"hello"].concat());
}

#[test]
fn chunks_are_framed_anew_and_an_empty_piece_does_not_end_the_body() {
    let pieces = [data("hello"), data(""), None, data(" world!!!!"), Some(Ok(Frame::trailers(trailers())))];
    let (mut outgoing, mut socket) = (outgoing(None, pieces), Socket::open());
    write(&mut outgoing, &mut socket).unwrap();
    let wanted = "5\r\nhello\r\na\r\n world!!!!\r\n0\r\nx-checksum: a b\r\n\r\n";
    assert_eq!(socket.taken, [HEAD, wanted.as_bytes()].concat());
}

#[test]
fn a_body_shorter_or_longer_than_it_said_or_broken_is_not_taken_for_whole() {
    for (length, pieces) in [
        (Some(5), vec![data("hell")]),
        (Some(5), vec![data("hello!")]),
        (Some(5), vec![data("he"), Some(Err(UploadFailure::Broken))]),
        (None, vec![data("he"), Some(Err(UploadFailure::TooLarge))]),
    ] {
        let (mut outgoing, mut socket) = (outgoing(length, pieces), Socket::open());
        assert!(matches!(write(&mut outgoing, &mut socket), Err(Stopped::Body)));
        let sent = String::from_utf8(socket.taken).unwrap();
        assert!(!sent.ends_with("hello") && !sent.contains("\r\n0\r\n"), "{sent:?}");
    }
}

#[test]
fn only_what_is_still_whole_can_go_out_on_another_connection() {
    // Broken before a byte was taken: even an upload can go elsewhere, its first piece included.
    let (mut upload, mut broken) =
        (outgoing(Some(5), [data("hello")]), Socket { breaks_at: Some(0), ..Socket::open() });
    assert!(matches!(write(&mut upload, &mut broken), Err(Stopped::Connection)));
    assert!(upload.is_untouched() && upload.rewind());
    let mut socket = Socket::open();
    write(&mut upload, &mut socket).unwrap();
    assert_eq!(socket.taken, [HEAD, b"hello"].concat());
    // Broken in the middle: a head alone is still there, a body is not.
    for (length, pieces, again) in [(None, vec![], true), (Some(5), vec![data("hello")], false)] {
        let mut outgoing = outgoing(length, pieces);
        let mut broken = Socket { most: 7, breaks_at: Some(20), ..Socket::open() };
        assert!(matches!(write(&mut outgoing, &mut broken), Err(Stopped::Connection)));
        assert!(!outgoing.is_untouched());
        assert_eq!(outgoing.rewind(), again);
    }
}

#[test]
fn a_socket_that_takes_nothing_is_broken() {
    let mut socket = Socket { most: 0, ..Socket::open() };
    assert!(matches!(write(&mut outgoing(None, []), &mut socket), Err(Stopped::Connection)));
}

/// A chunked body, taken apart again.
fn dechunk(mut bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut chunks = Dechunker::new(Bounds { max_head: 4096, max_headers: 10, max_target: 0 });
    let mut body = Vec::new();
    loop {
        match chunks.advance(bytes).unwrap() {
            Part::Framing(count) => bytes = &bytes[count..],
            Part::Data(count) => {
                body.extend_from_slice(&bytes[..count]);
                bytes = &bytes[count..];
            }
            Part::End(count) => {
                assert_eq!(count, bytes.len(), "bytes stand behind the end");
                return (body, chunks.trailers().to_vec());
            }
        }
    }
}

proptest! {
    /// However pieces come and whatever the socket takes of them, the same bytes arrive.
    #[test]
    fn every_byte_arrives_once_and_in_order(
        pieces in prop::collection::vec(prop::option::of(prop::collection::vec(any::<u8>(), 0..40)), 0..12),
        sized: bool, with_trailers: bool, most in 1..60_usize, waits: bool,
    ) {
        let whole: Vec<u8> = pieces.iter().flatten().flatten().copied().collect();
        let mut frames: Vec<_> = pieces.iter().map(|piece| piece.clone().and_then(data)).collect();
        if with_trailers {
            frames.push(Some(Ok(Frame::trailers(trailers()))));
        }
        let empty = frames.is_empty() || sized && whole.is_empty();
        let mut outgoing = if empty { outgoing(None, []) } else { outgoing(sized.then_some(whole.len() as u64), frames) };
        let mut socket = Socket { most, waits, ..Socket::default() };
        write(&mut outgoing, &mut socket).unwrap();
        let body = socket.taken.strip_prefix(HEAD).unwrap();
        if empty {
            prop_assert!(body.is_empty());
        } else if sized {
            prop_assert_eq!(body, whole);
        } else {
            let (body, lines) = dechunk(body);
            prop_assert_eq!(body, whole);
            let wanted: &[u8] = if with_trailers { b"x-checksum: a b\r\n\r\n" } else { b"\r\n" };
            prop_assert_eq!(lines, wanted);
        }
    }
}
