//! Any beginning of a connection: the PROXY header is found where it is, whatever follows it and however it is cut.
#![no_main]

use grafana_token_proxy::domain::proxy_protocol::{MAX_LENGTH, Parsed, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| match parse(data) {
    Parsed::Header { length, client } => {
        assert!(length <= data.len() && length <= MAX_LENGTH);
        assert_eq!(parse(&data[..length]), Parsed::Header { length, client }, "what follows changes it");
        assert!((0..length).all(|cut| parse(&data[..cut]) == Parsed::More), "known before its end");
        assert!(client.is_none_or(|client| client.ip() == client.ip().to_canonical()));
    }
    // What is wrong stays wrong, whatever comes.
    Parsed::Malformed(why) => assert_eq!(parse(&[data, b"\r\n\r\n"].concat()), Parsed::Malformed(why)),
    Parsed::More => assert!(data.len() < MAX_LENGTH),
});
