//! The demo is the product in one command: it must come out as it says, on free ports, without configuration.

use std::process::Command;

#[test]
fn the_demo_comes_out_as_it_must() {
    let output = Command::new(crate::support::binary())
        .args(["demo", "--once", "--listen", "127.0.0.1:0", "--telemetry", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{told}{}", String::from_utf8_lossy(&output.stderr));
    for reason in [
        "credential_missing",
        "token_expired",
        "token_unknown",
        "org_mismatch",
        "newline_in_head",
        "token_rate_limited",
    ] {
        assert!(told.contains(&format!("X-Token-Proxy-Reason: {reason}")), "{reason} is not shown");
    }
    assert!(told.contains("came out as they must"));
}
