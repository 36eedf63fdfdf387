//! The memory over a clock of the test's own.

use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;

use super::*;

const START: SystemTime = UNIX_EPOCH;

struct World {
    memory: TokenMemory,
    began: Instant,
}

impl World {
    fn new(capacity: usize) -> Self {
        let began = Instant::now();
        Self { memory: TokenMemory::new(capacity, began), began }
    }

    fn at(&self, seconds: u64) -> Moment {
        Moment {
            monotonic: self.began + Duration::from_secs(seconds),
            wall: START + Duration::from_secs(1_000_000 + seconds),
        }
    }

    fn sighting(&self, key: u128, seconds: u64) -> Sighting<'static> {
        let kind = Some(TokenKind::ServiceAccount);
        Sighting { key: BucketKey(key), kind, name: None, organisation: Some(2), at: self.at(seconds).monotonic }
    }

    fn accept(&self, key: u128, seconds: u64) {
        self.memory.served(&self.sighting(key, seconds), true, || Proof::SignedIn);
    }

    fn refuse(&self, key: u128, reason: Reason, seconds: u64) -> TokenPast {
        self.memory.refused(&self.sighting(key, seconds), reason, 401, self.at(seconds).wall)
    }
}

/// Keys as a hash would make them.
fn key(number: u64) -> u128 {
    let mix = |seed: u64| {
        let mut mixed = number.wrapping_add(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    u128::from(mix(1)) << 64 | u128::from(mix(1 << 60))
}

#[test]
fn an_entry_is_small_enough_for_the_promise() {
    let bytes = (size_of::<Entry>() + size_of::<u64>() + 1) * MOST_TOKENS;
    assert!(bytes <= 5_000_000, "{bytes} bytes when full");
}

#[test]
fn a_refusal_is_told_what_was_before_it() {
    let world = World::new(100);
    assert_eq!(world.refuse(7, Reason::OrgMismatch, 5), TokenPast::default());
    world.accept(7, 60);
    world.accept(7, 61);
    let past = world.refuse(7, Reason::TokenUnknown, 3600);
    let accepted = past.accepted.unwrap();
    assert_eq!((accepted.last, accepted.organisation), (world.at(61).wall, Some(2)));
    let refused = past.refused.unwrap();
    assert_eq!((refused.reason, refused.in_a_row, refused.last), (Reason::OrgMismatch, 0, world.at(5).wall));
    world.refuse(7, Reason::TokenUnknown, 3700);
    let refused = world.refuse(7, Reason::TokenUnknown, 3800).refused.unwrap();
    assert_eq!((refused.in_a_row, refused.since, refused.last), (2, world.at(3600).wall, world.at(3700).wall));
}

#[test]
fn a_token_that_is_known_again_is_counted() {
    let world = World::new(100);
    for round in 0..3 {
        world.accept(7, 10 * round);
        world.refuse(7, Reason::TokenUnknown, 10 * round + 1);
    }
    assert_eq!(world.refuse(7, Reason::TokenUnknown, 50).recovered, 2);
    let other = World::new(100);
    other.refuse(7, Reason::PermissionMissing, 1);
    other.accept(7, 2);
    assert_eq!(
        other.refuse(7, Reason::TokenUnknown, 50).recovered,
        0,
        "another refusal proves nothing about the token"
    );
}

#[test]
fn a_success_of_the_same_second_is_not_proved_again_but_counts() {
    let world = World::new(100);
    let asked = std::cell::Cell::new(0);
    let serve = |sighting: Sighting<'_>| {
        world.memory.served(&sighting, true, || {
            asked.set(asked.get() + 1);
            Proof::SignedIn
        });
        asked.get()
    };
    assert_eq!((serve(world.sighting(7, 1)), serve(world.sighting(7, 1))), (1, 1));
    // Another second, another organisation, or a refusal between: then it may tell something new.
    assert_eq!(serve(world.sighting(7, 2)), 2);
    assert_eq!(serve(Sighting { organisation: None, ..world.sighting(7, 2) }), 3);
    world.refuse(7, Reason::PermissionMissing, 2);
    assert_eq!(serve(world.sighting(7, 2)), 4);
    let state = &world.memory.snapshot(world.at(3), 1)[0];
    assert_eq!((state.served, state.past.refused.unwrap().in_a_row), (5, 0));
    world.memory.served(&world.sighting(8 << 64, 3), true, || Proof::Nothing);
    assert!(world.refuse(8 << 64, Reason::TokenUnknown, 4).unclear);
}

#[test]
fn a_clock_that_is_set_does_not_move_the_past() {
    let world = World::new(100);
    world.accept(7, 10);
    let set = world.at(20).wall + Duration::from_secs(86_400);
    let past = world.memory.refused(&world.sighting(7, 20), Reason::TokenUnknown, 401, set);
    assert_eq!(past.accepted.unwrap().last, set - Duration::from_secs(10));
}

#[test]
fn the_snapshot_shows_the_latest_first_and_no_more_than_asked() {
    let world = World::new(1000);
    for number in 0..100 {
        world.accept(key(number), number);
    }
    world.refuse(key(3), Reason::TokenExpired, 200);
    world.memory.served(&world.sighting(key(3), 201), true, || Proof::Nothing);
    let states = world.memory.snapshot(world.at(300), 5);
    let keys: Vec<u128> = states.iter().map(|state| state.key.0).collect();
    assert_eq!(keys, [3, 99, 98, 97, 96].map(key));
    let first = &states[0];
    assert_eq!((first.served, first.refused, first.past.unclear), (2, 1, false));
    assert_eq!((first.first_seen, first.last_seen), (world.at(3).wall, world.at(201).wall));
    assert_eq!(first.fingerprint, BucketKey(key(3)).fingerprint());
    assert_eq!(first.past.refused.unwrap().reason, Reason::TokenExpired);
    assert_eq!(world.memory.snapshot(world.at(300), 1000).len(), 100);
    assert!(world.memory.snapshot(world.at(300), 0).is_empty());
}

#[test]
fn a_configured_name_follows_the_configuration() {
    let world = World::new(100);
    let (old, new): (Arc<str>, Arc<str>) = ("ci".into(), "deploy".into());
    for name in [Some(&old), Some(&old), Some(&new)] {
        world.memory.served(&Sighting { name, ..world.sighting(7, 1) }, true, || Proof::SignedIn);
    }
    let name = || world.memory.snapshot(world.at(2), 1)[0].name.clone();
    assert_eq!(name().as_deref(), Some("deploy"));
    assert_eq!(Arc::strong_count(&old), 1, "a name that is gone is not kept");
    world.accept(7, 3);
    assert_eq!(name(), None);
}

#[test]
fn a_flood_of_strangers_neither_grows_it_nor_pushes_out_who_was_accepted() {
    let world = World::new(MOST_TOKENS);
    let known = 1000;
    for number in 0..known {
        world.accept(key(number), 1);
    }
    for number in 0..1_000_000 {
        world.refuse(key(1_000_000 + number), Reason::TokenUnknown, 2 + number / 1000);
    }
    for number in 0..1000 {
        // Grafana never saw them.
        world.refuse(key(5_000_000 + number), Reason::AuthFailuresLimited, 2000);
    }
    let states = world.memory.snapshot(world.at(2000), usize::MAX);
    assert!(
        !states
            .iter()
            .any(|state| state.past.refused.is_some_and(|refused| refused.reason == Reason::AuthFailuresLimited))
    );
    assert!(states.len() <= MOST_TOKENS && states.len() > MOST_TOKENS * 9 / 10, "{}", states.len());
    let kept = states.iter().filter(|state| state.past.accepted.is_some()).count();
    assert_eq!((kept, world.memory.is_lossy()), (1000, false));
}

#[test]
fn what_was_accepted_long_ago_makes_room_and_the_memory_says_so() {
    let world = World::new(8);
    for number in 0..8 {
        world.accept(key(number), number);
    }
    world.refuse(key(100), Reason::TokenUnknown, 60);
    assert_eq!(world.refuse(key(100), Reason::TokenUnknown, 61), TokenPast::default(), "there was no room for it");
    // A page that everybody gets makes no room either.
    world.memory.served(&world.sighting(key(100), 61), true, || Proof::Nothing);
    assert_eq!((world.memory.is_lossy(), world.memory.len()), (false, 8));
    world.accept(key(101), 62);
    assert!(world.memory.is_lossy(), "the ninth token that was accepted displaced one");
    assert_eq!(world.memory.snapshot(world.at(63), 1)[0].key.0, key(101));
    world.refuse(key(102), Reason::TokenUnknown, 2 * 86_400);
    assert!(world.refuse(key(102), Reason::TokenUnknown, 2 * 86_400 + 1).refused.is_some());
    assert_eq!(world.memory.len(), 8);
}

proptest! {
    #[test]
    fn it_tells_what_a_plain_list_would(steps in prop::collection::vec((0u64..6, 0u8..3, 0u64..50), 1..80)) {
        let world = World::new(64);
        let mut seconds = 0;
        // For each token: times of acceptance, refusals in a row, refusals in all.
        let mut list = [(None, 0u32, 0u32); 6];
        for (token, what, later) in steps {
            seconds += later;
            let (accepted, row, all) = &mut list[token as usize];
            match what {
                0 => {
                    world.accept(key(token), seconds);
                    (*accepted, *row) = (Some(world.at(seconds).wall), 0);
                }
                1 => {
                    world.memory.served(&world.sighting(key(token), seconds), true, || Proof::Nothing);
                }
                _ => {
                    let past = world.refuse(key(token), Reason::TokenUnknown, seconds);
                    prop_assert_eq!(past.accepted.map(|accepted| accepted.last), *accepted);
                    prop_assert_eq!(past.refused.map_or(0, |refused| refused.in_a_row), *row);
                    *row += 1;
                    *all += 1;
                }
            }
        }
        for state in world.memory.snapshot(world.at(seconds), 64) {
            let token = (0..6).find(|token| key(*token) == state.key.0).unwrap();
            prop_assert_eq!(state.refused, list[token as usize].2);
        }
    }
}
