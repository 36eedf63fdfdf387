//! Runs the pages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::markdown::{Block, Mark, blocks};
use super::stage::Stage;
use super::{pages, root};

/// What came of the blocks of a page.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    run: usize,
    compared: usize,
    configurations: usize,
    elsewhere: usize,
    skipped: usize,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.run += other.run;
        self.compared += other.compared;
        self.configurations += other.configurations;
        self.elsewhere += other.elsewhere;
        self.skipped += other.skipped;
    }
}

/// What the command before a block has printed.
enum Last {
    Nothing,
    NotRun,
    Printed(String),
}

/// Whether what was printed is what the page shows. `…` in a line stands for anything, alone for any lines.
fn fits(shown: &[&str], printed: &[&str]) -> bool {
    match shown.split_first() {
        None => printed.is_empty(),
        Some((line, rest)) if line.trim() == "…" => {
            (0..=printed.len()).any(|skipped| fits(rest, &printed[skipped..]))
        }
        Some((line, rest)) => {
            printed.split_first().is_some_and(|(first, others)| line_fits(line, first) && fits(rest, others))
        }
    }
}

fn line_fits(shown: &str, printed: &str) -> bool {
    let mut parts = shown.trim_end().split('…');
    let Some(mut rest) = parts.next().and_then(|start| printed.trim_end().strip_prefix(start)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, between)) = parts.split_last() else { return rest.is_empty() };
    for part in between {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

fn text(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("exit {:?}\n{out}{err}", output.status.code())
}

/// Runs a page from its top to its end.
fn play(path: &Path) -> Tally {
    let name = path.strip_prefix(root()).unwrap().display().to_string();
    let (mut tally, mut last) = (Tally::default(), Last::Nothing);
    let mut skipping = false;
    let mut stage = Stage::set();
    for block in blocks(&name, &fs::read_to_string(path).unwrap()) {
        let place = format!("{name}:{}", block.line);
        if block.needs() {
            tally.elsewhere += 1;
            last = Last::NotRun;
            continue;
        }
        if let Some(file) = block.file() {
            stage.write(file, &block.text);
        }
        match block.language.as_str() {
            "sh" => {
                let missing = Stage::missing(&block.text);
                // What follows may rest on what was not done.
                skipping |= !missing.is_empty();
                if skipping {
                    println!("{place} is skipped: {} missing here or above", missing.join(", "));
                    tally.skipped += 1;
                    last = Last::NotRun;
                    continue;
                }
                tally.run += 1;
                if block.is(&Mark::Serves) {
                    stage.serve(&block.text);
                    last = Last::Nothing;
                    continue;
                }
                let output = stage.run(&block.text);
                assert_eq!(output.status.code(), Some(block.exit()), "{place}\n{}{}", block.text, text(&output));
                let said = [output.stdout, output.stderr].concat();
                last = Last::Printed(stage.turned_back(&String::from_utf8_lossy(&said)));
            }
            "yaml" => {
                check(&stage, &place, &block);
                tally.configurations += 1;
            }
            _ => {}
        }
        let excerpt = block.is(&Mark::Excerpt);
        if excerpt || block.is(&Mark::Output) {
            let printed = match &last {
                Last::Printed(text) => text,
                Last::NotRun => continue,
                Last::Nothing => panic!("{place} shows what no command before it has printed"),
            };
            let mut shown: Vec<&str> = block.text.lines().collect();
            if excerpt {
                shown.insert(0, "…");
                shown.push("…");
            }
            let lines: Vec<&str> = printed.lines().collect();
            assert!(fits(&shown, &lines), "{place} shows\n{}\nand this is printed:\n{printed}", block.text);
            tally.compared += 1;
        }
    }
    tally
}

/// A block of YAML is a configuration of ours, unless it says that it needs something else.
fn check(stage: &Stage, place: &str, block: &Block) {
    let file = stage.write("checked.yaml", &block.text);
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_grafana-token-proxy"));
    command.arg("check").arg(file).env_clear();
    // Where a secret belongs in the environment, the page says so.
    let output = command.env("GTP_FINGERPRINT_KEY", "0123456789abcdef0123456789abcdef").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{place} is no valid configuration:\n{}{}", block.text, text(&output));
}

#[test]
fn what_is_shown_is_compared() {
    let printed = ["HTTP/1.1 401 Unauthorized", "x-request-id: 1f", "a", "b", "end 7 s"];
    assert!(fits(&["HTTP/1.1 401 Unauthorized", "x-request-id: …", "…", "end … s"], &printed));
    assert!(fits(&printed, &printed));
    assert!(!fits(&["HTTP/1.1 401 Unauthorized", "x-request-id: …"], &printed), "lines are left over");
    assert!(!fits(&["…", "end … min"], &printed) && !fits(&["…", "other", "…"], &printed));
}

#[test]
fn every_command_of_the_documentation_runs() {
    let wanted = std::env::var("GTP_PAGE").unwrap_or_default();
    let pages: Vec<PathBuf> = pages().into_iter().filter(|page| page.to_string_lossy().contains(&wanted)).collect();
    let (next, whole) = (AtomicUsize::new(0), Mutex::new(Tally::default()));
    let play_the_next = || {
        while let Some(page) = pages.get(next.fetch_add(1, Ordering::Relaxed)) {
            let begun = Instant::now();
            let tally = play(page);
            println!(
                "{:.1} s: {} {tally:?}",
                begun.elapsed().as_secs_f64(),
                page.strip_prefix(root()).unwrap().display()
            );
            whole.lock().unwrap().add(tally);
        }
    };
    // Pages share nothing, and mostly wait.
    std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(play_the_next))));
    let whole = *whole.lock().unwrap();
    // Nothing may pass by being run no more.
    if wanted.is_empty() {
        assert!(whole.run + whole.skipped >= RUN, "{whole:?}");
        assert!(whole.compared >= COMPARED || whole.skipped > 0, "{whole:?}");
        assert!(whole.configurations >= CONFIGURATIONS, "{whole:?}");
    }
}

/// At least so many blocks of shell are run, outputs compared, and configurations checked.
const RUN: usize = 52;
const COMPARED: usize = 33;
const CONFIGURATIONS: usize = 9;
