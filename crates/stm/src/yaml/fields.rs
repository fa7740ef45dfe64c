//! [`Fields`]: a map of which all keys are known, with readers for their values that note what is wrong.

use super::{
    Problem, Problems, closest,
    document::{Data, Key, Node, Place},
};

/// A map's fields. Unknown keys have been noted when it is made.
#[derive(Debug)]
pub(crate) struct Fields<'n> {
    pub(crate) place: Place,
    map: &'n [(Key, Node)],
}

impl<'n> Fields<'n> {
    /// The fields of a node that must be a map with these keys and no other.
    pub(crate) fn of(node: &'n Node, what: &str, known: &[&str], problems: &mut Problems) -> Option<Self> {
        let Data::Map(map) = &node.data else {
            let message = format!("{what} must be a map, found {}", node.kind());
            problems.push(Problem::new(node.place, message));
            return None;
        };
        for (key, _) in map {
            if !known.contains(&key.text.as_str()) {
                let shown: String = key.text.chars().take(60).collect();
                if problems.is_full() {
                    problems.push(Problem::new(key.place, "unknown key"));
                    continue;
                }
                let suggestion = match closest(&key.text, known.iter().copied()) {
                    Some(close) => format!("did you mean `{close}`?"),
                    None => format!("known are {}", known.join(", ")),
                };
                problems.push(
                    Problem::new(key.place, format!("unknown key `{shown}` in {what}")).suggest(suggestion),
                );
            }
        }
        Some(Self {
            place: node.place,
            map,
        })
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'n Node> {
        self.map
            .iter()
            .find(|(key, _)| key.text == name)
            .map(|(_, value)| value)
    }

    /// Every key, in the order of the file.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'n str> {
        self.map.iter().map(|(key, _)| key.text.as_str())
    }

    /// Where a key stands.
    pub(crate) fn key(&self, name: &str) -> Option<Place> {
        self.map
            .iter()
            .find(|(key, _)| key.text == name)
            .map(|(key, _)| key.place)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

impl Node {
    fn refuse<T>(&self, what: &str, expected: &str, problems: &mut Problems) -> Option<T> {
        let message = format!("{what} must be {expected}, found {}", self.kind());
        problems.push(Problem::new(self.place, message));
        None
    }

    /// Text.
    pub(crate) fn text(&self, what: &str, problems: &mut Problems) -> Option<&str> {
        match &self.data {
            Data::Text(text) => Some(text),
            _ => self.refuse(what, "text", problems),
        }
    }

    /// True or false.
    pub(crate) fn flag(&self, what: &str, problems: &mut Problems) -> Option<bool> {
        match &self.data {
            Data::Bool(set) => Some(*set),
            _ => self.refuse(what, "true or false", problems),
        }
    }

    /// A whole number in a range.
    pub(crate) fn count(&self, what: &str, least: u32, most: u32, problems: &mut Problems) -> Option<u32> {
        let Data::Int(number) = &self.data else {
            return self.refuse(what, "a whole number", problems);
        };
        match u32::try_from(*number) {
            Ok(number) if (least..=most).contains(&number) => Some(number),
            _ => {
                let message = format!("{what} is {number}, and must be {least} to {most}");
                problems.push(Problem::new(self.place, message));
                None
            }
        }
    }

    /// A number.
    #[expect(clippy::cast_precision_loss, reason = "bounds are floats")]
    pub(crate) fn number(&self, what: &str, problems: &mut Problems) -> Option<f64> {
        match &self.data {
            Data::Int(number) => Some(*number as f64),
            Data::Float(number) => Some(*number),
            _ => self.refuse(what, "a number", problems),
        }
    }

    /// A list.
    pub(crate) fn list(&self, what: &str, problems: &mut Problems) -> Option<&[Node]> {
        match &self.data {
            Data::List(list) => Some(list),
            _ => self.refuse(what, "a list", problems),
        }
    }

    /// A map with any keys.
    pub(crate) fn entries(&self, what: &str, problems: &mut Problems) -> Option<&[(Key, Node)]> {
        match &self.data {
            Data::Map(map) => Some(map),
            _ => self.refuse(what, "a map", problems),
        }
    }

    /// A list of texts.
    pub(crate) fn texts(&self, what: &str, problems: &mut Problems) -> Option<Vec<String>> {
        let list = self.list(what, problems)?;
        let texts: Vec<String> = list
            .iter()
            .filter_map(|item| item.text(what, problems).map(ToOwned::to_owned))
            .collect();
        (texts.len() == list.len()).then_some(texts)
    }
}
