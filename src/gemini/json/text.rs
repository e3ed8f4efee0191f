//! Writes JSON: strings, numbers and base64, as Google's servers spell them.

use super::error::{Error, Problem};
use super::output::Output;
use super::plain::is_plain;
use crate::gemini::steps::Steps;

/// Up to this length, in bytes, looking whether a text is plain is cheaper than the search for what is not.
const SHORT: usize = 64;
/// Long values are written in pieces of this many bytes, so that the work can be interrupted in between. Of base64, three
/// bytes make one group.
const PIECE: usize = 3 * (64 << 10);
/// Whole numbers below this are exact in a double.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Writes a string with its quotes; the bytes must be UTF-8.
pub(super) fn put_string(out: &mut impl Output, bytes: &[u8], steps: &mut Steps<'_>) -> Result<(), Error> {
    out.put(b"\"");
    let mut rest = bytes;
    while rest.len() > PIECE {
        let (piece, behind) = rest.split_at(last_boundary(rest, PIECE));
        steps.take_bytes(piece.len())?;
        out.text(piece)?;
        rest = behind;
    }
    steps.take_bytes(rest.len())?;
    out.text(rest)?;
    out.put(b"\"");
    Ok(())
}

/// The last place up to `most` that is not inside of a character; `most` itself if the bytes are not UTF-8.
fn last_boundary(bytes: &[u8], most: usize) -> usize {
    let is_inside = |at: &usize| bytes[*at] & 0xc0 == 0x80;
    (most - 3..=most).rev().find(|at| !is_inside(at)).unwrap_or(most)
}

/// Appends a text with what JSON escapes; the bytes must be UTF-8.
pub(super) fn put_escaped(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Error> {
    if bytes.len() <= SHORT && is_plain(bytes) {
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

/// How many bytes [`put_escaped`] writes.
pub(super) fn escaped_length(bytes: &[u8]) -> usize {
    /// Few enough for the sum to fit into a byte, and a block for SIMD.
    const BLOCK: usize = 32;
    let added = |&b: &u8| match b {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 1,
        0..0x20 => 5,
        _ => 0,
    };
    bytes.len() + bytes.chunks(BLOCK).map(|block| usize::from(block.iter().map(added).sum::<u8>())).sum::<usize>()
}

/// The place of the first byte that must be escaped. In blocks, so that the compiler can use SIMD.
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

/// Writes bytes as base64 with the standard alphabet and padding, the form Google emits.
pub(super) fn put_base64(out: &mut impl Output, bytes: &[u8], steps: &mut Steps<'_>) -> Result<(), Error> {
    out.put(b"\"");
    for piece in bytes.chunks(PIECE) {
        steps.take_bytes(piece.len())?;
        out.base64(piece);
    }
    out.put(b"\"");
    Ok(())
}

pub(super) fn put_int(out: &mut impl Output, value: i64) {
    out.put(itoa::Buffer::new().format(value).as_bytes());
}

/// Writes the shortest form that reads back as the same double; a whole number has no point.
pub(super) fn put_double(out: &mut impl Output, value: f64) -> Result<(), Error> {
    if !value.is_finite() {
        return Err(Problem::NotFinite.into());
    }
    let negative_zero = value == 0.0 && value.is_sign_negative();
    if value.fract() == 0.0 && value.abs() < EXACT && !negative_zero {
        put_int(out, value as i64);
    } else {
        out.put(ryu::Buffer::new().format_finite(value).as_bytes());
    }
    Ok(())
}

/// As [`put_double`], with the shortest form of a 32-bit float: 0.95, not 0.949999988079071.
pub(super) fn put_float(out: &mut impl Output, value: f32) -> Result<(), Error> {
    if value.is_finite() && value.fract() != 0.0 || value.abs() >= 16_777_216.0 && value.is_finite() {
        out.put(ryu::Buffer::new().format_finite(value).as_bytes());
        return Ok(());
    }
    put_double(out, f64::from(value))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>) -> Result<(), Error>) -> String {
        let mut out = Vec::new();
        write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_control_character_quote_and_backslash_is_escaped_wherever_it_stands() {
        for lead in 0..70 {
            for byte in 0..0x80u8 {
                let text = format!("{}{}é", "x".repeat(lead), byte as char);
                let json = written(|out| put_string(out, text.as_bytes(), &mut Steps::unlimited()));
                assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
                assert_eq!(escaped_length(text.as_bytes()) + 2, json.len());
            }
        }
    }

    #[test]
    fn a_long_string_is_written_in_pieces_that_end_between_characters() {
        for lead in 0..4 {
            let text = "x".repeat(lead) + &"é€😀\n".repeat(PIECE / 8);
            let json = written(|out| put_string(out, text.as_bytes(), &mut Steps::unlimited()));
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
        let not_utf8 = vec![0x80; 2 * PIECE];
        let refused = put_string(&mut Vec::new(), &not_utf8, &mut Steps::unlimited()).unwrap_err();
        assert_eq!(refused.problem(), Problem::Utf8);
    }

    #[test]
    fn a_number_is_as_short_as_it_can_be() {
        for (value, text) in [(5.0, "5"), (-0.0, "-0.0"), (0.1, "0.1"), (1e300, "1e300"), (-3.5, "-3.5")] {
            assert_eq!(written(|out| put_double(out, value)), text);
        }
        for (value, text) in [(0.95, "0.95"), (1.0, "1"), (f32::MAX, "3.4028235e38"), (16_777_216.0, "16777216.0")] {
            assert_eq!(written(|out| put_float(out, value)), text);
        }
    }
}
