use super::*;

fn folded(path: &str, suppressed: u64) -> Folded {
    let mut refusal = Refusal::unread(Reason::TokenExpired, 401, "A detail.".into(), "A hint.".into());
    refusal.facts.reading = crate::domain::head::Reading::Whole;
    refusal.facts.uri = path.parse().unwrap();
    Folded { refusal: Arc::new(refusal), suppressed }
}

fn keep(ring: &Ring, path: &str) {
    let folded = folded(path, 0);
    ring.count(&folded.refusal);
    ring.keep(&folded);
}

#[test]
fn what_is_kept_can_be_looked_at_newest_first() {
    let ring = Ring::default();
    keep(&ring, "/one");
    keep(&ring, "/two");
    let snapshot = ring.snapshot(usize::MAX);
    let paths: Vec<_> = snapshot.refusals.iter().map(|told| (told.sequence, &*told.path)).collect();
    assert_eq!(paths, [(2, "/two"), (1, "/one")]);
    assert_eq!(snapshot.minutes.last().unwrap().counts, [(Reason::TokenExpired, 2)]);
    let record: serde_json::Value = serde_json::from_str(&snapshot.refusals[0].json).unwrap();
    assert_eq!(
        (&record["seq"], &record["reason"], &record["path"]),
        (&2.into(), &"token_expired".into(), &"/two".into())
    );
    assert!(snapshot.refusals[0].json.starts_with("{\"seq\":2,\"timestamp\":\""));
}

#[test]
fn only_the_last_are_kept_and_none_is_longer_than_it_may_be() {
    let ring = Ring::default();
    let long = format!("/{}", "x".repeat(8000));
    for number in 0..KEPT + 50 {
        keep(&ring, if number % 100 == 99 { &long } else { "/" });
    }
    let snapshot = ring.snapshot(usize::MAX);
    assert_eq!((snapshot.refusals.len(), snapshot.refusals[0].sequence), (KEPT, KEPT as u64 + 50));
    assert!(snapshot.refusals.iter().all(|told| told.json.len() < 8192 && told.path.len() < 4096));
}

#[test]
fn numbers_go_on_over_what_was_folded_and_what_was_missed() {
    let ring = Ring::default();
    ring.keep(&folded("/", 4));
    ring.miss(SystemTime::now(), Reason::TokenExpired, 10);
    keep(&ring, "/");
    let snapshot = ring.snapshot(usize::MAX);
    let numbers: Vec<u64> = snapshot.refusals.iter().map(|told| told.sequence).collect();
    assert_eq!(numbers, [16, 5]);
}

#[tokio::test]
async fn a_follower_gets_what_was_kept_and_what_comes_without_a_gap() {
    let ring = Ring::default();
    keep(&ring, "/one");
    keep(&ring, "/two");
    let mut following = ring.follow(Some(ring.cursor(1)));
    assert_eq!((following.before.len(), following.before[0].sequence, following.after), (1, 2, 1));
    assert!(!following.restarted);
    keep(&ring, "/three");
    assert_eq!(following.follower.next().await.unwrap().sequence, 3);
    assert_eq!((ring.follow(None).before.len(), ring.follow(None).after), (0, 3));
}

#[test]
fn a_follower_from_before_a_restart_gets_all_that_is_kept() {
    let ring = Ring::default();
    keep(&ring, "/one");
    keep(&ring, "/two");
    for cursor in ["1234-1", "1234-2", "1234-99", "99"] {
        let following = ring.follow(Some(cursor.parse().unwrap()));
        assert!(following.restarted, "{cursor}");
        assert_eq!((following.before.len(), following.after), (2, 0), "{cursor}");
    }
    assert!(!ring.follow(Some("2".parse().unwrap())).restarted);
}

#[tokio::test]
async fn a_follower_that_does_not_read_is_given_up() {
    let ring = Ring::default();
    let mut following = ring.follow(None);
    for _ in 0..=MAX_BEHIND {
        keep(&ring, "/");
    }
    assert_eq!(following.follower.next().await.unwrap_err(), Gone::Lagged);
}
