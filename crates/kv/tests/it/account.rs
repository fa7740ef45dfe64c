//! AUTH, what each kind of principal may do, and for how long; SHUTDOWN; CLIENT LIST and KILL; CONFIG SET.

use crate::port::{Client, Rig};
use quintet_core::{
    Clock, ErrorKind, Result,
    auth::{Authenticator, FakeAuthenticator, Principal},
    fake::ManualClock,
};
use quintet_kv::port::PortConfig;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU8, AtomicU64, Ordering::SeqCst},
    },
    task::Waker,
    time::Duration,
};

const NOAUTH: &str = "-NOAUTH Authentication required.\r\n";
const WRONGPASS: &str = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";

fn guarded() -> PortConfig {
    let authenticator = FakeAuthenticator::default()
        .token_is("master", Principal::admin())
        .token_is("look", Principal::read_only())
        .token_is("secret-of-ada", Principal::user("ada", "{}"));
    PortConfig {
        authenticator: Arc::new(authenticator),
        ..PortConfig::default()
    }
}

#[test]
fn nobody_does_anything_before_auth_and_each_role_what_it_may() {
    let rig = Rig::with(&guarded());
    let mut client = rig.client();
    for command in ["GET k", "PING", "MULTI", "SUBSCRIBE c", "CLIENT LIST", "FLUSHALL"] {
        client.ask(command, NOAUTH);
    }
    client.ask("AUTH wrong", WRONGPASS);
    client.ask("AUTH somebody master", WRONGPASS);
    client.ask("AUTH a b c", "-ERR syntax error\r\n");
    client.ask("AUTH look\r\nGET k", "+OK\r\n$-1\r\n");
    let noperm = |name| format!("-NOPERM this user has no permissions to run the '{name}' command\r\n");
    client.ask("SET k v", &noperm("set"));
    client.ask("FLUSHALL", &noperm("flushall"));
    client.ask("MULTI\r\nSET k v", &format!("+OK\r\n{}", noperm("set")));
    client.ask(
        "EXEC",
        "-EXECABORT Transaction discarded because of previous errors.\r\n",
    );
    client.ask("AUTH ada secret-of-ada\r\nSET k v", "+OK\r\n+OK\r\n");
    client.ask("CONFIG SET maxmemory 1gb", &noperm("config"));
    client.ask(
        "AUTH default master\r\nCONFIG SET maxmemory 1gb",
        "+OK\r\n+OK\r\n",
    );
    client.ask("RESET\r\nGET k", &format!("+RESET\r\n{NOAUTH}"));
    client.send("HELLO 3 AUTH ada secret-of-ada SETNAME me");
    client.expect("%7\r\n");
    client.skip(25);
    client.ask("CLIENT GETNAME", "$2\r\nme\r\n");
    rig.stop();
}

#[test]
fn without_an_authenticator_auth_answers_as_redis_without_a_password() {
    let rig = Rig::start();
    let mut client = rig.client();
    client.send("AUTH secret");
    client.expect("-ERR AUTH <password> called without any password configured for the default user.");
    client.skip(1);
    client.ask(
        "AUTH default secret\r\nAUTH other secret",
        &format!("+OK\r\n{WRONGPASS}"),
    );
    rig.stop();
}

#[test]
fn shutdown_asks_the_owner_and_is_refused_without_one() {
    let rig = Rig::start();
    rig.client()
        .ask("SHUTDOWN", "-ERR Errors trying to SHUTDOWN. Check logs.\r\n");
    rig.stop();
    let asked = Arc::new(AtomicU8::new(0));
    let told = asked.clone();
    let config = PortConfig {
        on_shutdown: Some(Arc::new(move |saves| told.store(1 + u8::from(saves), SeqCst))),
        ..PortConfig::default()
    };
    let rig = Rig::with(&config);
    rig.client().ask("SHUTDOWN SAVE", "+OK\r\n");
    assert_eq!(asked.load(SeqCst), 2);
    rig.client().ask("SHUTDOWN NOSAVE", "+OK\r\n");
    assert_eq!(asked.load(SeqCst), 1);
    rig.stop();
}

#[test]
fn clients_see_and_end_each_other() {
    let rig = Rig::start();
    let mut one = rig.client();
    one.ask("CLIENT SETNAME one", "+OK\r\n");
    let mut two = rig.client();
    two.ask("SELECT 3\r\nCLIENT ID", "+OK\r\n:2\r\n");
    one.send("CLIENT LIST");
    one.expect("$");
    one.skip(1);
    one.expect("id=1 addr=127.0.0.1:");
    one.skip(1);
    one.expect("id=2 addr=127.0.0.1:");
    one.skip(2);
    one.ask("CLIENT KILL ID 99", ":0\r\n");
    one.ask("CLIENT KILL ID 2", ":1\r\n");
    let mut rest = Vec::new();
    // Cut off: the end, or a reset.
    let _ended = std::io::Read::read_to_end(&mut two.0, &mut rest);
    assert_eq!(rest, b"");
    one.ask("PING", "+PONG\r\n");
    rig.stop();
}

#[test]
fn the_memory_limit_can_be_set_and_the_rest_cannot() {
    let rig = Rig::start();
    let mut client = rig.client();
    client.ask("SET k v", "+OK\r\n");
    client.ask("CONFIG SET maxmemory 80 appendonly no", "+OK\r\n");
    client.ask(
        "SET j v",
        "-OOM command not allowed when used memory > 'maxmemory'.\r\n",
    );
    client.ask("CONFIG GET maxmemor[y]", "*2\r\n$9\r\nmaxmemory\r\n$2\r\n80\r\n");
    client.ask(
        "CONFIG SET maxmemory 0 appendonly yes",
        "-ERR CONFIG SET failed (possibly related to argument 'appendonly') - can't set immutable config\r\n",
    );
    client.ask("CONFIG SET maxmemory 1k\r\nSET j v", "+OK\r\n+OK\r\n");
    client.ask(
        "CONFIG SET nonsense 1",
        "-ERR Unknown option or number of arguments for CONFIG SET - 'nonsense'\r\n",
    );
    rig.stop();
}

#[test]
fn info_answers_the_sections_that_were_asked_for() {
    let rig = Rig::start();
    let mut client = rig.client();
    client.ask("SET k v EX 100\r\nSET j v", "+OK\r\n+OK\r\n");
    client.send("INFO keyspace");
    client.expect("$");
    client.skip(1);
    client.expect("# Keyspace\r\ndb0:keys=2,expires=1,avg_ttl=");
    client.skip(2);
    client.ask(
        "INFO replication",
        "$48\r\n# Replication\r\nrole:master\r\nconnected_slaves:0\r\n\r\n",
    );
    client.ask(
        "COMMAND GETKEYS ZUNIONSTORE d 2 a b",
        "*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nd\r\n",
    );
    client.ask(
        "COMMAND LIST FILTERBY PATTERN zun*",
        "*2\r\n$6\r\nzunion\r\n$11\r\nzunionstore\r\n",
    );
    rig.stop();
}

/// A port whose token "brief" ends a moment after the clock's beginning.
fn brief() -> (Rig, ManualClock) {
    let clock = ManualClock::new();
    let ends = clock.wall() + BRIEF;
    let authenticator = FakeAuthenticator::default()
        .token_is("master", Principal::admin())
        .token_is("brief", Principal::user("ada", "{}").until(ends));
    let config = PortConfig {
        authenticator: Arc::new(authenticator),
        ..PortConfig::default()
    };
    (Rig::timed(&config, &clock), clock)
}

const BRIEF: Duration = Duration::from_millis(50);
const EXPIRED: &str = "-NOAUTH Authentication required: the token has expired.\r\n";

fn is_ended(mut client: Client) {
    let mut rest = Vec::new();
    std::io::Read::read_to_end(&mut client.0, &mut rest).unwrap();
    assert_eq!(String::from_utf8_lossy(&rest), "");
}

#[test]
fn a_subscription_does_not_outlive_its_token() {
    let (rig, clock) = brief();
    let mut publisher = rig.client();
    publisher.ask("AUTH master", "+OK\r\n");
    let mut quiet = rig.client();
    quiet.ask(
        "AUTH brief\r\nSUBSCRIBE other",
        "+OK\r\n*3\r\n$9\r\nsubscribe\r\n$5\r\nother\r\n:1\r\n",
    );
    let mut by_pattern = rig.client();
    by_pattern.ask(
        "AUTH brief\r\nPSUBSCRIBE n*",
        "+OK\r\n*3\r\n$10\r\npsubscribe\r\n$2\r\nn*\r\n:1\r\n",
    );
    publisher.ask("PUBLISH news 1", ":1\r\n");
    by_pattern.expect("*4\r\n$8\r\npmessage\r\n$2\r\nn*\r\n$4\r\nnews\r\n$1\r\n1\r\n");
    clock.advance(BRIEF);
    // Perhaps before the loop has looked: nothing is passed on all the same.
    publisher.send("PUBLISH news 2");
    publisher.expect(":");
    publisher.skip(1);
    for mut client in [by_pattern, quiet] {
        client.expect(EXPIRED);
        is_ended(client);
    }
    rig.stop();
}

#[test]
fn a_wait_does_not_outlive_its_token_and_takes_nothing_with_it() {
    let (rig, clock) = brief();
    let mut waiter = rig.client();
    waiter.ask("AUTH brief", "+OK\r\n");
    waiter.send("BLPOP list 0");
    rig.until_waiting(1);
    clock.advance(BRIEF);
    waiter.expect(EXPIRED);
    waiter.ask("GET k", NOAUTH);
    let mut other = rig.client();
    other.ask(
        "AUTH master\r\nRPUSH list item\r\nLLEN list",
        "+OK\r\n:1\r\n:1\r\n",
    );
    rig.stop();
}

#[test]
fn a_token_that_is_renewed_goes_on() {
    let (rig, clock) = brief();
    let mut client = rig.client();
    client.ask("AUTH brief\r\nHELLO 3 AUTH ada brief", "+OK\r\n%7\r\n");
    client.skip(25);
    client.ask("SUBSCRIBE c", ">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
    client.ask("AUTH master", "+OK\r\n");
    clock.advance(2 * BRIEF);
    client.ask(
        "PUBLISH c 1",
        ":1\r\n>3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\n1\r\n",
    );
    client.send("BLPOP none 0.01");
    client.expect("_\r\n");
    rig.stop();
}

/// Accepts two tokens until one of them is taken back.
struct Changing {
    generation: AtomicU64,
    wakers: Mutex<Vec<Waker>>,
}

impl Authenticator for Changing {
    fn authenticate(&self, token: Option<&str>) -> Result<Principal> {
        match token {
            Some("kept") => Ok(Principal::admin()),
            Some("taken") if self.generation() == 0 => Ok(Principal::admin()),
            _ => Err(ErrorKind::Unauthenticated.into()),
        }
    }

    fn generation(&self) -> u64 {
        self.generation.load(SeqCst)
    }

    fn on_change(&self, waker: Waker) {
        self.wakers.lock().unwrap().push(waker);
    }
}

#[test]
fn a_token_that_is_taken_back_ends_what_it_opened_and_no_other() {
    let tokens = Arc::new(Changing {
        generation: AtomicU64::new(0),
        wakers: Mutex::default(),
    });
    let rig = Rig::with(&PortConfig {
        authenticator: tokens.clone(),
        ..PortConfig::default()
    });
    let subscribed = "+OK\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n";
    let (mut taken, mut kept) = (rig.client(), rig.client());
    let (mut waiter, mut taken_listener, mut kept_listener) = (rig.client(), rig.client(), rig.client());
    taken.ask("AUTH taken\r\nSET k 1", "+OK\r\n+OK\r\n");
    kept.ask("AUTH kept\r\nSET k 2", "+OK\r\n+OK\r\n");
    taken_listener.ask("AUTH taken\r\nSUBSCRIBE c", subscribed);
    kept_listener.ask("AUTH kept\r\nSUBSCRIBE c", subscribed);
    waiter.ask("AUTH taken", "+OK\r\n");
    waiter.send("BLPOP list 0");
    rig.until_waiting(1);
    tokens.generation.store(1, SeqCst);
    for waker in tokens.wakers.lock().unwrap().iter() {
        waker.wake_by_ref();
    }
    // Those who only listen hear of it at once, the others with their next command.
    waiter.expect(REVOKED);
    taken_listener.expect(REVOKED);
    is_ended(taken_listener);
    taken.ask("SET k 3", NOAUTH);
    kept.ask("GET k\r\nPUBLISH c m", "$1\r\n2\r\n:1\r\n");
    kept_listener.expect("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n");
    rig.stop();
}

const REVOKED: &str = "-NOAUTH Authentication required: the token is not accepted any more.\r\n";
