use std::io::ErrorKind;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::super::lines::MAX_WAITING;
use super::*;
use crate::domain::reason::Reason;

/// Tells each write, and waits for permission where it is asked to.
struct Pipe {
    written: Sender<Vec<u8>>,
    gate: Option<Receiver<()>>,
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(gate) = &self.gate {
            // Open for good once the other end is gone.
            let _ = gate.recv();
        }
        self.written.send(bytes.to_vec()).map_err(|_| ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn log(gate: Option<Receiver<()>>, ring: Option<Ring>) -> (Log, LogGuard, Receiver<Vec<u8>>) {
    let (written, lines) = channel();
    let out = Box::new(Pipe { written, gate });
    let (log, guard) = Log::start(LogSettings::default(), out, false, false, ring).unwrap();
    (log, guard, lines)
}

fn refusal_of(client: u32) -> Arc<Refusal> {
    let client = Some(std::net::Ipv4Addr::from(client).into());
    let refusal = Refusal::unread(Reason::HeadMalformed, 400, "A detail.".into(), "A hint.".into());
    Arc::new(Refusal { client, ..refusal })
}

fn all(lines: &Receiver<Vec<u8>>) -> Vec<serde_json::Value> {
    let text: Vec<u8> = lines.iter().flatten().collect();
    text.split_inclusive(|byte| *byte == b'\n').map(|line| serde_json::from_slice(line).unwrap()).collect()
}

#[test]
fn the_end_writes_what_is_on_its_way_and_what_was_held() {
    let (log, guard, lines) = log(None, None);
    for _ in 0..5 {
        log.refused(refusal_of(1));
    }
    drop((log, guard));
    let told = all(&lines);
    assert_eq!(told.len(), 2);
    assert_eq!((&told[0]["reason"], &told[0]["client"]), (&"head_malformed".into(), &"0.0.0.1".into()));
    assert_eq!((&told[0]["suppressed"], &told[1]["suppressed"]), (&serde_json::Value::Null, &3.into()));
}

#[test]
fn a_blocked_pipe_holds_nobody_up_and_what_is_lost_is_counted() {
    let (open, gate) = channel();
    let (log, guard, lines) = log(Some(gate), None);
    let (count, dropped) = (3 * MAX_WAITING / 1000, log.dropped());
    let line = format!("{}\n", "x".repeat(999));
    for _ in 0..count {
        log.lines.hand_over(&line);
    }
    // The writer has at most one batch in hand; a second waits.
    let lost = dropped.load(Relaxed);
    assert!((count / 4..=2 * count / 3 + 1).contains(&(lost as usize)), "{lost} of {count}");
    drop((open, guard, log));
    let written: usize = lines.iter().map(|piece| piece.len() / 1000).sum();
    assert_eq!(written as u64 + dropped.load(Relaxed), count as u64);
}

#[test]
fn a_blocked_pipe_does_not_hold_up_the_ring() {
    let (open, gate) = channel();
    let ring = Ring::default();
    let (log, guard, lines) = log(Some(gate), Some(ring.clone()));
    for client in 0..3000 {
        log.refused(refusal_of(client));
    }
    guard.refusals.end(Instant::now() + Duration::from_secs(30));
    let snapshot = ring.snapshot(usize::MAX);
    assert_eq!((snapshot.last, snapshot.refusals.len()), (3000, crate::telemetry::ring::KEPT));
    drop((open, guard, log));
    assert_eq!(all(&lines).len(), 3000);
}

#[test]
fn a_flood_of_one_caller_leaves_the_others_to_be_seen_and_is_counted_whole() {
    let ring = Ring::default();
    let (log, guard, lines) = log(None, Some(ring.clone()));
    log.refused(refusal_of(1));
    let equal = refusal_of(2);
    for _ in 0..500 {
        log.refused(Arc::clone(&equal));
    }
    drop((log, guard));
    let (snapshot, free) = (ring.snapshot(usize::MAX), u64::from(super::super::fold::Place::Ring.free()));
    assert_eq!(snapshot.refusals.len() as u64, 1 + free + 1);
    let last = &snapshot.refusals[0];
    assert_eq!((last.sequence, last.suppressed), (501, 500 - free - 1));
    assert!(last.json.contains("\"suppressed\":479"), "{}", last.json);
    let counted: u64 = snapshot.minutes.iter().flat_map(|minute| &minute.counts).map(|(_, count)| count).sum();
    assert_eq!((counted, all(&lines).len()), (501, 3));
}

#[test]
fn what_found_no_room_is_counted_and_leaves_a_gap() {
    let ring = Ring::default();
    let (log, guard, lines) = log(None, Some(ring.clone()));
    let over = 100;
    // Whoever holds the box keeps the teller from it.
    log.refusals.put(|waiting| waiting.extend((0..teller::MAX_WAITING as u32).map(refusal_of)));
    let mut offered = teller::MAX_WAITING as u64;
    while log.dropped().load(Relaxed) < over {
        log.refusals.put(|waiting| waiting.extend((0..teller::MAX_WAITING as u32).map(refusal_of)));
        offered += teller::MAX_WAITING as u64;
        for client in 0..over as u32 {
            log.refused(refusal_of(client));
            offered += 1;
        }
    }
    let dropped = log.dropped().load(Relaxed);
    // A busy machine may need more than the end of the program waits.
    guard.refusals.end(Instant::now() + Duration::from_secs(30));
    drop((log, guard, lines));
    let snapshot = ring.snapshot(usize::MAX);
    let counted: u64 = snapshot.minutes.iter().flat_map(|minute| &minute.counts).map(|(_, count)| count).sum();
    assert!(dropped >= over);
    assert_eq!((counted, snapshot.last), (offered, offered));
}

#[test]
fn a_line_for_a_pipe_that_broke_is_counted() {
    let (log, guard, lines) = log(None, None);
    let dropped = log.dropped();
    drop(lines);
    log.lines.hand_over("x\ny\n");
    drop(guard);
    assert_eq!(dropped.load(Relaxed), 2);
}

#[test]
fn only_events_of_ours_are_told_and_what_libraries_say_costs_nothing() {
    use tracing_subscriber::layer::SubscriberExt as _;
    let (log, guard, lines) = log(None, None);
    let subscriber = tracing_subscriber::registry().with(crate::telemetry::Events::new(log.clone()));
    tracing::subscriber::with_default(subscriber, || {
        assert!(tracing::trace_span!(target: "h2::codec", "poll").is_disabled());
        assert!(tracing::error_span!(target: "grafana_token_proxy", "ours").is_disabled());
        assert!(!tracing::enabled!(target: "h2::codec", tracing::Level::ERROR));
        tracing::error!(target: "rustls::conn", "not for us");
        tracing::info!(target: "grafana_token_proxy::app", event = "listening", "ours");
    });
    drop((log, guard));
    let told = all(&lines);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["event"], "listening");
}
