//! The page: what is wrong right now. Rendered here, whole and readable without script; the script only fetches it anew
//! and puts in what has changed, so that there is one place that says how things look.

mod chart;
mod html;
mod refusals;
mod tables;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::SystemTime;

use self::html::Text;
use super::rows::{PolicyRow, TokenRow};
use super::state::InForce;
use crate::domain::reason::Reason;
use crate::telemetry::ring::{Cursor, Minute, Told};
use crate::telemetry::timestamp;

/// `/page.css`.
pub(super) const STYLE: &str = include_str!("page.css");

/// `/page.js`.
pub(super) const SCRIPT: &str = include_str!("page.js");

/// What the page shows.
#[derive(Debug)]
pub(super) struct View<'a> {
    /// The refusals that fit, newest first.
    pub refusals: &'a [Arc<Told>],
    /// Of so many that are kept.
    pub kept: usize,
    /// Where a reader is who has seen the last refusal.
    pub last: Cursor,
    /// The last hour.
    pub minutes: &'a [Minute],
    /// The tokens that were seen last.
    pub tokens: &'a [TokenRow],
    /// What each limit has said.
    pub policies: &'a [PolicyRow],
    /// The configuration, and how it came to be.
    pub in_force: &'a InForce,
    /// What was asked for, as pairs of a form.
    pub asked: &'a [(String, String)],
    /// What is wrong with it.
    pub wrong: Option<&'a str>,
    /// When the proxy started.
    pub began: SystemTime,
    /// Now.
    pub now: SystemTime,
}

/// The page as HTML.
pub(super) fn render(view: &View<'_>) -> String {
    let mut out = String::with_capacity(64 * 1024);
    let began = timestamp(view.began);
    let _ = write!(
        out,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Refusals · grafana-token-proxy</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><link rel=\"icon\" href=\"data:,\">\
         <link rel=\"stylesheet\" href=\"/page.css\"><script src=\"/page.js\" defer></script></head>\
         <body data-last=\"{}\"><header><h1>grafana-token-proxy <small>{}</small></h1><p>in front of <code>{}</code> · started \
         <time datetime=\"{began}\" data-ago>{}</time> <span id=\"live\" hidden></span>\
         <button id=\"pause\" type=\"button\" hidden>Pause</button></p></header><main>",
        view.last,
        env!("CARGO_PKG_VERSION"),
        Text(&view.in_force.upstream),
        began.get(..19).unwrap_or_default().replace('T', " "),
    );
    out.push_str("<section id=\"now\"><h2>The last hour</h2>");
    summary(&mut out, view);
    chart::draw(&mut out, view.minutes);
    out.push_str("</section><section id=\"refusals\"><h2>Refusals</h2>");
    form(&mut out, view);
    refusals::list(&mut out, view.refusals, view.last, &emptiness(view));
    out.push_str("</section><section id=\"tokens\"><h2>Tokens</h2>");
    tables::tokens(&mut out, view.tokens);
    out.push_str("</section><section id=\"limits\"><h2>Limits</h2>");
    tables::limits(&mut out, view.policies, view.in_force.limits.tracked());
    out.push_str("</section><section id=\"config\"><h2>Configuration</h2>");
    tables::reload(&mut out, view.in_force);
    out.push_str("<details><summary>What is in force, and who set it</summary>");
    tables::configuration(&mut out, &view.in_force.config);
    out.push_str("</details></section></main>");
    out.push_str(
        "<footer><p>Also as JSON: <a href=\"/api/refusals\">refusals</a>, <a href=\"/api/tokens\">tokens</a>, \
         <a href=\"/api/config\">configuration</a>. In a terminal: <code>grafana-token-proxy watch</code>. Times are UTC.</p>\
         <p id=\"keys\" hidden>Keys: <kbd>j</kbd> <kbd>k</kbd> move · <kbd>Enter</kbd> opens · <kbd>/</kbd> filter · <kbd>p</kbd> \
         pause · <kbd>Esc</kbd> back</p></footer></body></html>",
    );
    out
}

/// The hour in a sentence.
fn summary(out: &mut String, view: &View<'_>) {
    let totals = chart::reasons(view.minutes);
    let all: u64 = totals.iter().map(|(_, count)| count).sum();
    let name = |(reason, count): &(Reason, u64)| format!("<b>{}</b> ({count})", Text(reason.title()));
    let text = match totals.as_slice() {
        [] => "No refusal.".to_owned(),
        [one] => format!("{all} refused: {}.", name(one)),
        [first, second] => format!("{all} refused: {} and {}.", name(first), name(second)),
        [first, second, ..] => format!("{all} refused, most of them {} and {}.", name(first), name(second)),
    };
    let _ = write!(out, "<p id=\"summary\">{text}</p>");
}

fn emptiness(view: &View<'_>) -> String {
    if view.kept > 0 {
        return "None of those that are kept fits.".to_owned();
    }
    let seconds = view.now.duration_since(view.began).unwrap_or_default().as_secs();
    let span = match seconds {
        0..120 => format!("{seconds} seconds"),
        120..7200 => format!("{} minutes", seconds / 60),
        _ => format!("{} hours", seconds / 3600),
    };
    format!("Nothing was refused since the start, {span} ago. What is refused from now on appears here.")
}

/// The filters: a form that the server understands, so that they work without script.
fn form(out: &mut String, view: &View<'_>) {
    let asked = |name: &str| view.asked.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
    out.push_str("<form id=\"filters\" action=\"/\" method=\"get\" role=\"search\">");
    options(out, "reason", asked("reason"), Reason::ALL.iter().map(|reason| reason.code()));
    options(out, "source", asked("source"), ["grafana", "proxy", "datasource", "hop", "client"].into_iter());
    for (name, hint) in [("status", "401"), ("token", "name or fingerprint"), ("path", "/api/*")] {
        let _ = write!(
            out,
            "<label>{name} <input name=\"{name}\" value=\"{}\" placeholder=\"{hint}\" autocomplete=\"off\" spellcheck=\"false\"></label>",
            Text(asked(name))
        );
    }
    out.push_str("<button>Show</button> <a href=\"/\">all</a></form>");
    if let Some(wrong) = view.wrong {
        let _ = write!(out, "<p class=\"wrong\" role=\"alert\">{}</p>", Text(wrong));
    }
}

fn options(out: &mut String, name: &str, chosen: &str, values: impl Iterator<Item = &'static str>) {
    let _ = write!(out, "<label>{name} <select name=\"{name}\"><option value=\"\">any</option>");
    for value in values {
        let selected = if value == chosen { " selected" } else { "" };
        let _ = write!(out, "<option{selected}>{value}</option>");
    }
    out.push_str("</select></label>");
}

#[cfg(test)]
mod tests;
