//! Strings with every byte at every position, and whole numbers.

use super::super::repairs::Repairs;
use super::*;

/// The text of the string that `json` begins with, and how many bytes of `json` were read.
fn read(json: &[u8]) -> Result<(String, usize), Error> {
    let (mut counted, mut steps) = (Steps::unlimited(), Steps::unlimited());
    let mut scanner = Scanner::new(json, &mut counted);
    let mut out = Vec::new();
    scanner.string()?.put(&mut out, &mut steps, &mut Repairs::default())?;
    Ok((String::from_utf8(out).unwrap(), json.len() - scanner.remaining()))
}

#[test]
fn any_byte_at_any_position_of_a_string_is_read_as_serde_json_reads_it() {
    for lead in 0..2 * MAX_WORDWISE_BYTES {
        for byte in 0..=u8::MAX {
            for tail in [0, 1, 9, MAX_WORDWISE_BYTES] {
                let inside = [&b"x".repeat(lead)[..], &[byte], &b"y".repeat(tail)].concat();
                let json = [b"\"", &inside[..], b"\", 1"].concat();
                let quoted = &json[..inside.len() + 2];
                match (read(&json), serde_json::from_slice::<String>(quoted)) {
                    (Ok((text, length)), Ok(expected)) => assert_eq!((text, length), (expected, quoted.len())),
                    (Ok((text, _)), Err(_)) => assert_eq!((byte, text), (b'"', "x".repeat(lead))),
                    (Err(_), Ok(expected)) => panic!("{expected:?} was refused"),
                    (Err(_), Err(_)) => {}
                }
            }
        }
    }
}

#[test]
fn a_short_integer_is_read_and_nothing_is_consumed_of_anything_else() {
    for (text, value) in [("0", 0), ("-0", 0), ("7,", 7), ("-12}", -12), ("123456789012345678", 123456789012345678)] {
        let mut steps = Steps::unlimited();
        let mut scanner = Scanner::new(text.as_bytes(), &mut steps);
        assert_eq!(scanner.short_integer(), Some(value), "{text}");
        assert_eq!(scanner.remaining(), text.trim_start_matches(|c: char| c == '-' || c.is_ascii_digit()).len());
    }
    for text in ["", "-", "01", "1.0", "1e3", "1234567890123456789", "9999999999999999999", "\"1\"", "x"] {
        let mut steps = Steps::unlimited();
        let mut scanner = Scanner::new(text.as_bytes(), &mut steps);
        assert_eq!((scanner.short_integer(), scanner.remaining()), (None, text.len()), "{text}");
    }
}
