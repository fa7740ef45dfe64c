//! Sorted sets.

pub(super) mod combine;
pub(super) mod pop;
pub(super) mod range;

use super::{
    Call, Fail, Outcome, SYNTAX, WRONG_TYPE,
    cursor::{self, Cursor},
    fail,
    random::{self, Wanted},
};
use crate::{
    effect::Effect,
    port::reply::double_text,
    value::{Bytes, SortedSet, Value},
    wait::Wish,
};
use std::sync::Arc;

fn sorted(call: &mut Call<'_, '_, '_>, key: &[u8]) -> Result<Option<Arc<SortedSet>>, Fail> {
    match call.transaction.value(key)? {
        None => Ok(None),
        Some(Value::SortedSet(set)) => Ok(Some(set)),
        Some(_) => Err(fail(WRONG_TYPE)),
    }
}

#[derive(Default)]
struct AddOptions {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
    changed: bool,
    increment: bool,
}

impl AddOptions {
    /// The score that a member gets; `None` = it is left alone.
    fn score(&self, old: Option<f64>, given: f64) -> Result<Option<f64>, Fail> {
        let Some(old) = old else {
            return Ok((!self.xx).then_some(given));
        };
        if self.nx {
            return Ok(None);
        }
        let score = if self.increment { old + given } else { given };
        if score.is_nan() {
            return Err(fail("ERR resulting score is not a number (NaN)"));
        }
        let refused = self.gt && score <= old || self.lt && score >= old;
        Ok((!refused).then_some(score))
    }
}

fn add_options(call: &Call<'_, '_, '_>) -> Result<(AddOptions, usize), Fail> {
    let mut options = AddOptions::default();
    let mut at = 2;
    loop {
        let flag = match call.argument(at).to_ascii_uppercase().as_slice() {
            b"NX" => &mut options.nx,
            b"XX" => &mut options.xx,
            b"GT" => &mut options.gt,
            b"LT" => &mut options.lt,
            b"CH" => &mut options.changed,
            b"INCR" => &mut options.increment,
            _ => break,
        };
        *flag = true;
        at += 1;
    }
    let rest = call.len().saturating_sub(at);
    if rest == 0 || !rest.is_multiple_of(2) {
        return Err(fail(SYNTAX));
    }
    if options.nx && options.xx {
        return Err(fail("ERR XX and NX options at the same time are not compatible"));
    }
    let exclusive = [options.nx, options.gt, options.lt];
    if exclusive.iter().filter(|flag| **flag).count() > 1 {
        return Err(fail(
            "ERR GT, LT, and/or NX options at the same time are not compatible",
        ));
    }
    if options.increment && rest > 2 {
        return Err(fail("ERR INCR option supports a single increment-element pair"));
    }
    Ok((options, at))
}

pub(super) fn add(call: &mut Call<'_, '_, '_>) -> Outcome {
    let (mut options, mut at) = (
        AddOptions {
            increment: true,
            ..AddOptions::default()
        },
        2,
    );
    let is_zadd = call.is(0, "ZADD");
    if is_zadd {
        (options, at) = add_options(call)?;
    }
    let scores: Vec<f64> = (at..call.len())
        .step_by(2)
        .map(|at| call.float(at))
        .collect::<Result<_, _>>()?;
    let key = call.key(1);
    let mut now = sorted(call, &key)?.map_or_else(SortedSet::default, |set| (*set).clone());
    let (mut members, mut added, mut updated, mut last) = (Vec::new(), 0, 0, None);
    for (pair, score) in scores.into_iter().enumerate() {
        let member: Bytes = call.argument(at + 2 * pair + 1).into();
        let old = now.score(&member);
        let Some(score) = options.score(old, score)? else {
            continue;
        };
        last = Some(score);
        added += usize::from(old.is_none());
        updated += usize::from(old.is_some_and(|old| old != score));
        if old != Some(score) {
            now.put(score, member.clone());
            members.push((score, member));
        }
    }
    drop(now);
    if !members.is_empty() {
        call.transaction.apply(&key, Effect::Score { members })?;
    }
    match (options.increment, last) {
        (true, Some(score)) => call.reply.double(score),
        (true, None) => call.reply.null(),
        (false, _) => call
            .reply
            .count(if options.changed { added + updated } else { added }),
    }
    Ok(())
}

pub(super) fn rem(call: &mut Call<'_, '_, '_>) -> Outcome {
    let key = call.key(1);
    let old = sorted(call, &key)?.unwrap_or_default();
    let mut members: Vec<Bytes> = call.arguments[2..]
        .iter()
        .filter(|member| old.score(member).is_some())
        .cloned()
        .collect();
    drop(old);
    members.sort();
    members.dedup();
    call.reply.count(members.len());
    if !members.is_empty() {
        call.transaction.apply(&key, Effect::Unscore { members })?;
    }
    Ok(())
}

pub(super) fn score(call: &mut Call<'_, '_, '_>) -> Outcome {
    let key = call.key(1);
    match sorted(call, &key)?.and_then(|set| set.score(call.argument(2))) {
        Some(score) => call.reply.double(score),
        None => call.reply.null(),
    }
    Ok(())
}

pub(super) fn card(call: &mut Call<'_, '_, '_>) -> Outcome {
    let key = call.key(1);
    let len = sorted(call, &key)?.map_or(0, |set| set.scores.len());
    call.reply.count(len);
    Ok(())
}

pub(super) fn rank(call: &mut Call<'_, '_, '_>) -> Outcome {
    let key = call.key(1);
    let set = sorted(call, &key)?.unwrap_or_default();
    let from_top = call.is(0, "ZREVRANK");
    match set.iter().position(|(_, member)| **member == *call.argument(2)) {
        Some(at) if from_top => call.reply.count(set.scores.len() - 1 - at),
        Some(at) => call.reply.count(at),
        None => call.reply.null(),
    }
    Ok(())
}

fn scored(call: &mut Call<'_, '_, '_>, members: &[(f64, &Bytes)], with_scores: bool) {
    let pairs = with_scores && call.reply.resp3;
    call.reply.array(if with_scores && !pairs {
        2 * members.len()
    } else {
        members.len()
    });
    for (score, member) in members {
        if pairs {
            call.reply.array(2);
        }
        call.reply.bulk(member);
        if with_scores {
            call.reply.double(*score);
        }
    }
}

pub(super) fn scores(call: &mut Call<'_, '_, '_>) -> Outcome {
    let key = call.key(1);
    let set = sorted(call, &key)?.unwrap_or_default();
    call.reply.array(call.len() - 2);
    for member in &call.arguments[2..] {
        match set.score(member) {
            Some(score) => call.reply.double(score),
            None => call.reply.null(),
        }
    }
    Ok(())
}

pub(super) fn random_member(call: &mut Call<'_, '_, '_>) -> Outcome {
    let (wanted, with_scores) = random::wanted(call, "WITHSCORES")?;
    let key = call.key(1);
    let set = sorted(call, &key)?.unwrap_or_default();
    let one = Wanted {
        count: 1,
        repeats: false,
    };
    let places = random::places(set.scores.len(), wanted.unwrap_or(one), || {
        call.transaction.inner.random()
    });
    let members = random::pick(set.iter(), &places);
    match (wanted, members.first()) {
        (None, Some((_, member))) => call.reply.bulk(member),
        (None, None) => call.reply.null(),
        (Some(_), _) => scored(call, &members, with_scores),
    }
    Ok(())
}

pub(super) fn scan(call: &mut Call<'_, '_, '_>) -> Outcome {
    let from = cursor::cursor(call.argument(2))?;
    let key = call.key(1);
    let Some(set) = sorted(call, &key)? else {
        cursor::nothing(call);
        return Ok(());
    };
    let cursor = Cursor::read(call, from)?;
    let (next, picks) = cursor.stretch(set.scores.len());
    let picked: Vec<_> = set.iter().filter(|(_, member)| picks(member)).collect();
    cursor::answer(call, next, 2 * picked.len());
    for (score, member) in picked {
        call.reply.bulk(member);
        call.reply.bulk(double_text(score).as_bytes());
    }
    Ok(())
}
