//! Ranges of sorted sets, by place, score or bytes: ZRANGE and its kin, ZRANGESTORE, ZCOUNT, ZLEXCOUNT, ZREMRANGEBY*.

use super::{scored, sorted};
use crate::{
    effect::Effect,
    port::command::{Call, Fail, Outcome, SYNTAX, algebra::put, fail, lists::range as places, parse_float},
    value::{Bytes, Score, SortedSet, Value},
};
use std::{ops::Bound, sync::Arc};

const NOT_FLOAT: &str = "ERR min or max is not a float";
const NOT_STRING: &str = "ERR min or max not valid string range item";

/// One end of a range.
enum Edge<T> {
    Below,
    At(T),
    After(T),
    Above,
}

enum Range {
    Places(i64, i64),
    Scores(Edge<f64>, Edge<f64>),
    Strings(Edge<Bytes>, Edge<Bytes>),
}

fn score_edge(text: &[u8], is_low: bool) -> Result<Edge<f64>, Fail> {
    let (excluded, text) = match text.strip_prefix(b"(") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    // As C reads it: blanks in front do not count, and nothing is 0.
    let blanks = text.len() - text.trim_ascii_start().len();
    let text = &text[blanks..];
    let score = if text.is_empty() && blanks == 0 {
        Some(0.0)
    } else {
        parse_float(text)
    };
    let score = score.ok_or_else(|| fail(NOT_FLOAT))?;
    Ok(if excluded == is_low {
        Edge::After(score)
    } else {
        Edge::At(score)
    })
}

fn string_edge(text: &[u8], is_low: bool) -> Result<Edge<Bytes>, Fail> {
    match text {
        b"-" => Ok(Edge::Below),
        b"+" => Ok(Edge::Above),
        [b'(', rest @ ..] if is_low => Ok(Edge::After(rest.into())),
        [b'(', rest @ ..] => Ok(Edge::At(rest.into())),
        [b'[', rest @ ..] if is_low => Ok(Edge::At(rest.into())),
        [b'[', rest @ ..] => Ok(Edge::After(rest.into())),
        _ => Err(fail(NOT_STRING)),
    }
}

fn scores(low: &[u8], high: &[u8]) -> Result<Range, Fail> {
    Ok(Range::Scores(score_edge(low, true)?, score_edge(high, false)?))
}

fn strings(low: &[u8], high: &[u8]) -> Result<Range, Fail> {
    Ok(Range::Strings(string_edge(low, true)?, string_edge(high, false)?))
}

impl Range {
    /// The members inside, lowest first. O(log n) to the first one, but for places.
    fn of<'a>(&self, set: &'a SortedSet) -> Vec<(f64, &'a Bytes)> {
        match self {
            Self::Places(start, stop) => {
                let places = places(*start, *stop, set.scores.len());
                set.iter().skip(places.start).take(places.len()).collect()
            }
            Self::Scores(low, high) => {
                // An end before or behind every member of a score: `At` is before its first one, `After` behind its last.
                let inside = |score: f64| match *high {
                    Edge::Below => false,
                    Edge::At(high) => score < high,
                    Edge::After(high) => score <= high,
                    Edge::Above => true,
                };
                let low = match *low {
                    Edge::Below => f64::NEG_INFINITY,
                    Edge::At(low) | Edge::After(low) => low,
                    Edge::Above => return Vec::new(),
                };
                let first = Bound::Included((Score(low), Bytes::default()));
                let from = set.order.range((first, Bound::Unbounded));
                from.map(|(score, member)| (score.0, member))
                    .skip_while(
                        |(score, _)| matches!(self, Self::Scores(Edge::After(low), _) if score == low),
                    )
                    .take_while(|(score, _)| inside(*score))
                    .collect()
            }
            Self::Strings(low, high) => {
                let after = |member: &[u8]| match low {
                    Edge::Below => true,
                    Edge::At(low) => *member >= **low,
                    Edge::After(low) => *member > **low,
                    Edge::Above => false,
                };
                let before = |member: &[u8]| match high {
                    Edge::Below => false,
                    Edge::At(high) => *member < **high,
                    Edge::After(high) => *member <= **high,
                    Edge::Above => true,
                };
                // Redis leaves open what comes of members with several scores; as it does, stop at the first one outside.
                set.iter()
                    .skip_while(|(_, member)| !after(member))
                    .take_while(|(_, member)| before(member))
                    .collect()
            }
        }
    }
}

/// What ZRANGE and its kin were asked for.
struct Query {
    range: Range,
    reverse: bool,
    with_scores: bool,
    skip: i64,
    most: i64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Place,
    Score,
    String,
}

/// Reads a query whose lower end stands at `first`.
fn query(call: &Call<'_, '_, '_>, first: usize) -> Result<Query, Fail> {
    let name = call.argument(0).to_ascii_uppercase();
    let stores = name == b"ZRANGESTORE";
    let chooses = stores || name == b"ZRANGE";
    let mut by = match () {
        () if name.ends_with(b"BYSCORE") => By::Score,
        () if name.ends_with(b"BYLEX") => By::String,
        () => By::Place,
    };
    let (mut reverse, mut with_scores, mut limit) = (name.starts_with(b"ZREV"), false, (0, -1));
    let mut at = first + 2;
    while at < call.len() {
        if !stores && call.is(at, "WITHSCORES") {
            with_scores = true;
        } else if call.is(at, "LIMIT") && at + 2 < call.len() {
            limit = (call.int(at + 1)?, call.int(at + 2)?);
            at += 2;
        } else if chooses && call.is(at, "REV") {
            reverse = true;
        } else if chooses && by == By::Place && call.is(at, "BYLEX") {
            by = By::String;
        } else if chooses && by == By::Place && call.is(at, "BYSCORE") {
            by = By::Score;
        } else {
            return Err(fail(SYNTAX));
        }
        at += 1;
    }
    if limit.1 != -1 && by == By::Place {
        return Err(fail(
            "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
        ));
    }
    if with_scores && by == By::String {
        return Err(fail(
            "ERR syntax error, WITHSCORES not supported in combination with BYLEX",
        ));
    }
    let (low, high) = if reverse && by != By::Place {
        (call.argument(first + 1), call.argument(first))
    } else {
        (call.argument(first), call.argument(first + 1))
    };
    let range = match by {
        By::Place => Range::Places(call.int(first)?, call.int(first + 1)?),
        By::Score => scores(low, high)?,
        By::String => strings(low, high)?,
    };
    Ok(Query {
        range,
        reverse,
        with_scores,
        skip: limit.0,
        most: limit.1,
    })
}

impl Query {
    fn of<'a>(&self, set: &'a SortedSet) -> Vec<(f64, &'a Bytes)> {
        if let Range::Places(start, stop) = self.range {
            let places = places(start, stop, set.scores.len());
            return if self.reverse {
                set.iter().rev().skip(places.start).take(places.len()).collect()
            } else {
                set.iter().skip(places.start).take(places.len()).collect()
            };
        }
        let mut members = self.range.of(set);
        if self.reverse {
            members.reverse();
        }
        let skip = usize::try_from(self.skip).unwrap_or(usize::MAX);
        let most = usize::try_from(self.most).unwrap_or(usize::MAX);
        members.into_iter().skip(skip).take(most).collect()
    }
}

pub(in super::super) fn zrange(call: &mut Call<'_, '_, '_>) -> Outcome {
    let query = query(call, 2)?;
    let key = call.key(1);
    let set = sorted(call, &key)?.unwrap_or_default();
    scored(call, &query.of(&set), query.with_scores);
    Ok(())
}

pub(in super::super) fn store(call: &mut Call<'_, '_, '_>) -> Outcome {
    let query = query(call, 3)?;
    let key = call.key(2);
    let set = sorted(call, &key)?.unwrap_or_default();
    let mut result = SortedSet::default();
    for (score, member) in query.of(&set) {
        result.put(score, member.clone());
    }
    let count = result.scores.len();
    put(call, 1, (count > 0).then(|| Value::SortedSet(Arc::new(result))))?;
    call.reply.count(count);
    Ok(())
}

/// ZCOUNT, ZLEXCOUNT and ZREMRANGEBY*: the range that their two arguments name.
fn plain(call: &Call<'_, '_, '_>) -> Result<Range, Fail> {
    let name = call.argument(0).to_ascii_uppercase();
    match &name[..] {
        b"ZCOUNT" | b"ZREMRANGEBYSCORE" => scores(call.argument(2), call.argument(3)),
        b"ZREMRANGEBYRANK" => Ok(Range::Places(call.int(2)?, call.int(3)?)),
        _ => strings(call.argument(2), call.argument(3)),
    }
}

pub(in super::super) fn count(call: &mut Call<'_, '_, '_>) -> Outcome {
    let range = plain(call)?;
    let key = call.key(1);
    let set = sorted(call, &key)?.unwrap_or_default();
    call.reply.count(range.of(&set).len());
    Ok(())
}

pub(in super::super) fn remove(call: &mut Call<'_, '_, '_>) -> Outcome {
    let range = plain(call)?;
    let key = call.key(1);
    let set = sorted(call, &key)?.unwrap_or_default();
    let members: Vec<Bytes> = range
        .of(&set)
        .into_iter()
        .map(|(_, member)| member.clone())
        .collect();
    drop(set);
    call.reply.count(members.len());
    if !members.is_empty() {
        call.transaction.apply(&key, Effect::Unscore { members })?;
    }
    Ok(())
}
