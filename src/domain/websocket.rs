//! Where the frames of a WebSocket end (RFC 6455 §5.2): between two of them, and only there, one of ours may stand.

/// A frame that says that this side goes away (§7.4.1, code 1001), as a server sends it.
pub const GOING_AWAY: [u8; 4] = [0x88, 2, 0x03, 0xe9];

/// Follows the frames of one direction. Reads lengths and nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frames {
    /// What has come of a head: the first two bytes, then length and mask.
    head: [u8; 14],
    got: usize,
    /// What is missing of the payload.
    left: u64,
}

impl Frames {
    /// Whether the last frame is complete. Control frames may stand between the fragments of a message (§5.4).
    pub const fn is_between(&self) -> bool {
        self.got == 0 && self.left == 0
    }

    /// Takes the next bytes.
    pub fn follow(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let taken = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
                self.left -= taken as u64;
                bytes = bytes.get(taken..).unwrap_or_default();
                continue;
            }
            let (Some((byte, rest)), Some(place)) = (bytes.split_first(), self.head.get_mut(self.got)) else { return };
            *place = *byte;
            self.got += 1;
            bytes = rest;
            if let Some(length) = self.length() {
                (self.got, self.left) = (0, length);
            }
        }
    }

    /// The length of the payload, once the head is complete.
    fn length(&self) -> Option<u64> {
        let [_, second, rest @ ..] = &self.head;
        let (extended, mask) = match second & 0x7f {
            126 => (2, second >> 7),
            127 => (8, second >> 7),
            _ => (0, second >> 7),
        };
        if self.got < 2 + extended + usize::from(mask) * 4 {
            return None;
        }
        let length = rest.iter().take(extended).fold(0u64, |length, byte| length << 8 | u64::from(*byte));
        Some(if extended == 0 { u64::from(second & 0x7f) } else { length })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(length: usize, mask: bool) -> Vec<u8> {
        let bit = u8::from(mask) << 7;
        let mut bytes = vec![0x82];
        match length {
            0..126 => bytes.push(bit | length as u8),
            126..65536 => {
                bytes.push(bit | 126);
                bytes.extend((length as u16).to_be_bytes());
            }
            _ => {
                bytes.push(bit | 127);
                bytes.extend((length as u64).to_be_bytes());
            }
        }
        bytes.extend(std::iter::repeat_n(7, usize::from(mask) * 4 + length));
        bytes
    }

    #[test]
    fn a_frame_ends_where_its_length_says() {
        for length in [0, 1, 125, 126, 65_535, 65_536, 70_000] {
            for mask in [false, true] {
                let bytes = frame(length, mask);
                for cut in [1, 2, 3, 9, bytes.len() - 1].into_iter().filter(|cut| *cut < bytes.len()) {
                    let mut frames = Frames::default();
                    frames.follow(&bytes[..cut]);
                    assert!(!frames.is_between(), "{length} {mask} {cut}");
                    frames.follow(&bytes[cut..]);
                    assert!(frames.is_between(), "{length} {mask} {cut}");
                }
            }
        }
        let mut frames = Frames::default();
        frames.follow(&GOING_AWAY);
        assert!(frames.is_between());
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(bytes: Vec<u8>, cuts: Vec<usize>) {
            let mut whole = Frames::default();
            whole.follow(&bytes);
            let (mut pieces, mut at) = (Frames::default(), 0);
            for cut in cuts {
                let end = (at + cut % 20).min(bytes.len());
                pieces.follow(&bytes[at..end]);
                at = end;
            }
            pieces.follow(&bytes[at..]);
            prop_assert_eq!((whole.is_between(), whole.left, whole.got), (pieces.is_between(), pieces.left, pieces.got));
        }

        #[test]
        fn frames_one_after_another_end_together(lengths in prop::collection::vec((0usize..70_000, any::<bool>()), 1..6), step in 1usize..5000) {
            let bytes: Vec<u8> = lengths.iter().flat_map(|(length, mask)| frame(*length, *mask)).collect();
            let mut frames = Frames::default();
            bytes.chunks(step).for_each(|piece| frames.follow(piece));
            prop_assert!(frames.is_between());
        }
    }
}
