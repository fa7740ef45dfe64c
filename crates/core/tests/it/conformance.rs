//! Every implementation in this crate, held to the suites: queues, mocks over fakes, handlers, pools, drivers.

use crate::subjects::{Alone, InlineWorker, Mocked, QueuePeer, Served, Shared, Stepped};
use quintet_core::{
    SizeClass,
    crossbeam_queue::CrossbeamQueue,
    fake::{FakePool, FakeQueue},
    mock::over_fake::{self, MockQueue},
    rtrb_queue::RtrbQueue,
};

quintet_core::queue_suite!(fake_queue, FakeQueue);
quintet_core::queue_suite!(rtrb_queue, RtrbQueue);
quintet_core::queue_suite!(crossbeam_queue, CrossbeamQueue);
quintet_core::queue_suite!(mock_queue, MockQueue);

quintet_core::handler_suite!(fake_handler, Alone::new);
quintet_core::durable_handler_suite!(durable_fake_handler, Alone::new);
quintet_core::handler_suite!(mock_handler, Mocked::new);

quintet_core::pool_suite!(fake_pool, FakePool::new);
quintet_core::pool_suite!(mock_pool, |class: SizeClass, capacity| {
    over_fake::pool(over_fake::shared(FakePool::new(class, capacity)), |_| ())
});

quintet_core::controller_suite!(batch_controller_over_fake, Stepped::<FakeQueue>::new);
quintet_core::controller_suite!(batch_controller_over_rtrb, Stepped::<RtrbQueue>::new);
quintet_core::controller_suite!(batch_controller_over_crossbeam, Stepped::<CrossbeamQueue>::new);
quintet_core::controller_suite!(batch_controller_over_mocks, Stepped::<MockQueue>::new);
quintet_core::controller_suite!(mock_controller, crate::subjects::MockedController::new);

quintet_core::worker_suite!(queue_worker_over_fake, QueuePeer::<FakeQueue>::new);
quintet_core::worker_suite!(queue_worker_over_rtrb, QueuePeer::<RtrbQueue>::new);
quintet_core::worker_suite!(queue_worker_over_crossbeam, QueuePeer::<CrossbeamQueue>::new);
quintet_core::worker_suite!(inline_worker, InlineWorker::new);
quintet_core::worker_suite!(mock_worker, crate::subjects::MockedWorker::new);

quintet_core::keyed_suite!(served_over_fake, Served::<FakeQueue>::new);
quintet_core::keyed_suite!(served_over_rtrb, Served::<RtrbQueue>::new);
quintet_core::keyed_suite!(served_over_crossbeam, Served::<CrossbeamQueue>::new);
quintet_core::keyed_suite!(inline_over_shared, Shared::new);

/// The macros and the lists are made from the same names; an empty list would make the broken fakes' tests vacuous.
#[test]
fn every_suite_lists_its_clauses() {
    use quintet_core::conformance::{controller, handler, keyed, pool, queue, worker};
    let counts = [
        queue::clauses::<FakeQueue>().len(),
        handler::clauses(Alone::new).len(),
        handler::durable_clauses(Alone::new).len(),
        pool::clauses(FakePool::new).len(),
        controller::clauses(Stepped::<FakeQueue>::new).len(),
        worker::clauses(QueuePeer::<FakeQueue>::new).len(),
        keyed::clauses(Served::<FakeQueue>::new).len(),
    ];
    assert_eq!(counts, [16, 10, 4, 6, 11, 8, 10]);
}
