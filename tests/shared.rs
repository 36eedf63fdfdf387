//! Limits shared by replicas, against a real `redis-server`: one alone, one that fails in every way, three in a cluster.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

#[path = "shared/log.rs"]
mod log;
#[path = "shared/store.rs"]
mod store;

use std::fs;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use grafana_token_proxy::domain::limit::{Policy, Rate};
use grafana_token_proxy::domain::token::HashKey;
use grafana_token_proxy::limits::shared::{Answer, Claim, Claimed, Lease, Settings, Shared, State};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustix::process::Signal;
use tokio::time::{MissedTickBehavior, interval, timeout};

use self::store::{Store, connected, installed, patient, replica, settings, until};

/// What a request may take at most while the store fails: the deadline of 25 ms, and as much for a busy machine.
const PROMPT: Duration = Duration::from_millis(50);

fn claim(token: u64, per_second: u32, burst: u32) -> Claim {
    let rate = Rate { period: Duration::from_secs(1) / per_second, burst: NonZeroU32::new(burst).unwrap() };
    let key = HashKey::from_bytes([7; 16]).hash(1, &token.to_le_bytes());
    Claim { key, policy: Policy::Token, rate, cost: 1, debt: Duration::ZERO }
}

async fn ask(shared: &Shared, claim: &Claim) -> Answer {
    match shared.claim(claim, Instant::now()) {
        Claimed::Now(answer) => answer,
        Claimed::Later(pending) => pending.await,
    }
}

async fn admitted(shared: &Shared, claim: &Claim) -> bool {
    match ask(shared, claim).await {
        Answer::Admitted { .. } => true,
        Answer::Refused { .. } => false,
        Answer::Unavailable => panic!("the store is there"),
    }
}

/// Sends `per_second` requests to each replica for `time`; says what was admitted, in how long.
async fn play(fleet: &[Shared], claim: &Claim, per_second: u32, time: Duration) -> (u64, Duration) {
    let begin = Instant::now();
    let mut tick = interval(Duration::from_millis(5));
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut sent, mut passed) = (0, 0);
    while begin.elapsed() < time {
        tick.tick().await;
        let due = (begin.elapsed().as_secs_f64() * f64::from(per_second)) as u64;
        while sent < due {
            sent += 1;
            for shared in fleet {
                passed += u64::from(admitted(shared, claim).await);
            }
        }
    }
    (passed, begin.elapsed())
}

fn budget(claim: &Claim, time: Duration) -> u64 {
    (time.as_nanos() / claim.rate.period.as_nanos()) as u64 + u64::from(claim.rate.burst.get()) + 1
}

/// Four replicas want more than there is, all at the same time, so that questions cross. Never more than the budget is
/// admitted; all of it but `share` and `leased` requests in one of five tries, for a machine that stands still makes no
/// requests.
async fn four_replicas_admit_the_budget_of_one(lease: Lease, share: u64, leased: u64) {
    let store = Store::start(&[]);
    let fleet: Vec<Shared> = (0..4).map(|_| patient(&store.url(), lease)).collect();
    let mut tries = Vec::new();
    for token in 1..=5 {
        let one = claim(token, 400, 200);
        let rounds = (0..4).map(|place| play(&fleet[place..=place], &one, 300, Duration::from_secs(2)));
        let played = futures_util::future::join_all(rounds).await;
        let time = played.iter().map(|(_, time)| *time).max().unwrap();
        let passed: u64 = played.iter().map(|(passed, _)| passed).sum();
        let budget = budget(&one, time);
        assert!(passed <= budget, "{lease:?}: {passed} of {budget}");
        tries.push((passed, budget));
        if passed + leased >= budget * share / 100 {
            eprintln!("{lease:?}: {passed} of {budget} admitted");
            assert!(admitted(&fleet[0], &claim(99, 400, 200)).await, "another token pays for this one");
            assert!(admitted(&fleet[0], &Claim { policy: Policy::Client, ..one }).await, "another limit pays for it");
            return;
        }
    }
    panic!("{lease:?}: admitted of the budget: {tries:?}");
}

#[tokio::test]
async fn four_exact_replicas_admit_the_budget_of_one() {
    if installed() {
        four_replicas_admit_the_budget_of_one(Lease::Exact, 98, 0).await;
    }
}

#[tokio::test]
async fn four_replicas_with_leases_admit_no_more_than_the_budget_of_one() {
    if installed() {
        // What lies in leases that are not spent yet: one and a half each.
        four_replicas_admit_the_budget_of_one(Lease::Auto, 98, 4 * 38).await;
        four_replicas_admit_the_budget_of_one(Lease::Fixed(20), 98, 4 * 30).await;
    }
}

#[tokio::test]
async fn a_busy_token_asks_the_store_once_in_twenty_requests_at_most() {
    if !installed() {
        return;
    }
    let store = Store::start(&[]);
    let fleet = [patient(&store.url(), Lease::Auto)];
    let mut tries = Vec::new();
    // A machine that stands still sends crowds afterwards, which need more: one of five tries must do.
    for token in 1..=5 {
        let (before, told) = (store.scripts_run(), fleet[0].round_trips());
        let (passed, time) = play(&fleet, &claim(token, 1000, 200), 1000, Duration::from_secs(3)).await;
        let trips = store.scripts_run() - before;
        eprintln!("{passed} admitted in {time:?}, {trips} scripts run: {:.4} each", trips as f64 / passed as f64);
        // One may be under way while both are read.
        assert!(trips > 0 && trips.abs_diff(fleet[0].round_trips() - told) <= 1);
        tries.push((passed, trips));
        if passed >= 2_900 && trips * 20 <= passed {
            return;
        }
    }
    panic!("admitted, and round trips: {tries:?}");
}

#[test]
fn threads_share_a_replica_without_taking_from_each_other() {
    if !installed() {
        return;
    }
    let store = Store::start(&[]);
    for lease in [Lease::Auto, Lease::Exact, Lease::Fixed(3)] {
        let shared = patient(&store.url(), lease);
        let admitted_by = |_| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut passed = vec![0; 100];
                for _ in 0..10 {
                    // A hundred tokens at once, each by its own request.
                    let claims: Vec<Claim> = (0..100).map(|token| claim(token, 1, 20)).collect();
                    let answers = claims.iter().map(|claim| admitted(&shared, claim));
                    let answers = futures_util::future::join_all(answers).await;
                    passed.iter_mut().zip(answers).for_each(|(sum, passed)| *sum += u32::from(passed));
                }
                passed
            })
        };
        let sums = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|place| scope.spawn(move || admitted_by(place))).collect();
            let passed: Vec<Vec<u32>> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
            (0..100).map(|token| passed.iter().map(|passed| passed[token]).sum::<u32>()).collect::<Vec<u32>>()
        });
        // Forty requests for each bucket of twenty, within a few seconds of one a second.
        assert!(sums.iter().all(|sum| (20..=23).contains(sum)), "{lease:?}: {sums:?}");
        let _: () = store.query(&["FLUSHALL"]);
    }
}

#[tokio::test]
async fn a_refused_flood_does_not_reach_the_store() {
    if !installed() {
        return;
    }
    let store = Store::start(&[]);
    let shared = patient(&store.url(), Lease::Exact);
    let slow = claim(1, 1, 5);
    for _ in 0..5 {
        assert!(admitted(&shared, &slow).await);
    }
    let before = store.scripts_run();
    for _ in 0..1_000 {
        let Answer::Refused { retry_after, .. } = ask(&shared, &slow).await else { panic!("the bucket is empty") };
        assert!(retry_after > Duration::ZERO && retry_after < Duration::from_millis(1_100), "{retry_after:?}");
    }
    assert!(store.scripts_run() - before <= 1);
}

#[tokio::test]
async fn what_is_told_is_what_happens() {
    if !installed() {
        return;
    }
    let store = Store::start(&[]);
    let (one, other) = (patient(&store.url(), Lease::Exact), patient(&store.url(), Lease::Exact));
    let slow = claim(1, 2, 10);
    for taken in 1..=5 {
        let Answer::Admitted { debt } = ask(&one, &Claim { cost: 2, ..slow }).await else { panic!("there is enough") };
        assert_eq!(slow.rate.left(debt).0, 10 - 2 * taken);
    }
    let Answer::Refused { retry_after, .. } = ask(&other, &slow).await else { panic!("all is spent") };
    assert!(retry_after <= Duration::from_millis(501), "{retry_after:?}");
    tokio::time::sleep(retry_after).await;
    assert!(admitted(&other, &slow).await, "a retry at the time that was told is refused");
    let Answer::Refused { retry_after, .. } = ask(&one, &Claim { cost: 99, ..slow }).await else { panic!("spent") };
    assert!(retry_after > Duration::from_secs(4), "{retry_after:?}: a request beyond the burst costs all of it");
    let keys: Vec<String> = store.query(&["KEYS", "*"]);
    assert_eq!(keys, [format!("gtp:token:{:032x}:500000000:10", slow.key.0)]);
    let expires: i64 = store.query(&["PTTL", &keys[0]]);
    assert!((4_000..=5_000).contains(&expires), "{expires}");
}

#[tokio::test]
async fn a_bucket_that_cannot_be_costs_one_burst_at_most() {
    if !installed() {
        return;
    }
    let store = Store::start(&[]);
    let slow = claim(1, 10, 10);
    let name = format!("gtp:token:{:032x}:100000000:10", slow.key.0);
    // The clock of the store was set back by years.
    let _: () = store.query(&["SET", &name, "99999999999.000000000"]);
    let Answer::Refused { debt, retry_after } = ask(&patient(&store.url(), Lease::Exact), &slow).await else {
        panic!("the bucket is in debt")
    };
    assert_eq!(debt, Duration::from_secs(1));
    assert!(retry_after <= Duration::from_millis(101), "{retry_after:?}");
    tokio::time::sleep(retry_after).await;
    assert!(admitted(&patient(&store.url(), Lease::Exact), &slow).await, "nothing is regained until that time comes");
    // Somebody else's value.
    let _: () = store.query(&["SET", &name, "nonsense"]);
    assert!(admitted(&patient(&store.url(), Lease::Exact), &slow).await);
}

#[tokio::test]
async fn who_gives_up_waiting_leaves_the_share_to_the_next() {
    if !installed() {
        return;
    }
    let store = Store::start(&[]);
    let shared = patient(&store.url(), Lease::Exact);
    let slow = claim(1, 1, 1);
    let Claimed::Later(pending) = shared.claim(&slow, Instant::now()) else { panic!("nothing is known yet") };
    drop(pending);
    until(|| matches!(shared.claim(&slow, Instant::now()), Claimed::Now(Answer::Admitted { .. })));
    assert!(!admitted(&shared, &slow).await);
}

/// Asks until a request is admitted: a busy machine may be late once.
async fn is_served(shared: &Shared, token: u64) {
    let begin = Instant::now();
    while !matches!(ask(shared, &claim(token, 1_000, 1_000)).await, Answer::Admitted { .. }) {
        assert!(begin.elapsed() < Duration::from_secs(10), "nothing is admitted");
        tokio::task::yield_now().await;
    }
}

/// Asks until the breaker is open: nothing may take long, and then nothing takes any time.
async fn falls_back(shared: &Shared, token: u64) {
    let mut times = Vec::new();
    while shared.state() == State::Shared {
        let begin = Instant::now();
        ask(shared, &claim(token + times.len() as u64, 10, 10)).await;
        times.push(begin.elapsed());
        assert!(times.len() < 100, "the store is gone, and nobody notices");
    }
    // One more than that is this machine's, which may stand still for a moment.
    assert!(times.iter().filter(|time| **time >= PROMPT).count() <= 1, "{times:?}");
    for token in 0..100 {
        let answer = shared.claim(&claim(10_000 + token, 10, 10), Instant::now());
        assert!(matches!(answer, Claimed::Now(Answer::Unavailable)), "{answer:?}");
    }
}

#[tokio::test]
async fn a_store_that_is_killed_and_comes_back_empty_gives_no_second_burst() {
    if !installed() {
        return;
    }
    log::keep();
    let mut store = Store::start(&[]);
    for lease in [Lease::Exact, Lease::Auto] {
        let said = log::lines(store.port).len();
        let shared = patient(&store.url(), lease);
        let slow = claim(1, 1, 50);
        let mut spent = 0;
        while admitted(&shared, &slow).await {
            spent += 1;
        }
        assert!((50..=52).contains(&spent), "{spent}");
        store.kill();
        falls_back(&shared, 100).await;
        store.restart();
        until(|| shared.state() == State::Shared);
        until(|| log::lines(store.port).len() > said + 1);
        let lines = log::lines(store.port).split_off(said);
        assert!(lines.len() == 2 && lines[0].starts_with("WARN") && lines[1].starts_with("INFO"), "{lines:#?}");
        assert!(lines[0].contains("event=\"limits_backend\"") && lines[0].contains("detail="), "{lines:#?}");
        assert_eq!(store.query::<Vec<String>>(&["KEYS", "gtp:token:*"]), [""; 0]);
        let mut more = 0;
        while admitted(&shared, &slow).await {
            more += 1;
        }
        assert!(more <= 5, "{more} admitted on top of the burst");
        // A replica that knows of no debt has a floor from outside: what its own store of limits remembers.
        let fresh = patient(&store.url(), lease);
        let told = Claim { key: claim(2, 1, 50).key, debt: Duration::from_secs(50), ..slow };
        assert!(!admitted(&fresh, &told).await);
        assert!(!admitted(&shared, &Claim { debt: Duration::ZERO, ..told }).await, "the debt is not handed on");
        let _: () = store.query(&["FLUSHALL"]);
    }
}

#[tokio::test]
async fn a_store_that_hangs_holds_nobody_up() {
    if !installed() {
        return;
    }
    let store = Store::start(&[]);
    let shared = replica(&store.url(), Lease::Exact);
    is_served(&shared, 1).await;
    store.signal(Signal::STOP);
    // A crowd: nobody is queued beyond what may be under way.
    let begin = Instant::now();
    let crowd: Vec<Claimed> = (0..5_000).map(|token| shared.claim(&claim(token, 10, 10), Instant::now())).collect();
    let at_once = crowd.iter().filter(|claimed| matches!(claimed, Claimed::Now(Answer::Unavailable))).count();
    assert!(at_once >= 5_000 - 2 * 1_024, "{at_once}");
    for claimed in crowd {
        if let Claimed::Later(pending) = claimed {
            assert_eq!(timeout(Duration::from_secs(1), pending).await, Ok(Answer::Unavailable));
        }
    }
    eprintln!("a crowd of 5000 was answered in {:?}", begin.elapsed());
    falls_back(&shared, 20_000).await;
    store.signal(Signal::CONT);
    until(|| shared.state() == State::Shared);
    is_served(&shared, 30_000).await;
}

#[tokio::test]
async fn a_store_that_is_slow_holds_nobody_up() {
    if !installed() {
        return;
    }
    let store = Store::start(&[]);
    let shared = replica(&store.url(), Lease::Exact);
    let _: () = store.query(&["CLIENT", "PAUSE", "1500", "ALL"]);
    falls_back(&shared, 1).await;
    until(|| shared.state() == State::Shared);
    is_served(&shared, 1_000).await;
}

#[tokio::test]
async fn a_store_that_takes_no_writes_is_an_outage_until_it_does() {
    if !installed() {
        return;
    }
    log::keep();
    let store = Store::start(&[]);
    let shared = patient(&store.url(), Lease::Exact);
    assert!(admitted(&shared, &claim(1, 10, 10)).await);
    // The other side of a failover.
    let _: () = store.query(&["REPLICAOF", "127.0.0.1", "1"]);
    falls_back(&shared, 100).await;
    let before = store.scripts_run();
    until(|| store.scripts_run() > before + 2);
    assert_eq!((shared.state(), log::lines(store.port).len()), (State::Degraded, 1));
    let _: () = store.query(&["REPLICAOF", "NO", "ONE"]);
    until(|| shared.state() == State::Shared);
    assert!(admitted(&shared, &claim(2, 10, 10)).await);
}

#[tokio::test]
async fn a_lost_connection_is_made_again_before_anybody_notices() {
    if !installed() {
        return;
    }
    let store = Store::start(&[]);
    let shared = patient(&store.url(), Lease::Exact);
    for round in 0..5 {
        assert!(admitted(&shared, &claim(round, 10, 10)).await);
        let _: i64 = store.query(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        // The request that meets the closed connection may be lost; the next may not.
        ask(&shared, &claim(100 + round, 10, 10)).await;
        until(|| shared.state() == State::Shared);
        let _: () = store.query(&["SCRIPT", "FLUSH"]);
        assert!(admitted(&shared, &claim(200 + round, 10, 10)).await, "round {round}");
    }
}

#[tokio::test]
async fn leases_are_spent_while_the_store_is_away() {
    if !installed() {
        return;
    }
    let mut store = Store::start(&[]);
    let shared = patient(&store.url(), Lease::Fixed(10));
    let one = claim(1, 1, 100);
    assert!(admitted(&shared, &one).await);
    store.kill();
    falls_back(&shared, 50).await;
    let mut spent = 0;
    while let Claimed::Now(Answer::Admitted { .. }) = shared.claim(&one, Instant::now()) {
        spent += 1;
    }
    assert_eq!(spent, 9);
    assert!(matches!(shared.claim(&one, Instant::now()), Claimed::Now(Answer::Unavailable)));
}

#[tokio::test]
async fn a_wrong_password_is_an_outage_and_the_right_one_is_not() {
    if !installed() {
        return;
    }
    log::keep();
    let store = Store::start(&["--requirepass", "correct-horse"]);
    let wrong =
        Shared::start(settings(&format!("redis://:battery-staple@127.0.0.1:{}", store.port), Lease::Auto)).unwrap();
    until(|| wrong.state() == State::Degraded && !log::lines(store.port).is_empty());
    assert!(log::lines(store.port)[0].contains("AuthenticationFailed"), "{}", log::lines(store.port)[0]);
    assert!(!log::all().contains("battery"));
    assert!(matches!(wrong.claim(&claim(1, 10, 10), Instant::now()), Claimed::Now(Answer::Unavailable)));
    assert!(!format!("{wrong:?}").contains("battery"));
    let right = patient(&format!("redis://default:correct%2Dhorse@127.0.0.1:{}/3", store.port), Lease::Auto);
    assert!(admitted(&right, &claim(1, 10, 10)).await);
    // What the documentation says that a user of its own needs, and no more.
    let rights = ["~gtp:*", "+evalsha", "+eval", "+time", "+get", "+set"];
    let _: () = store.query(&[&["ACL", "SETUSER", "proxy", "on", ">pass-word"], &rights[..]].concat());
    let own = patient(&format!("redis://proxy:pass-word@127.0.0.1:{}", store.port), Lease::Auto);
    assert!(admitted(&own, &claim(2, 10, 10)).await);
}

#[tokio::test]
async fn a_socket_of_this_machine_is_a_store_too() {
    if !installed() {
        return;
    }
    let store = Store::start(&[]);
    let shared = patient(&format!("redis+unix://{}", store.socket().display()), Lease::Exact);
    assert!(admitted(&shared, &claim(1, 10, 10)).await);
}

#[tokio::test]
async fn an_encrypted_store_is_believed_by_its_authority_only() {
    if !installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| fs::write(folder.path().join(name), text).unwrap();
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new([]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = authority.self_signed(&authority_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certificate =
        CertificateParams::new(names).unwrap().signed_by(&key, &Issuer::new(authority, authority_key)).unwrap();
    write("root.pem", root.pem());
    write("server.pem", certificate.pem());
    write("key.pem", key.serialize_pem());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let files = ["--tls-cert-file", "FOLDER/server.pem", "--tls-key-file", "FOLDER/key.pem"];
    let rest = ["--tls-ca-cert-file", "FOLDER/root.pem", "--tls-auth-clients", "no", "--tls-port", &port];
    let store = Store::with_folder(folder, &[&files[..], &rest[..]].concat());
    let url = format!("rediss://localhost:{port}");
    let mut trusted = settings(&url, Lease::Exact);
    trusted.authorities = Some(fs::read(store.folder.path().join("root.pem")).unwrap());
    assert!(admitted(&connected(Settings { deadline: Duration::from_secs(5), ..trusted }), &claim(1, 10, 10)).await);
    let stranger = Shared::start(settings(&url, Lease::Exact)).unwrap();
    until(|| stranger.state() == State::Degraded);
}

#[tokio::test]
async fn three_nodes_of_a_cluster_hold_one_budget_for_each_token() {
    if !installed() {
        return;
    }
    let mut nodes: Vec<Store> = (0..3)
        .map(|_| {
            Store::start(&[
                "--cluster-enabled",
                "yes",
                "--cluster-port",
                &free_bus_port(),
                "--cluster-node-timeout",
                "2000",
            ])
        })
        .collect();
    let hosts: Vec<String> = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
    for (place, node) in nodes.iter().enumerate() {
        for other in &nodes {
            let bus: Vec<String> = other.query(&["CONFIG", "GET", "cluster-port"]);
            let _: () = node.query(&["CLUSTER", "MEET", "127.0.0.1", &other.port.to_string(), &bus[1]]);
        }
        let (first, last) = (place * 5_461, if place == 2 { 16_383 } else { place * 5_461 + 5_460 });
        let _: () = node.query(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()]);
    }
    until(|| {
        nodes.iter().all(|node| {
            let info: String = node.query(&["CLUSTER", "INFO"]);
            info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
        })
    });
    let url = format!("redis+cluster://{}", hosts.join(","));
    let fleet = [patient(&url, Lease::Exact), patient(&format!("redis+cluster://{}", hosts[2]), Lease::Exact)];
    for token in 0..30 {
        let slow = claim(token, 1, 10);
        let mut passed = 0;
        for turn in 0..24 {
            passed += u64::from(admitted(&fleet[turn % 2], &slow).await);
        }
        assert!((10..=11).contains(&passed), "token {token}: {passed}");
    }
    for node in &nodes {
        assert!(node.query::<Vec<String>>(&["KEYS", "gtp:token:*"]).len() > 2, "a node holds nothing");
    }
    let prompt = replica(&url, Lease::Exact);
    nodes[1].kill();
    for token in 100..200 {
        let begin = Instant::now();
        ask(&prompt, &claim(token, 10, 10)).await;
        assert!(begin.elapsed() < PROMPT, "{:?} although a node is gone", begin.elapsed());
    }
}

fn free_bus_port() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string()
}

#[tokio::test]
async fn a_round_trip_takes_a_fraction_of_the_deadline() {
    if !installed() {
        return;
    }
    let store = Store::start(&[]);
    let shared = patient(&store.url(), Lease::Exact);
    let mut times = Vec::new();
    for token in 0..2_000 {
        let begin = Instant::now();
        assert!(admitted(&shared, &claim(token, 10, 10)).await);
        times.push(begin.elapsed());
    }
    times.sort();
    eprintln!("round trip: p50 {:?}, p99 {:?}, worst {:?}", times[1_000], times[1_980], times[1_999]);
    assert!(times[1_000] < Duration::from_millis(5), "{:?}", times[1_000]);
}
