//! The whole memory over a clock of the test's own.

use std::time::Duration;

use super::*;
use crate::domain::past::UserPast;
use crate::domain::token::TokenKind;

struct World {
    memory: Memory,
    began: Instant,
}

impl World {
    fn new() -> Self {
        let began = Instant::now();
        Self { memory: Memory::new(began), began }
    }

    fn at(&self, seconds: u64) -> Moment {
        Moment {
            monotonic: self.began + Duration::from_secs(seconds),
            wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds),
        }
    }

    fn serve(&self, caller: Caller<'_>, beside: bool, seconds: u64) {
        self.memory.served(&caller, beside, true, self.at(seconds).monotonic, || Proof::SignedIn);
    }

    fn token(&self, seconds: u64) -> Caller<'static> {
        let at = self.at(seconds).monotonic;
        let kind = Some(TokenKind::ServiceAccount);
        Caller::Token(Sighting { key: BucketKey(7 << 64), kind, name: None, organisation: None, at })
    }

    fn wrong_password(&self, password: u128, seconds: u64) -> UserPast {
        let past = self.memory.refused(&user(password), Reason::PasswordWrong, 401, self.at(seconds));
        past.user.unwrap()
    }
}

fn user(password: u128) -> Caller<'static> {
    Caller::User { name: BucketKey(1), pair: BucketKey(password) }
}

#[test]
fn failures_of_a_user_count_for_five_minutes() {
    let world = World::new();
    let counts: Vec<u8> = (0..7).map(|attempt| world.wrong_password(9, 10 * attempt).refusals).collect();
    assert_eq!(counts, [0, 1, 2, 3, 4, 5, 5]);
    assert_eq!(world.wrong_password(9, 60 + 299).refusals, 1, "the last at 60 s still counts after 299 s");
    assert_eq!(world.wrong_password(9, 60 + 299 + 300).refusals, 0, "and not after 300 s");
    // Another refusal is no failed attempt.
    world.memory.refused(&user(9), Reason::PermissionMissing, 403, world.at(700));
    assert_eq!(world.wrong_password(9, 700).refusals, 1);
}

#[test]
fn a_success_forgives_failures_and_tells_the_password_from_others() {
    let world = World::new();
    for second in 0..5 {
        world.wrong_password(9, second);
    }
    world.serve(user(8), false, 10);
    let past = world.wrong_password(9, 20);
    assert_eq!((past.refusals, past.accepted, past.same_password), (0, Some(world.at(10).wall), false));
    let past = world.wrong_password(8, 30);
    assert_eq!((past.refusals, past.same_password), (1, true));
}

#[test]
fn who_is_served_without_a_credential_is_anonymous() {
    let world = World::new();
    let anonymous =
        |second| world.memory.refused(&Caller::Other, Reason::PermissionMissing, 403, world.at(second)).anonymous;
    world.memory.served(&Caller::Nobody, false, true, world.at(1).monotonic, || Proof::Nothing);
    world.serve(Caller::Nobody, true, 2);
    world.serve(Caller::Other, false, 3);
    world.serve(world.token(4), false, 4);
    assert_eq!(anonymous(5), None);
    world.serve(Caller::Nobody, false, 6);
    assert_eq!(anonymous(7), Some(world.at(6).wall));
}

#[test]
fn a_damaged_spelling_does_not_condemn_the_token() {
    let world = World::new();
    world.memory.refused(&world.token(1), Reason::TokenMalformed, 401, world.at(1));
    world.serve(world.token(2), false, 2);
    let past = world.memory.refused(&world.token(3), Reason::PermissionMissing, 403, world.at(3));
    let token = past.token.unwrap();
    assert_eq!((token.condemned, token.accepted.map(|accepted| accepted.last)), (None, Some(world.at(2).wall)));
    assert_eq!(past.anonymous, None);
}

#[test]
fn an_expired_token_that_is_served_was_not_accepted() {
    let world = World::new();
    world.serve(world.token(1), false, 1);
    world.memory.refused(&world.token(10), Reason::TokenExpired, 401, world.at(10));
    world.serve(world.token(20), true, 20);
    let past = world.memory.refused(&world.token(21), Reason::PermissionMissing, 403, world.at(21));
    assert_eq!(past.anonymous, None, "the cookie beside it may have let it in");
    world.serve(world.token(30), false, 30);
    let past = world.memory.refused(&world.token(31), Reason::PermissionMissing, 403, world.at(31));
    let token = past.token.unwrap();
    assert_eq!(past.anonymous, Some(world.at(30).wall));
    assert_eq!(token.accepted.unwrap().last, world.at(1).wall);
    assert_eq!(token.condemned, Some((Reason::TokenExpired, world.at(10).wall)));
}
