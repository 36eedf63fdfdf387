//! Flags, made from the table of keys.

use clap::builder::StyledStr;
use clap::{Arg, ArgAction, ArgMatches, ValueHint};

use super::environment::{CONFIG, short_variable};
use super::given::Given;
use super::keys::{self, Key};
use super::origin::Origin;

const CONFIG_ID: &str = "config";

/// The id of the file that `check` takes without a flag.
pub const CHECKED_FILE: &str = "checked_file";

/// `--config FILE`.
pub fn config_file() -> Arg {
    Arg::new(CONFIG_ID)
        .long("config")
        .short('c')
        .value_name("FILE")
        .value_hint(ValueHint::FilePath)
        .value_parser(clap::value_parser!(std::path::PathBuf))
        .help("Configuration file, YAML")
        .long_help(with_origin("Configuration file, YAML.", &[CONFIG.to_owned()], "none"))
}

/// A flag for each key.
pub fn settings() -> impl Iterator<Item = Arg> {
    keys::all().map(setting)
}

/// The flag of one key: by its short name first, where it has one.
pub fn setting(key: &'static Key) -> Arg {
    let flag = key.flag();
    let mut variables = vec![key.variable()];
    variables.extend(short_variable(key));
    let mut help = key.help.to_owned();
    if let super::values::kind::Kind::Choice(words) = key.kind {
        help.push_str(&format!(" One of {}.", words.join(", ")));
    }
    if key.is_list() {
        help.push_str(" Several are separated by commas.");
    }
    if key.short.is_some_and(|short| short != flag) {
        help.push_str(&format!(" Also --{flag}."));
    }
    let mut arg = Arg::new(key.path)
        .long(key.short.map_or_else(|| flag.clone(), str::to_owned))
        .value_name(key.kind.placeholder())
        .help(key.help.trim_end_matches('.').to_owned())
        .long_help(with_origin(&help, &variables, key.default))
        .action(if key.is_list() { ArgAction::Append } else { ArgAction::Set })
        .hide_short_help(key.short.is_none());
    // The common ones stand together; the rest by group, which only the long help shows.
    let group = key.path.split_once('.').filter(|_| key.short.is_none());
    if let Some((group, _)) = group {
        arg = arg.help_heading(format!("Options of {group}"));
    }
    if key.short.is_some_and(|short| short != flag) {
        arg = arg.alias(flag);
    }
    arg
}

fn with_origin(help: &str, variables: &[String], default: &str) -> StyledStr {
    let default = if default.is_empty() { "none" } else { default };
    format!("{help}\n[env: {}] [default: {default}]", variables.join(", ")).into()
}

/// The file that `--config` names, or `check` was given.
pub fn named_file(matches: &ArgMatches) -> Option<&std::path::PathBuf> {
    let named = |id| matches.try_get_one(id).ok().flatten();
    named(CHECKED_FILE).or_else(|| named(CONFIG_ID))
}

/// The values of all flags that were given.
pub fn values(matches: &ArgMatches) -> Vec<Given> {
    let texts = |id: &str| -> Option<Vec<String>> {
        // A subcommand without this flag has no such id.
        matches.try_get_many::<String>(id).ok().flatten().map(|texts| texts.cloned().collect())
    };
    keys::all()
        .filter_map(|key| {
            let name = format!("--{}", key.short.map_or_else(|| key.flag(), str::to_owned));
            Some(Given::from_text(key, &texts(key.path)?, &Origin::Flag(name)))
        })
        .collect()
}
