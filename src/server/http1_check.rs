//! Checks the framing of HTTP/1 requests more strictly than hyper does.
//!
//! A proxy in front may read an ambiguous request differently, and take a part of one request for another one (request
//! smuggling). So a request is refused if it has a line that ends with a bare LF, a folded header, both `content-length`
//! and `transfer-encoding`, a length that is not a plain number, not exactly one `Host`, or a target that is not a path
//! (RFC 9112, 2.2, 3.2, 5.2, 6.3).

use std::io::{Error, ErrorKind, Result};

/// The longest head of a request, in bytes.
pub(super) const MAX_HEAD_BYTES: usize = 16 << 10;
/// The longest line with the size of a chunk, in bytes, with its extensions.
const MAX_SIZE_LINE: usize = 256;
/// The longest trailers of a chunked request, in bytes.
const MAX_TRAILER_BYTES: usize = 4 << 10;
/// The most empty lines before a request (RFC 9112, 2.2).
const MAX_EMPTY_LINES: u8 = 2;

/// Follows the requests of a connection as they are read.
#[derive(Debug, Default)]
pub(super) struct RequestCheck {
    state: State,
    /// The current line, as far as it has come.
    line: Vec<u8>,
    /// The bytes of the current head, or of the current trailers.
    section_len: usize,
    head: Head,
}

/// What the next byte belongs to.
#[derive(Debug, Default, PartialEq, Eq)]
enum State {
    /// The line of a request.
    #[default]
    RequestLine,
    Header,
    /// This many bytes of a body.
    Body(u64),
    ChunkSize,
    /// This many bytes of a chunk, and the line end after it.
    Chunk(u64),
    ChunkEnd,
    Trailer,
    /// The request is refused, and nothing after it is read.
    Refused,
}

/// What was found in the current head.
#[derive(Debug, Default)]
struct Head {
    empty_lines: u8,
    is_http_10: bool,
    hosts: usize,
    length: Option<u64>,
    is_chunked: bool,
}

/// Why a request is refused.
type Refused = &'static str;

/// Text that is no request gets no answer.
const NOT_HTTP: Refused = "text that is neither HTTP/2 nor HTTP/1";

impl RequestCheck {
    /// Whether a head has begun and is not complete.
    pub(super) fn is_in_head(&self) -> bool {
        match self.state {
            State::RequestLine => !self.line.is_empty(),
            State::Header => true,
            _ => false,
        }
    }

    /// Whether a request was refused.
    pub(super) fn is_refused(&self) -> bool {
        self.state == State::Refused
    }

    /// Whether a request has begun and is not complete, or was refused.
    pub(super) fn is_in_request(&self) -> bool {
        self.state != State::RequestLine || !self.line.is_empty()
    }

    /// Checks the bytes that were read next. A head that is refused is made unreadable in place: hyper answers it with
    /// 400 and closes the connection. The bytes after it are dropped. Returns how many bytes hyper gets.
    ///
    /// # Errors
    ///
    /// The framing of a body is wrong, or this is no HTTP.
    pub(super) fn check(&mut self, bytes: &mut [u8]) -> Result<usize> {
        let mut read = 0;
        while read < bytes.len() {
            match &mut self.state {
                State::Refused => return Ok(read),
                State::Body(left) | State::Chunk(left) => {
                    let piece = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len() - read);
                    read += piece;
                    *left -= piece as u64;
                    if *left == 0 {
                        self.state =
                            if matches!(self.state, State::Chunk(_)) { State::ChunkEnd } else { State::RequestLine };
                    }
                }
                _ => {
                    let end = memchr::memchr(b'\n', &bytes[read..]).map(|at| read + at);
                    let is_in_head = matches!(self.state, State::RequestLine | State::Header);
                    let piece = &bytes[read..end.unwrap_or(bytes.len())];
                    let refused = self.add(piece, end.is_some()).err();
                    read = end.map_or(bytes.len(), |end| end + 1);
                    match refused {
                        Some(reason) if is_in_head && reason != NOT_HTTP => {
                            self.state = State::Refused;
                            // Neither a line end nor allowed in a line.
                            bytes[read - 1] = 0;
                            tracing::debug!(reason, "an HTTP/1 request is refused");
                        }
                        Some(reason) => return Err(Error::new(ErrorKind::InvalidData, reason)),
                        None => {}
                    }
                }
            }
        }
        Ok(read)
    }

    /// Adds a piece of a line, and reads the line once it is complete.
    fn add(&mut self, piece: &[u8], is_complete: bool) -> std::result::Result<(), Refused> {
        self.section_len += piece.len() + 1;
        let max = match self.state {
            State::ChunkSize | State::ChunkEnd => MAX_SIZE_LINE,
            State::Trailer => MAX_TRAILER_BYTES,
            _ => MAX_HEAD_BYTES,
        };
        // hyper itself answers a head that is too long with 431.
        if self.section_len > max && !matches!(self.state, State::RequestLine | State::Header) {
            return Err("a chunk size or the trailers are too long");
        }
        if self.section_len <= max + MAX_SIZE_LINE {
            self.line.extend_from_slice(piece);
        }
        if !is_complete {
            return Ok(());
        }
        let mut line = std::mem::take(&mut self.line);
        let read = match line.strip_suffix(b"\r") {
            Some(text) if text.contains(&b'\r') => Err("a line contains a bare CR"),
            Some(text) => self.read_line(text),
            None => Err("a line ends with a bare LF"),
        };
        // Its memory is reused.
        line.clear();
        self.line = line;
        read
    }

    /// Reads a line without its end.
    fn read_line(&mut self, line: &[u8]) -> std::result::Result<(), Refused> {
        match self.state {
            State::RequestLine => {
                if line.is_empty() && self.head.empty_lines < MAX_EMPTY_LINES {
                    self.head.empty_lines += 1;
                    return Ok(());
                }
                self.head = Head { is_http_10: request_line(line)?, ..Head::default() };
                self.state = State::Header;
            }
            State::Header if line.is_empty() => {
                self.state = self.head.body()?;
                (self.section_len, self.head) = (0, Head::default());
            }
            State::Header => self.head.header(line)?,
            State::ChunkSize => {
                self.state = match chunk_size(line).ok_or("the size of a chunk is not a plain hexadecimal number")? {
                    0 => State::Trailer,
                    size => State::Chunk(size),
                };
                self.section_len = 0;
            }
            State::ChunkEnd if line.is_empty() => (self.state, self.section_len) = (State::ChunkSize, 0),
            State::ChunkEnd => return Err("a chunk is longer than its size"),
            State::Trailer if line.is_empty() => (self.state, self.section_len) = (State::RequestLine, 0),
            State::Trailer | State::Body(_) | State::Chunk(_) | State::Refused => {}
        }
        Ok(())
    }
}

impl Head {
    fn header(&mut self, line: &[u8]) -> std::result::Result<(), Refused> {
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            return Err("a header is folded");
        }
        let colon = memchr::memchr(b':', line).ok_or("a header has no colon")?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        // Nearly all names have another length.
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => self.hosts += 1,
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                let length = decimal(value).ok_or("the content-length is not a plain number")?;
                if self.length.replace(length).is_some() {
                    return Err("there are two content-lengths");
                }
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                if self.is_chunked || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err("the transfer-encoding is not a single \"chunked\"");
                }
                self.is_chunked = true;
            }
            _ => {}
        }
        Ok(())
    }

    /// The state after the head.
    fn body(&self) -> std::result::Result<State, Refused> {
        if self.hosts > 1 || (self.hosts == 0 && !self.is_http_10) {
            return Err("there is not exactly one Host");
        }
        match (self.is_chunked, self.length) {
            (true, Some(_)) => Err("there are both transfer-encoding and content-length"),
            (true, None) if self.is_http_10 => Err("HTTP/1.0 has no transfer-encoding"),
            (true, None) => Ok(State::ChunkSize),
            (false, Some(length @ 1..)) => Ok(State::Body(length)),
            (false, _) => Ok(State::RequestLine),
        }
    }
}

/// Reads the line of a request; returns whether it is HTTP/1.0.
fn request_line(line: &[u8]) -> std::result::Result<bool, Refused> {
    let mut parts = line.split(|byte| *byte == b' ');
    if !line.rsplit(|byte| *byte == b' ').any(|part| part.starts_with(b"HTTP/")) {
        return Err(NOT_HTTP);
    }
    let (Some(_), Some(target), Some(version), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err("the request line does not have three parts");
    };
    if !target.starts_with(b"/") && target != b"*" {
        return Err("the target of the request is not a path");
    }
    match version {
        b"HTTP/1.1" => Ok(false),
        b"HTTP/1.0" => Ok(true),
        _ => Err("the version of the request is not HTTP/1"),
    }
}

fn decimal(value: &[u8]) -> Option<u64> {
    let is_plain = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    str::from_utf8(value).ok().filter(|_| is_plain)?.parse().ok()
}

/// The size of a chunk. Extensions are ignored.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|byte| *byte == b';').next()?;
    let is_plain = (1..=16).contains(&digits.len()) && digits.iter().all(u8::is_ascii_hexdigit);
    u64::from_str_radix(str::from_utf8(digits).ok().filter(|_| is_plain)?, 16).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
