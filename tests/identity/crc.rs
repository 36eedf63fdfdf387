//! Tokens with one checksum: CRC-32 is arithmetic, so that anyone can choose a service that gives the wanted one.

pub(crate) fn checksum(body: &[u8]) -> String {
    crc32fast::hash(body).to_le_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A sound token.
pub(crate) fn token(service: &[u8], secret: &[u8]) -> Vec<u8> {
    let body = [b"gl", service, b"_", secret].concat();
    [&body, &b"_"[..], checksum(&body).as_bytes()].concat()
}

/// `gl<service>_<secret>` with the checksum of `crc`, where the service begins with `start`.
pub(crate) fn with_checksum(start: &[u8], secret: &[u8], crc: u32) -> Vec<u8> {
    let head = [b"gl", start].concat();
    let tail = [b"_", secret].concat();
    let before = head.iter().fold(!0, |state, byte| forward(state, *byte));
    let behind = [&[0; 4], &*tail].concat().iter().rev().fold(!crc, |state, byte| backward(state, *byte));
    // Four bytes shift the whole state out, so their difference to zeros is that of the two states.
    let body = [&*head, &(before ^ behind).to_le_bytes(), &*tail].concat();
    [&body, &b"_"[..], checksum(&body).as_bytes()].concat()
}

const POLYNOMIAL: u32 = 0xEDB8_8320;

fn forward(state: u32, byte: u8) -> u32 {
    (0..8).fold(state ^ u32::from(byte), |state, _| (state >> 1) ^ if state & 1 == 1 { POLYNOMIAL } else { 0 })
}

fn backward(state: u32, byte: u8) -> u32 {
    let undo = |state: u32, _| if state >> 31 == 1 { (state ^ POLYNOMIAL) << 1 | 1 } else { state << 1 };
    (0..8).fold(state, undo) ^ u32::from(byte)
}
