//! Reads gRPC's frames and server-sent events only as far as they must be counted, and writes protobuf fields by hand.

/// Appends a varint.
pub fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a field with a length: a string, bytes or a message.
pub fn field(out: &mut Vec<u8>, number: u64, data: &[u8]) {
    varint(out, number << 3 | 2);
    varint(out, data.len() as u64);
    out.extend_from_slice(data);
}

/// A message of one such field after the other.
pub fn message(fields: &[(u64, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    fields.iter().for_each(|(number, data)| field(&mut out, *number, data));
    out
}

/// A message with gRPC's five bytes before it.
pub fn framed(message: &[u8]) -> Vec<u8> {
    let mut framed = vec![0];
    framed.extend_from_slice(&(message.len() as u32).to_be_bytes());
    framed.extend_from_slice(message);
    framed
}

/// Counts gRPC's messages without keeping them; keeps the trailers of gRPC-Web, which are a frame of the body.
#[derive(Default)]
pub struct Deframer {
    header: [u8; 5],
    header_len: usize,
    left: usize,
    pub messages: u64,
    pub trailers: Vec<u8>,
}

impl Deframer {
    pub fn push(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            if self.header_len < 5 {
                let taken = data.len().min(5 - self.header_len);
                self.header[self.header_len..self.header_len + taken].copy_from_slice(&data[..taken]);
                self.header_len += taken;
                data = &data[taken..];
                if self.header_len < 5 {
                    return;
                }
                let [_, a, b, c, d] = self.header;
                self.left = u32::from_be_bytes([a, b, c, d]) as usize;
            }
            let taken = data.len().min(self.left);
            let is_trailers = self.header[0] & 0x80 != 0;
            if is_trailers {
                self.trailers.extend_from_slice(&data[..taken]);
            }
            self.left -= taken;
            data = &data[taken..];
            if self.left == 0 {
                self.messages += u64::from(!is_trailers);
                self.header_len = 0;
            }
        }
    }
}

/// Counts server-sent events whose data is an object; `[DONE]` is none.
#[derive(Default)]
pub struct EventCounter {
    tail: Vec<u8>,
    pub events: u64,
}

impl EventCounter {
    pub fn push(&mut self, data: &[u8]) {
        const MARK: &[u8] = b"data: {";
        const KEPT: usize = MARK.len() - 1;
        // A mark that began in earlier data. The tail is too short to contain a whole mark.
        self.tail.extend_from_slice(&data[..data.len().min(KEPT)]);
        self.events += memchr::memmem::find_iter(&self.tail, MARK).count() as u64;
        self.events += memchr::memmem::find_iter(data, MARK).count() as u64;
        if data.len() >= KEPT {
            self.tail.clear();
            self.tail.extend_from_slice(&data[data.len() - KEPT..]);
        } else if self.tail.len() > KEPT {
            self.tail.drain(..self.tail.len() - KEPT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_and_events_are_counted_however_they_are_split() {
        let mut grpc = vec![];
        for (flag, length) in [(0, 0usize), (0, 1), (0, 300), (0x80, 15)] {
            grpc.push(flag);
            grpc.extend_from_slice(&(length as u32).to_be_bytes());
            grpc.resize(grpc.len() + length, 7);
        }
        let sse = b"data: {\"a\":1}\r\n\r\ndata: {\"a\":2}\r\n\r\ndata: [DONE]\r\n\r\n";
        for step in 1..20 {
            let (mut frames, mut events) = (Deframer::default(), EventCounter::default());
            grpc.chunks(step).for_each(|chunk| frames.push(chunk));
            assert_eq!((frames.messages, frames.trailers.len()), (3, 15), "step {step}");
            sse.chunks(step).for_each(|chunk| events.push(chunk));
            assert_eq!(events.events, 2, "step {step}");
        }
    }
}
