//! AUTH and what each kind of principal may do; SHUTDOWN; CLIENT LIST and KILL; CONFIG SET.

use crate::port::Rig;
use quintet_core::auth::{FakeAuthenticator, Principal};
use quintet_kv::port::PortConfig;
use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering::SeqCst},
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
