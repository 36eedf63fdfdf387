//! `explain`: what a reason means, or what an answer that somebody pasted means.

mod paste;
mod reference;
mod report;
mod request;
mod suppose;
#[cfg(test)]
mod tests;

use std::io::{self, Read};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command, ValueHint};
use http::{HeaderMap, StatusCode};

use self::paste::Paste;
use self::report::Report;
use self::request::Told;
use self::suppose::{Outcome, Seen};
use super::output::{self, Paint};
use crate::domain::classify::Verdict;
use crate::domain::reason::Reason;

/// What the classifier looks at: no more of a body matters.
const MOST_BODY: usize = 64 * 1024;

/// What is read at all: a log or a page that was piped in by mistake ends there.
const MOST_READ: u64 = 4 * 1024 * 1024;

const ABOUT_ANSWERS: &str = "An answer: curl -i … | grafana-token-proxy explain -\n\
                             With what was sent: curl -v … 2>&1 | grafana-token-proxy explain -\n\
                             Exit codes: 0 explained; 1 no refusal, nothing to explain; 2 wrong usage.";

/// The arguments.
pub fn command() -> Command {
    let header = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("NAME: VALUE").action(ArgAction::Append).help(help)
    };
    Command::new("explain")
        .about("Says what a reason means, or what an answer means that you paste")
        .after_help(ABOUT_ANSWERS)
        .arg(Arg::new("reason").value_name("REASON|-").help(
            "A reason, as in X-Token-Proxy-Reason; -: an answer on standard input; without either, all are listed",
        ))
        .arg(Arg::new("status").long("status").value_name("CODE").help("The status of an answer"))
        .arg(file("body", "The body of the answer; -: standard input"))
        .arg(header("header", "A header of the answer; may be repeated"))
        .arg(
            Arg::new("request")
                .long("request")
                .value_name("METHOD PATH")
                .help("What was asked for, as 'GET /api/org' or a URL"),
        )
        .arg(header("request-header", "A header of the request; may be repeated"))
        .arg(
            Arg::new("authorization")
                .long("authorization")
                .value_name("FORM")
                .value_parser(PossibleValuesParser::new(request::FORMS))
                .hide_possible_values(true)
                .help(format!("What was sent as credential: {}", request::FORMS.join(", "))),
        )
        .arg(file("credential-file", "The credential that was sent; judged, and never shown"))
        .arg(output_format())
}

fn file(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .value_name("FILE")
        .value_hint(ValueHint::FilePath)
        .value_parser(clap::value_parser!(PathBuf))
        .help(help)
}

/// `-o text|json`.
pub(super) fn output_format() -> Arg {
    Arg::new("output")
        .short('o')
        .long("output")
        .value_name("FORMAT")
        .value_parser(["text", "json"])
        .default_value("text")
        .hide_possible_values(true)
        .hide_default_value(true)
        .help("text (the default) or json")
}

/// Wrong usage: what is wrong, and what to do instead.
type Misuse = (String, &'static str);

/// Explains a reason or an answer, or lists all reasons.
pub fn explain(matches: &ArgMatches) -> ExitCode {
    let is_answer = ["status", "body", "header", "request", "request-header", "authorization", "credential-file"]
        .iter()
        .any(|name| matches.contains_id(name));
    match matches.get_one::<String>("reason").map(String::as_str) {
        None if !is_answer => output::print(&reference::list(&Paint::of_stdout())),
        Some(written) if written != "-" && !is_answer => reference::explain(written),
        Some(written) if written != "-" => misuse(&(
            "a reason and an answer cannot both be explained at once".to_owned(),
            "leave out the reason, or the flags that describe an answer",
        )),
        written => match answer(matches, written.is_some()) {
            Ok(report) => print(&report, matches),
            Err(wrong) => misuse(&wrong),
        },
    }
}

fn print(report: &Report, matches: &ArgMatches) -> ExitCode {
    let as_json = matches.get_one::<String>("output").is_some_and(|format| format == "json");
    let printed = output::print(&if as_json { report.json() } else { report.text(&Paint::of_stdout()) });
    if report.explains() { printed } else { ExitCode::FAILURE }
}

fn misuse((why, cure): &Misuse) -> ExitCode {
    output::complain(why, cure);
    ExitCode::from(2)
}

/// Collects all that was told of an answer and its request, and judges it.
fn answer(matches: &ArgMatches, from_input: bool) -> Result<Report, Misuse> {
    if count_of_input(matches, from_input) > 1 {
        return Err(("standard input cannot be read twice".to_owned(), "name a file for one of them"));
    }
    let mut told = Told { authorization: matches.get_one::<String>("authorization").cloned(), ..Told::default() };
    let pasted = if from_input { Paste::read(&read_input()?) } else { Paste::default() };
    if let Some(target) = matches.get_one::<String>("request") {
        let parsed = request::parse_target(target);
        told.target = Some(parsed.map_err(|why| (format!("--request: {why}"), "write it as 'GET /api/org'"))?);
    }
    told.headers = headers(matches, "request-header")?;
    if let Some(file) = matches.get_one::<PathBuf>("credential-file") {
        told.take_credential(file).map_err(|why| (why, "name a file that holds the header's value, or the token"))?;
    }
    if let Some(request) = pasted.request {
        told.take_pasted(request);
    }
    let whole_head = pasted.status.is_some();
    let mut all = pasted.headers;
    all.extend(headers(matches, "header")?);
    let status = match matches.get_one::<String>("status") {
        Some(code) => Some(
            StatusCode::from_bytes(code.trim().as_bytes())
                .ok()
                .filter(|status| status.as_u16() < 600)
                .ok_or_else(|| (format!("`{code}` is no status of HTTP"), "write three digits, as --status 401"))?,
        ),
        None => pasted.status.or_else(|| status_in(&pasted.body)),
    };
    let Some(status) = status else {
        let why =
            if from_input { "standard input holds no status line" } else { "the status of the answer is missing" };
        return Err((why.to_owned(), "paste the output of curl -i, or add --status 401"));
    };
    let body = match matches.get_one::<PathBuf>("body") {
        Some(file) => read_file(file)?,
        None => pasted.body,
    };
    let told_body = from_input || matches.contains_id("body");
    Ok(judge(told, Seen { status, headers: all, whole_head, body: decoded(body) }, told_body))
}

/// How often standard input is asked for.
fn count_of_input(matches: &ArgMatches, from_input: bool) -> usize {
    let is_input = |name: &&str| matches.get_one::<PathBuf>(name).is_some_and(|file| file.as_os_str() == "-");
    usize::from(from_input) + ["body", "credential-file"].iter().filter(|name| is_input(name)).count()
}

/// The status that a body names, where nothing but the body was pasted.
fn status_in(body: &[u8]) -> Option<StatusCode> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    let code = body.get("statusCode").or_else(|| body.get("code"))?.as_u64()?;
    StatusCode::from_u16(u16::try_from(code).ok()?).ok()
}

/// Judges an answer. The reason that the proxy itself has named is no matter of judgement.
fn judge(told: Told, seen: Seen, told_body: bool) -> Report {
    let named = named_reason(&seen);
    let asked = told.facts(named.is_some());
    let mut missing = Vec::new();
    let outcome = match named {
        Some(reason) => {
            let verdict = suppose::explain_named(reason, &asked, &seen).unwrap_or_else(|| in_its_words(reason, &seen));
            Outcome { verdict: Some(verdict), agreed: true, candidates: Vec::new(), unless: Vec::new() }
        }
        None => suppose::explain(&asked, &seen),
    };
    // Where more would change nothing, nothing more is asked for.
    let matters = !outcome.agreed || !outcome.unless.is_empty() || (outcome.verdict.is_none() && !told_body);
    let mut tell = |unknown: bool, how: &'static str| missing.extend((matters && unknown).then_some(how));
    tell(!asked.knows_target, "the request: --request 'GET /api/org'");
    tell(!asked.knows_credential, "its credential: --credential-file FILE, or its form alone: --authorization bearer");
    tell(
        asked.knows_credential && !asked.knows_token && asked.facts.auth.token.is_some(),
        "the token itself, which is judged and never shown: --credential-file FILE",
    );
    tell(!seen.whole_head, "the whole head of the answer, which shows who wrote it: curl -i … | explain -");
    tell(!told_body && seen.body.is_empty(), "the body of the answer: --body FILE");
    Report { status: seen.status, outcome, named_by_proxy: named.is_some(), missing }
}

/// What `X-Token-Proxy-Reason` says, or, where a hop has taken that away, the body that we wrote.
fn named_reason(seen: &Seen) -> Option<Reason> {
    let header = seen.headers.get("x-token-proxy-reason").and_then(|value| value.to_str().ok());
    let own = || member(seen, "messageId").and_then(|id| id.strip_prefix("token-proxy.").and_then(Reason::parse));
    header.and_then(Reason::parse).or_else(own)
}

/// What the proxy said of a refusal of its own.
fn in_its_words(reason: Reason, seen: &Seen) -> Verdict {
    let own = member(seen, "messageId").is_some_and(|id| id.starts_with("token-proxy."));
    let detail = member(seen, "detail").filter(|_| own).unwrap_or_else(|| format!("{}.", reason.title()));
    Verdict { reason, detail, hint: reason.cure().to_owned(), permission: None }
}

fn member(seen: &Seen, name: &str) -> Option<String> {
    let body: serde_json::Value = serde_json::from_slice(&seen.body).ok()?;
    body.get(name)?.as_str().map(str::to_owned)
}

fn headers(matches: &ArgMatches, name: &str) -> Result<HeaderMap, Misuse> {
    let mut headers = HeaderMap::new();
    for line in matches.get_many::<String>(name).into_iter().flatten() {
        // The line may hold a credential: the complaint does not repeat it.
        let wrong = || (format!("--{name}: a value is no header"), "write it as 'Name: value'");
        let (name, value) = paste::header(line.as_bytes()).ok_or_else(wrong)?;
        headers.append(name, value);
    }
    Ok(headers)
}

fn read_input() -> Result<Vec<u8>, Misuse> {
    let mut text = Vec::new();
    let read = io::stdin().lock().take(MOST_READ).read_to_end(&mut text);
    read.map_err(|error| (format!("standard input cannot be read: {error}"), "pipe the output of curl -i into it"))?;
    Ok(text)
}

fn read_file(file: &PathBuf) -> Result<Vec<u8>, Misuse> {
    if file.as_os_str() == "-" {
        return read_input();
    }
    let mut text = Vec::new();
    let opened = std::fs::File::open(file).and_then(|file| file.take(MOST_READ).read_to_end(&mut text));
    opened
        .map_err(|error| (format!("{} cannot be read: {error}", file.display()), "name a file that holds the body"))?;
    Ok(text)
}

/// `curl` without `--compressed` leaves a body packed; with it, the header says so of a body that is not.
fn decoded(mut body: Vec<u8>) -> Vec<u8> {
    if body.starts_with(&[0x1f, 0x8b]) {
        let mut unpacked = Vec::new();
        // A cut stream is worth what came before the cut.
        let _ = flate2::read::GzDecoder::new(body.as_slice()).take(MOST_BODY as u64).read_to_end(&mut unpacked);
        return unpacked;
    }
    body.truncate(MOST_BODY);
    body
}
