//! The writer: core's suites over its handlers, failed commits, guards.

use crate::{Fresh, path};
use quintet_core::{
    BatchConfig, BatchController, Connector, Doorbell, ErrorKind, Keyed, MessageHandler, Parker, QueueWorker,
    SystemClock,
    conformance::{
        self, KeyedProbe, Probe, Support,
        handler::{Capabilities, Subject},
    },
    rtrb_queue::RtrbQueue,
};
use quintet_tree::{
    Guard, KeyedHandler, Outcome, Path, ReadAccess, TreeError, TreeHandler, TreeMessage, TreeReply, View,
    Write, WriteAccess,
};
use serde_json::json;
use std::{num::NonZeroUsize, sync::Arc, thread};
use tempfile::TempDir;

quintet_core::handler_suite!(tree_handler, TreeSubject::new);
quintet_core::durable_handler_suite!(durable_tree_handler, TreeSubject::new);
quintet_core::handler_suite!(keyed_handler, KeyedSubject::new);
quintet_core::durable_handler_suite!(durable_keyed_handler, KeyedSubject::new);
quintet_core::keyed_suite!(served, Served::new);

fn open(dir: &TempDir) -> TreeHandler {
    TreeHandler::open(crate::config(dir), Arc::new(SystemClock)).unwrap()
}

fn capabilities() -> Capabilities {
    Capabilities {
        hold_flushes: Support::Missing("a commit of the tree is durable when it returns"),
        ..Capabilities::ALL
    }
}

/// Thing n is the child n of a place.
struct TreeProbe;

fn thing(n: u64) -> Path {
    path(&format!("things/{n}"))
}

impl Probe for TreeProbe {
    type Message = TreeMessage;

    fn write(n: u64) -> TreeMessage {
        Write::set(thing(n), json!({"written": n})).into()
    }

    fn read(n: u64) -> TreeMessage {
        TreeMessage::Get { path: thing(n) }
    }

    fn is_written(n: u64, reply: &quintet_core::Result<TreeReply>) -> bool {
        reply
            .as_ref()
            .is_ok_and(|reply| *reply == TreeReply::Value(json!({"written": n})))
    }

    fn refused() -> TreeMessage {
        // The second place is refused after the first was staged.
        let changes = vec![(path("0/written"), json!("other")), (path("1"), json!({"": 1}))];
        Write::update(path("things"), changes).into()
    }
}

struct TreeSubject {
    dir: TempDir,
    handler: Option<TreeHandler>,
}

impl TreeSubject {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let handler = Some(open(&dir));
        Self { dir, handler }
    }
}

impl Subject for TreeSubject {
    type Probe = TreeProbe;
    type Handler = TreeHandler;

    fn capabilities(&self) -> Capabilities {
        capabilities()
    }

    fn handler(&mut self) -> &mut TreeHandler {
        self.handler.as_mut().unwrap()
    }

    fn fail_next_commit(&mut self) {
        self.handler().fail_next_commit(ErrorKind::Full);
    }

    fn reopen(&mut self) {
        self.handler = None;
        self.handler = Some(open(&self.dir));
    }
}

struct KeyedSubject {
    dir: TempDir,
    handler: Option<KeyedHandler>,
}

impl KeyedSubject {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let handler = Some(KeyedHandler::new(open(&dir)));
        Self { dir, handler }
    }
}

impl Subject for KeyedSubject {
    type Probe = KeyedProbe;
    type Handler = KeyedHandler;

    fn capabilities(&self) -> Capabilities {
        capabilities()
    }

    fn handler(&mut self) -> &mut KeyedHandler {
        self.handler.as_mut().unwrap()
    }

    fn fail_next_commit(&mut self) {
        self.handler().tree_mut().fail_next_commit(ErrorKind::Full);
    }

    fn reopen(&mut self) {
        self.handler = None;
        self.handler = Some(KeyedHandler::new(open(&self.dir)));
    }
}

/// A tree that answers `Keyed` from a thread of its own.
struct Served {
    connector: Connector<Keyed>,
    controller: Option<thread::JoinHandle<quintet_core::Result<()>>>,
    _dir: TempDir,
}

impl Served {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let handler = KeyedHandler::new(open(&dir));
        let (tell, told) = std::sync::mpsc::channel();
        let controller = thread::spawn(move || {
            let parker = Parker::new();
            let clock = Arc::new(SystemClock);
            let mut controller =
                BatchController::new(handler, clock, parker.doorbell(), BatchConfig::default());
            tell.send(controller.connector()).unwrap();
            controller.run(&parker)
        });
        Self {
            connector: told.recv().unwrap(),
            controller: Some(controller),
            _dir: dir,
        }
    }
}

impl conformance::keyed::Subject for Served {
    type Worker = QueueWorker<Keyed>;

    fn worker(&self) -> QueueWorker<Keyed> {
        let credits = NonZeroUsize::new(16).unwrap();
        self.connector
            .connect::<RtrbQueue>(credits, Doorbell::silent())
            .unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.connector.stop();
        if let Some(controller) = self.controller.take() {
            controller.join().unwrap().unwrap();
        }
    }
}

#[test]
fn a_reader_beside_the_writer_sees_what_is_committed_and_nothing_else() {
    let mut subject = KeyedSubject::new();
    let (key, long) = (b"k\0".to_vec(), vec![7; 300]);
    let reader = subject.handler().reader();
    for key in [&key, &long] {
        let value = b"v".to_vec();
        subject
            .handler()
            .handle(Keyed::Put {
                key: key.clone(),
                value,
            })
            .unwrap();
        assert_eq!(reader.get(key).unwrap(), None);
        subject.handler().commit().unwrap();
        assert_eq!(reader.clone().get(key).unwrap(), Some(b"v".to_vec()));
    }
    let unheard_of = vec![0; 20_001];
    assert!(matches!(
        reader.get(&unheard_of),
        Err(quintet_tree::TreeError::TooLarge { .. })
    ));
}

#[test]
fn a_failed_flush_poisons_and_reads_go_on() {
    let mut subject = TreeSubject::new();
    let handler = subject.handler();
    handler.handle(TreeProbe::write(0)).unwrap();
    handler.commit().unwrap();
    handler.fail_next_commit(ErrorKind::Io);
    handler.handle(TreeProbe::write(1)).unwrap();
    assert_eq!(handler.commit().unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(
        handler.handle(TreeProbe::write(2)).unwrap_err().kind(),
        ErrorKind::Poisoned
    );
    assert!(TreeProbe::is_written(0, &handler.handle(TreeProbe::read(0))));
    assert!(!TreeProbe::is_written(1, &handler.handle(TreeProbe::read(1))));
    subject.reopen();
    let handler = subject.handler();
    handler.handle(TreeProbe::write(2)).unwrap();
    handler.commit().unwrap();
    assert!(TreeProbe::is_written(2, &handler.handle(TreeProbe::read(2))));
}

/// Allows reads of what is public, and writes that do not make a balance negative.
struct Bank;

impl Guard for Bank {
    fn check_read(&self, access: &ReadAccess<'_>, root: &View<'_>) -> Result<(), TreeError> {
        let public = root.get(&access.path.child("public")?)? == json!(true);
        let reason = format!("{} is not public", access.path);
        if public {
            Ok(())
        } else {
            Err(TreeError::Denied { reason })
        }
    }

    fn check_write(
        &self,
        access: &WriteAccess<'_>,
        before: &View<'_>,
        after: &View<'_>,
    ) -> Result<(), TreeError> {
        for (place, _) in access.changes {
            let (old, new) = (before.get(place)?, after.get(place)?);
            if new.as_i64().is_some_and(|balance| balance < 0) {
                let reason = format!("{place} has {old}");
                return Err(TreeError::Denied { reason });
            }
        }
        Ok(())
    }
}

#[test]
fn a_guard_sees_both_states_and_its_refusal_leaves_no_trace() {
    let Fresh { tree, .. } = Fresh::new();
    let guard: Arc<dyn Guard> = Arc::new(Bank);
    tree.set(
        &Path::root(),
        json!({"a": {"n": 5, "public": true}, "b": {"n": 5}}),
    )
    .unwrap();
    let reader = tree.reader().guarded(Arc::clone(&guard));
    assert_eq!(reader.get(&path("a")).unwrap(), json!({"n": 5, "public": true}));
    assert_eq!(
        reader.get(&path("b")).unwrap_err().kind(),
        ErrorKind::PermissionDenied
    );
    let move_some = |amount: i64| {
        let add = |delta: i64| json!({".sv": {"increment": delta}});
        let changes = vec![(path("a/n"), add(amount)), (path("b/n"), add(-amount))];
        tree.write_blocking(Write::update(Path::root(), changes).guarded(Arc::clone(&guard)))
    };
    move_some(3).unwrap();
    let refused = move_some(3).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
    assert!(refused.to_string().contains("/b/n has 2"), "{refused}");
    assert_eq!(tree.get(&path("a/n")).unwrap(), json!(8));
    assert_eq!(tree.get(&path("b/n")).unwrap(), json!(2));
}

#[test]
fn a_condition_tells_nothing_that_may_not_be_read() {
    let Fresh { tree, .. } = Fresh::new();
    let guard: Arc<dyn Guard> = Arc::new(Bank);
    let secret = json!({"n": 5});
    tree.set(&path("b"), secret.clone()).unwrap();
    let (_, right) = tree.get_with_etag(&path("b")).unwrap();
    for tag in [right, "wrong".into()] {
        let write = Write::set(path("b"), secret.clone()).if_match(tag);
        let refused = tree
            .write_blocking(write.guarded(Arc::clone(&guard)))
            .unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::PermissionDenied);
        assert!(refused.to_string().contains("/b is not public"), "{refused}");
    }
    tree.set(&path("b/public"), json!(true)).unwrap();
    let write = Write::delete(path("b")).if_match("wrong".into());
    let outcome = tree.write_blocking(write.guarded(guard)).unwrap();
    assert!(matches!(outcome, Outcome::Mismatch { .. }), "{outcome:?}");
}

#[test]
fn too_many_waiting_bytes_are_refused_and_one_write_always_fits() {
    let Fresh { tree, .. } = Fresh::with(|config| config.max_waiting_bytes = 1 << 20);
    let large = || Write::set(path("a"), json!("x".repeat(800 << 10)));
    // Not polled: the room is taken all the same.
    let first = tree.write(large());
    assert_eq!(
        tree.write_blocking(large()).unwrap_err().kind(),
        ErrorKind::Unavailable
    );
    drop(first);
    tree.write_blocking(Write::set(path("a"), json!("x".repeat(2 << 20))))
        .unwrap();
    tree.write_blocking(large()).unwrap();
}
