//! The model's name says what the upstream double answers:
//!
//! - `bench-unary`: about 1 KiB of JSON; `bench-unary-20ms`: the same after 20 ms
//! - `bench-text-64KiB`: 64 KiB of text
//! - `bench-tools`: three function calls with arguments
//! - `bench-image-4MiB`: a picture of 4 MiB as inlineData
//! - `bench-echo`: a short answer, with the size of the request's body as promptTokenCount
//! - `bench-stream-50x40-5ms`: 50 chunks of 40 characters, one every 5 ms; with `-ts` at the end, each chunk contains the
//!   time at which it was sent
//! - `bench-stream-200x40-0ms`: 200 chunks as fast as the socket takes them; they may share a write
//! - `bench-stream-200x40-flush`: the same, with one write for each chunk

use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// As fast as possible; chunks may share a write.
    Coalesced,
    /// As fast as possible, with one write for each chunk.
    Flush,
    Every(Duration),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    Unary { delay: Duration },
    Text { bytes: usize },
    Tools,
    Image { bytes: usize },
    Echo,
    Stream { chunks: usize, bytes: usize, pace: Pace, stamped: bool },
}

impl Shape {
    pub fn parse(model: &str) -> Option<Self> {
        let mut words = model.strip_prefix("bench-")?.split('-');
        Some(match words.next()? {
            "unary" => Self::Unary { delay: words.next().map_or(Some(Duration::ZERO), delay)? },
            "text" => Self::Text { bytes: size(words.next()?)? },
            "tools" => Self::Tools,
            "image" => Self::Image { bytes: size(words.next()?)? },
            "echo" => Self::Echo,
            "stream" => {
                let (chunks, bytes) = words.next()?.split_once('x')?;
                let pace = match words.next()? {
                    "flush" => Pace::Flush,
                    word => match delay(word)? {
                        Duration::ZERO => Pace::Coalesced,
                        every => Pace::Every(every),
                    },
                };
                let stamped = words.next() == Some("ts");
                Self::Stream { chunks: chunks.parse().ok()?, bytes: bytes.parse().ok()?, pace, stamped }
            }
            _ => return None,
        })
    }

    /// The messages that a client must receive.
    pub fn messages(&self) -> u64 {
        match self {
            Self::Stream { chunks, .. } => *chunks as u64,
            _ => 1,
        }
    }
}

fn size(word: &str) -> Option<usize> {
    let (number, unit) = word.split_at(word.find(|c: char| !c.is_ascii_digit())?);
    let shift = match unit {
        "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        _ => return None,
    };
    Some(number.parse::<usize>().ok()? << shift)
}

fn delay(word: &str) -> Option<Duration> {
    match word.strip_suffix("ms") {
        Some(number) => number.parse().ok().map(Duration::from_millis),
        None => word.strip_suffix("us")?.parse().ok().map(Duration::from_micros),
    }
}

/// Readable text with some characters that JSON escapes and some that UTF-8 encodes in two bytes, as answers have.
pub fn text(bytes: usize) -> String {
    const UNIT: &str = "The quick brown fox said \"jumps\",\nthen naïvely crossed the river to rest. ";
    let mut text = UNIT.repeat(bytes / UNIT.len() + 1);
    let end = (0..=bytes).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.truncate(end);
    text
}

/// The signature of a PNG, then bytes that cannot be compressed; the same at every call.
pub fn image(bytes: usize) -> Vec<u8> {
    let mut image = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    while image.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        image.extend_from_slice(&state.to_le_bytes());
    }
    image.truncate(bytes);
    image
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_names_its_answer() {
        let every = Pace::Every(Duration::from_millis(5));
        let stream = Shape::Stream { chunks: 50, bytes: 40, pace: every, stamped: true };
        assert_eq!(Shape::parse("bench-stream-50x40-5ms-ts"), Some(stream));
        assert_eq!(Shape::parse("bench-image-4MiB"), Some(Shape::Image { bytes: 4 << 20 }));
        assert_eq!(Shape::parse("gemini-2.5-pro"), None);
    }

    #[test]
    fn a_text_ends_between_two_characters() {
        for bytes in 0..200 {
            assert!(text(bytes).len() <= bytes && text(bytes).len() + 2 > bytes);
        }
    }
}
