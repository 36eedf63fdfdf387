//! What a running proxy has measured itself, from its console.

use std::process::ExitCode;

use clap::ArgMatches;
use serde_json::Value;

use super::found::{Found, Refusals, Row, Who};
use super::line::{clean, nanoseconds};
use super::{CLIENT, TOKEN, built_in};
use crate::commands::output;
use crate::commands::watch::{self, source::Failure};
use crate::config::values::rate;
use crate::domain::demand::{Need, refused_by, suggest};
use crate::domain::limit::Rate;

/// Tokens that are asked for.
const MOST: u32 = 10_000;

/// Asks the console.
pub(super) fn ask(matches: &ArgMatches, asked: Option<Rate>) -> Result<Found, ExitCode> {
    let source = watch::console(matches, String::new())?;
    let place = source.place();
    let said = watch::runtime()?.block_on(source.read(&format!("/api/tokens?limit={MOST}")));
    let said = said.map_err(|failure| match failure {
        Failure::Lost(_) => failure.explain(&source),
        Failure::Refused(why) => {
            output::complain(&format!("the console at {place} says: {why}"), "ask a proxy of this version");
            ExitCode::FAILURE
        }
    })?;
    let nothing = |why: &str, cure: &str| {
        output::complain(&format!("the proxy at {place} {why}"), cure);
        ExitCode::FAILURE
    };
    let Some(tokens) = said.get("tokens").and_then(Value::as_array) else {
        return Err(nothing("is no console of this program", "name its admin listener"));
    };
    if tokens.is_empty() {
        return Err(nothing("has seen no token yet", "ask again when there was traffic"));
    }
    let found = read(&said, asked);
    if found.rows.is_empty() {
        return Err(nothing(
            "does not tell what its callers need",
            "ask a proxy of this version, or let it log what it serves (--log-requests all) and name the log: --from-log",
        ));
    }
    Ok(found)
}

/// What `/api/tokens` tells.
fn read(said: &Value, asked: Option<Rate>) -> Found {
    let in_force = |name: &str| read_rate(said.get("limits")?.get(name)?);
    let token_limit = asked.or_else(|| in_force("per_token")).unwrap_or_else(|| built_in(TOKEN));
    let client_limit = asked.or_else(|| in_force("per_client")).unwrap_or_else(|| built_in(CLIENT));
    let tokens = || said.get("tokens").and_then(Value::as_array).into_iter().flatten();
    let rows: Vec<Row> = tokens().filter_map(|token| read_token(token, &token_limit)).collect();
    let silent = tokens().count() as u64 - rows.len() as u64;
    let mut found = Found {
        span: ends(&rows),
        requests: rows.iter().map(|row| row.requests).sum(),
        token_limit,
        client_limit,
        rows,
        notes: vec![
            "this is what came since the proxy began to count; what happens once a day may not be in it".into(),
        ],
        skipped: vec![("tokens whose needs are not told", silent)],
    };
    found.sort();
    found
}

fn ends(rows: &[Row]) -> Option<(String, String)> {
    // They are all written alike, so that their order is that of their texts.
    let first = rows.iter().filter_map(|row| row.span.0.as_ref()).min()?;
    let last = rows.iter().filter_map(|row| row.span.1.as_ref()).max()?;
    Some((first.clone(), last.clone()))
}

fn read_token(token: &Value, limit: &Rate) -> Option<Row> {
    let text = |key: &str| token.get(key).and_then(Value::as_str);
    let time = |text: &str| nanoseconds(text).map(|_| text.to_owned());
    let demand = token.get("demand")?;
    let mut needs: Vec<Need> = demand.get("needs")?.as_array()?.iter().filter_map(read_need).collect();
    needs.sort_by_key(|need| need.per_second);
    Some(Row {
        who: Who::Token(clean(text("fingerprint")?)),
        name: text("name").map(clean),
        kind: text("kind").map(clean),
        requests: demand.get("requests")?.as_u64()?,
        span: (demand.get("since").and_then(Value::as_str).and_then(time), text("last_seen").and_then(time)),
        peaks: None,
        suggestion: suggest(&needs),
        refusals: Refusals::Judged(refused_by(&needs, limit)),
        needs,
    })
}

fn read_need(need: &Value) -> Option<Need> {
    let period = rate::parse(need.get("rate")?.as_str()?).ok()?;
    let per_second = u32::try_from(1_000_000_000 / period.as_nanos().max(1)).ok().filter(|rate| *rate > 0)?;
    Some(Need { per_second, burst: need.get("burst").and_then(Value::as_u64).and_then(|burst| burst.try_into().ok()) })
}

fn read_rate(limit: &Value) -> Option<Rate> {
    let period = rate::parse(limit.get("rate")?.as_str()?).ok()?;
    let burst = u32::try_from(limit.get("burst")?.as_u64()?).ok()?;
    Some(Rate { period, burst: burst.try_into().ok()? })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::domain::demand::{Suggestion, Verdict};

    fn said() -> Value {
        json!({
            "limits": { "per_token": { "rate": "20/s", "burst": 30 } },
            "tokens": [
                { "fingerprint": "1d387206b650", "name": null, "kind": "service_account", "last_seen": "2026-11-23T09:00:00.000Z",
                  "demand": { "requests": 70, "since": "2026-11-23T08:00:00.000Z",
                    "needs": [{ "rate": "10/s", "burst": 35 }, { "rate": "1/s", "burst": 60 }, { "rate": "20/s", "burst": 31 }] } },
                { "fingerprint": "35edbb786b38", "name": "ci\u{1b}[2J", "kind": "service_account",
                  "demand": { "requests": 1, "since": "nonsense", "needs": [{ "rate": "1/s", "burst": 1 }] } },
                { "fingerprint": "000000000000", "served": 12 },
            ],
        })
    }

    #[test]
    fn the_ladder_of_each_token_is_read() {
        let found = read(&said(), None);
        assert_eq!((found.requests, found.token_limit.burst.get(), found.skipped[0].1), (71, 30, 1));
        let [first, second] = &found.rows[..] else { panic!("{:?}", found.rows) };
        assert_eq!(first.suggestion, Some(Suggestion { per_second: 10, burst: 35 }));
        assert_eq!(first.refusals, Refusals::Judged(Verdict::Surely));
        assert_eq!(second.refusals, Refusals::Judged(Verdict::Never));
        assert_eq!(second.name.as_deref(), Some("ci\u{fffd}\u{fffd}2J"));
        assert_eq!(found.span, Some(("2026-11-23T08:00:00.000Z".into(), "2026-11-23T09:00:00.000Z".into())));
    }

    #[test]
    fn the_limit_that_is_asked_about_goes_before_the_one_in_force() {
        let found = read(&said(), Some(built_in((std::time::Duration::from_millis(100), 35))));
        assert_eq!(found.rows[0].refusals, Refusals::Judged(Verdict::Never));
    }

    #[test]
    fn a_proxy_that_does_not_measure_is_no_mistake() {
        let found = read(&json!({ "tokens": [{ "fingerprint": "000000000000", "served": 12 }] }), None);
        assert!(found.rows.is_empty() && found.span.is_none());
    }

    proptest! {
        #[test]
        fn no_answer_panics(rate in "[0-9]{0,12}/?[smh]?", burst in any::<i64>(), text in "\\PC{0,20}") {
            let token = json!({ "fingerprint": &text, "demand": { "requests": burst, "needs": [{ "rate": rate, "burst": burst }] } });
            let found = read(&json!({ "limits": { "per_token": { "rate": rate, "burst": burst } }, "tokens": [token, text, burst] }), None);
            prop_assert!(found.rows.len() <= 1);
        }
    }
}
