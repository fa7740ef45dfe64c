//! The framing of a request body: which of the next bytes are data and where the body ends.
//!
//! Data is never copied or joined: the decoder points at it where it lies. Chunked framing is read byte by byte and
//! strictly; its errors and limits depend on the bytes alone, never on how they were cut.

use super::{BodyLength, refusal::Refusal};

/// Bytes of one chunk-size line, extensions included, and of all trailers together.
const CHUNK_LINE_BYTES: usize = 256;
const TRAILER_BYTES: usize = 16 * 1024;

/// What the next bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// So many bytes of data. Tell [`Decoder::took`] how many were used.
    Data(usize),
    /// So many bytes of framing, done with.
    Framing(usize),
    /// The body is complete; nothing was used.
    End,
    /// More input is needed.
    Starved,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ChunkState {
    /// Reading the size; `digits` so far.
    Size {
        digits: u8,
    },
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    Trailer,
    TrailerLf,
    FinalLf,
    End,
}

/// Decodes one body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decoder {
    /// `None` for a counted body.
    chunked: Option<ChunkState>,
    /// Data left in the body, or in this chunk.
    remaining_bytes: u64,
    /// Data seen in earlier chunks and this one.
    total_bytes: u64,
    limit_bytes: u64,
    /// Bytes of the current size line, or of the trailers.
    line_bytes: usize,
}

impl Decoder {
    /// A decoder for a body of this length, which may hold at most `limit_bytes` of data; `None` when there is no body
    /// to decode.
    ///
    /// # Errors
    /// 413 when the stated length is beyond the limit.
    pub(crate) fn new(length: BodyLength, limit_bytes: u64) -> Result<Option<Self>, Refusal> {
        let (chunked, remaining_bytes) = match length {
            BodyLength::None | BodyLength::Exact(0) => return Ok(None),
            BodyLength::Exact(length) if length > limit_bytes => return Err(TOO_LARGE),
            BodyLength::Exact(length) => (None, length),
            BodyLength::Chunked => (Some(ChunkState::Size { digits: 0 }), 0),
        };
        Ok(Some(Self {
            chunked,
            remaining_bytes,
            total_bytes: 0,
            limit_bytes,
            line_bytes: 0,
        }))
    }

    /// The same place in the same body, under another limit: for a body that is only drained.
    pub(crate) fn lift_limit(&mut self) {
        self.limit_bytes = u64::MAX;
    }

    /// The bytes still to come, if that is known.
    pub(crate) fn known_rest_bytes(&self) -> Option<u64> {
        self.chunked.is_none().then_some(self.remaining_bytes)
    }

    /// Looks at the next bytes.
    pub(crate) fn next(&mut self, input: &[u8]) -> Result<Piece, Refusal> {
        let data = usize::try_from(self.remaining_bytes)
            .unwrap_or(usize::MAX)
            .min(input.len());
        match &self.chunked {
            None if self.remaining_bytes == 0 => Ok(Piece::End),
            Some(ChunkState::End) => Ok(Piece::End),
            _ if input.is_empty() => Ok(Piece::Starved),
            None | Some(ChunkState::Data) => Ok(Piece::Data(data)),
            Some(state) => self.framing(*state, input).map(Piece::Framing),
        }
    }

    /// `count` bytes of data were used.
    pub(crate) fn took(&mut self, count: usize) {
        self.remaining_bytes = self.remaining_bytes.saturating_sub(count as u64);
        if self.remaining_bytes == 0 && self.chunked.is_some() {
            self.chunked = Some(ChunkState::DataCr);
        }
    }

    /// Reads framing until data or the end begins, or the input ends. Returns how many bytes that took.
    fn framing(&mut self, mut state: ChunkState, input: &[u8]) -> Result<usize, Refusal> {
        let mut used = 0;
        for byte in input {
            state = self.framing_byte(state, *byte)?;
            used += 1;
            if matches!(state, ChunkState::Data | ChunkState::End) {
                break;
            }
        }
        self.chunked = Some(state);
        Ok(used)
    }

    fn framing_byte(&mut self, state: ChunkState, byte: u8) -> Result<ChunkState, Refusal> {
        use ChunkState::{
            Data, DataCr, DataLf, End, Extension, FinalLf, Size, SizeLf, Trailer, TrailerLf, TrailerStart,
        };
        self.line_bytes += 1;
        match (state, byte) {
            (Size { digits }, _) if byte.is_ascii_hexdigit() => self.digit(digits, byte),
            (Size { digits: 1.. }, b'\r') => Ok(SizeLf),
            (Size { digits: 1.. }, b';') => Ok(Extension),
            (Size { .. }, _) => Err(Refusal::bad_request("a chunk's size is not a hexadecimal number")),
            (Extension, b'\r') => Ok(SizeLf),
            (Extension, b'\n' | 0) => Err(BAD_LINE),
            (Extension, _) if self.line_bytes > CHUNK_LINE_BYTES => {
                Err(Refusal::bad_request("a chunk's size line is too long"))
            }
            (Extension, _) => Ok(Extension),
            (SizeLf, b'\n') => self.begin_chunk(),
            (DataCr, b'\r') => Ok(DataLf),
            (DataLf, b'\n') => {
                self.line_bytes = 0;
                Ok(Size { digits: 0 })
            }
            (DataCr | DataLf, _) => Err(Refusal::bad_request("a chunk is longer than its stated size")),
            (TrailerStart, b'\r') => Ok(FinalLf),
            (FinalLf, b'\n') => Ok(End),
            (Trailer, b'\r') => Ok(TrailerLf),
            (TrailerLf, b'\n') => Ok(TrailerStart),
            (TrailerStart | Trailer, b'\n' | 0) | (SizeLf | FinalLf | TrailerLf, _) => Err(BAD_LINE),
            (TrailerStart | Trailer, _) if self.line_bytes > TRAILER_BYTES => {
                Err(Refusal::new(431, "the trailers are too long"))
            }
            (TrailerStart | Trailer, _) => Ok(Trailer),
            (Data | End, _) => Ok(state),
        }
    }

    fn digit(&mut self, digits: u8, byte: u8) -> Result<ChunkState, Refusal> {
        if digits >= 16 {
            return Err(Refusal::bad_request("a chunk's size is beyond 64 bits"));
        }
        let value = match byte {
            b'0'..=b'9' => byte - b'0',
            _ => (byte | 0x20) - b'a' + 10,
        };
        self.remaining_bytes = (self.remaining_bytes << 4) | u64::from(value);
        Ok(ChunkState::Size { digits: digits + 1 })
    }

    /// The size line is complete.
    fn begin_chunk(&mut self) -> Result<ChunkState, Refusal> {
        self.line_bytes = 0;
        if self.remaining_bytes == 0 {
            return Ok(ChunkState::TrailerStart);
        }
        let total = self.total_bytes.checked_add(self.remaining_bytes);
        self.total_bytes = total
            .filter(|total| *total <= self.limit_bytes)
            .ok_or(TOO_LARGE)?;
        Ok(ChunkState::Data)
    }
}

const BAD_LINE: Refusal = Refusal::bad_request("a line of the chunked body does not end in CR LF");
const TOO_LARGE: Refusal = Refusal::new(413, "the body is longer than is taken here");
