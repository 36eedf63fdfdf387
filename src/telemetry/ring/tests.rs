use super::*;

fn refusal(path: &str) -> Arc<Refusal> {
    let mut refusal = Refusal::unread(Reason::TokenExpired, 401, "A detail.".into(), "A hint.".into());
    refusal.facts.unread = false;
    refusal.facts.uri = path.parse().unwrap();
    Arc::new(refusal)
}

/// Waits for the keeper to have taken so many.
fn settled(ring: &Ring, last: u64) -> Snapshot {
    loop {
        let snapshot = ring.snapshot(usize::MAX);
        if snapshot.last >= last {
            return snapshot;
        }
        std::thread::yield_now();
    }
}

#[test]
fn what_is_offered_can_be_looked_at_newest_first() {
    let ring = Ring::start().unwrap();
    ring.offer(&refusal("/one"));
    ring.offer(&refusal("/two"));
    let snapshot = settled(&ring, 2);
    let paths: Vec<_> = snapshot.refusals.iter().map(|told| (told.sequence, &*told.path)).collect();
    assert_eq!(paths, [(2, "/two"), (1, "/one")]);
    assert_eq!(snapshot.minutes.last().unwrap().counts, [(Reason::TokenExpired, 2)]);
    let record: serde_json::Value = serde_json::from_str(&snapshot.refusals[0].json).unwrap();
    assert_eq!(
        (&record["seq"], &record["reason"], &record["path"]),
        (&2.into(), &"token_expired".into(), &"/two".into())
    );
}

/// Refusals of as many callers, so that none is folded.
fn of_client(number: u32, path: &str) -> Arc<Refusal> {
    let mut refusal = Arc::unwrap_or_clone(refusal(path));
    refusal.client = Some(std::net::Ipv4Addr::from(number).into());
    Arc::new(refusal)
}

#[test]
fn only_the_last_are_kept_and_none_is_longer_than_it_may_be() {
    let ring = Ring::start().unwrap();
    let long = format!("/{}", "x".repeat(8000));
    let mut offered = 0;
    while offered < KEPT as u64 + 50 {
        ring.offer(&of_client(offered as u32, if offered % 100 == 99 { &long } else { "/" }));
        offered += 1;
        // A thread that may not run for a while must not miss any.
        if offered % 500 == 0 {
            settled(&ring, offered);
        }
    }
    let snapshot = settled(&ring, offered);
    assert_eq!((snapshot.refusals.len(), snapshot.refusals[0].sequence), (KEPT, offered));
    assert!(snapshot.refusals.iter().all(|told| told.json.len() < 8192 && told.path.len() < 4096));
}

#[test]
fn a_flood_of_one_caller_leaves_the_others_to_be_seen_and_is_counted_whole() {
    let ring = Ring::start().unwrap();
    ring.offer(&of_client(1, "/before"));
    let equal = of_client(2, "/");
    for _ in 0..500 {
        ring.offer(&equal);
    }
    // The window ends within a second, and tells how many there were.
    let snapshot = settled(&ring, 501);
    assert_eq!(snapshot.refusals.len(), 1 + FREE as usize + 1);
    let last = &snapshot.refusals[0];
    assert_eq!((last.sequence, last.suppressed), (501, 500 - u64::from(FREE) - 1));
    assert!(last.json.contains("\"suppressed\":479"), "{}", last.json);
    let counted: u64 = snapshot.minutes.iter().flat_map(|minute| &minute.counts).map(|(_, count)| count).sum();
    assert_eq!(counted, 501);
}

#[test]
fn what_found_no_room_is_counted_and_leaves_a_gap() {
    let ring = Ring::start().unwrap();
    let held = lock(&ring.kept);
    for number in 0..MAX_WAITING as u32 + 100 {
        ring.offer(&of_client(number, "/"));
    }
    let missed: u64 = ring.missed.iter().map(|missed| missed.load(Relaxed)).sum();
    assert!((99..=100).contains(&missed), "{missed}");
    drop(held);
    let snapshot = settled(&ring, MAX_WAITING as u64 + 100);
    let counted: u64 = snapshot.minutes.iter().flat_map(|minute| &minute.counts).map(|(_, count)| count).sum();
    assert_eq!((counted, snapshot.last), (MAX_WAITING as u64 + 100, MAX_WAITING as u64 + 100));
}

#[tokio::test]
async fn a_follower_gets_what_was_kept_and_what_comes_without_a_gap() {
    let ring = Ring::start().unwrap();
    ring.offer(&refusal("/one"));
    ring.offer(&refusal("/two"));
    settled(&ring, 2);
    let (before, last, mut follower) = ring.follow(Some(1));
    assert_eq!((before.len(), before[0].sequence, last), (1, 2, 2));
    ring.offer(&refusal("/three"));
    assert_eq!(follower.next().await.unwrap().sequence, 3);
    assert_eq!(ring.follow(Some(99)).0.len(), 3, "a number of a life before this one");
    assert_eq!(ring.follow(None).0.len(), 0);
}

#[tokio::test]
async fn a_follower_that_does_not_read_is_given_up() {
    let ring = Ring::start().unwrap();
    let (_, _, mut follower) = ring.follow(None);
    for number in 1..=MAX_BEHIND as u32 + 1 {
        ring.offer(&of_client(number, "/"));
        settled(&ring, number.into());
    }
    assert_eq!(follower.next().await.unwrap_err(), Gone::Lagged);
}
