//! Tokens to try things out with: in files that only their owner may read, never on the screen, gone when the demo ends.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::Places;
use super::keyring::{Token, random_characters};

/// A folder of token files. Removes it when it is dropped.
#[derive(Debug)]
pub(super) struct Samples(PathBuf);

impl Samples {
    /// Writes each token to `<name>.token`, without a newline, in a new folder within `parent`.
    pub(super) fn write(parent: &Path, tokens: &[(&str, Token)]) -> io::Result<Self> {
        let folder = parent.join(format!("grafana-token-proxy-demo-{}", random_characters(8)?));
        // It fails where the name is taken: nobody can put a folder of theirs in our place.
        DirBuilder::new().mode(0o700).create(&folder)?;
        let samples = Self(folder);
        for (name, token) in tokens {
            let path = samples.0.join(format!("{name}.token"));
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            file.write_all(token.expose().as_bytes())?;
        }
        Ok(samples)
    }

    /// What to type.
    pub(super) fn invitation(&self, proxy: SocketAddr, places: Places, burst: u32) -> String {
        let folder = self.0.display();
        let burst = burst.saturating_add(3);
        let mut text = format!(
            "Try it. The tokens lie in files: {}.\n\n  \
             G=http://{proxy} T='{folder}'\n  \
             curl -i $G/api/org -H \"Authorization: Bearer $(cat $T/good.token)\"\n  \
             curl -i $G/api/org -H \"Authorization: $(cat $T/good.token)\"\n  \
             curl -i $G/api/org -H \"Authorization: token '$(cat $T/good.token)'\"\n  \
             curl -i $G/api/org -H \"Authorization: Bearer $(cat $T/expired.token)\"\n  \
             curl -i $G/api/org -H \"Authorization: Bearer $(cat $T/organisation-2.token)\" -H 'X-Grafana-Org-Id: 1'\n  \
             curl -i $G/api/org/users -H \"Authorization: Bearer $(cat $T/good.token)\"\n  \
             for i in $(seq {burst}); do curl -so /dev/null -w '%{{http_code}} ' $G/api/org \\\n    \
             -H \"Authorization: Bearer $(cat $T/admin.token)\"; done; echo\n",
            self.names().join(", ")
        );
        if let Some(telemetry) = places.telemetry {
            text.push_str(&format!("  curl http://{telemetry}/metrics\n"));
        }
        if let Some(admin) = places.admin {
            text.push_str(&format!("\nAll refusals, live: http://{admin}/\n"));
        }
        text
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        let mut names: Vec<String> =
            entries.filter_map(|entry| Some(entry.path().file_stem()?.to_str()?.to_owned())).collect();
        names.sort();
        names
    }
}

impl Drop for Samples {
    fn drop(&mut self) {
        // What cannot be removed opens nothing any more.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn tokens_are_for_their_owner_only_and_leave_nothing_behind() {
        let parent = tempfile::tempdir().unwrap();
        let token = Token::mint().unwrap();
        let samples = Samples::write(parent.path(), &[("good", token.clone())]).unwrap();
        let (folder, file) = (samples.0.clone(), samples.0.join("good.token"));
        assert_eq!(fs::read_to_string(&file).unwrap(), token.expose());
        for (path, mode) in [(&folder, 0o700), (&file, 0o600)] {
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, mode);
        }
        let text = samples.invitation(([127, 0, 0, 1], 3001).into(), Places { telemetry: None, admin: None }, 10);
        assert!(
            text.contains("files: good.") && text.contains("http://127.0.0.1:3001") && !text.contains(token.expose())
        );
        drop(samples);
        assert!(!folder.exists());
    }
}
