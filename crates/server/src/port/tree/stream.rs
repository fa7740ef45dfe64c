//! Live streams: server-sent events of one place, by either face.
//!
//! A stream is a task and the watch's bounded queue, no thread. It begins with the value, then brings each change once. A
//! client that is too slow is sent the value again instead of what it missed. A stream ends when the server drains, when the
//! token expires or is no longer accepted (`auth_revoked`), and when the rules no longer allow it (`cancel`): because there
//! are new ones, or because they look at the tree or the time, and then they are asked before each event.
//! The page's stream begins with nothing, and says `overflow` where the others send the value: the page has only parts of it,
//! and asks for those again.

use super::{
    face::{Access, Face, Room},
    params::Params,
};
use crate::port::problem::Problem;
use axum::{
    http::HeaderMap,
    response::{
        IntoResponse, Response,
        sse::{Event as Sent, KeepAlive, Sse},
    },
};
use futures_util::stream;
use quintet_core::{
    Clock, ErrorKind, Seq, SystemClock,
    auth::{Authenticator, Principal},
};
use quintet_tree::{EventKind, Initial, Next, Path, Priority, TreeError, Watch};
use serde_json::json;
use std::{collections::VecDeque, convert::Infallible, time::Duration};
use tokio::{sync::watch::Receiver, time};

/// How often a quiet stream says that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// The longest that is waited for a token's end in one go.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// Whose events they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    Firebase,
    Plain,
    /// As plain, without a value at the start or after a gap.
    #[cfg(feature = "ui")]
    Changes,
}

/// Why a stream goes on.
enum Step {
    Said(Option<Next>),
    RulesChanged,
    TokensChanged,
    Expired,
    Draining,
}

/// What a stream was let in with, and what tells that this may count no longer. Made before anybody is asked, so that no
/// change goes unseen.
struct Ticket {
    token: Option<String>,
    rules: Receiver<u64>,
    tokens: Receiver<u64>,
}

impl Ticket {
    fn of(face: &Face, headers: &HeaderMap, params: &Params) -> Result<Self, Problem> {
        Ok(Self {
            token: face.presented(headers, params)?.map(str::to_owned),
            rules: face.engine().rule_changes(),
            tokens: face.tokens().changes(),
        })
    }
}

/// A stream of Firebase's protocol.
pub(super) async fn firebase(
    face: Face,
    path: Path,
    params: Params,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    if params.query.is_some() || params.is_shallow {
        return Err(Problem::invalid(
            "a stream is of a whole place: without a query and without `shallow`",
        ));
    }
    let ticket = Ticket::of(&face, headers, &params)?;
    let access = face.to_read(headers, &params)?;
    open(face, path, access, ticket, None, Style::Firebase).await
}

/// A stream of the plain face, which may go on after `Last-Event-ID`.
pub(super) async fn plain(
    face: Face,
    path: Path,
    params: Params,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let ticket = Ticket::of(&face, headers, &params)?;
    let access = face.to_read(headers, &params)?;
    let after = match headers.get("last-event-id") {
        None => None,
        Some(id) => {
            let id = id.to_str().ok().and_then(|id| id.trim().parse().ok());
            Some(Seq(id.ok_or_else(|| {
                Problem::invalid("Last-Event-ID: not an id of this stream")
            })?))
        }
    };
    open(face, path, access, ticket, after, Style::Plain).await
}

/// A stream of the changes alone, for the page.
#[cfg(feature = "ui")]
pub(super) async fn changes(face: Face, path: Path, headers: &HeaderMap) -> Result<Response, Problem> {
    let params = Params::default();
    let ticket = Ticket::of(&face, headers, &params)?;
    let access = face.to_read(headers, &params)?;
    open(face, path, access, ticket, None, Style::Changes).await
}

async fn open(
    face: Face,
    path: Path,
    access: Access,
    ticket: Ticket,
    after: Option<Seq>,
    style: Style,
) -> Result<Response, Problem> {
    let (initial, watch) = begin(&face, &path, &access, after, style).await?;
    let mut live = Live {
        face,
        path,
        principal: access.principal,
        watch: Some(watch),
        ticket,
        seen: after.unwrap_or_default(),
        style,
        ready: VecDeque::new(),
        room: None,
    };
    if let Some(initial) = initial {
        live.begin_with(&initial)?;
    }
    let events = stream::unfold(live, |mut live| async move {
        let event = live.next().await?;
        Some((Ok::<_, Infallible>(event), live))
    });
    let alive = KeepAlive::new().interval(HEARTBEAT);
    let alive = match style {
        Style::Firebase => alive.event(Sent::default().event("keep-alive").data("null")),
        _ => alive.text("heartbeat"),
    };
    Ok(Sse::new(events).keep_alive(alive).into_response())
}

/// Begins a watch; the first read is done by the tree's pool.
async fn begin(
    face: &Face,
    path: &Path,
    access: &Access,
    after: Option<Seq>,
    style: Style,
) -> Result<(Option<Initial>, Watch), Problem> {
    let (reader, path) = (access.reader(face.engine()), path.clone());
    face.read(Priority::Read, move || match style {
        #[cfg(feature = "ui")]
        Style::Changes => Ok((None, reader.changes(&path)?)),
        Style::Firebase | Style::Plain => Ok(reader.watch(&path, after)?),
    })
    .await
}

/// A stream between two events.
struct Live {
    face: Face,
    path: Path,
    principal: Principal,
    /// `None` = the stream has ended.
    watch: Option<Watch>,
    ticket: Ticket,
    /// The last write that was sent.
    seen: Seq,
    style: Style,
    ready: VecDeque<Sent>,
    /// What a large first value takes until the next event is asked for.
    room: Option<Room>,
}

impl Live {
    async fn next(&mut self) -> Option<Sent> {
        if self.ready.is_empty() {
            self.room = None;
        }
        loop {
            if let Some(ready) = self.ready.pop_front() {
                return Some(ready);
            }
            match self.step().await? {
                Step::Said(Some(Next::Event(event))) => {
                    if !self.is_still_allowed().await {
                        continue;
                    }
                    let kind = match event.kind() {
                        EventKind::Put => "put",
                        EventKind::Patch => "patch",
                    };
                    self.say(kind, event.seq(), event.json());
                }
                Step::Said(Some(Next::Overflow)) => self.catch_up().await,
                Step::Said(None) | Step::Draining => self.watch = None,
                Step::RulesChanged => self.ask_again().await,
                Step::TokensChanged => self.present_again().await,
                Step::Expired => self.revoke(),
            }
        }
    }

    /// Waits for what happens first; `None` = the stream has ended.
    async fn step(&mut self) -> Option<Step> {
        let watch = self.watch.as_mut()?;
        let expiry = async {
            match self.principal.expires() {
                None => std::future::pending().await,
                Some(at) => loop {
                    let left = at.duration_since(SystemClock.wall()).unwrap_or_default();
                    if left.is_zero() {
                        break;
                    }
                    // The time of day may be set meanwhile, so it is looked at again.
                    let _later = time::timeout(left.min(LONGEST_WAIT), std::future::pending::<()>()).await;
                },
            }
        };
        Some(tokio::select! {
            biased;
            () = self.face.life().draining() => Step::Draining,
            () = expiry => Step::Expired,
            Ok(()) = self.ticket.tokens.changed() => Step::TokensChanged,
            Ok(()) = self.ticket.rules.changed() => Step::RulesChanged,
            next = watch.next() => Step::Said(next),
        })
    }

    fn say(&mut self, kind: &str, seq: Seq, data: &str) {
        self.seen = seq;
        let event = Sent::default().event(kind).data(data);
        self.ready.push_back(match self.style {
            Style::Firebase => event,
            _ => event.id(seq.0.to_string()),
        });
    }

    fn begin_with(&mut self, initial: &Initial) -> Result<(), Problem> {
        let data = json!({ "path": "/", "data": initial.value }).to_string();
        self.room = self.face.room(data.len())?;
        self.say("put", initial.seq, &data);
        Ok(())
    }

    /// Goes on with a watch; without room for its first value the stream ends, and the client comes again.
    fn go_on(&mut self, watch: Watch, initial: Option<&Initial>) {
        match initial.map_or(Ok(()), |initial| self.begin_with(initial)) {
            Ok(()) => self.watch = Some(watch),
            Err(problem) => self.fail(&problem),
        }
    }

    fn end(&mut self, kind: &str, data: &str) {
        self.watch = None;
        self.ready.push_back(Sent::default().event(kind).data(data));
    }

    fn revoke(&mut self) {
        self.end("auth_revoked", "\"credential is no longer valid\"");
    }

    /// The secrets were read again: is what was presented still accepted, and as the same?
    async fn present_again(&mut self) {
        match self.face.tokens().authenticate(self.ticket.token.as_deref()) {
            Err(_refused) => self.revoke(),
            Ok(same) if same == self.principal => {}
            Ok(other) => {
                self.principal = other;
                self.ask_again().await;
            }
        }
    }

    /// Asks the rules again where their answer depends on more than who asks; ends the stream when it is no.
    async fn is_still_allowed(&mut self) -> bool {
        let Some(watch) = self.watch.take_if(|watch| watch.depends_on_state()) else {
            return true;
        };
        let asked = self.face.read(Priority::Read, move || {
            watch.check()?;
            Ok(watch)
        });
        match asked.await {
            Ok(watch) => {
                self.watch = Some(watch);
                true
            }
            Err(problem) => {
                self.fail(&problem);
                false
            }
        }
    }

    /// The client was too slow: it gets the value again.
    async fn catch_up(&mut self) {
        let Some(watch) = self.watch.take() else {
            return;
        };
        if self.style != Style::Firebase {
            self.say_overflow();
        }
        let style = self.style;
        let read = self.face.read(Priority::Read, move || {
            let initial = match style {
                #[cfg(feature = "ui")]
                Style::Changes => watch.skip().map(|_seq| None)?,
                Style::Firebase | Style::Plain => Some(watch.reread()?),
            };
            Ok((initial, watch))
        });
        match read.await {
            Ok((initial, watch)) => self.go_on(watch, initial.as_ref()),
            Err(problem) => self.fail(&problem),
        }
    }

    fn say_overflow(&mut self) {
        let event = Sent::default().event("overflow").data("null");
        self.ready.push_back(event);
    }

    /// Other rules are in force: a watch under them, right behind the last event.
    async fn ask_again(&mut self) {
        self.watch = None;
        let access = match self.face.to_read_as(self.principal.clone()) {
            Ok(access) => access,
            Err(problem) => return self.fail(&problem),
        };
        match begin(&self.face, &self.path, &access, Some(self.seen), self.style).await {
            Ok((initial, watch)) => {
                #[cfg(feature = "ui")]
                if self.style == Style::Changes {
                    self.say_overflow();
                }
                self.go_on(watch, initial.as_ref());
            }
            Err(problem) => self.fail(&problem),
        }
    }

    fn fail(&mut self, problem: &Problem) {
        if problem.is(ErrorKind::PermissionDenied) {
            self.end("cancel", "null");
        } else {
            // The client comes again, and is told then.
            self.watch = None;
        }
    }
}

impl From<TreeError> for Problem {
    fn from(error: TreeError) -> Self {
        Self::from(quintet_core::Error::from(error))
    }
}
