//! Processes: contracts enforced for reads and writes, errors by name, panics, and nothing left behind.

use quintet_stm::{Context, Contract, Error, How, Isolation, Process, Processes};
use std::{
    fmt,
    sync::Arc,
    sync::atomic::{AtomicU32, Ordering},
};

#[derive(Debug)]
struct OutOfStock;

impl fmt::Display for OutOfStock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no apples")
    }
}

impl std::error::Error for OutOfStock {}

fn context() -> Context {
    let context = Context::new("test");
    context.set_raw("in.a", 1_i64).unwrap();
    context.set_raw("out.x", 1_i64).unwrap();
    context.set_raw("secret", 7_i64).unwrap();
    context
}

fn int(context: &Context, path: &str) -> Option<i64> {
    context.get(path).unwrap().and_then(|value| value.as_int())
}

fn contract() -> Contract {
    Contract::new()
        .inputs(["in"])
        .outputs(["out.x", "out.list.*", "out.SIG_done"])
        .errors(["Declined"])
        .raises::<OutOfStock>()
        .side_effects(["mail"])
}

fn run(
    body: impl Fn(&mut quintet_stm::ProcessTx<'_, '_>) -> quintet_stm::Step<()> + Send + Sync + 'static,
) -> (Context, Result<Option<u64>, Error>) {
    let context = context();
    let process = Process::new("p", contract(), body).unwrap();
    let result = process.run(&context, &How::from(Isolation::Safe));
    (context, result.map(|outcome| outcome.version))
}

fn violation(error: Error) -> (&'static str, String) {
    match error {
        Error::Violation { what, path, .. } => (what, path),
        other => panic!("{other}"),
    }
}

#[test]
fn what_the_contract_names_is_allowed() {
    let (context, result) = run(|tx| {
        let a = tx.get_int("in.a")?;
        let x = tx.get_int("out.x")?;
        tx.set("out.x", a + x)?;
        tx.set("out.list.one", 1_i64)?;
        tx.set("out.SIG_done", true)?;
        tx.keys("in", 10)?;
        tx.keys("out.list", 10)?;
        tx.send("mail", "hello")
    });
    assert!(result.unwrap().is_some());
    assert_eq!(int(&context, "out.x"), Some(2));
    assert_eq!(context.undelivered(), 1);
}

#[test]
fn what_it_does_not_name_is_a_violation_that_undoes_everything() {
    type Act = fn(&mut quintet_stm::ProcessTx<'_, '_>) -> quintet_stm::Step<()>;
    let cases: [(Act, &str, &str); 12] = [
        (|tx| tx.get("secret").map(drop), "reads", "secret"),
        (|tx| tx.get("inn").map(drop), "reads", "inn"),
        (|tx| tx.get("out").map(drop), "reads", "out"),
        (|tx| tx.get("out.SIG_done").map(drop), "reads", "out.SIG_done"),
        (|tx| tx.get("in.META_note").map(drop), "reads", "in.META_note"),
        (|tx| tx.keys("", 10).map(drop), "lists", ""),
        (|tx| tx.set("in.a", 2_i64), "writes", "in.a"),
        (|tx| tx.set("out.x.y", 2_i64), "writes", "out.x.y"),
        (|tx| tx.delete("secret"), "writes", "secret"),
        (|tx| tx.increment("secret", 1), "writes", "secret"),
        (|tx| tx.append("LOG_x", 1_i64), "writes", "LOG_x"),
        (|tx| tx.send("fax", 1_i64), "sends to", "fax"),
    ];
    for (act, what, path) in cases {
        // Whether the body passes the error on or swallows it.
        for swallow in [false, true] {
            let (context, result) = run(move |tx| {
                tx.set("out.x", 99_i64)?;
                let result = act(tx);
                if swallow { Ok(()) } else { result }
            });
            assert_eq!(violation(result.unwrap_err()), (what, path.to_owned()));
            assert_eq!(int(&context, "out.x"), Some(1), "{what} {path}");
            assert_eq!(int(&context, "secret"), Some(7));
            assert_eq!(context.undelivered(), 0);
        }
    }
}

#[test]
fn a_violation_names_process_and_path() {
    let (_, result) = run(|tx| tx.get("secret").map(drop));
    assert_eq!(
        result.unwrap_err().to_string(),
        "process `p`: reads `secret`, which is not among its inputs"
    );
}

#[test]
fn control_paths_are_no_inputs() {
    for path in ["SIG_stop", "shop.cmd_go", "META_x", "shop.sig_group.member"] {
        let error = Process::new("p", Contract::new().inputs([path]), |_| Ok(())).unwrap_err();
        assert_eq!(violation(error), ("declares the input", path.to_owned()));
    }
    assert!(
        Process::new(
            "p",
            Contract::new().inputs(["signature", "command.x"]),
            |_| Ok(())
        )
        .is_ok()
    );
}

#[test]
fn errors_go_by_their_names() {
    let (context, result) = run(|tx| {
        tx.set("out.x", 5_i64)?;
        tx.fail("Declined", "card expired")
    });
    assert_eq!(
        result.unwrap_err().to_string(),
        "process `p` failed with Declined: card expired"
    );
    assert_eq!(int(&context, "out.x"), Some(1));

    let (_, result) = run(|_| Err(OutOfStock.into()));
    assert_eq!(
        result.unwrap_err().to_string(),
        "process `p` failed with OutOfStock: no apples"
    );

    let (_, result) = run(|tx| tx.fail("Unheard", "of"));
    assert_eq!(
        result.unwrap_err().to_string(),
        "process `p`: ends with the error `Unheard: of`, which is not among its errors"
    );
    let (_, result) = run(|_| Err(std::io::Error::other("disk").into()));
    assert_eq!(
        violation(result.unwrap_err()),
        ("ends with the error", "disk".to_owned())
    );
    // The engine's own refusals are neither.
    let (_, result) = run(|tx| tx.increment("out.x", i64::MAX));
    assert!(matches!(result.unwrap_err(), Error::Overflow { .. }));
}

#[test]
fn a_panic_undoes_and_the_thread_goes_on() {
    let (context, result) = run(|tx| {
        tx.set("out.x", 5_i64)?;
        panic!("lost {}", 1)
    });
    assert_eq!(result.unwrap_err().to_string(), "process `p` panicked: lost 1");
    assert_eq!(int(&context, "out.x"), Some(1));
    context.run(Isolation::Safe, |tx| tx.set("out.x", 6_i64)).unwrap();
    assert_eq!(int(&context, "out.x"), Some(6));
}

#[test]
fn a_raw_process_keeps_what_it_wrote_before_it_failed() {
    let context = context();
    let process = Process::new("p", contract(), |tx| {
        tx.set("out.x", 5_i64)?;
        tx.get("secret").map(drop)
    })
    .unwrap();
    let error = process.run(&context, &How::from(Isolation::Raw)).unwrap_err();
    assert_eq!(violation(error), ("reads", "secret".to_owned()));
    assert_eq!(int(&context, "out.x"), Some(5));
}

#[test]
fn a_process_that_loses_runs_again_and_both_take_effect() {
    for isolation in [Isolation::Safe, Isolation::Hybrid] {
        let context = context();
        let runs = Arc::new(AtomicU32::new(0));
        let (rival, counted) = (context.clone(), Arc::clone(&runs));
        let process = Process::new("p", contract(), move |tx| {
            let x = tx.get_int("out.x")?;
            if counted.fetch_add(1, Ordering::Relaxed) == 0 {
                let rival = rival.clone();
                std::thread::spawn(move || rival.increment_raw("out.x", 10).unwrap())
                    .join()
                    .unwrap();
            }
            tx.set("out.x", x + 1)
        })
        .unwrap();
        process.run(&context, &How::from(isolation)).unwrap();
        assert_eq!(int(&context, "out.x"), Some(12), "{isolation}");
        assert_eq!(runs.load(Ordering::Relaxed), 2);
    }
}

#[test]
fn the_registry_knows_each_name_once() {
    let mut processes = Processes::new();
    let make = |name: &str| Process::new(name, Contract::new(), |_| Ok(()));
    processes.register(make("a").unwrap()).unwrap();
    let error = processes.register(make("a").unwrap()).unwrap_err();
    assert_eq!(error.to_string(), "a: there is a process of this name");
    assert!(make("").is_err() && make("a\nb").is_err() && make(&"x".repeat(200)).is_err());
    assert_eq!(processes.names().collect::<Vec<_>>(), ["a"]);
    assert!(processes.get("b").is_none());
}
