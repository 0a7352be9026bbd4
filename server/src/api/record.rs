//! What the access log gets to know of a call.

use platform::access_log::{Access, Call};
use platform::grants::Bearer;
use platform::requests::Request;
use wire::RequestId;

use crate::state::State;

/// What is known of a call so far. One whose app never becomes known leaves no entry: it is nobody's.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Heard {
    app: Option<i64>,
    person: Option<i64>,
    grant: Option<i64>,
    request: Option<i64>,
}

impl Heard {
    /// Whose token came with it.
    pub(super) fn bearer(&mut self, bearer: &Bearer) {
        (self.app, self.person, self.grant) = (Some(bearer.app_id), Some(bearer.person_id), Some(bearer.grant_id));
    }

    /// What a request is about, where no token came.
    pub(super) fn of(request: &Request) -> Self {
        Self {
            app: Some(request.app_id),
            person: Some(request.person_id),
            grant: Some(request.grant_id),
            request: Some(request.request_id),
        }
    }

    /// Which app proved itself, or failed to.
    pub(super) fn app(&mut self, app_id: i64) {
        self.app = Some(app_id);
    }

    /// Which request it is about.
    pub(super) fn request(&mut self, request_id: RequestId) {
        self.request = Some(request_id.get());
    }

    /// It was answered.
    pub(super) fn note(&self, state: &State, call: Call, answer: &str) {
        self.note_bytes(state, call, answer, 0);
    }

    /// It was answered, with so many bytes of an archive.
    pub(super) fn note_bytes(&self, state: &State, call: Call, answer: &str, bytes: u64) {
        let Some(app_id) = self.app else { return };
        state.platform.access.note(Access {
            at: state.platform.now(),
            app_id,
            person_id: self.person,
            grant_id: self.grant,
            request_id: self.request,
            call,
            answer: answer.to_owned(),
            bytes: i64::try_from(bytes).unwrap_or(i64::MAX),
        });
    }
}

/// A download under way. What was sent is noted when it ends, however it ends.
#[derive(Debug)]
pub(super) struct Sending {
    heard: Heard,
    state: State,
    call: Call,
    whole: bool,
    wanted: u64,
    sent: u64,
}

impl Sending {
    pub(super) fn new(heard: Heard, state: State, call: Call, whole: bool, wanted: u64) -> Self {
        Self { heard, state, call, whole, wanted, sent: 0 }
    }

    /// So many bytes were handed on.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.sent = self.sent.saturating_add(u64::try_from(bytes).unwrap_or(0));
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        let answer = match (self.sent >= self.wanted, self.whole) {
            (false, _) => "broken_off",
            (true, true) => "whole",
            (true, false) => "part",
        };
        self.heard.note_bytes(&self.state, self.call, answer, self.sent);
    }
}
