//! stub
use bytes::Bytes;
#[derive(Debug)]
pub enum Framing {
    Sse,
}
impl Framing {
    pub fn from_content_type(_: &str) -> Self {
        Self::Sse
    }
}
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("x")]
    TooLarge { limit: usize },
    #[error("x")]
    Truncated,
}
#[derive(Debug, Default)]
pub struct Events {
    buf: std::collections::VecDeque<Bytes>,
}
impl Events {
    pub fn new(_: Framing, _: usize) -> Self {
        Self::default()
    }
    pub fn push(&mut self, b: Bytes) {
        let mut rest = b;
        while let Some(at) = memchr::memmem::find(&rest, b"\r\n\r\n") {
            let ev = rest.split_to(at + 4);
            self.buf.push_back(ev.slice(6..ev.len() - 4));
        }
    }
    pub fn next(&mut self) -> Option<Result<Bytes, Error>> {
        self.buf.pop_front().map(Ok)
    }
    pub fn finish(&mut self) -> Result<Option<Bytes>, Error> {
        Ok(None)
    }
}
