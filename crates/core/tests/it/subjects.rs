//! The implementations of this crate dressed as subjects of the conformance suites.

use quintet_core::{
    BatchConfig, BatchController, Completion, Connector, Controller, Doorbell, Error, ErrorKind, Inline,
    Keyed, KeyedReply, MessageHandler, Parker, Queue, QueueWorker, Request, SystemClock, Worker,
    conformance::{self, KeyedProbe, Support},
    fake::{FakeHandler, ManualClock},
    mock::{
        MockController, MockMessageHandler, MockWorker,
        over_fake::{self, shared},
    },
};
use std::{
    marker::PhantomData,
    num::NonZeroUsize,
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
};

pub(crate) const CREDITS: NonZeroUsize = conformance::controller::CREDITS;

pub(crate) fn full() -> Error {
    Error::new(ErrorKind::Full, "injected: no space")
}

/// Ends the hold and completes what is held.
pub(crate) fn settle(handler: &mut FakeHandler) {
    handler.delay_commits(false);
    while handler.complete_flush() {}
}

/// A [`FakeHandler`] by itself.
pub(crate) struct Alone(FakeHandler);

impl Alone {
    pub(crate) fn new() -> Self {
        Self(FakeHandler::new())
    }
}

impl conformance::handler::Subject for Alone {
    type Probe = KeyedProbe;
    type Handler = FakeHandler;

    fn capabilities(&self) -> conformance::handler::Capabilities {
        conformance::handler::Capabilities::ALL
    }
    fn handler(&mut self) -> &mut FakeHandler {
        &mut self.0
    }
    fn fail_next_commit(&mut self) {
        self.0.fail_next_commit(full());
    }
    fn hold_flushes(&mut self) {
        self.0.delay_commits(true);
    }
    fn settle(&mut self) {
        settle(&mut self.0);
    }
    fn reopen(&mut self) {
        self.0 = std::mem::take(&mut self.0).reopen();
    }
}

/// A mock over a [`FakeHandler`].
pub(crate) struct Mocked {
    fake: over_fake::Shared<FakeHandler>,
    mock: MockMessageHandler<Keyed>,
}

impl Mocked {
    pub(crate) fn new() -> Self {
        let fake = shared(FakeHandler::new());
        let mock = over_fake::handler(Arc::clone(&fake), |_| ());
        Self { fake, mock }
    }
}

impl conformance::handler::Subject for Mocked {
    type Probe = KeyedProbe;
    type Handler = MockMessageHandler<Keyed>;

    fn capabilities(&self) -> conformance::handler::Capabilities {
        conformance::handler::Capabilities {
            fail_next_commit: Support::Provided,
            hold_flushes: Support::Missing("the mock has the default `durable`"),
            reopen: Support::Missing("a mock is not durable"),
        }
    }
    fn handler(&mut self) -> &mut MockMessageHandler<Keyed> {
        &mut self.mock
    }
    fn fail_next_commit(&mut self) {
        self.fake.lock().unwrap().fail_next_commit(full());
    }
}

type FakeController = BatchController<Keyed, FakeHandler>;

pub(crate) fn fake_controller() -> FakeController {
    let clock = Arc::new(ManualClock::new());
    BatchController::new(
        FakeHandler::new(),
        clock,
        Doorbell::silent(),
        BatchConfig::default(),
    )
}

/// A [`BatchController`] over queues of kind `Q` that a test ticks.
pub(crate) struct Stepped<Q> {
    controller: FakeController,
    queue: PhantomData<Q>,
}

impl<Q> Stepped<Q> {
    pub(crate) fn new() -> Self {
        Self {
            controller: fake_controller(),
            queue: PhantomData,
        }
    }
}

impl<Q> conformance::controller::Subject for Stepped<Q>
where
    Q: Queue<Request<Keyed>> + Queue<Completion<Keyed>>,
{
    type Controller = FakeController;
    type Worker = QueueWorker<Keyed>;

    fn capabilities(&self) -> conformance::controller::Capabilities {
        conformance::controller::Capabilities::ALL
    }
    fn controller(&mut self) -> &mut FakeController {
        &mut self.controller
    }
    fn connect(&mut self) -> Option<QueueWorker<Keyed>> {
        let connector = self.controller.connector();
        connector.connect::<Q>(CREDITS, Doorbell::silent()).ok()
    }
    fn fail_next_commit(&mut self) {
        self.controller.handler_mut().fail_next_commit(full());
    }
    fn hold_flushes(&mut self) {
        self.controller.handler_mut().delay_commits(true);
    }
    fn settle(&mut self) {
        settle(self.controller.handler_mut());
    }
}

/// A mock over a [`BatchController`].
pub(crate) struct MockedController {
    fake: Arc<Mutex<FakeController>>,
    mock: MockController,
}

impl MockedController {
    pub(crate) fn new() -> Self {
        let fake = shared(fake_controller());
        let mock = over_fake::controller(Arc::clone(&fake), |_| ());
        Self { fake, mock }
    }
}

impl conformance::controller::Subject for MockedController {
    type Controller = MockController;
    type Worker = QueueWorker<Keyed>;

    fn capabilities(&self) -> conformance::controller::Capabilities {
        conformance::controller::Capabilities::ALL
    }
    fn controller(&mut self) -> &mut MockController {
        &mut self.mock
    }
    fn connect(&mut self) -> Option<QueueWorker<Keyed>> {
        let connector = self.fake.lock().unwrap().connector();
        connector
            .connect::<over_fake::MockQueue>(CREDITS, Doorbell::silent())
            .ok()
    }
    fn fail_next_commit(&mut self) {
        self.fake.lock().unwrap().handler_mut().fail_next_commit(full());
    }
    fn hold_flushes(&mut self) {
        self.fake.lock().unwrap().handler_mut().delay_commits(true);
    }
    fn settle(&mut self) {
        settle(self.fake.lock().unwrap().handler_mut());
    }
}

/// A [`QueueWorker`] over queues of kind `Q`, and the controller that answers it.
pub(crate) struct QueuePeer<Q> {
    worker: QueueWorker<Keyed>,
    controller: Option<FakeController>,
    queue: PhantomData<Q>,
}

impl<Q> QueuePeer<Q>
where
    Q: Queue<Request<Keyed>> + Queue<Completion<Keyed>>,
{
    pub(crate) fn new() -> Self {
        let controller = fake_controller();
        let worker = controller
            .connector()
            .connect::<Q>(CREDITS, Doorbell::silent())
            .unwrap();
        Self {
            worker,
            controller: Some(controller),
            queue: PhantomData,
        }
    }
}

impl<Q> QueuePeer<Q> {
    pub(crate) fn in_flight(&self) -> usize {
        self.worker.in_flight()
    }
}

impl<Q> conformance::worker::Subject for QueuePeer<Q> {
    type Worker = QueueWorker<Keyed>;

    fn worker(&mut self) -> &mut QueueWorker<Keyed> {
        &mut self.worker
    }
    fn credits(&self) -> usize {
        self.worker.credits()
    }
    fn turn(&mut self) {
        if let Some(controller) = &mut self.controller {
            // Less than what may be queued, so that answers come in several turns.
            let _tick = controller.tick(NonZeroUsize::new(3).unwrap()).unwrap();
        }
    }
    fn can_hang_up(&self) -> Support {
        Support::Provided
    }
    fn hang_up(&mut self) {
        self.controller = None;
    }
}

/// A mock over a [`QueueWorker`].
pub(crate) struct MockedWorker {
    mock: MockWorker<Keyed>,
    controller: Option<FakeController>,
}

impl MockedWorker {
    pub(crate) fn new() -> Self {
        let controller = fake_controller();
        let worker = controller
            .connector()
            .connect::<over_fake::MockQueue>(CREDITS, Doorbell::silent())
            .unwrap();
        Self {
            mock: over_fake::worker(shared(worker), |_| ()),
            controller: Some(controller),
        }
    }
}

impl conformance::worker::Subject for MockedWorker {
    type Worker = MockWorker<Keyed>;

    fn worker(&mut self) -> &mut MockWorker<Keyed> {
        &mut self.mock
    }
    fn credits(&self) -> usize {
        CREDITS.get()
    }
    fn turn(&mut self) {
        if let Some(controller) = &mut self.controller {
            let _tick = controller.tick(CREDITS).unwrap();
        }
    }
    fn can_hang_up(&self) -> Support {
        Support::Provided
    }
    fn hang_up(&mut self) {
        self.controller = None;
    }
}

/// An [`Inline`] worker, whose commits are pending so that completions need several reaps.
pub(crate) struct InlineWorker(Inline<Keyed, FakeHandler>);

impl InlineWorker {
    pub(crate) fn new() -> Self {
        let mut handler = FakeHandler::new();
        handler.delay_commits(true);
        Self(Inline::new(handler, CREDITS))
    }
}

impl conformance::worker::Subject for InlineWorker {
    type Worker = Inline<Keyed, FakeHandler>;

    fn worker(&mut self) -> &mut Self::Worker {
        &mut self.0
    }
    fn credits(&self) -> usize {
        CREDITS.get()
    }
    fn turn(&mut self) {
        self.0.handler_mut().complete_flush();
    }
    fn can_hang_up(&self) -> Support {
        Support::Missing("an inline worker has no other side")
    }
}

/// A controller on a thread of its own.
pub(crate) struct Served<Q> {
    connector: Connector<Keyed>,
    thread: Option<JoinHandle<()>>,
    queue: PhantomData<fn() -> Q>,
}

impl<Q> Served<Q> {
    pub(crate) fn new() -> Self {
        let parker = Parker::new();
        let clock = Arc::new(SystemClock);
        let mut controller = BatchController::new(
            FakeHandler::new(),
            clock,
            parker.doorbell(),
            BatchConfig::default(),
        );
        let connector = controller.connector();
        let thread = thread::spawn(move || controller.run(&parker).unwrap());
        Self {
            connector,
            thread: Some(thread),
            queue: PhantomData,
        }
    }
}

impl<Q> Served<Q> {
    pub(crate) fn connector(&self) -> &Connector<Keyed> {
        &self.connector
    }
}

impl<Q> Drop for Served<Q> {
    fn drop(&mut self) {
        self.connector.stop();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl<Q> conformance::keyed::Subject for Served<Q>
where
    Q: Queue<Request<Keyed>> + Queue<Completion<Keyed>>,
{
    type Worker = QueueWorker<Keyed>;

    fn worker(&self) -> QueueWorker<Keyed> {
        self.connector.connect::<Q>(CREDITS, Doorbell::silent()).unwrap()
    }
}

/// A clonable handle on a locked [`FakeHandler`]: the shape of the shared-memory engines. Each call commits by itself,
/// since another's rollback must not undo it.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Mutex<FakeHandler>>);

impl Shared {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(FakeHandler::new())))
    }
}

impl MessageHandler<Keyed> for Shared {
    fn handle(&mut self, message: Keyed) -> quintet_core::Result<KeyedReply> {
        let mut handler = self.0.lock().unwrap();
        let reply = handler.handle(message)?;
        let _committed = handler.commit()?;
        Ok(reply)
    }
    fn commit(&mut self) -> quintet_core::Result<quintet_core::Commit> {
        Ok(quintet_core::Commit::Done)
    }
}

impl conformance::keyed::Subject for Shared {
    type Worker = Inline<Keyed, Self>;

    fn worker(&self) -> Inline<Keyed, Self> {
        Inline::new(self.clone(), NonZeroUsize::MIN)
    }
}
