//! Reads arbitrary bytes as a snapshot, and a good snapshot with damage: never a panic, never an item that was not
//! written, never a whole state out of a damaged file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quintet_core::Seq;
use quintet_log::{MemDirectory, snapshot};

const NAME: &str = "state";

fuzz_target!(|data: &[u8]| {
    let raw = MemDirectory::new();
    raw.insert(NAME, data.to_vec());
    let mut taken_bytes = 0;
    let _ = snapshot::read(&raw, NAME, &mut |item| {
        taken_bytes += item.len();
        Ok(())
    });
    assert!(taken_bytes <= data.len(), "more was read than there is");

    // The items are the lines of the input; the first byte and two more choose a bit to turn.
    let [low, high, bit, rest @ ..] = data else {
        return;
    };
    let items: Vec<&[u8]> = rest.split(|byte| *byte == b'\n').collect();
    let good = MemDirectory::new();
    snapshot::write(&good, NAME, Seq(7), |sink| {
        items.iter().try_for_each(|item| sink.put(item))
    })
    .expect("memory does not fail");
    let mut bytes = good.bytes(NAME).expect("was written");
    let at = usize::from(u16::from_le_bytes([*low, *high])) % bytes.len();
    bytes[at] ^= 1 << (bit % 8);
    let damaged = MemDirectory::new();
    damaged.insert(NAME, bytes);
    let mut index = 0;
    let outcome = snapshot::read(&damaged, NAME, &mut |item| {
        assert_eq!(
            Some(&item),
            items.get(index),
            "item {index} is not what was written"
        );
        index += 1;
        Ok(())
    });
    assert!(outcome.is_err(), "a turned bit at {at} was not noticed");
});
