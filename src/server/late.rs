//! Frames that come too late.
//!
//! After GOAWAY a server ignores streams above the last one that it names (RFC 9113, 6.8), as a client may have sent
//! their first frames before it knew. h2 does, but for WINDOW_UPDATE: it takes the stream for idle, which is an error of
//! the whole connection, and every call on it breaks. gRPC's own clients send one right behind the head of a call. So
//! those frames are taken out before h2 sees them.

/// The head of a frame, in bytes.
pub(super) const HEAD: usize = 9;
const HEADERS: u8 = 1;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const ACK: u8 = 1;
/// What h2 has in the PING behind its first GOAWAY. When the answer comes it sends the second one, which names the
/// highest stream that it has seen.
const FAREWELL: [u8; 8] = [0x0b, 0x7b, 0xa2, 0xf0, 0x8b, 0x9b, 0xfe, 0x54];

/// Follows the frames of a connection, as they are read.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// The head of a frame, or as much of it as has come.
    head: [u8; HEAD],
    known: usize,
    /// What is to come of its payload, and whether that is taken out.
    left: usize,
    is_late: bool,
    /// The payload of a PING that is answered, as far as it has come.
    pong: Option<[u8; FAREWELL.len()]>,
    /// The highest stream that was opened. It is the last one once the farewell was answered.
    highest: u32,
    is_over: bool,
}

impl Frames {
    /// Looks at bytes that came, behind those of the call before, and takes out what is late.
    ///
    /// Hands over how many are left at the front, and how many behind them are the beginning of a frame of which it
    /// cannot be said yet: they have to be shown again, in front of those that follow.
    pub(super) fn sift(&mut self, bytes: &mut [u8]) -> (usize, usize) {
        let (mut read, mut kept) = (0, 0);
        while read < bytes.len() {
            let wanted = if self.left == 0 { HEAD - self.known } else { self.left };
            let piece = read..bytes.len().min(read + wanted);
            read = piece.end;
            if self.left > 0 {
                self.payload(&bytes[piece.clone()]);
            } else if self.head(&bytes[piece.clone()]) {
                self.begin();
            } else if self.is_over {
                let back = piece.len();
                bytes.copy_within(piece, kept);
                self.known = 0;
                return (kept, back);
            }
            if !self.is_late {
                let more = piece.len();
                if kept < piece.start {
                    bytes.copy_within(piece, kept);
                }
                kept += more;
            }
        }
        (kept, 0)
    }

    /// A piece of a head; whether it is whole now.
    fn head(&mut self, bytes: &[u8]) -> bool {
        self.head[self.known..][..bytes.len()].copy_from_slice(bytes);
        self.known += bytes.len();
        self.known == HEAD
    }

    /// A head is whole.
    fn begin(&mut self) {
        let [a, b, c, kind, flags, stream @ ..] = self.head;
        let stream = u32::from_be_bytes(stream) & (u32::MAX >> 1);
        self.known = 0;
        self.left = u32::from_be_bytes([0, a, b, c]) as usize;
        self.is_late = self.is_over && kind == WINDOW_UPDATE && stream > self.highest;
        let is_pong = kind == PING && flags & ACK != 0 && self.left == FAREWELL.len();
        self.pong = is_pong.then_some([0; FAREWELL.len()]);
        if kind == HEADERS && !self.is_over {
            self.highest = self.highest.max(stream);
        }
    }

    /// A piece of the payload.
    fn payload(&mut self, bytes: &[u8]) {
        if let Some(pong) = &mut self.pong {
            pong[FAREWELL.len() - self.left..][..bytes.len()].copy_from_slice(bytes);
        }
        self.left -= bytes.len();
        self.is_over |= self.left == 0 && self.pong == Some(FAREWELL);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    }

    /// What is left of frames that come in pieces, which end at these places.
    fn sifted(bytes: &[u8], cuts: &[usize]) -> Vec<u8> {
        let (mut frames, mut held, mut all) = (Frames::default(), Vec::new(), Vec::new());
        let ends = cuts.iter().copied().chain([bytes.len()]);
        ends.fold(0, |start, end| {
            let mut piece = [&held[..], &bytes[start..end]].concat();
            let (kept, back) = frames.sift(&mut piece);
            all.extend_from_slice(&piece[..kept]);
            held = piece[kept..kept + back].to_vec();
            end
        });
        [all, held].concat()
    }

    fn update(stream: u32) -> Vec<u8> {
        frame(WINDOW_UPDATE, 0, stream, &[0, 0, 1, 0])
    }

    /// Two streams, the end, and a third one; and the same without what is late.
    pub(in crate::server) fn late() -> (Vec<u8>, Vec<u8>) {
        let before = [
            frame(4, 0, 0, &[]),
            frame(HEADERS, 4, 1, b"head"),
            frame(PING, ACK, 0, b"anything"),
            update(1),
            frame(HEADERS, 4, 3, b"head"),
            frame(0, 1, 3, &[7; 300]),
            update(3),
            frame(PING, 0, 0, &FAREWELL),
            update(5),
            frame(PING, ACK, 0, &FAREWELL),
        ]
        .concat();
        let all = [
            before.clone(),
            frame(HEADERS, 5, 5, b"late"),
            update(5),
            update(3),
            update(0),
            update(7),
            frame(0, 1, 1, b"x"),
        ];
        let rest = [before, frame(HEADERS, 5, 5, b"late"), update(3), update(0), frame(0, 1, 1, b"x")];
        (all.concat(), rest.concat())
    }

    #[test]
    fn what_is_late_is_taken_out_however_the_bytes_are_cut() {
        let (all, rest) = late();
        assert_eq!(sifted(&all, &[]), rest);
        for first in 0..all.len() {
            assert_eq!(sifted(&all, &[first]), rest, "{first}");
        }
        let each: Vec<_> = (1..all.len()).collect();
        assert_eq!(sifted(&all, &each), rest);
        for size in 2..40 {
            let cuts: Vec<_> = (size..all.len()).step_by(size).collect();
            assert_eq!(sifted(&all, &cuts), rest, "{size}");
        }
    }

    #[test]
    fn nothing_is_held_back_before_the_end() {
        let bytes = frame(HEADERS, 4, 1, b"head");
        for cut in 0..bytes.len() {
            let (mut frames, mut piece) = (Frames::default(), bytes[..cut].to_vec());
            assert_eq!(frames.sift(&mut piece), (cut, 0));
        }
    }

    #[test]
    fn an_answer_to_another_ping_ends_nothing() {
        let all = [frame(PING, ACK, 0, &[0; 8]), frame(PING, 0, 0, &FAREWELL), update(9)].concat();
        assert_eq!(sifted(&all, &[]), all);
    }
}
