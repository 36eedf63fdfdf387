//! `migrate nginx`: reads an nginx configuration or an Ingress with snippets, and prints ours, each line accounted for.

mod context;
mod directives;
mod draft;
#[cfg(test)]
mod examples;
mod header;
mod ingress;
mod nginx;
mod table;
#[cfg(test)]
mod tests;
mod values;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command, ValueHint};
use serde_json::json;

use self::context::Context;
use self::directives::walk;
use self::draft::{Draft, Fate};
use super::output;

/// Longer files are none that somebody wrote.
const LONGEST: u64 = 4 * 1024 * 1024;

const AFTER: &str = "FILE is an nginx.conf, a server block, a snippet, an Ingress with its annotations (also several, or a \
                     List), or the ConfigMap of ingress-nginx. -: standard input.\n  \
                     kubectl get ingress -n grafana -o yaml | grafana-token-proxy migrate nginx - >proxy.yaml\n  \
                     grafana-token-proxy check proxy.yaml\n\
                     Each line is taken over, not needed, or cannot be taken over, with the reason; secrets are never \
                     printed. `include` is not followed.\n\
                     Exit codes: 0 done; 1 not readable, or with --strict: something was not taken over; 2 wrong usage.";

/// The arguments.
pub fn command() -> Command {
    let file = Arg::new("file")
        .value_name("FILE|-")
        .required(true)
        .value_hint(ValueHint::FilePath)
        .value_parser(clap::value_parser!(PathBuf))
        .help("What is to be read");
    let output = Arg::new("output")
        .short('o')
        .long("output")
        .value_parser(["yaml", "json"])
        .default_value("yaml")
        .help("yaml: a configuration with comments; json: the lines as data");
    let strict =
        Arg::new("strict").long("strict").action(ArgAction::SetTrue).help("Fail if something cannot be taken over");
    let nginx = Command::new("nginx").about("Of an nginx configuration, or an Ingress with snippets").after_help(AFTER);
    Command::new("migrate")
        .about("Prints our configuration for that of another proxy")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(nginx.arg(file).arg(output).arg(strict))
}

/// Reads, judges and prints.
pub fn migrate(matches: &ArgMatches) -> ExitCode {
    let Some(("nginx", matches)) = matches.subcommand() else { return ExitCode::from(2) };
    let path = matches.get_one::<PathBuf>("file").map_or(Path::new("-"), PathBuf::as_path);
    let name = if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() };
    let text = match read(path) {
        Ok(text) => text,
        Err(why) => {
            output::complain(&format!("{name}: {why}"), "name a file that holds text, or - for standard input");
            return ExitCode::FAILURE;
        }
    };
    let draft = match judged(&name, &text) {
        Ok(draft) => draft,
        Err((place, cure)) => {
            output::complain(&place, cure);
            return ExitCode::FAILURE;
        }
    };
    let is_json = matches.get_one::<String>("output").is_some_and(|output| output == "json");
    let code = output::print(&if is_json { as_json(&draft) } else { as_yaml(&name, &draft) });
    let counts: Vec<String> =
        Fate::ALL.iter().map(|fate| format!("{} {}", draft.count(*fate), fate.name().replace('_', " "))).collect();
    output::write_error(&format!("{name}: {}\n", counts.join(", ")));
    if matches.get_flag("strict") && draft.count(Fate::Cannot) + draft.count(Fate::Unknown) > 0 {
        return ExitCode::FAILURE;
    }
    code
}

/// Our configuration for the text of a file, with its comments; else what is wrong with it, and where.
pub fn convert(name: &str, text: &str) -> Result<String, String> {
    judged(name, text).map(|draft| as_yaml(name, &draft)).map_err(|(place, _)| place)
}

fn read(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let done = if path == Path::new("-") {
        std::io::stdin().lock().take(LONGEST + 1).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(LONGEST + 1).read_to_end(&mut bytes))
    };
    done.map_err(|error| error.to_string())?;
    if bytes.len() as u64 > LONGEST {
        return Err("longer than 4 MiB".to_owned());
    }
    String::from_utf8(bytes).map_err(|_| "no text".to_owned())
}

/// What becomes of a file; else where it cannot be read, and how to mend that.
fn judged(name: &str, text: &str) -> Result<Draft, (String, &'static str)> {
    let mut draft = Draft::default();
    if ingress::is_manifest(text) {
        let seen = ingress::read(name, text, &mut draft)
            .map_err(|error| (format!("{name}:{}:{}: {}", error.line, error.column, error.what), "correct it there"))?;
        if seen == 0 {
            return Err((
                format!("{name}: it holds no Ingress and no ConfigMap"),
                "give the manifest with the annotations",
            ));
        }
    } else {
        let directives = nginx::parse(text, 1).map_err(|mistake| {
            (format!("{name}:{}:{}: {}", mistake.line, mistake.column, mistake.what), "nginx -t tells the same")
        })?;
        if directives.is_empty() {
            return Err((format!("{name}: it holds nothing"), "give an nginx configuration, or an Ingress"));
        }
        walk(&directives, &mut draft, &mut Context::default());
    }
    draft.lines.sort_by_key(|line| line.number);
    Ok(draft)
}

fn as_yaml(name: &str, draft: &Draft) -> String {
    let mut text = format!(
        "# Made from {} by `grafana-token-proxy migrate nginx`. Look it through, then `check` it.\n",
        draft::printable(name)
    );
    let settings = draft.yaml();
    text.push_str(if settings.is_empty() { "{}   # nothing had to be set: the defaults do\n" } else { &settings });
    for fate in Fate::ALL {
        let lines: Vec<_> = draft.lines.iter().filter(|line| line.verdict.fate == fate).collect();
        if lines.is_empty() {
            continue;
        }
        let (first, rest) = fate.words().split_at_checked(1).unwrap_or_default();
        text.push_str(&format!("\n# {}{rest}:\n", first.to_uppercase()));
        for line in lines {
            text.push_str(&format!("#   line {}: {}\n", line.number, line.source));
            let key =
                line.verdict.key.map(|key| format!("{key}{}", if line.verdict.why.is_empty() { "" } else { ": " }));
            let told = format!("{}{}", key.unwrap_or_default(), line.verdict.why);
            if !told.is_empty() {
                text.push_str(&format!("#     → {told}\n"));
            }
        }
    }
    text
}

fn as_json(draft: &Draft) -> String {
    let lines: Vec<_> = draft
        .lines
        .iter()
        .map(|line| {
            let verdict = &line.verdict;
            json!({ "line": line.number, "source": line.source, "outcome": verdict.fate.name(), "key": verdict.key, "reason": verdict.why })
        })
        .collect();
    format!("{}\n", json!({ "configuration": draft.yaml(), "lines": lines }))
}
