//! Bytes of a connection: judging them never panics, and means the same however the network cuts them.
#![no_main]

use grafana_token_proxy::domain::framing::{Bounds, Event, Scanner};
use libfuzzer_sys::fuzz_target;

const BOUNDS: Bounds = Bounds { max_head: 4096, max_headers: 20, max_target: 1024 };

/// The heads seen, or the status of the fault.
fn scan(bytes: &[u8], size: usize) -> Result<u64, u16> {
    let mut scanner = Scanner::new(BOUNDS);
    for piece in bytes.chunks(size) {
        let mut rest = piece;
        while !rest.is_empty() {
            let (taken, event) = scanner.advance(rest);
            rest = &rest[taken..];
            match event {
                Event::Fault(fault) => return Err(fault.status),
                Event::Hold => return Ok(scanner.heads()),
                Event::More | Event::Head => assert!(rest.is_empty()),
            }
        }
    }
    Ok(scanner.heads())
}

fuzz_target!(|data: &[u8]| {
    let whole = scan(data, data.len().max(1));
    for size in [1, 3, 16] {
        assert_eq!(scan(data, size), whole);
    }
});
