//! A monitor within this program.

use std::sync::Arc;

use super::super::events::Request;
use super::super::state::Input;
use super::Switchboard;
use super::link::Peer;

/// How a monitor within this program reports. Dropping it leaves the relay.
#[derive(Debug)]
pub struct LocalReports {
    pub(super) switchboard: Arc<Switchboard>,
    pub(super) peer: Peer,
}

impl LocalReports {
    /// The oldest command is done, and this came of it.
    pub fn done(&self, output: &str) {
        let output = serde_json::value::to_raw_value(output).ok();
        self.switchboard
            .input(self.peer, Input::Request(Request::Done { id: None, output: output.as_deref() }));
    }

    /// The oldest command has failed.
    pub fn failed(&self, why: &str) {
        let why = serde_json::value::to_raw_value(why).ok();
        self.switchboard
            .input(self.peer, Input::Request(Request::Error { reason: why.as_deref(), id: None }));
    }
}

impl Drop for LocalReports {
    fn drop(&mut self) {
        self.switchboard.input(self.peer, Input::Closed);
    }
}
