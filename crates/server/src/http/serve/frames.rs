//! How far a client has come with what it is sending, told from the bytes alone.

/// What an HTTP/2 connection starts with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const FRAME_HEAD_BYTES: usize = 9;
const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const CONTINUATION: u8 = 0x9;
const END_HEADERS: u8 = 0x4;

/// Which protocol a client speaks, and where in it.
pub(super) enum Protocol {
    /// So many bytes are those of the preface of HTTP/2.
    Undecided(usize),
    Http1,
    Http2(Frames),
}

impl Protocol {
    pub(super) fn new() -> Self {
        Self::Undecided(0)
    }

    /// Takes note of what has arrived.
    pub(super) fn read(&mut self, mut bytes: &[u8]) {
        if let Self::Undecided(matched) = self {
            let rest = &PREFACE[*matched..];
            let (now, later) = bytes.split_at(rest.len().min(bytes.len()));
            if !rest.starts_with(now) {
                *self = Self::Http1;
            } else if now.len() == rest.len() {
                *self = Self::Http2(Frames::default());
                bytes = later;
            } else {
                *matched += now.len();
            }
        }
        if let Self::Http2(frames) = self {
            frames.read(bytes);
        }
    }
}

/// What is told of a client that has sent this, piece by piece: nothing as long as its protocol may be
/// either, and of HTTP/2 whether something is partial.
#[cfg(fuzzing)]
pub fn follow(pieces: &[&[u8]]) -> Option<(&'static str, bool)> {
    let mut protocol = Protocol::new();
    pieces.iter().for_each(|piece| protocol.read(piece));
    match protocol {
        Protocol::Undecided(_) => None,
        Protocol::Http1 => Some(("HTTP/1.1", false)),
        Protocol::Http2(frames) => Some(("HTTP/2", frames.is_partial())),
    }
}

/// The frames of a connection, by their heads (RFC 9113, section 4.1).
#[derive(Default)]
pub(super) struct Frames {
    /// The head that is being read, and how much of it is there.
    head: [u8; FRAME_HEAD_BYTES],
    head_bytes: usize,
    /// What is still to come of the frame after its head.
    payload_bytes: usize,
    is_data: bool,
    /// A header block has begun: nothing but its continuation may follow.
    in_header_block: bool,
    /// The first frame, which belongs to the preface, is complete.
    has_started: bool,
}

impl Frames {
    /// Something other than a body has begun and is not complete. While it is not, nothing else can arrive.
    pub(super) fn is_partial(&self) -> bool {
        let in_frame = self.head_bytes > 0 || (self.payload_bytes > 0 && !self.is_data);
        in_frame || self.in_header_block || !self.has_started
    }

    fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.payload_bytes > 0 {
                let now = self.payload_bytes.min(bytes.len());
                self.payload_bytes -= now;
                self.has_started |= self.payload_bytes == 0;
                bytes = &bytes[now..];
                continue;
            }
            self.head[self.head_bytes] = bytes[0];
            self.head_bytes += 1;
            bytes = &bytes[1..];
            if self.head_bytes == FRAME_HEAD_BYTES {
                self.begin();
            }
        }
    }

    fn begin(&mut self) {
        let [high, middle, low, kind, flags, ..] = self.head;
        self.head_bytes = 0;
        self.payload_bytes = u32::from_be_bytes([0, high, middle, low]) as usize;
        self.has_started |= self.payload_bytes == 0;
        self.is_data = kind == DATA;
        if kind == HEADERS || kind == CONTINUATION {
            self.in_header_block = flags & END_HEADERS == 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let [.., high, middle, low] = (payload.len() as u32).to_be_bytes();
        [&[high, middle, low, kind, flags, 0, 0, 0, 1], payload].concat()
    }

    /// Whether something is partial after each byte.
    fn follow(frames: &mut Frames, bytes: &[u8]) -> Vec<bool> {
        let after = |byte: &u8| {
            frames.read(std::slice::from_ref(byte));
            frames.is_partial()
        };
        bytes.iter().map(after).collect()
    }

    #[test]
    fn the_protocol_shows_in_the_first_bytes_however_they_are_cut() {
        let whole = [PREFACE, &frame(4, 0, &[])].concat();
        for cut in 0..whole.len() {
            let mut protocol = Protocol::new();
            protocol.read(&whole[..cut]);
            protocol.read(&whole[cut..]);
            assert!(matches!(protocol, Protocol::Http2(frames) if !frames.is_partial()), "{cut}");
        }
        for other in
            [&b"GET / HTTP/1.1"[..], b"PRI * HTTP/1", b"\x16\x03\x01", b"PRI * HTTP/2.0\r\n\r\nXX"]
        {
            let mut protocol = Protocol::new();
            protocol.read(other);
            assert!(matches!(protocol, Protocol::Http1), "{other:?}");
        }
    }

    #[test]
    fn a_frame_is_partial_until_its_last_byte() {
        let mut frames = Frames::default();
        assert!(frames.is_partial(), "SETTINGS belong to the preface");
        let settings = follow(&mut frames, &frame(4, 0, &[0; 6]));
        assert_eq!(settings, [[true; 14].as_slice(), &[false]].concat());
        let ping = follow(&mut frames, &frame(6, 0, &[0; 8]));
        assert_eq!(ping.iter().filter(|partial| !**partial).count(), 1);
    }

    #[test]
    fn a_header_block_is_partial_until_it_ends() {
        let mut frames = Frames { has_started: true, ..Frames::default() };
        assert!(follow(&mut frames, &frame(HEADERS, 0, b"abc")).iter().all(|partial| *partial));
        assert!(follow(&mut frames, &frame(CONTINUATION, 0, b"")).iter().all(|partial| *partial));
        let end = follow(&mut frames, &frame(CONTINUATION, END_HEADERS, b"d"));
        assert_eq!(end.last(), Some(&false));
        assert_eq!(follow(&mut frames, &frame(HEADERS, END_HEADERS, b"a")).last(), Some(&false));
    }

    #[test]
    fn a_body_has_a_time_out_of_its_own() {
        let mut frames = Frames { has_started: true, ..Frames::default() };
        let data = follow(&mut frames, &frame(DATA, 0, b"abc"));
        assert_eq!(data, [[true; 8].as_slice(), &[false; 4]].concat());
    }
}
