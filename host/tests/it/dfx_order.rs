//! In which order results and replies leave the DFX server's state, however long each chunk is analysed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloverleaf::services::dfx::state::{Analysed, Input, Output, State};
use serde_json::Value;

use crate::dfx::pulse;
use crate::dfx_state::{at, put, state};

/// A measurement to whose results client 1 has subscribed, and that client 2 knows, too.
struct Measured {
    state: State,
    id: String,
}

impl Measured {
    fn with(rules: &str) -> Self {
        let mut state = state(rules);
        put(&mut state, 0, "1 open");
        put(&mut state, 0, "2 open");
        let created = put(&mut state, 0, "1 > 0504create0001{}");
        let [Output::Send { frame, .. }] = &created[..] else { panic!("{created:?}") };
        let created: Value = serde_json::from_slice(&frame[13..]).expect("JSON");
        let id = created["ID"].as_str().expect("an id").to_owned();
        let subscribe =
            format!("1 > 0510subscribe1{{\"Params\":{{\"ID\":\"{id}\"}},\"RequestID\":\"RESULTS00A\"}}");
        put(&mut state, 0, &subscribe);
        Self { state, id }
    }

    /// Adds a chunk; gives what came at once, and the chunk when it has been analysed.
    fn add(&mut self, client: u64, action: &str, order: &str) -> (String, Analysed) {
        let (id, payload) = (&self.id, STANDARD.encode(pulse(60.0, 5.0)));
        let mut outputs = put(
            &mut self.state,
            0,
            &format!(
                "{client} > 0506chunk0000{client}{{\"Params\":{{\"ID\":\"{id}\"}},\"Action\":\"{action}\",{order}\"Payload\":\"{payload}\"}}"
            ),
        );
        let Some(Output::Analyse(analysis)) = outputs.pop() else { panic!("{outputs:?}") };
        (self.brief(outputs), analysis.run())
    }

    fn analysed(&mut self, analysed: Analysed) -> String {
        let outputs = self.state.handle(at(0), Input::Analysed(analysed));
        self.brief(outputs)
    }

    fn remove(&mut self) -> String {
        let remove = format!("1 > 0507remove0001{{\"Params\":{{\"ID\":\"{}\"}}}}", self.id);
        let outputs = put(&mut self.state, 0, &remove);
        self.brief(outputs)
    }

    /// Of each frame to whom it is, its id, and of a result which chunk it is about; `*` is what the timeline gets.
    fn brief(&self, outputs: Vec<Output>) -> String {
        let brief = outputs.into_iter().map(|output| match output {
            Output::Send { connection, frame } => {
                let frame = String::from_utf8(frame).expect("JSON is ASCII");
                let data = frame.split("\"MeasurementDataID\":\"").nth(1);
                let chunk = data.map_or("", |data| &data[self.id.len()..self.id.len() + 2]);
                format!("{connection} {}{chunk}", &frame[..10])
            }
            Output::Measured(_) => "*".to_owned(),
            other => panic!("{other:?}"),
        });
        brief.collect::<Vec<_>>().join(", ")
    }
}

#[test]
fn results_come_in_the_order_of_their_chunks_however_long_each_takes() {
    let mut measured = Measured::with("");
    // Each is acknowledged at once, whatever is still being analysed.
    let (ack, zero) = measured.add(1, "FIRST::PROCESS", "");
    assert_eq!(ack, "1 chunk00001");
    let (ack, one) = measured.add(2, "CHUNK::PROCESS", "");
    assert_eq!(ack, "2 chunk00002");
    let (_, two) = measured.add(1, "CHUNK::PROCESS", "");
    assert_eq!(measured.analysed(one), "");
    assert_eq!(measured.analysed(zero), "*, 1 RESULTS00A:0, *, 1 RESULTS00A:1");
    // What was being analysed when the client began anew is of no measurement any more.
    let (_, fresh) = measured.add(1, "FIRST::PROCESS", "\"ChunkOrder\":0,");
    assert_eq!(measured.analysed(two), "");
    assert_eq!(measured.analysed(fresh), "*, 1 RESULTS00A:0");
}

#[test]
fn replies_that_wait_for_their_results_come_in_order_and_are_not_lost() {
    let rules = "results_first = true";
    let begun = || {
        let mut measured = Measured::with(rules);
        let (ack, zero) = measured.add(1, "FIRST::PROCESS", "");
        assert_eq!(ack, "");
        let (ack, one) = measured.add(2, "CHUNK::PROCESS", "");
        assert_eq!(ack, "");
        assert_eq!(measured.analysed(one), "", "its result is not due yet");
        (measured, zero)
    };
    let (mut measured, zero) = begun();
    assert_eq!(measured.analysed(zero), "*, 1 RESULTS00A:0, 1 chunk00001, *, 1 RESULTS00A:1, 2 chunk00002");
    let (mut measured, zero) = begun();
    let (ack, fresh) = measured.add(2, "FIRST::PROCESS", "\"ChunkOrder\":0,");
    assert_eq!(ack, "");
    assert_eq!(measured.analysed(zero), "1 chunk00001, 2 chunk00002", "of before the fresh start");
    assert_eq!(measured.analysed(fresh), "*, 1 RESULTS00A:0, 2 chunk00002");
    let (mut measured, zero) = begun();
    assert_eq!(measured.remove(), "1 remove0001, 2 chunk00002");
    assert_eq!(measured.analysed(zero), "1 chunk00001");
}

#[test]
fn nobody_is_told_of_a_result_whose_measurement_was_removed() {
    let mut measured = Measured::with("latency = 400");
    let (_, zero) = measured.add(1, "LAST::PROCESS", "");
    assert_eq!(measured.analysed(zero), "");
    assert_eq!(measured.remove(), "1 remove0001");
    assert_eq!(measured.state.handle(at(400), Input::Tick), []);
}
