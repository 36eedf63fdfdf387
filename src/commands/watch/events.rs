//! Server-sent events (WHATWG HTML §9.2.6), out of the pieces that come.

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Event {
    pub name: String,
    pub data: String,
    pub id: Option<String>,
}

/// What has come of an event so far.
#[derive(Debug, Default)]
pub(super) struct Events {
    line: Vec<u8>,
    event: Event,
}

/// Longer than any line that the console sends; whoever sends more is no console.
const LONGEST: usize = 64 * 1024;

impl Events {
    /// Takes a piece, and hands out the events that it ends. `false`: the one who takes them has had enough.
    pub(super) fn take(&mut self, piece: &[u8], on_event: &mut impl FnMut(Event) -> bool) -> bool {
        for byte in piece {
            match byte {
                b'\r' => {}
                b'\n' => {
                    let line = std::mem::take(&mut self.line);
                    if !self.end_line(&String::from_utf8_lossy(&line), on_event) {
                        return false;
                    }
                }
                byte if self.line.len() < LONGEST => self.line.push(*byte),
                _ => {}
            }
        }
        true
    }

    fn end_line(&mut self, line: &str, on_event: &mut impl FnMut(Event) -> bool) -> bool {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return event.data.is_empty() || on_event(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event.name),
            "id" => self.event.id = Some(value.to_owned()),
            "data" => self.event.data.push_str(value),
            // Comments keep the connection alive, and say nothing.
            _ => {}
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STREAM: &str = "retry: 2000\n\n: still here\n\nid: 19f-7\nevent: refusal\ndata: {\"seq\":7}\n\nevent: gap\ndata: {\"missed\":2}\n\n";

    fn read(pieces: &[&[u8]]) -> Vec<Event> {
        let (mut events, mut seen) = (Events::default(), Vec::new());
        for piece in pieces {
            events.take(piece, &mut |event| {
                seen.push(event);
                true
            });
        }
        seen
    }

    #[test]
    fn events_are_told_from_comments_and_from_each_other() {
        let seen = read(&[STREAM.as_bytes()]);
        let wanted = [("refusal", "{\"seq\":7}", Some("19f-7")), ("gap", "{\"missed\":2}", None)];
        assert_eq!(
            seen.iter().map(|event| (&*event.name, &*event.data, event.id.as_deref())).collect::<Vec<_>>(),
            wanted
        );
    }

    #[test]
    fn whoever_has_enough_gets_no_more() {
        let mut count = 0;
        let all = Events::default().take(STREAM.as_bytes(), &mut |_| {
            count += 1;
            false
        });
        assert!(!all && count == 1);
    }

    proptest! {
        #[test]
        fn it_does_not_matter_where_the_pieces_end(size in 1..40_usize) {
            let pieces: Vec<&[u8]> = STREAM.as_bytes().chunks(size).collect();
            prop_assert_eq!(read(&pieces), read(&[STREAM.as_bytes()]));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            read(&[&bytes]);
        }
    }
}
