//! `man`: the manual page.

use std::io;
use std::process::ExitCode;

use clap_mangen::Man;

use super::{command_line, output};

const REST: &str = r#".SH "EXIT STATUS"
.TP
0
Done, and well.
.TP
1
The configuration is wrong or missing, or the proxy is not healthy.
.TP
2
Wrong usage.
.SH EXAMPLES
.nf
grafana\-token\-proxy \-\-upstream http://127.0.0.1:3000
grafana\-token\-proxy check gtp.yaml
grafana\-token\-proxy explain token_expired
.fi
"#;

/// Prints it as roff.
pub fn man() -> ExitCode {
    match page() {
        Ok(page) => output::print(&page),
        Err(_) => ExitCode::FAILURE,
    }
}

fn page() -> io::Result<String> {
    let mut page = Vec::new();
    // The date of a build would make two builds of one source differ.
    let man = Man::new(command_line()).manual("User Commands").date("");
    man.render(&mut page)?;
    Ok(String::from_utf8_lossy(&page).into_owned() + REST)
}
