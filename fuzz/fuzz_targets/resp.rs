//! The RESP decoder: the same commands, or the same refusal, whatever pieces the bytes come in; memory stays bounded.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quintet_kv::port::{Decoder, DecoderLimits};

const LIMITS: DecoderLimits = DecoderLimits {
    max_bulk_bytes: 1 << 12,
    max_command_bytes: 1 << 16,
};

type Answer = (Vec<Vec<Vec<u8>>>, Option<String>);

fn run(input: &[u8], piece_bytes: usize) -> Answer {
    let mut decoder = Decoder::new(LIMITS);
    let (mut kept, mut commands) = (Vec::new(), Vec::new());
    for piece in input.chunks(piece_bytes) {
        kept.extend_from_slice(piece);
        let mut rest = &kept[..];
        loop {
            match decoder.decode(&mut rest) {
                Ok(Some(command)) => {
                    commands.push(command.iter().map(|argument| argument.to_vec()).collect())
                }
                Ok(None) => break,
                Err(error) => return (commands, Some(error.0)),
            }
        }
        kept = rest.to_vec();
        // What is left is at most one line.
        assert!(kept.len() < 64 << 10);
    }
    (commands, None)
}

fuzz_target!(|input: &[u8]| {
    let Some((cut, input)) = input.split_first() else {
        return;
    };
    assert_eq!(run(input, usize::MAX), run(input, usize::from(*cut).max(1)));
});
