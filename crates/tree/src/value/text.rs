//! JSON text made from rows directly, in the order of their keys: what [`Builder`](super::build::Builder) and printing would
//! give, but for the order of names, without a document in memory.
//!
//! A container is begun as an object. When it ends and its names were places in an array, its text is put together again as
//! one; so whatever lies outside such containers may be handed on before the end. Called by views.

use super::scalar::{self, Scalar};
use crate::{
    TreeError,
    path::{Pieces, key},
};
use std::io::{self, Write};

/// Makes text of rows below one place.
#[derive(Default)]
pub(crate) struct Text {
    buffer: Vec<u8>,
    /// The open containers, outermost first.
    open: Vec<Open>,
}

/// A container that was begun.
struct Open {
    /// The bytes of its name; none for the outermost.
    name: Vec<u8>,
    /// Where it begins in the buffer.
    start: usize,
    empty: bool,
    /// The places of its children so far and where their values begin and end, while they could be an array's.
    places: Option<Vec<(usize, usize, usize)>>,
}

impl Text {
    /// Adds a leaf at `rest`, names counted from the place; at least one.
    pub(crate) fn add(&mut self, rest: &[u8], leaf: &[u8]) -> Result<(), TreeError> {
        if self.open.is_empty() {
            self.begin(Vec::new());
        }
        let mut pieces = Pieces(rest);
        let mut level = 1;
        let mut last = next(&mut pieces)?;
        while !pieces.0.is_empty() {
            if self.open.get(level).is_none_or(|open| open.name != last) {
                self.close_to(level);
                self.name(last)?;
                self.begin(last.to_vec());
            }
            level += 1;
            last = next(&mut pieces)?;
        }
        self.close_to(level);
        self.name(last)?;
        write_scalar(&mut self.buffer, leaf)?;
        self.ended();
        Ok(())
    }

    /// The whole text; `null` when there was no leaf.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        if self.open.is_empty() {
            return b"null".to_vec();
        }
        self.close_to(0);
        self.buffer
    }

    /// Writes what is certain by now.
    pub(crate) fn hand_on(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if self.open.iter().all(|open| open.places.is_none()) {
            out.write_all(&self.buffer)?;
            self.buffer.clear();
        }
        Ok(())
    }

    fn begin(&mut self, name: Vec<u8>) {
        self.open.push(Open {
            name,
            start: self.buffer.len(),
            empty: true,
            places: Some(Vec::new()),
        });
        self.buffer.push(b'{');
    }

    /// Writes a child's name; its value comes next.
    fn name(&mut self, name: &[u8]) -> Result<(), TreeError> {
        let text = key::name(name).ok_or_else(damaged)?;
        let Some(open) = self.open.last_mut() else {
            return Err(damaged());
        };
        if !open.empty {
            self.buffer.push(b',');
        }
        open.empty = false;
        serde_json::to_writer(&mut self.buffer, &*text)
            .map_err(|error| TreeError::io("writing JSON", error.into()))?;
        self.buffer.push(b':');
        let place = key::array_place(name);
        match (&mut open.places, place) {
            (Some(places), Some(place)) => places.push((place, self.buffer.len(), 0)),
            (places, _) => *places = None,
        }
        Ok(())
    }

    /// A child's value has been written.
    fn ended(&mut self) {
        let end = self.buffer.len();
        if let Some(place) = self
            .open
            .last_mut()
            .and_then(|open| open.places.as_mut()?.last_mut())
        {
            place.2 = end;
        }
    }

    /// Ends the containers beyond so many.
    fn close_to(&mut self, level: usize) {
        while self.open.len() > level {
            let Some(closed) = self.open.pop() else {
                return;
            };
            self.buffer.push(b'}');
            if let Some(places) = closed.places
                && let Some(&(last, ..)) = places.last()
                && last < 2 * places.len()
            {
                let array = self.array(&places);
                self.buffer.truncate(closed.start);
                self.buffer.extend_from_slice(&array);
            }
            self.ended();
        }
    }

    fn array(&self, places: &[(usize, usize, usize)]) -> Vec<u8> {
        let mut array = vec![b'['];
        let mut at = 0;
        for (place, begin, end) in places {
            while at < *place {
                array.extend_from_slice(b"null,");
                at += 1;
            }
            array.extend_from_slice(&self.buffer[*begin..*end]);
            array.push(b',');
            at += 1;
        }
        array.pop();
        array.push(b']');
        array
    }
}

/// The JSON text of a leaf.
pub(crate) fn write_scalar(out: &mut Vec<u8>, leaf: &[u8]) -> Result<(), TreeError> {
    let written = match scalar::borrow(leaf)? {
        Scalar::Bool(value) => serde_json::to_writer(out, &value),
        Scalar::Signed(value) => serde_json::to_writer(out, &value),
        Scalar::Unsigned(value) => serde_json::to_writer(out, &value),
        Scalar::Double(value) => serde_json::to_writer(out, &value),
        Scalar::Text(value) => serde_json::to_writer(out, value),
    };
    written.map_err(|error| TreeError::io("writing JSON", error.into()))
}

fn next<'a>(pieces: &mut Pieces<'a>) -> Result<&'a [u8], TreeError> {
    pieces.next().ok_or_else(damaged)
}

fn damaged() -> TreeError {
    TreeError::corrupted("LMDB", "the key of a leaf is not a path")
}
