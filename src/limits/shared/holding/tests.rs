use proptest::prelude::*;

use super::*;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;

fn want(per_second: u64, burst: u32, lease: Lease) -> Want {
    Want { period: SECOND / per_second, burst, cost: 1, lease, floor: 0 }
}

/// The store as `claim.lua` is written, for one bucket.
#[derive(Default)]
struct Server {
    arrival: u64,
    trips: u64,
    charged: u64,
}

impl Server {
    fn ask(&mut self, want: &Want, ask: Ask, floor: u64, now: u64) -> Grant {
        self.trips += 1;
        let full = want.period * u64::from(want.burst);
        let debt = self.arrival.saturating_sub(now).max(floor).min(full);
        let fit = ((full - debt) / want.period) as u32;
        let granted = if fit >= ask.least { fit.min(ask.most) } else { 0 };
        let debt = debt + u64::from(granted) * want.period;
        self.arrival = self.arrival.max(now + debt);
        self.charged += u64::from(granted);
        let missing = (debt + u64::from(ask.least) * want.period).saturating_sub(full);
        Grant { granted, debt, retry_after: if granted < ask.least { missing } else { 0 } }
    }
}

/// A replica in front of the store, `delay` away from it.
struct Replica {
    holding: Holding,
    delay: u64,
    sent: u64,
    /// Questions whose answers are not here yet.
    flying: Vec<(u64, u64, Ask, Grant)>,
    admitted: u64,
    refused: u64,
}

impl Replica {
    fn new(delay: u64) -> Self {
        Self { holding: Holding::default(), delay, sent: 0, flying: Vec::new(), admitted: 0, refused: 0 }
    }

    fn land(&mut self, now: u64) {
        let (landed, flying): (Vec<_>, Vec<_>) = self.flying.drain(..).partition(|(lands, ..)| *lands <= now);
        self.flying = flying;
        for (lands, sent, ask, grant) in landed {
            self.holding.answered(ask, grant, sent, 0, lands);
        }
    }

    fn send(&mut self, server: &mut Server, want: &Want, ask: Ask, now: u64) -> Grant {
        self.sent += 1;
        // The way there takes longer or shorter by turns, at most as long as there and back.
        server.ask(want, ask, ask.debt(now), now + self.delay * (self.sent % 5) / 4)
    }

    /// One request. Who has to wait for the store is answered at once here, and charged.
    fn request(&mut self, server: &mut Server, want: &Want, now: u64) -> bool {
        self.land(now);
        let admitted = match self.holding.claim(want, now) {
            Verdict::Admitted { renew, .. } => {
                if let Some(ask) = renew {
                    let grant = self.send(server, want, ask, now);
                    self.flying.push((now + self.delay, now, ask, grant));
                }
                true
            }
            Verdict::Refused { retry_after, .. } => {
                assert!(retry_after > 0);
                false
            }
            Verdict::Unknown(ask) => {
                let grant = self.send(server, want, ask, now);
                self.holding.answered(ask, grant, now, want.cost, now + self.delay)
            }
        };
        *if admitted { &mut self.admitted } else { &mut self.refused } += 1;
        admitted
    }
}

/// Plays `replicas` with `demand` requests a second each; says what was admitted and how many round trips it took.
fn play(want: &Want, replicas: usize, demand: u64, seconds: u64) -> (u64, u64) {
    let mut server = Server::default();
    let mut fleet: Vec<Replica> = (0..replicas).map(|_| Replica::new(MS / 2)).collect();
    for tick in 0..seconds * demand {
        // The clock does not begin at zero, and the replicas do not tick together.
        let now = SECOND + tick * SECOND / demand;
        for (place, replica) in fleet.iter_mut().enumerate() {
            replica.request(&mut server, want, now + place as u64 * 137_000);
        }
    }
    (fleet.iter().map(|replica| replica.admitted).sum(), server.trips)
}

#[test]
fn replicas_together_never_exceed_the_budget_and_use_it_where_there_is_demand() {
    for lease in [Lease::Auto, Lease::Exact, Lease::Fixed(7), Lease::Fixed(50)] {
        for (replicas, per_second, burst) in [(1, 1000, 200), (4, 1000, 200), (4, 100, 200), (8, 50, 20), (3, 7, 3)] {
            let want = want(per_second, burst, lease);
            let (admitted, _) = play(&want, replicas, 2 * per_second, 10);
            let budget = 10 * per_second + u64::from(burst) + 1;
            let case = format!("{lease:?}, {replicas} replicas, {per_second}/s, burst {burst}");
            assert!(admitted <= budget, "{case}: {admitted} of {budget}");
            assert!(admitted >= budget * 95 / 100 - 1, "{case}: {admitted} of {budget}");
        }
    }
}

#[test]
fn a_way_that_takes_longer_and_shorter_costs_no_budget() {
    let want = want(400, 200, Lease::Exact);
    let mut server = Server::default();
    let mut fleet: Vec<Replica> = (0..4).map(|_| Replica::new(20 * MS)).collect();
    for tick in 0..2_000 {
        for replica in &mut fleet {
            replica.request(&mut server, &want, SECOND + tick * 5 * MS);
        }
    }
    let admitted: u64 = fleet.iter().map(|replica| replica.admitted).sum();
    assert!((4_180..=4_210).contains(&admitted), "{admitted} of 4200");
}

#[test]
fn a_busy_token_seldom_asks() {
    let want = want(1000, 200, Lease::Auto);
    let (admitted, trips) = play(&want, 1, 1000, 10);
    assert!(admitted >= 9_990, "{admitted}");
    assert!(trips * 20 <= admitted, "{trips} round trips for {admitted}");
    let (admitted, trips) = play(&want, 4, 250, 10);
    assert!(admitted >= 9_990 && trips * 20 <= admitted, "{trips} round trips for {admitted}");
}

#[test]
fn requests_that_come_in_crowds_seldom_ask() {
    let want = want(1000, 200, Lease::Auto);
    let mut server = Server::default();
    let mut replica = Replica::new(MS / 2);
    for crowd in 0..1_000 {
        for _ in 0..10 {
            replica.request(&mut server, &want, SECOND + crowd * 10 * MS);
        }
    }
    let (admitted, trips) = (replica.admitted, server.trips);
    assert!(admitted >= 9_990 && trips * 20 <= admitted, "{trips} round trips for {admitted}");
}

#[test]
fn a_flood_on_an_empty_bucket_asks_for_batches() {
    let (admitted, trips) = play(&want(1000, 200, Lease::Auto), 1, 20_000, 5);
    assert!(trips * 6 <= admitted, "{trips} round trips for {admitted}");
    let (admitted, trips) = play(&want(10, 20, Lease::Exact), 1, 5_000, 5);
    assert!(trips <= admitted * 2, "a refused flood asks the store: {trips} for {admitted}");
}

#[test]
fn exact_takes_nothing_ahead() {
    let mut server = Server::default();
    let mut replica = Replica::new(MS);
    for tick in 0..500 {
        replica.request(&mut server, &want(100, 50, Lease::Exact), SECOND + tick * 5 * MS);
        assert_eq!(server.charged, replica.admitted);
    }
    assert!(replica.refused > 0);
}

#[test]
fn a_lease_ends_and_a_larger_one_waits_for_demand() {
    let want = want(1000, 800, Lease::Auto);
    let mut holding = Holding::default();
    let Verdict::Unknown(first) = holding.claim(&want, SECOND) else { panic!("nothing is known yet") };
    assert_eq!((first.least, first.most), (1, 1), "who comes once takes nothing ahead");
    holding.answered(first, Grant { granted: 1, debt: MS, retry_after: 0 }, SECOND, 1, SECOND);
    let Verdict::Unknown(second) = holding.claim(&want, SECOND + MS) else { panic!("nothing is left") };
    assert_eq!(second.most, 2);
    let Verdict::Unknown(meanwhile) = holding.claim(&want, SECOND + MS) else { panic!("nothing is left") };
    assert_eq!(meanwhile.most, 1, "a crowd takes one lease each");
    holding.answered(second, Grant { granted: 2, debt: 3 * MS, retry_after: 0 }, SECOND, 1, SECOND + 2 * MS);
    let mut later = holding.clone();
    assert!(matches!(holding.claim(&want, SECOND + 3 * MS), Verdict::Admitted { .. }));
    assert!(matches!(later.claim(&want, 2 * SECOND + 2 * MS), Verdict::Unknown(_)), "a lease is kept for ever");
}

#[test]
fn a_refusal_holds_until_enough_is_regained_for_what_is_asked() {
    let want = want(10, 5, Lease::Exact);
    let mut holding = Holding::default();
    let refused = Grant { granted: 0, debt: SECOND / 2, retry_after: SECOND / 10 };
    holding.answered(Ask { least: 1, most: 1, floor: 0 }, refused, SECOND, 0, SECOND + MS);
    let wait = |holding: &mut Holding, cost, now| match holding.claim(&Want { cost, ..want }, now) {
        Verdict::Refused { retry_after, .. } => retry_after,
        _ => 0,
    };
    // The answer took a millisecond, by which the wait is told longer: nobody knows when the store counted.
    assert_eq!(wait(&mut holding, 1, SECOND + 40 * MS), 61 * MS);
    assert_eq!(wait(&mut holding, 3, SECOND + 40 * MS), 261 * MS);
    assert_eq!(wait(&mut holding, 1, SECOND + 100 * MS), 0);
    assert_eq!(wait(&mut holding, 3, SECOND + 100 * MS), 201 * MS);
}

#[test]
fn a_store_that_forgot_is_told_what_is_owed() {
    for lease in [Lease::Exact, Lease::Auto, Lease::Fixed(10)] {
        let want = want(10, 100, lease);
        let mut server = Server::default();
        let mut replica = Replica::new(MS);
        for tick in 0..300 {
            replica.request(&mut server, &want, SECOND + tick * MS);
            if tick % 50 == 49 {
                server.arrival = 0;
            }
        }
        // Regained in 300 ms, and in the slack each time that it forgot.
        assert!(replica.admitted <= 100 + 3 + 6, "{lease:?}: {} although the store forgot", replica.admitted);
    }
}

#[test]
fn a_lease_that_comes_in_meanwhile_serves_who_was_refused() {
    let mut holding = Holding::default();
    let lease = Ask { least: 1, most: 8, floor: 0 };
    holding.answered(lease, Grant { granted: 2, debt: SECOND, retry_after: 0 }, SECOND, 0, SECOND + MS);
    let own = Ask { least: 1, most: 1, floor: 0 };
    let refused = Grant { granted: 0, debt: SECOND, retry_after: MS };
    assert!(holding.answered(own, refused, SECOND, 1, SECOND + MS));
    assert!(!holding.answered(own, refused, SECOND, 2, SECOND + MS));
    assert!(holding.answered(own, refused, SECOND, 1, SECOND + MS));
    assert!(!holding.answered(own, refused, SECOND, 1, SECOND + MS));
}

proptest! {
    /// Whatever the traffic, the costs and the delays: never more than the budget, and never more than was charged.
    #[test]
    fn never_more_than_the_budget(
        per_second in 1u64..3000, burst in 1u32..300, fixed in 0u32..40, delay in 0u64..30,
        gaps in prop::collection::vec((0u64..20_000_000, 0usize..3, 1u32..4), 1..400),
    ) {
        let lease = match fixed { 0 => Lease::Exact, 1..10 => Lease::Auto, _ => Lease::Fixed(fixed) };
        let mut server = Server::default();
        let mut fleet: Vec<Replica> = (0..3).map(|_| Replica::new(delay * MS)).collect();
        let (mut now, mut spent) = (SECOND, 0u64);
        for (gap, place, cost) in gaps {
            now += gap;
            let want = Want { cost: cost.min(burst), ..want(per_second, burst, lease) };
            let replica = &mut fleet[place];
            replica.land(now);
            let cost = u64::from(want.cost);
            match replica.holding.claim(&want, now) {
                Verdict::Admitted { renew, .. } => {
                    spent += cost;
                    if let Some(ask) = renew {
                        let grant = replica.send(&mut server, &want, ask, now);
                        replica.flying.push((now + replica.delay, now, ask, grant));
                    }
                }
                Verdict::Refused { .. } => {}
                Verdict::Unknown(ask) => {
                    let grant = replica.send(&mut server, &want, ask, now);
                    let there = replica.holding.answered(ask, grant, now, want.cost, now + replica.delay);
                    prop_assert!(there || grant.granted < ask.least);
                    spent += if there { cost } else { 0 };
                }
            }
            prop_assert!(spent <= server.charged);
            let period = SECOND / per_second;
            prop_assert!(server.charged <= (now + delay * MS - SECOND) / period + u64::from(burst) + 1);
        }
    }
}
