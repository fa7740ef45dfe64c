//! Whatever the payloads and however little a write takes, the bytes come out once, in order.

use super::*;
use proptest::prelude::*;

struct Counting {
    next: u8,
    step: usize,
    stall: bool,
}

impl BodySource for Counting {
    fn fill(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.stall = !self.stall;
        if self.stall {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = self.step.min(buf.len());
        for byte in &mut buf[..count] {
            *byte = self.next;
            self.next = self.next.wrapping_add(1);
        }
        Ok(count)
    }
}

fn payload(kind: u8, size: usize) -> (Payload, Vec<u8>) {
    let bytes: Vec<u8> = (0..size).map(|index| index as u8).collect();
    let payload = match kind {
        0 => Payload::Bytes(bytes.clone()),
        1 => {
            let mut buffer = AlignedBuffer::zeroed(size + 3);
            buffer[1..=size].copy_from_slice(&bytes);
            Payload::Aligned(buffer, 1..size + 1)
        }
        2 => Payload::Shared(Box::new(bytes.clone())),
        _ => Payload::Stream {
            length_bytes: size as u64,
            source: Box::new(Counting {
                next: 0,
                step: 700,
                stall: false,
            }),
        },
    };
    (payload, bytes)
}

proptest! {
    #[test]
    fn bytes_come_out_once_and_in_order(
        parts in proptest::collection::vec((0u8..4, 0usize..9000), 0..20),
        takes in proptest::collection::vec(1usize..20_000, 1..10),
    ) {
        let mut pool = BufferPool::new(2);
        let (mut outbox, mut expected, mut sent) = (Outbox::default(), Vec::new(), Vec::new());
        for (kind, size) in parts {
            let (payload, bytes) = payload(kind, size);
            outbox.push(payload);
            expected.extend(bytes);
        }
        prop_assert_eq!(outbox.pending_bytes(), expected.len() as u64);
        let mut takes = takes.into_iter().cycle();
        while !outbox.is_empty() {
            outbox.prepare(&mut pool).unwrap();
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let count = outbox.slices(&mut slices);
            let run: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.to_vec()).collect();
            let taken = takes.next().unwrap().min(run.len());
            sent.extend_from_slice(&run[..taken]);
            outbox.advance(taken, &mut pool);
            prop_assert!(sent.len() <= expected.len());
        }
        prop_assert_eq!(sent, expected);
        prop_assert_eq!(outbox.pending_bytes(), 0);
    }
}

#[test]
fn a_source_that_ends_early_is_an_error() {
    struct Short;
    impl BodySource for Short {
        fn fill(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Ok(0)
        }
    }
    let mut outbox = Outbox::default();
    outbox.push(Payload::Stream {
        length_bytes: 1,
        source: Box::new(Short),
    });
    let error = outbox.prepare(&mut BufferPool::new(0)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

/// They may be mapped from a file that fails when it is looked at.
#[test]
fn shared_bytes_are_sent_from_where_they_lie_however_few_they_are() {
    let bytes: std::rc::Rc<[u8]> = std::rc::Rc::from(&b"shared"[..]);
    let mut out = Outbox::default();
    out.gather(|buffer| buffer.extend_from_slice(b"head"));
    out.push(Payload::Shared(Box::new(bytes.clone())));
    out.push(Payload::Static(b"tail"));
    let mut slices = [IoSlice::new(&[]); MAX_SLICES];
    assert_eq!(out.slices(&mut slices), 3);
    assert_eq!(slices[1].as_ptr(), bytes.as_ptr());
    assert_eq!(&*slices[2], b"tail");
}
