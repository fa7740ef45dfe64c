//! The check: cut the power at a random moment, open what is left, and hold it against what had been acknowledged.
//!
//! Every client writes one after the other, so its part of the tree must be as after its last acknowledged write, or as after
//! the one that was under way: whole updates, never a part.

use crate::{
    Task, load,
    script::{self, CLIENTS, Note, Random, State, Step},
};
use quintet_log::recording::Replay;
use quintet_tree::{Config, Path, Tree, Value, fsck};
use serde_json::json;
use std::{error::Error, fs, path};

/// What is known of a client at the moment of the cut.
#[derive(Default)]
struct Known {
    /// The writes that count, in order.
    acknowledged: Vec<u32>,
    under_way: Option<u32>,
}

fn known(replay: &Replay, moment: usize) -> Vec<Known> {
    let mut clients: Vec<Known> = (0..CLIENTS).map(|_| Known::default()).collect();
    for note in replay.notes_before(moment).filter_map(Note::decode) {
        let Some(client) = clients.get_mut(usize::from(note.client)) else {
            continue;
        };
        client.under_way = (note.step == Step::Begun).then_some(note.write);
        if note.step == Step::Acknowledged {
            client.acknowledged.push(note.write);
        }
    }
    clients
}

pub(crate) fn run(task: &Task, images: usize, liar: Option<&str>) -> Result<String, Box<dyn Error>> {
    let recording = fs::read(&task.recording)?;
    let replay = Replay::without_syncs_of(&recording, &task.dir, liar)?;
    let mut random = Random(task.seed);
    let (mut acknowledged, mut late) = (0, 0);
    for image in 0..images {
        // The first images end with the recording, in its best and its worst outcome.
        let moment = match image {
            0 | 1 => replay.moments(),
            _ => random.below(replay.moments() as u64 + 1) as usize,
        };
        let outcome = if image < 2 { image as u64 } else { random.next() };
        let dir = image_dir()?;
        replay.image(moment, outcome, dir.path())?;
        let known = known(&replay, moment);
        late += verify(task, dir.path(), &known).map_err(|fault| {
            let kept = dir.keep();
            format!(
                "seed {}, {}, cut after event {moment} with outcome {outcome}: {fault}\nthe image is kept in {}",
                task.seed,
                task.durability,
                kept.display()
            )
        })?;
        acknowledged += known
            .iter()
            .map(|client| client.acknowledged.len())
            .sum::<usize>();
    }
    Ok(format!(
        "{images} images of {} events, durability {}: {acknowledged} acknowledged writes found, {late} more that were under way",
        replay.moments(),
        task.durability
    ))
}

/// Checks the directory that the load worked in.
pub(crate) fn tree_as_it_is(task: &Task) -> Result<(), Box<dyn Error>> {
    let recording = fs::read(&task.recording)?;
    let replay = Replay::of(&recording, &task.dir)?;
    verify(task, &task.dir, &known(&replay, replay.moments())).map(drop)
}

/// In memory where the system offers it: an image need not survive anything.
fn image_dir() -> Result<tempfile::TempDir, std::io::Error> {
    let in_memory = path::Path::new("/dev/shm");
    if in_memory.is_dir() {
        tempfile::tempdir_in(in_memory)
    } else {
        tempfile::tempdir()
    }
}

/// Opens the image and returns how many writes are there that were under way; an error says what is wrong with it.
fn verify(task: &Task, dir: &path::Path, known: &[Known]) -> Result<usize, Box<dyn Error>> {
    if dir.join("VERSION").exists() && dir.join("data.mdb").exists() {
        sound(dir).map_err(|fault| format!("as it was left: {fault}"))?;
    }
    let config = Config {
        dir: dir.to_owned(),
        ..load::config(task)
    };
    let tree = Tree::open(config).map_err(|error| format!("it does not open: {error}"))?;
    let mut late = 0;
    let mut writes = 0;
    for (client, known) in known.iter().enumerate() {
        let client = u8::try_from(client)?;
        let found = tree
            .get(&script::home(client)?)
            .map_err(|error| format!("client {client} cannot be read: {error}"))?;
        let mut state = State::new();
        for write in &known.acknowledged {
            script::apply(&mut state, script::changes(task.seed, client, *write));
        }
        writes += known.acknowledged.len() as u64;
        if found == document(&state)? {
            continue;
        }
        let Some(under_way) = known.under_way else {
            return Err(format!("client {client}: not what was acknowledged").into());
        };
        script::apply(&mut state, script::changes(task.seed, client, under_way));
        if found != document(&state)? {
            return Err(format!("client {client}: neither without write {under_way} nor with it").into());
        }
        late += 1;
    }
    if tree.stats().last_seq < writes {
        return Err(format!(
            "{writes} writes were acknowledged, the last number is {}",
            tree.stats().last_seq
        )
        .into());
    }
    // The tree must not only open but go on.
    tree.set(&Path::from_names(["after"])?, json!("the power came back"))?;
    tree.close()?;
    drop(tree);
    sound(dir)?;
    Ok(late)
}

/// Also right after the cut: whatever indexes are whole then agree with the documents.
fn sound(dir: &path::Path) -> Result<(), Box<dyn Error>> {
    let report = fsck(dir, &load::indexes())?;
    if report.faults.is_empty() {
        return Ok(());
    }
    Err(format!("fsck: {:?}", report.faults).into())
}

/// A client's documents as one.
fn document(state: &State) -> Result<Value, Box<dyn Error>> {
    let mut root = json!(null);
    for (name, value) in state {
        let mut at = &mut root;
        for name in script::place(*name)?.names() {
            at = &mut at[name.as_ref()];
        }
        *at = canonical(value);
    }
    Ok(root)
}

/// A list without items is not there.
fn canonical(value: &Value) -> Value {
    let mut value = value.clone();
    if let Some(map) = value.as_object_mut() {
        map.retain(|_, item| item.as_array().is_none_or(|items| !items.is_empty()));
    }
    value
}
