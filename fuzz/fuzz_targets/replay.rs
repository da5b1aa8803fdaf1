//! The replay of a segment whose checksums are all right, whatever the records in it say: never a panic; it opens, or says that it is
//! damaged.
//!
//! The bytes are payloads, each with its length before it (two bytes, little endian; a last one may be cut short). The target puts frames around them:
//! a checksum is nothing that a fuzzer guesses.
#![no_main]

use less_runtime::fuzz::{decode, frame, replay};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut segment = Vec::new();
    let mut rest = bytes;
    while let Some((length, behind)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_le_bytes(*length)).min(behind.len());
        let (payload, next) = behind.split_at(length);
        decode(payload);
        // The log has no empty frames.
        if !payload.is_empty() {
            frame(payload, &mut segment);
        }
        rest = next;
    }
    replay(&segment);
});
