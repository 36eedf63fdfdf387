//! What a reload may change, and when it is due.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use sha2::{Digest as _, Sha256};

use super::Config;
use super::effective::{Effective, Shown, show};
use super::keys::{self, Field, Key};
use super::print::print;
use super::tokens::{TOKENS, TokenSettings};

/// Keys that are read at the start alone: sockets, threads and tables that cannot be replaced under traffic, and the log,
/// which the whole process shares.
pub const FIXED: [&str; 11] = [
    "listen",
    "workers",
    "telemetry",
    "admin",
    "limits.max_tracked",
    "limits.shared",
    "limits.shared_lease",
    "limits.shared_ca_file",
    "log.format",
    "log.level",
    "log.requests",
];

/// What is other in `fresh` than in `current`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Keys that a reload changes.
    pub changed: Vec<&'static str>,
    /// Keys that take a restart.
    pub fixed: Vec<&'static str>,
}

/// Finds what is other, and puts back into `fresh` what takes a restart, so that it tells what will be in force.
pub fn settle(current: &Config, fresh: &mut Config) -> Difference {
    let mut difference = Difference::default();
    for key in keys::all() {
        if texts(key, current) == texts(key, fresh) {
            continue;
        }
        if FIXED.contains(&key.path) {
            difference.fixed.push(key.path);
            put_back(key, current, fresh);
        } else {
            difference.changed.push(key.path);
        }
    }
    if current.tokens != fresh.tokens || current.callers != fresh.callers {
        difference.changed.push(TOKENS);
    }
    difference
}

fn texts(key: &Key, config: &Config) -> Vec<String> {
    match show(key, config) {
        Shown::One(text) => vec![text],
        Shown::Many(texts) => texts,
    }
}

/// What was shown can be read: it was in force.
fn put_back(key: &Key, current: &Config, fresh: &mut Config) {
    match &key.field {
        Field::One { set, show } => {
            let _ = set(fresh, &show(current));
        }
        Field::Many { clear, add, show } => {
            clear(fresh);
            for text in show(current) {
                let _ = add(fresh, &text);
            }
        }
    }
}

/// What stands for a configuration: twelve hex digits, equal where every key is.
pub fn hash(effective: &Effective) -> String {
    let digest = Sha256::digest(print(effective, false));
    digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// The files behind a configuration, and how they looked when they were last asked for.
///
/// A mounted ConfigMap or Secret changes by the swap of a symbolic link, an editor writes a new file over the old one, a
/// script writes into it: all of that changes what the path leads to. Files are looked at again and again rather than
/// watched, which works on every file system, and are taken once they have stayed the same for a turn: one that is
/// being written is not.
#[derive(Debug)]
pub struct Watched {
    files: Vec<(PathBuf, Option<Stamp>)>,
    unsettled: bool,
}

/// What changes with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(path: &PathBuf) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

impl Watched {
    /// Loads a configuration, and how its files looked before they were read: a change that comes while they are is not
    /// missed. `known`: the files of the configuration before this one.
    pub fn load(known: Option<&Effective>, load: &dyn Fn() -> Effective) -> (Self, Effective) {
        let first = known.is_none().then(load);
        let watched = known.or(first.as_ref()).map(Self::new);
        // Without files nothing changes from one look to the next.
        let effective = match first {
            Some(first) if watched.as_ref().is_some_and(Self::is_empty) => first,
            _ => load(),
        };
        let mut now = Self::new(&effective);
        match watched {
            // One that is faulty may name fewer files than it means to, and does not come into force.
            Some(watched) if effective.errors().next().is_some() || watched.paths().eq(now.paths()) => {
                (watched, effective)
            }
            _ => {
                // Of files that are new there is no look from before: they are loaded once more.
                now.unsettled = !now.is_empty();
                (now, effective)
            }
        }
    }

    fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.files.iter().map(|(path, _)| path)
    }

    /// The files of a configuration, as they are now.
    fn new(effective: &Effective) -> Self {
        let paths = effective.file.iter().map(PathBuf::as_path).chain(effective.config.files.paths());
        let paths = paths.chain(effective.config.tokens.iter().flat_map(TokenSettings::files));
        let files = paths.map(|path| (path.to_owned(), Stamp::of(&path.to_owned()))).collect();
        Self { files, unsettled: false }
    }

    /// Whether there is anything to look at.
    pub const fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Looks again: whether something had changed, and has stayed the same since the look before.
    pub fn is_due(&mut self) -> bool {
        let mut moved = false;
        for (path, stamp) in &mut self.files {
            let now = Stamp::of(path);
            moved |= *stamp != now;
            *stamp = now;
        }
        let due = self.unsettled && !moved;
        self.unsettled = moved;
        due
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::super::effective::load_text;
    use super::super::file::SourceFile;
    use super::*;

    fn effective(text: &str) -> Effective {
        let effective = load_text(&SourceFile { name: "f".into(), text: text.to_owned() });
        assert_eq!(effective.errors().count(), 0, "{:?}", effective.mistakes);
        effective
    }

    #[test]
    fn what_takes_a_restart_stays_and_is_told() {
        let current = effective("listen: 127.0.0.1:1\nlimits: { per_token: { rate: 5/s } }\n");
        let mut fresh = effective("listen: [127.0.0.1:2, 127.0.0.1:4]\nlog: { level: error }\norg: { default: 2 }\n");
        let difference = settle(&current.config, &mut fresh.config);
        assert_eq!(difference.fixed, ["listen", "log.level"]);
        assert_eq!(difference.changed, ["org.default", "limits.per_token.rate"]);
        assert_eq!(fresh.config.server.listen, current.config.server.listen);
        assert_eq!(fresh.config.log.level, current.config.log.level);
        assert_eq!(settle(&current.config, &mut current.config.clone()), Difference::default());
    }

    #[test]
    fn every_fixed_key_exists() {
        assert!(FIXED.iter().all(|path| keys::find(path).is_some()));
    }

    #[test]
    fn equal_configurations_have_equal_hashes() {
        assert_eq!(hash(&effective("org: { default: 2 }")), hash(&effective("{org: {default: 2}, workers: auto}")));
        assert_ne!(hash(&effective("org: { default: 2 }")), hash(&effective("org: { default: 3 }")));
    }

    #[test]
    fn a_file_is_due_once_it_has_settled() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gtp.yaml");
        fs::write(&path, "a").unwrap();
        let mut watched = Watched::new(&Effective { file: Some(path.clone()), ..effective("") });
        assert!(!watched.is_due());
        fs::write(&path, "half").unwrap();
        assert!(!watched.is_due(), "it has just changed");
        fs::write(&path, "half and half").unwrap();
        assert!(!watched.is_due(), "it is still being written");
        assert!(watched.is_due() && !watched.is_due());
        // Gone for a moment, and another one in its place.
        fs::remove_file(&path).unwrap();
        assert!(!watched.is_due());
        fs::write(folder.path().join("new"), "half and half").unwrap();
        fs::rename(folder.path().join("new"), &path).unwrap();
        assert!(!watched.is_due());
        assert!(watched.is_due() && !watched.is_due());
    }

    #[test]
    fn a_change_while_the_files_are_read_is_not_missed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gtp.yaml");
        fs::write(&path, "a").unwrap();
        let loads = std::cell::Cell::new(0);
        let load = || {
            loads.set(loads.get() + 1);
            fs::write(&path, "b".repeat(loads.get())).unwrap();
            Effective { file: Some(path.clone()), ..effective("") }
        };
        let (mut watched, loaded) = Watched::load(None, &load);
        assert!(!watched.is_due() && watched.is_due(), "it was written while it was read");
        let (mut watched, _) = Watched::load(Some(&loaded), &load);
        assert!(!watched.is_due() && watched.is_due());
        assert!(!watched.is_due() && !watched.is_due());
        let (watched, _) = Watched::load(None, &|| effective(""));
        assert!(watched.is_empty());
    }

    #[test]
    fn the_swap_of_a_mounted_config_map_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        for version in ["..1", "..2"] {
            fs::create_dir(folder.path().join(version)).unwrap();
            fs::write(folder.path().join(version).join("gtp.yaml"), "org: { default: 2 }").unwrap();
        }
        symlink("..1", folder.path().join("..data")).unwrap();
        symlink("..data/gtp.yaml", folder.path().join("gtp.yaml")).unwrap();
        let path = folder.path().join("gtp.yaml");
        let mut watched = Watched::new(&Effective { file: Some(path), ..effective("") });
        symlink("..2", folder.path().join("..tmp")).unwrap();
        fs::rename(folder.path().join("..tmp"), folder.path().join("..data")).unwrap();
        assert!(!watched.is_due());
        assert!(watched.is_due());
    }
}
