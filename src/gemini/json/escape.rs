//! Escapes the text of JSON strings.

use super::error::{Error, Problem};
use super::plain::is_plain;

/// Up to this length, in bytes, checking whether a text is plain is cheaper than validating it and searching it for
/// escapes.
const MAX_PLAIN_CHECK_BYTES: usize = 64;

/// Appends a text with its JSON escapes, without quotes. Fails if the bytes are not UTF-8.
pub(super) fn put_escaped(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Error> {
    if bytes.len() <= MAX_PLAIN_CHECK_BYTES && is_plain(bytes) {
        out.extend_from_slice(bytes);
        return Ok(());
    }
    simdutf8::basic::from_utf8(bytes).map_err(|_| Problem::Utf8)?;
    let mut rest = bytes;
    while let Some(at) = first_special(rest) {
        out.extend_from_slice(&rest[..at]);
        put_escape(out, rest[at]);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    Ok(())
}

/// The number of bytes that [`put_escaped`] writes.
pub(super) fn escaped_length(bytes: &[u8]) -> usize {
    /// Small enough for the sum of a block, at most 5 × 32, to fit into a byte: sums of bytes are the fastest with
    /// SIMD.
    const BLOCK: usize = 32;
    let added = |&b: &u8| match b {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 1,
        0..0x20 => 5,
        _ => 0,
    };
    bytes.len() + bytes.chunks(BLOCK).map(|block| usize::from(block.iter().map(added).sum::<u8>())).sum::<usize>()
}

/// The offset of the first byte that must be escaped. Searches in blocks, without an early exit inside a block, so that
/// the compiler can use SIMD.
fn first_special(bytes: &[u8]) -> Option<usize> {
    const BLOCK: usize = 32;
    let special = |&b: &u8| b < 0x20 || b == b'"' || b == b'\\';
    let mut done = 0;
    for block in bytes.chunks_exact(BLOCK) {
        if block.iter().fold(false, |any, b| any | special(b)) {
            break;
        }
        done += BLOCK;
    }
    bytes[done..].iter().position(special).map(|at| done + at)
}

fn put_escape(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'"' => b'"',
        b'\\' => b'\\',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        _ => {
            out.extend_from_slice(b"\\u00");
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 15)]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}
