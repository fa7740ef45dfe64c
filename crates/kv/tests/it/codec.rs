//! The decoder: whatever pieces the bytes come in, the commands are the same; nonsense is refused in Redis's words.

use proptest::{collection::vec, prelude::*};
use quintet_kv::port::{Decoder, DecoderLimits};

const LIMITS: DecoderLimits = DecoderLimits {
    max_bulk_bytes: 4096,
    max_command_bytes: 64 << 10,
};

/// Feeds pieces and keeps what was not used, as the loop does.
fn decode(pieces: &[&[u8]]) -> (Vec<Vec<Vec<u8>>>, Option<String>) {
    let mut decoder = Decoder::new(LIMITS);
    let (mut kept, mut commands) = (Vec::new(), Vec::new());
    for piece in pieces {
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
    }
    (commands, None)
}

fn encode(command: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", command.len()).into_bytes();
    for argument in command {
        bytes.extend(format!("${}\r\n", argument.len()).into_bytes());
        bytes.extend(argument);
        bytes.extend(b"\r\n");
    }
    bytes
}

#[test]
fn what_a_browser_posts_is_no_command() {
    let body = "SET stolen 1\r\nFLUSHALL\r\n";
    for head in [
        "POST / HTTP/1.1\r\nHost: x",
        "post /",
        "GET / HTTP/1.1\r\nhost: 127.0.0.1:6380",
    ] {
        let (commands, error) = decode(&[format!("{head}\r\n\r\n{body}").as_bytes()]);
        assert!(error.is_some_and(|error| error.contains("HTTP")), "{head}");
        let names: Vec<_> = commands.iter().map(|command| &command[0]).collect();
        assert!(names.iter().all(|name| *name == b"GET"), "{head}: {names:?}");
    }
    // As an argument, and as a command's name in RESP, they are words like any other.
    assert_eq!(
        decode(&[b"SET POST Host:\r\n"]),
        (
            vec![vec![b"SET".to_vec(), b"POST".to_vec(), b"Host:".to_vec()]],
            None
        )
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn commands_are_the_same_wherever_the_bytes_are_cut(
        commands in vec(vec(vec(any::<u8>(), 0..40), 1..6), 1..8),
        cuts in vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let bytes: Vec<u8> = commands.iter().flat_map(|command| encode(command)).collect();
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        places.extend([0, bytes.len()]);
        places.sort_unstable();
        let pieces: Vec<&[u8]> = places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        prop_assert_eq!(decode(&pieces), (commands, None));
    }

    #[test]
    fn any_bytes_are_answered_alike_however_they_are_cut(bytes in vec(prop_oneof![
        Just(b'*'), Just(b'$'), Just(b'\r'), Just(b'\n'), Just(b'"'), Just(b'\\'), b'0'..b'4', any::<u8>()
    ], 0..200)) {
        let singly: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(decode(&singly), decode(&[&bytes]));
    }
}

#[test]
fn nonsense_is_refused_in_the_words_of_redis() {
    for (input, words) in [
        (&b"*x\r\n"[..], "Protocol error: invalid multibulk length"),
        (b"*9999999999\r\n", "Protocol error: invalid multibulk length"),
        (b"*1\r\n:1\r\n", "Protocol error: expected '$', got ':'"),
        (b"*1\r\n$-1\r\n", "Protocol error: invalid bulk length"),
        (b"*1\r\n$5000\r\n", "Protocol error: invalid bulk length"),
        (b"SET \"a\r\n", "Protocol error: unbalanced quotes in request"),
        (b"SET \"a\"b\r\n", "Protocol error: unbalanced quotes in request"),
    ] {
        assert_eq!(
            decode(&[input]),
            (Vec::new(), Some(words.to_owned())),
            "{:?}",
            input.escape_ascii().to_string()
        );
    }
    let long = vec![b'x'; 70_000];
    assert_eq!(
        decode(&[&long]).1.unwrap(),
        "Protocol error: too big inline request"
    );
    let many = [&b"*100\r\n"[..], &encode(&vec![vec![0; 4096]; 20])[5..]].concat();
    assert_eq!(decode(&[&many]).1.unwrap(), "Protocol error: command is too long");
}

#[test]
fn inline_commands_have_quotes_and_escapes() {
    let (commands, error) = decode(&[b"\r\n*0\r\nset  k \"a\\x41\\n\\\"\" 'b\\'c'\nPING\r\n"]);
    let expected: [Vec<Vec<u8>>; 2] = [
        vec![
            b"set".to_vec(),
            b"k".to_vec(),
            b"aA\n\"".to_vec(),
            b"b'c".to_vec(),
        ],
        vec![b"PING".to_vec()],
    ];
    assert_eq!((commands, error), (expected.to_vec(), None));
}
