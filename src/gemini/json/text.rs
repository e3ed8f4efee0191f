//! Writes JSON: strings, numbers and base64, as Google's servers spell them.

use super::error::{Error, Problem};
use super::output::Output;
use crate::gemini::steps::Steps;

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
    use crate::gemini::json::escape::escaped_length;

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
