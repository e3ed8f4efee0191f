//! Decodes base64, or only checks it for an outline.

use base64_simd::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD, forgiving_decode_inplace};

use super::super::error::{Error, Problem};
use super::super::repairs::Repairs;
use super::super::string::{Str, unescape};
use super::{Decoder, Tolerance};
use crate::gemini::steps::Steps;

/// An outline contains the bytes of this many characters of base64, enough to recognize the kind of data. A multiple of
/// four.
const KEPT_CHARS: usize = 32;
/// A data: URL, which pages and their libraries make of a picture.
const DATA_URL: &[u8] = b"data:";
/// Base64 with escapes or in mixed alphabets is checked in pieces of this many characters. A multiple of four.
const PIECE_CHARS: usize = 4096;

impl<'j> Decoder<'j, '_> {
    /// Writes a bytes field. Base64 with the standard alphabet and padding, which Google sends, is decoded directly
    /// into the output. Other forms take a slower path.
    pub(super) fn base64(&mut self, number: u32, text: Str<'j>) -> Result<(), Error> {
        if self.outline.is_some() {
            return self.base64_outline(number, text);
        }
        self.json.steps().take_bytes(text.raw.len())?;
        if !text.escaped && self.standard_base64(number, text.raw)? {
            return Ok(());
        }
        let mut owned = text.text(self.json.steps(), &mut self.repairs)?.into_owned().into_bytes();
        owned.iter_mut().for_each(|byte| *byte = in_standard_alphabet(*byte));
        let bytes = base64_simd::forgiving_decode_inplace(&mut owned).map_err(|_| Problem::Expected("base64"))?;
        self.ensure_capacity(bytes.len())?;
        self.writer.sized_field(number, bytes.len());
        self.writer.out.extend_from_slice(bytes);
        Ok(())
    }

    /// Writes a bytes field if a long string of base64 comes next, in the standard form, without searching its end first.
    /// Otherwise it returns false, and has read nothing. A wrong guess costs as much as decoding the string, so it is the
    /// last one: there are several pictures.
    pub(super) fn long_base64(&mut self, number: u32) -> Result<bool, Error> {
        if self.has_guessed_wrong {
            return Ok(false);
        }
        let start = self.json.position();
        let Some(text) = self.json.guess_string()? else { return Ok(false) };
        self.json.steps().take_bytes(text.len())?;
        let is_right = match self.outline {
            None => self.standard_base64(number, text)?,
            Some(_) => STANDARD.check(text).is_ok(),
        };
        if !is_right {
            self.json.seek(start);
            self.has_guessed_wrong = true;
        } else if self.outline.is_some() {
            self.beginning(number, text)?;
        }
        Ok(is_right)
    }

    /// Writes a bytes field from base64 in the standard form; writes nothing and returns false if the text has another form.
    fn standard_base64(&mut self, number: u32, text: &[u8]) -> Result<bool, Error> {
        if !text.len().is_multiple_of(4) {
            return Ok(false);
        }
        // The decoded length follows from the padding, so it can be written before the bytes are decoded behind it.
        let padding = text.iter().rev().take(2).filter(|&&b| b == b'=').count();
        let length = (text.len() / 4 * 3).saturating_sub(padding);
        self.ensure_capacity(length)?;
        let start = self.writer.sized_field(number, length);
        let is_decoded = STANDARD.decode_append(text, &mut self.writer.out).is_ok();
        if !is_decoded {
            self.writer.out.truncate(start);
        }
        Ok(is_decoded)
    }

    /// Writes a bytes field with the first bytes only, and checks all of its base64. The memory does not depend on the
    /// length of the text.
    fn base64_outline(&mut self, number: u32, text: Str<'j>) -> Result<(), Error> {
        // Reading without writing is less than half of the work.
        self.json.steps().take_bytes(text.raw.len() / 2)?;
        if self.tolerance == Tolerance::Request && text.raw.starts_with(DATA_URL) {
            return Err(Problem::Expected("base64 without the beginning of a data: URL").into());
        }
        let is_common = |variant: &base64_simd::Base64| variant.check(text.raw).is_ok();
        if !text.escaped && [STANDARD, URL_SAFE, STANDARD_NO_PAD, URL_SAFE_NO_PAD].iter().any(is_common) {
            return self.beginning(number, text.raw);
        }
        let kept = check_forgiving(text, self.json.steps())?;
        self.kept(number, kept)
    }

    /// Writes a bytes field with the first bytes of base64 that was checked.
    fn beginning(&mut self, number: u32, text: &[u8]) -> Result<(), Error> {
        let mut kept = Kept::default();
        text.iter().take(KEPT_CHARS).for_each(|byte| kept.push(in_standard_alphabet(*byte)));
        self.kept(number, kept)
    }

    fn kept(&mut self, number: u32, mut kept: Kept) -> Result<(), Error> {
        let bytes =
            forgiving_decode_inplace(&mut kept.chars[..kept.length]).map_err(|_| Problem::Expected("base64"))?;
        self.ensure_capacity(bytes.len())?;
        self.writer.sized_field(number, bytes.len());
        self.writer.out.extend_from_slice(bytes);
        Ok(())
    }
}

/// The first characters of base64, in the standard alphabet and without white space.
#[derive(Default)]
struct Kept {
    chars: [u8; KEPT_CHARS],
    length: usize,
}

impl Kept {
    fn push(&mut self, byte: u8) {
        if let Some(free) = self.chars.get_mut(self.length) {
            *free = byte;
            self.length += 1;
        }
    }
}

/// Checks base64 of any form that [`Decoder::base64`] decodes, piece by piece. As there, a text that is no JSON is an error
/// of syntax, whatever comes before the place.
fn check_forgiving(text: Str<'_>, steps: &mut Steps<'_>) -> Result<Kept, Error> {
    let (mut kept, mut piece, mut length) = (Kept::default(), [0; PIECE_CHARS], 0);
    // Bytes that are not UTF-8 are replaced; the replacement is refused as not base64.
    let mut repairs = Repairs { allowed: true, ..Repairs::default() };
    let (mut rest, mut character, mut is_base64) = (text.raw, Vec::new(), true);
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        character.clear();
        if first == b'\\' {
            steps.take(1)?;
            rest = unescape(after, &mut character, 0, &mut repairs)?;
        } else if first < b' ' {
            return Err(Problem::Syntax.into());
        } else {
            character.push(first);
        }
        for &byte in &character {
            if matches!(byte, b' ' | b'\n' | b'\r' | b'\t' | 0x0c) {
                continue;
            }
            if length == PIECE_CHARS {
                // The last four characters may be followed by padding, so they stay.
                let end = PIECE_CHARS - 4;
                is_base64 &= STANDARD_NO_PAD.check(&piece[..end]).is_ok();
                piece.copy_within(end.., 0);
                length = 4;
                steps.take_bytes(PIECE_CHARS * 16)?;
            }
            piece[length] = in_standard_alphabet(byte);
            kept.push(piece[length]);
            length += 1;
        }
    }
    match is_base64 && forgiving_decode_inplace(&mut piece[..length]).is_ok() {
        true => Ok(kept),
        false => Err(Problem::Expected("base64").into()),
    }
}

/// A character of base64 in the standard alphabet, whichever of the two alphabets it is in.
fn in_standard_alphabet(byte: u8) -> u8 {
    match byte {
        b'-' => b'+',
        b'_' => b'/',
        byte => byte,
    }
}
