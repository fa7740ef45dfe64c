//! HSCAN, SSCAN and ZSCAN: a walk over a container's members in the order of a hash of theirs.
//!
//! A cursor is a place among the hashes, so that what is there from beginning to end is found whatever else changes. A
//! small container is answered at once, as Redis does; of a large one each call looks at every member and answers those of
//! the next stretch: at least a 256th of them, so that a whole walk costs 256 looks at each.

use super::{Call, Fail, SYNTAX, fail};
use crate::port::pattern;

/// Containers up to this size are answered at once.
const SMALL: usize = 512;
/// Hashes are below this.
const SPACE: u64 = 1 << 32;
const MOST_CALLS: u64 = 256;

/// What a scanning command was asked.
pub(super) struct Cursor {
    from: u64,
    count: u64,
    pattern: Option<Vec<u8>>,
}

/// FNV-1a, folded: the same in every process, since cursors outlive connections.
fn place(member: &[u8]) -> u64 {
    let hash = member.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash ^ (hash >> 32)) & (SPACE - 1)
}

/// A cursor as C's `strtoul` reads it.
pub(super) fn cursor(text: &[u8]) -> Result<u64, Fail> {
    let digits = text
        .strip_prefix(b"-")
        .or(text.strip_prefix(b"+"))
        .unwrap_or(text);
    let number = match digits {
        [] if text.is_empty() => Some(0),
        digits if digits.iter().all(u8::is_ascii_digit) => std::str::from_utf8(digits)
            .ok()
            .and_then(|digits| digits.parse::<u64>().ok()),
        _ => None,
    };
    let number = number.ok_or_else(|| fail("ERR invalid cursor"))?;
    Ok(if text.starts_with(b"-") {
        number.wrapping_neg()
    } else {
        number
    })
}

/// Answers the walk over what is not there.
pub(super) fn nothing(call: &mut Call<'_, '_, '_>) {
    answer(call, 0, 0);
}

impl Cursor {
    /// Reads the options behind the cursor: after the key was looked at.
    pub(super) fn read(call: &Call<'_, '_, '_>, from: u64) -> Result<Self, Fail> {
        let mut cursor = Self {
            from,
            count: 10,
            pattern: None,
        };
        let mut at = 3;
        while at < call.len() {
            if at + 1 == call.len() {
                return Err(fail(SYNTAX));
            }
            if call.is(at, "COUNT") {
                cursor.count = u64::try_from(call.int(at + 1)?).map_err(|_| fail(SYNTAX))?;
                if cursor.count == 0 {
                    return Err(fail(SYNTAX));
                }
            } else if call.is(at, "MATCH") {
                cursor.pattern = Some(call.argument(at + 1).to_vec());
            } else {
                return Err(fail(SYNTAX));
            }
            at += 2;
        }
        Ok(cursor)
    }

    /// Where the stretch ends that begins at the cursor, and which members belong to it.
    pub(super) fn stretch(&self, len: usize) -> (u64, impl Fn(&[u8]) -> bool + '_) {
        let end = if len <= SMALL {
            SPACE
        } else {
            let width = (SPACE / len as u64).saturating_mul(self.count);
            self.from.saturating_add(width.max(SPACE / MOST_CALLS)).min(SPACE)
        };
        let picks = move |member: &[u8]| {
            (len <= SMALL || (self.from..end).contains(&place(member)))
                && self
                    .pattern
                    .as_ref()
                    .is_none_or(|pattern| pattern::matches(pattern, member))
        };
        (if end == SPACE { 0 } else { end }, picks)
    }
}

/// Answers the next cursor and the head of what follows it.
pub(super) fn answer(call: &mut Call<'_, '_, '_>, next: u64, strings: usize) {
    call.reply.array(2);
    call.reply.bulk(next.to_string().as_bytes());
    call.reply.array(strings);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_finds_every_member_once_and_ends() {
        let members: Vec<String> = (0..10_000).map(|n| format!("member {n}")).collect();
        let (mut from, mut found, mut calls) = (0, Vec::new(), 0);
        loop {
            let cursor = Cursor {
                from,
                count: 10,
                pattern: None,
            };
            let (next, picks) = cursor.stretch(members.len());
            found.extend(members.iter().filter(|member| picks(member.as_bytes())).cloned());
            calls += 1;
            from = next;
            if next == 0 {
                break;
            }
        }
        found.sort();
        let mut all = members;
        all.sort();
        assert_eq!(found, all);
        assert!((100..=257).contains(&calls), "{calls} calls");
    }
}
