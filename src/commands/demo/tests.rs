//! The whole tour, through real sockets.

use super::*;
use crate::config::effective;
use crate::telemetry::Log;

/// What `demo` is given where the command line says this.
fn given(flags: &[&str]) -> Effective {
    let base = [
        "grafana-token-proxy",
        "demo",
        "--listen",
        "127.0.0.1:0",
        "--telemetry",
        "off",
        "--admin",
        "off",
        "--workers",
        "2",
    ];
    let matches = crate::commands::command_line().get_matches_from(base.iter().chain(flags));
    effective::load(matches.subcommand_matches("demo").unwrap(), [])
}

/// What becomes of it, and the remarks.
fn settled(flags: &[&str], standin: SocketAddr) -> (Effective, Vec<String>) {
    let mut effective = given(flags);
    let remarks = settle(&mut effective.config, standin);
    (effective, remarks)
}

/// Takes the tour, and returns its steps with what is shown of them and what is wrong with them.
async fn take(flags: &[&str]) -> Vec<(Step, String, Vec<String>)> {
    let mut keyring = Keyring::default();
    let steps = tour::steps(&mut keyring).unwrap();
    let standin = standin::start(keyring).await.unwrap();
    let (effective, _) = settled(flags, standin);
    let journal = Journal::new();
    let (log, _guard) = Log::start(effective.config.log, Box::new(journal.clone()), false, false, None).unwrap();
    let app = App::start(&effective.config, log).unwrap();
    let stage = Stage { effective, app, journal, standin };
    let route = stage.route().unwrap();
    let mut taken = Vec::new();
    for (number, step) in (1..).zip(steps) {
        let outcome = route.take(&step).await.unwrap();
        let faults = outcome.faults(&step.expected);
        let shown = print::step(number, &step, &outcome, &faults, route.proxy, &Paint(false));
        taken.push((step, shown, faults));
    }
    stage.app.drain().await;
    taken
}

#[tokio::test]
async fn the_tour_finds_what_it_must_and_shows_no_secret() {
    let taken = take(&[]).await;
    for (step, shown, faults) in &taken {
        assert!(faults.is_empty(), "{}: {faults:?}\n{shown}", step.title);
        assert!(shown.lines().all(|line| line.chars().count() <= 100), "{shown}");
        let has_reason = step.expected.reason.is_some();
        assert_eq!(shown.contains("     why  ") && shown.contains("     cure "), has_reason, "{shown}");
    }
    let shown: String = taken.iter().map(|(_, shown, _)| shown.as_str()).collect();
    for (step, ..) in &taken {
        let bytes = String::from_utf8(step.bytes()).unwrap();
        let Some(token) = bytes.split(|c: char| !c.is_alphanumeric() && c != '_').find(|word| word.len() == 46) else {
            assert!(step.credential.is_none(), "{}", step.title);
            continue;
        };
        for piece in token.as_bytes()[5..].windows(8) {
            assert!(!shown.contains(std::str::from_utf8(piece).unwrap()), "{}", step.title);
        }
    }
}

#[tokio::test]
async fn what_is_not_as_it_must_be_is_found() {
    let taken = take(&["--authorization-repair", "off"]).await;
    let wrong: Vec<&str> =
        taken.iter().filter(|(_, _, faults)| !faults.is_empty()).map(|(step, ..)| step.title).collect();
    assert_eq!(
        wrong,
        ["A token without its scheme", "A scheme in lower case and a token in quotes", "A newline, percent-encoded"]
    );
}

#[test]
fn a_limit_that_somebody_chose_stays() {
    let standin = SocketAddr::from(([127, 0, 0, 1], 1));
    let (chosen, _) = settled(&["--rate", "7/s", "--burst", "3"], standin);
    assert_eq!(chosen.config.limits.per_token.rate.burst.get(), 3);
    let (chosen, remarks) = settled(&[], standin);
    assert!(remarks.is_empty(), "{remarks:?}");
    assert_eq!(chosen.config.limits.per_token.rate, rate(SMALL_LIMIT));
    assert_eq!(chosen.config.upstream.url.to_string(), "http://127.0.0.1:1");
}

#[test]
fn what_is_left_aside_is_said() {
    let standin = SocketAddr::from(([127, 0, 0, 1], 1));
    let (_, remarks) = settled(&["--upstream", "http://grafana.example.test"], standin);
    assert_eq!(remarks, ["http://grafana.example.test is not asked: the demo brings its own Grafana."]);
}

#[test]
fn what_listens_everywhere_is_reached_on_loopback() {
    for (listening, reached) in
        [("0.0.0.0:3001", "127.0.0.1:3001"), ("[::]:1", "[::1]:1"), ("10.0.0.1:2", "10.0.0.1:2")]
    {
        assert_eq!(reachable(listening.parse().unwrap()), reached.parse().unwrap());
    }
}
