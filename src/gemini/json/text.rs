//! Writes JSON strings, numbers and base64 as Google's servers do.

use super::error::{Error, Problem};
use super::output::Output;
use crate::gemini::steps::Steps;

/// Long values are written in pieces of this many bytes, so that the work can be interrupted between them. A multiple
/// of three, since base64 encodes three bytes at a time: only the last piece may end with padding.
const PIECE_BYTES: usize = 3 * (64 << 10);
/// All whole numbers below 2^53 are exact in a double.
const MAX_EXACT_IN_DOUBLE: f64 = 9_007_199_254_740_992.0;
/// All whole numbers below 2^24 are exact in a 32-bit float.
const MAX_EXACT_IN_FLOAT: f32 = 16_777_216.0;

/// Writes a string with its quotes. Fails if the bytes are not UTF-8.
pub(super) fn put_string(out: &mut impl Output, bytes: &[u8], steps: &mut Steps<'_>) -> Result<(), Error> {
    out.put(b"\"");
    let mut rest = bytes;
    while rest.len() > PIECE_BYTES {
        let (piece, after) = rest.split_at(last_boundary(rest, PIECE_BYTES));
        steps.take_bytes(piece.len())?;
        out.text(piece)?;
        rest = after;
    }
    steps.take_bytes(rest.len())?;
    out.text(rest)?;
    out.put(b"\"");
    Ok(())
}

/// The last offset up to `max` that is between two characters, or `max` if the bytes are not UTF-8.
fn last_boundary(bytes: &[u8], max: usize) -> usize {
    let is_continuation = |at: &usize| bytes[*at] & 0xc0 == 0x80;
    (max - 3..=max).rev().find(|at| !is_continuation(at)).unwrap_or(max)
}

/// Writes bytes as base64 in quotes, with the standard alphabet and padding, as Google does.
pub(super) fn put_base64(out: &mut impl Output, bytes: &[u8], steps: &mut Steps<'_>) -> Result<(), Error> {
    out.put(b"\"");
    for piece in bytes.chunks(PIECE_BYTES) {
        steps.take_bytes(piece.len())?;
        out.base64(piece);
    }
    out.put(b"\"");
    Ok(())
}

/// Writes a whole number.
pub(super) fn put_int(out: &mut impl Output, value: i64) {
    out.put(itoa::Buffer::new().format(value).as_bytes());
}

/// Writes the shortest form that reads back as the same double; a whole number has no point, as 5 and not 5.0. Fails
/// for NaN and infinity.
pub(super) fn put_double(out: &mut impl Output, value: f64) -> Result<(), Error> {
    if !value.is_finite() {
        return Err(Problem::NotFinite.into());
    }
    let negative_zero = value == 0.0 && value.is_sign_negative();
    if value.fract() == 0.0 && value.abs() < MAX_EXACT_IN_DOUBLE && !negative_zero {
        put_int(out, value as i64);
    } else {
        out.put(ryu::Buffer::new().format_finite(value).as_bytes());
    }
    Ok(())
}

/// Writes a 32-bit float as [`put_double`] does, in its own shortest form: 0.95, not 0.949999988079071.
pub(super) fn put_float(out: &mut impl Output, value: f32) -> Result<(), Error> {
    if value.is_finite() && value.fract() != 0.0 || value.abs() >= MAX_EXACT_IN_FLOAT && value.is_finite() {
        out.put(ryu::Buffer::new().format_finite(value).as_bytes());
        return Ok(());
    }
    put_double(out, f64::from(value))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::gemini::json::escape::escaped_length;

    fn written(write: impl FnOnce(&mut Vec<u8>) -> Result<(), Error>) -> String {
        let mut out = Vec::new();
        write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_control_character_quote_and_backslash_is_escaped_at_any_position() {
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
            let text = "x".repeat(lead) + &"é€😀\n".repeat(PIECE_BYTES / 8);
            let json = written(|out| put_string(out, text.as_bytes(), &mut Steps::unlimited()));
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
        let not_utf8 = vec![0x80; 2 * PIECE_BYTES];
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
