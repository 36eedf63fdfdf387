//! The commands, and the line that calls them.

pub mod check;
pub mod completions;
pub mod config;
pub mod demo;
pub mod doctor;
pub mod explain;
mod harden;
pub mod healthcheck;
pub mod inspect;
pub mod limits;
pub mod man;
pub mod migrate;
pub mod output;
mod reload;
pub mod rows;
pub mod run;
pub mod schema;
pub mod secret_input;
pub mod watch;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::config::arguments;
use crate::config::effective::{self, Effective};
use crate::config::masking::mask;
use crate::config::origin::Origin;
use crate::config::reload::Watched;
use crate::server::Endpoint;

/// The program's name.
pub const NAME: &str = "grafana-token-proxy";

const ABOUT: &str = "Stands in front of Grafana: repairs Authorization, limits each token, sets the organisation, and \
                     explains every 401, 403 and 429.";

const AFTER: &str = "Without a command it serves, as run does:\n  grafana-token-proxy --upstream http://127.0.0.1:3000\n\
                     Every key of the configuration has a flag and a variable: --help lists them.";

const AFTER_LONG: &str = "A flag wins over the environment, the environment over the file, the file over the default.\n\
                          GTP_FINGERPRINT_KEY holds the key of the fingerprints in the log; it has no flag.\n\
                          NO_COLOR switches colours off.\n\n\
                          Exit codes: 0 done and well; 1 wrong configuration, or unhealthy; 2 wrong usage.";

/// The whole command line.
pub fn command_line() -> Command {
    with_settings(Command::new(NAME))
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT)
        .after_help(AFTER)
        .after_long_help(AFTER_LONG)
        .max_term_width(100)
        .args_conflicts_with_subcommands(true)
        .subcommand(with_settings(Command::new("run").about("Serves; also what happens without a command")))
        .subcommand(
            with_settings(
                Command::new("demo")
                    .about("Serves in front of a built-in stand-in for Grafana, and shows what it does"),
            )
            .arg(Arg::new("once").long("once").action(ArgAction::SetTrue).help("End after the examples")),
        )
        .subcommand(with_settings(check::command()))
        .subcommand(with_settings(config::command()))
        .subcommand(explain::command())
        .subcommand(inspect::command())
        .subcommand(doctor::command())
        .subcommand(watch::command())
        .subcommand(limits::command())
        .subcommand(migrate::command())
        .subcommand(healthcheck::command())
        .subcommand(Command::new("schema").about("Prints the JSON Schema of the configuration"))
        .subcommand(completions::command())
        .subcommand(Command::new("man").about("Prints the manual page"))
}

fn with_settings(command: Command) -> Command {
    command.arg(arguments::config_file()).args(arguments::settings())
}

/// Does what the arguments ask for.
pub fn execute(
    arguments: impl IntoIterator<Item = OsString>,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> ExitCode {
    let matches = match command_line().try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(error) => return refuse(&error),
    };
    match matches.subcommand() {
        None => serve(&matches, variables),
        Some(("run", matches)) => serve(matches, variables),
        Some(("demo", matches)) => match accept(effective::load(matches, variables)) {
            Ok(effective) => demo::demo(demo_config(effective), matches.get_flag("once")),
            Err(code) => code,
        },
        Some(("check", matches)) => check::check(&effective::load(matches, variables)),
        Some(("config", matches)) => config::config(&effective::load(matches, variables), matches.get_flag("origin")),
        Some(("explain", matches)) => explain::explain(matches),
        Some(("inspect", matches)) => inspect::inspect(matches, variables),
        Some(("doctor", matches)) => doctor::doctor(matches, variables),
        Some(("watch", matches)) => watch::watch(matches),
        Some(("limits", matches)) => limits::limits(matches),
        Some(("migrate", matches)) => migrate::migrate(matches),
        Some(("healthcheck", matches)) => healthcheck::healthcheck(&effective::load(matches, variables)),
        Some(("schema", _)) => schema::schema(),
        Some(("completions", matches)) => completions::completions(matches),
        Some(("man", _)) => man::man(),
        Some((other, _)) => {
            output::complain(&format!("no command is called {other}"), "see --help");
            ExitCode::from(2)
        }
    }
}

fn serve(matches: &ArgMatches, variables: impl IntoIterator<Item = (OsString, OsString)>) -> ExitCode {
    let variables: Vec<_> = variables.into_iter().collect();
    let load = || effective::load(matches, variables.clone());
    let (watched, effective) = Watched::load(None, &load);
    match accept(effective) {
        Ok(effective) => run::run(effective, watched, &load),
        Err(code) => code,
    }
}

/// Reports every mistake, and refuses the configuration if one of them is an error: 2 where the command line alone is
/// at fault, else 1.
fn accept(effective: Effective) -> Result<Effective, ExitCode> {
    output::report(&effective.mistakes);
    if effective.errors().next().is_none() {
        return Ok(effective);
    }
    Err(ExitCode::from(if effective.is_wrong_usage() { 2 } else { 1 }))
}

/// The demo has no business with other machines, unless somebody asks for it.
fn demo_config(mut effective: Effective) -> Effective {
    let loopback = std::net::IpAddr::from([127, 0, 0, 1]);
    let config = &mut effective.config;
    if effective.origins.of("listen") == Origin::Default {
        for endpoint in &mut config.server.listen {
            if let Endpoint::Tcp(address) = endpoint {
                address.set_ip(loopback);
            }
        }
    }
    if effective.origins.of("telemetry") == Origin::Default {
        config.admin.telemetry.iter_mut().for_each(|address| address.set_ip(loopback));
    }
    effective
}

/// Help and version go to standard output; wrong usage to standard error, without the token that somebody has typed.
fn refuse(error: &clap::Error) -> ExitCode {
    let text = error.render().to_string();
    let masked = mask(&text);
    if error.use_stderr() && masked != text {
        output::write_error(&masked);
    } else {
        // Nobody is left to tell if standard output is closed.
        let _ = error.print();
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}
