//! Paths of files and sockets.

use std::path::PathBuf;

use super::super::mistake::Flaw;

/// Linux gives the name of a socket so many bytes, the zero at its end not counted.
const LONGEST_SOCKET: usize = 107;

/// Reads the path of a file.
pub fn parse(text: &str) -> Result<PathBuf, Flaw> {
    if text.is_empty() || text.contains('\0') {
        return Err(Flaw::new("is no path", "write the path of a file, as /etc/grafana-token-proxy/tls.crt"));
    }
    Ok(text.into())
}

/// Reads the path of a Unix socket, the part behind `unix:`.
pub fn absolute(text: &str) -> Result<PathBuf, Flaw> {
    if !text.starts_with('/') || text.ends_with('/') || text.contains('\0') || text.starts_with("//") {
        return Err(Flaw::new(
            "is no Unix socket",
            "write unix: and an absolute path, as unix:/run/grafana/grafana.sock",
        ));
    }
    if text.len() > LONGEST_SOCKET {
        let why = format!("is longer than the {LONGEST_SOCKET} bytes that the system allows");
        return Err(Flaw::new(why, "choose a shorter path"));
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_have_absolute_paths_of_bounded_length() {
        assert_eq!(absolute("/run/g.sock"), Ok("/run/g.sock".into()));
        for wrong in ["", "run/g.sock", "//run/g.sock", "/run/", &format!("/{}", "x".repeat(107))] {
            assert!(absolute(wrong).is_err(), "{wrong}");
        }
        assert!(absolute(&format!("/{}", "x".repeat(106))).is_ok());
    }

    #[test]
    fn a_file_has_a_name() {
        assert!(parse("tls.crt").is_ok() && parse("").is_err() && parse("a\0b").is_err());
    }
}
