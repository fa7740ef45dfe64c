//! Forged, expired, tampered and foreign tokens; static tokens; modes; and secrets that are read again.

use super::*;
use quintet_core::{auth::Role, fake::ManualClock};
use serde_json::json;

const SECRET: &[u8] = b"a secret of at least thirty-two bytes";

fn source(bytes: &[u8]) -> Source {
    Source::Environment {
        name: "TEST",
        value: Secret::new(bytes),
    }
}

fn settings() -> Settings {
    Settings {
        mode: Mode::Require,
        secret: Some(source(SECRET)),
        admin: Some(source(b"the-admin-token-1")),
        read_only: Some(source(b"the-readonly-token")),
        ..Settings::OFF
    }
}

fn open(settings: Settings) -> (Tokens, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::default());
    (
        Tokens::open(settings, clock.clone()).expect("valid settings"),
        clock,
    )
}

/// A token as another server would make it.
fn signed(secret: &[u8], algorithm: Algorithm, claims: &Json) -> String {
    hs256::install();
    let encode = |bytes: &[u8]| {
        let mut header = Header::new(algorithm);
        header.typ = None;
        jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(bytes))
    };
    encode(secret).expect("signable")
}

fn refusal(tokens: &Tokens, token: &str) -> String {
    let error = tokens.authenticate(Some(token)).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert!(
        !error.to_string().contains(token),
        "a refusal does not repeat the token"
    );
    error.context().to_owned()
}

fn base64url(bytes: &[u8]) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    URL_SAFE_NO_PAD.encode(bytes)
}

#[test]
fn a_signed_token_names_a_user_until_it_expires() {
    let (tokens, clock) = open(settings());
    let token = tokens
        .sign(
            "ada",
            json!({"level": 3}).as_object().cloned().expect("an object"),
            Duration::from_secs(60),
        )
        .expect("signed");
    let ada = tokens.authenticate(Some(&token)).expect("valid");
    assert_eq!((ada.role(), ada.uid()), (Role::User, Some("ada")));
    let claims: Json = serde_json::from_str(ada.claims().expect("claims")).expect("JSON");
    assert_eq!(claims["level"], 3);
    clock.advance(Duration::from_secs(59));
    assert!(tokens.authenticate(Some(&token)).is_ok(), "a second is left");
    clock.advance(Duration::from_secs(1));
    assert_eq!(refusal(&tokens, &token), "the token has expired");
    assert!(ada.is_expired(clock.wall()));
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table, read row by row")]
fn what_is_forged_foreign_or_malformed_is_refused_with_the_reason() {
    let (tokens, clock) = open(settings());
    let now = clock
        .wall()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_secs();
    let good = json!({"sub": "ada", "exp": now + 60});
    let good_token = signed(SECRET, Algorithm::HS256, &good);
    assert!(tokens.authenticate(Some(&good_token)).is_ok());

    let (head, signature) = good_token.rsplit_once('.').expect("three parts");
    let (header, _) = head.split_once('.').expect("three parts");
    let none = base64url(br#"{"alg":"none","typ":"JWT"}"#);
    let payload = base64url(good.to_string().as_bytes());
    let other_payload = base64url(json!({"sub": "root", "exp": now + 60}).to_string().as_bytes());
    for (token, reason) in [
        (
            signed(b"another secret of at least 32 bytes!!", Algorithm::HS256, &good),
            "signature is wrong",
        ),
        (
            format!("{header}.{other_payload}.{signature}"),
            "signature is wrong",
        ),
        (format!("{none}.{payload}."), "not a token|HS256"),
        (format!("{none}.{payload}.{signature}"), "not a token|HS256"),
        (
            format!("{}.{payload}.{signature}", base64url(br#"{"alg":"HS384"}"#)),
            "HS256",
        ),
        (
            format!("{}.{payload}.{signature}", base64url(br#"{"alg":"RS256"}"#)),
            "HS256",
        ),
        (format!("{header}.{payload}"), "not a token"),
        (format!("{header}.{payload}.{signature}.x"), "not a token"),
        (String::new(), "not a token"),
        ("....".to_owned(), "not a token"),
        ("owner".to_owned(), "not a token"),
        ("x".repeat(20_000), "longer than any"),
        (
            signed(SECRET, Algorithm::HS256, &json!({"sub": "ada"})),
            "no `exp`",
        ),
        (
            signed(SECRET, Algorithm::HS256, &json!({"sub": "ada", "exp": now})),
            "expired",
        ),
        (
            signed(SECRET, Algorithm::HS256, &json!({"sub": "ada", "exp": "soon"})),
            "`exp` is not a time",
        ),
        (
            signed(SECRET, Algorithm::HS256, &json!({"sub": "ada", "exp": -5})),
            "`exp` is not a time",
        ),
        (
            signed(
                SECRET,
                Algorithm::HS256,
                &json!({"sub": "ada", "exp": now + 60, "nbf": now + 30}),
            ),
            "not valid yet",
        ),
        (
            signed(SECRET, Algorithm::HS256, &json!({"exp": now + 60})),
            "names nobody",
        ),
        (
            signed(SECRET, Algorithm::HS256, &json!({"sub": 5, "exp": now + 60})),
            "names nobody",
        ),
        (
            signed(SECRET, Algorithm::HS256, &json!({"sub": "", "exp": now + 60})),
            "a uid has",
        ),
        (
            signed(SECRET, Algorithm::HS256, &json!({"sub": "a\nb", "exp": now + 60})),
            "a uid has",
        ),
    ] {
        let found = refusal_of_any(&tokens, &token);
        assert!(
            reason.split('|').any(|part| found.contains(part)),
            "{token}: {found}"
        );
    }
}

fn refusal_of_any(tokens: &Tokens, token: &str) -> String {
    let error = tokens.authenticate(Some(token)).expect_err(token);
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    error.context().to_owned()
}

#[test]
fn issuer_and_audience_are_checked_where_they_are_asked_for() {
    let (tokens, clock) = open(Settings {
        issuer: Some("here".to_owned()),
        audience: Some("us".to_owned()),
        ..settings()
    });
    let exp = clock
        .wall()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_secs()
        + 60;
    let own = tokens
        .sign("ada", Map::new(), Duration::from_secs(60))
        .expect("signed");
    assert!(tokens.authenticate(Some(&own)).is_ok());
    for (claims, reason) in [
        (
            json!({"sub": "ada", "exp": exp, "iss": "there", "aud": "us"}),
            "another issuer",
        ),
        (
            json!({"sub": "ada", "exp": exp, "iss": "here", "aud": "them"}),
            "another audience",
        ),
        (json!({"sub": "ada", "exp": exp, "iss": "here"}), "lacks"),
        (json!({"sub": "ada", "exp": exp, "aud": "us"}), "lacks"),
    ] {
        let found = refusal(&tokens, &signed(SECRET, Algorithm::HS256, &claims));
        assert!(found.contains(reason), "{claims}: {found}");
    }
}

#[test]
fn static_tokens_have_their_roles() {
    let (tokens, _) = open(settings());
    let role = |token| tokens.authenticate(Some(token)).map(|principal| principal.role());
    assert_eq!(role("the-admin-token-1").expect("known"), Role::Admin);
    assert_eq!(role("the-readonly-token").expect("known"), Role::ReadOnly);
    for near in [
        "the-admin-token-",
        "the-admin-token-2",
        "the-admin-token-11",
        "owner",
    ] {
        assert!(role(near).is_err(), "{near}");
    }
    let (emulator, _) = open(Settings {
        owner: true,
        ..settings()
    });
    assert_eq!(
        emulator.authenticate(Some("owner")).expect("asked for").role(),
        Role::Admin
    );
}

#[test]
fn the_mode_decides_about_those_who_present_nothing() {
    for (mode, nothing, bad) in [
        (Mode::Off, Some(Role::Unchecked), Some(Role::Unchecked)),
        (Mode::Optional, Some(Role::Anonymous), None),
        (Mode::Require, None, None),
    ] {
        let (tokens, _) = open(Settings { mode, ..settings() });
        let role = |token| tokens.authenticate(token).ok().map(|principal| principal.role());
        assert_eq!(role(None), nothing, "{mode:?}");
        assert_eq!(
            role(Some("rubbish")),
            bad,
            "{mode:?}: a bad token is never anonymous"
        );
    }
}

#[test]
fn secrets_are_read_again_and_stay_when_they_cannot_be() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("admin");
    std::fs::write(&file, "the-first-admin-token\n").expect("written");
    let (tokens, _) = open(Settings {
        admin: Some(Source::File(file.clone())),
        ..settings()
    });
    let is_admin = |token| tokens.authenticate(Some(token)).is_ok();
    assert!(is_admin("the-first-admin-token"));
    std::fs::write(&file, "the-second-admin-token\n").expect("written");
    tokens.reload().expect("readable");
    assert!(is_admin("the-second-admin-token") && !is_admin("the-first-admin-token"));
    std::fs::write(&file, "short").expect("written");
    let failure = tokens.reload().expect_err("too short").to_string();
    assert!(
        failure.contains("--auth-admin-token-file") && failure.contains("16"),
        "{failure}"
    );
    assert!(!failure.contains("short\n"), "no secret in a message");
    assert!(is_admin("the-second-admin-token"), "what was in force stays");
}

#[test]
fn settings_that_accept_nothing_are_a_usage_error() {
    let clock = Arc::new(ManualClock::default());
    let failure = Tokens::open(
        Settings {
            mode: Mode::Require,
            ..Settings::OFF
        },
        clock.clone(),
    )
    .map(|_| ())
    .expect_err("nothing");
    assert!(failure.to_string().contains("--auth"), "{failure}");
    let failure = Tokens::open(
        Settings {
            secret: Some(source(b"short")),
            ..settings()
        },
        clock,
    )
    .map(|_| ())
    .expect_err("short")
    .to_string();
    assert!(
        failure.contains("--auth-secret-file") && failure.contains("32"),
        "{failure}"
    );
}

#[test]
fn secrets_are_not_debug_printed() {
    assert!(!format!("{:?}", settings()).contains("admin-token"));
}
