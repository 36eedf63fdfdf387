//! `doctor`: walks the whole way from here to Grafana, says which hop loses or changes the header, and what to do.

mod certificate;
mod credential;
mod dial;
mod identity;
mod judge;
mod kubernetes;
mod observations;
mod reply;
mod report;
mod request;
mod step;
mod target;
mod verdict;
mod walk;
mod witness;

use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Arg, ArgMatches, Command, ValueHint};

use self::credential::Credential;
use self::dial::Dialling;
use self::judge::{Verdict, judge};
use self::kubernetes::Service;
use self::observations::Observations;
use self::report::is_healthy;
use self::target::Target;
use self::walk::{Plan, Walk};
use super::inspect::{Key, now};
use super::output::{self, Paint};
use super::{explain, secret_input};
use crate::config::environment::Environment;
use crate::config::values::duration;
use crate::domain::token::{TokenKind, kind_of};
use crate::pem;
use crate::upstream::system_roots;

/// For one walk, however many hops are slow.
const LONGEST: Duration = Duration::from_secs(120);

/// Before another walk.
const PAUSE: Duration = Duration::from_secs(2);

const AFTER: &str = "Sends at most 30 requests, none of which can change anything; the token goes to nobody who does not \
                     answer as Grafana does, and is never shown.\n\
                     In a pipeline: grafana-token-proxy doctor --url $URL --token-file $FILE --wait 60s -o json\n\
                     Exit codes: 0 healthy, or warnings only; 1 something is wrong; 2 wrong usage.";

/// The arguments.
pub fn command() -> Command {
    let time = |name: &'static str, default: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("TIME")
            .default_value(default)
            .value_parser(|text: &str| duration::parse(text).map_err(|flaw| format!("{}: {}", flaw.why, flaw.cure)))
    };
    let url = |name: &'static str| Arg::new(name).long(name).value_name("URL").value_hint(ValueHint::Url);
    let file = |name: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("FILE")
            .value_hint(ValueHint::FilePath)
            .value_parser(clap::value_parser!(PathBuf))
    };
    Command::new("doctor")
        .about("Walks the whole way to Grafana, and says which hop loses or changes the header")
        .after_help(AFTER)
        .arg(url("url").required(true).help("As callers reach Grafana, through every hop; with its sub-path"))
        .arg(url("direct").help("Grafana itself, past every hop: tells which side of the proxy is at fault"))
        .arg(file("token-file").help("File with the token, or a whole value of Authorization; - for standard input"))
        .arg(
            Arg::new("org")
                .long("org")
                .value_name("N")
                .value_parser(clap::value_parser!(u32).range(1..))
                .help("The organisation that is wanted: sent as X-Grafana-Org-Id, and compared"),
        )
        .arg(
            Arg::new("needs")
                .long("needs")
                .value_name("LIST")
                .value_delimiter(',')
                .help("Permissions that the token must have, as dashboards:read,folders:read"),
        )
        .arg(file("ca-file").help("Authorities to believe besides those of the system, PEM"))
        .arg(time("wait", "0s").help("Walk again until all is well, for so long at most"))
        .arg(time("timeout", "10s").help("For each step: a name, a connection, a handshake, an answer"))
        .arg(time("hold", "3s").help("How long to hold a silent WebSocket"))
        .arg(explain::output_format())
}

/// Walks, and tells: 0 where nothing fails, else 1.
pub fn doctor(matches: &ArgMatches, variables: impl IntoIterator<Item = (OsString, OsString)>) -> ExitCode {
    let variables: Vec<(OsString, OsString)> = variables.into_iter().collect();
    let text = |(name, value): &(OsString, OsString)| Some((name.to_str()?.to_owned(), value.to_str()?.to_owned()));
    let services = Service::all(&variables.iter().filter_map(text).collect::<Vec<_>>());
    let plan = match plan(matches, variables) {
        Ok(plan) => plan,
        Err((why, cure)) => {
            output::complain(&why, &cure);
            return ExitCode::from(2);
        }
    };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build() else {
        output::complain("the system gives no event queue", "look at its limits of open files");
        return ExitCode::FAILURE;
    };
    let as_json = matches.get_one::<String>("output").is_some_and(|format| format == "json");
    let file = matches.get_one::<PathBuf>("token-file").filter(|file| file.as_os_str() != "-");
    let file = file.map_or_else(|| "FILE".to_owned(), |file| file.display().to_string());
    let wait = matches.get_one("wait").copied().unwrap_or_default();
    let code = runtime.block_on(Doctor { plan, services, as_json, file, paint: Paint::of_stdout() }.attend(wait));
    // A thread that asks a silent DNS server must not hold the end up.
    runtime.shutdown_background();
    code
}

type Misuse = (String, String);

fn misuse(why: impl Into<String>, cure: &str) -> Misuse {
    (why.into(), cure.to_owned())
}

fn plan(matches: &ArgMatches, variables: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Plan, Misuse> {
    let target = |name: &str| {
        let text = matches.get_one::<String>(name);
        let read = text.map(|text| Target::parse(text).map_err(|why| misuse(format!("--{name}: {why}"), URL)));
        read.transpose()
    };
    let time = |name: &str| matches.get_one::<Duration>(name).copied().unwrap_or_default();
    let mut roots = system_roots();
    if let Some(file) = matches.get_one::<PathBuf>("ca-file") {
        add_authorities(&mut roots, file)?;
    }
    let credential = match matches.get_one::<PathBuf>("token-file") {
        Some(file) => Some(read_credential(file, variables)?),
        None => None,
    };
    let needs = matches.get_many::<String>("needs").into_iter().flatten();
    Ok(Plan {
        url: target("url")?.ok_or_else(|| misuse("--url is missing", URL))?,
        direct: target("direct")?,
        dialling: Dialling { roots: Arc::new(roots), patience: time("timeout") },
        credential,
        org: matches.get_one("org").copied(),
        needs: needs.map(|need| need.trim().to_owned()).filter(|need| !need.is_empty()).collect(),
        hold: time("hold"),
    })
}

const URL: &str = "write it as https://grafana.example.com or http://127.0.0.1:3000";

fn add_authorities(roots: &mut tokio_rustls::rustls::RootCertStore, file: &Path) -> Result<(), Misuse> {
    let cure = "name a PEM file with the certificate of the authority";
    let told = |why: String| misuse(format!("--ca-file {} {why}", file.display()), cure);
    let bytes = std::fs::read(file).map_err(|error| told(format!("cannot be read: {error}")))?;
    for authority in pem::certificates(&bytes).map_err(told)? {
        roots.add(authority).map_err(|error| told(format!("holds no authority: {error}")))?;
    }
    Ok(())
}

fn read_credential(
    file: &Path,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Credential, Misuse> {
    if kind_of(file.as_os_str().as_encoded_bytes()) != TokenKind::Unknown {
        let why = "a token stands on the command line, where every user of this machine can read it";
        return Err(misuse(
            why,
            "name a file, or pipe it in with --token-file -; and replace it, if others could read",
        ));
    }
    if file.as_os_str() == "-" && io::stdin().is_terminal() {
        output::write_error("Paste the token, and end with Ctrl-D on a line of its own.\n");
    }
    let text = secret_input::read(file).map_err(|error| {
        misuse(
            format!("{} cannot be read: {error}", file.display()),
            "name a file that can be read, or pipe the token in",
        )
    })?;
    let key = Key::of(&Environment::new(variables))
        .map_err(|error| misuse(format!("the system gives no random bytes: {error}"), "set GTP_FINGERPRINT_KEY"))?;
    Ok(Credential::read(&text, &key.key, now()))
}

struct Doctor {
    plan: Plan,
    services: Vec<Service>,
    as_json: bool,
    /// Where the token is, for the commands that are shown.
    file: String,
    paint: Paint,
}

impl Doctor {
    /// Walks until all is well, or the time is over.
    async fn attend(&self, wait: Duration) -> ExitCode {
        let begun = Instant::now();
        loop {
            // While it waits, what is told of a walk that failed would only be told again.
            let mut lines = (!wait.is_zero()).then(String::new);
            let (verdict, requests) = self.walk(&mut lines).await;
            let left = wait.saturating_sub(begun.elapsed());
            if is_healthy(verdict.code()) || left < PAUSE {
                if let Some(lines) = lines {
                    output::print(&lines);
                }
                let text = match self.as_json {
                    true => report::verdict_json(&verdict, requests),
                    false => report::verdict(&verdict, requests, &self.paint),
                };
                let printed = output::print(&self.veiled(&text));
                return if is_healthy(verdict.code()) { printed } else { ExitCode::FAILURE };
            }
            output::write_error(&format!("not yet: {}; {} s left\n", verdict.code().name(), left.as_secs()));
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn walk(&self, lines: &mut Option<String>) -> (Verdict, usize) {
        let mut seen = Observations {
            ways: Vec::new(),
            credential: self.plan.credential.as_ref().map(|credential| credential.facts.clone()),
            org: self.plan.org,
            needs: self.plan.needs.clone(),
            services: self.services.clone(),
            now: Duration::from_secs(u64::try_from(now()).unwrap_or_default()),
        };
        let tell = |seen: &Observations, step, role| {
            let told = step::tell(seen, step, role, &self.file);
            let text = if self.as_json { report::step_json(&told) } else { report::step(&told, &self.paint) };
            let text = self.veiled(&text);
            match lines {
                Some(lines) => lines.push_str(&text),
                None => {
                    output::print(&text);
                }
            }
        };
        let mut walk = Walk { plan: &self.plan, seen: &mut seen, tell, requests: 0 };
        let over = tokio::time::timeout(LONGEST, walk.go()).await.is_err();
        let requests = walk.requests;
        if over {
            output::write_error("the walk took too long and ends here: raise nothing, look at what is slow\n");
        }
        (judge(&seen), requests)
    }

    /// Whatever a hop has echoed, nothing of the credential is printed.
    fn veiled(&self, text: &str) -> String {
        self.plan.credential.as_ref().map_or_else(|| text.to_owned(), |credential| credential.veil(text))
    }
}
