use cloverleaf_core::dfx::{Action, Request, Response, Session, Slot};
use cloverleaf_core::machine::{Machine, Output};
use cloverleaf_core::time::{Duration, Instant};

/// Both frames of DFX emit what they parsed, and a session keeps the laws of machines whatever it is fed: the
/// input is a series of messages, each behind a byte that gives its length and a step of time.
pub fn dfx_frame(data: &[u8]) {
    let mut buf = vec![0; data.len()];
    if let Ok(request) = Request::parse(data) {
        assert_eq!(request.emit(&mut buf), Ok(data.len()));
        assert_eq!(buf, data);
    }
    if let Ok(response) = Response::parse(data) {
        assert_eq!(response.emit(&mut buf), Ok(data.len()));
        assert_eq!(buf, data);
    }

    let (mut rx, mut tx) = ([0; 48], [0; 32]);
    let mut session = Session::new([Slot::default(); 3], &mut rx, &mut tx);
    let mut now = Instant::ZERO;
    let mut rest = data;
    while let [step, tail @ ..] = rest {
        let len = usize::from(*step & 0x3f).min(tail.len());
        let (message, tail) = tail.split_at(len);
        rest = tail;
        let _ = session.request(now, Action::DATA, message, Duration::from_secs(1));
        if step & 0x40 != 0 {
            let _ = session.subscribe();
        }
        drain(&mut session, now);
        assert_eq!(
            session.handle_input(now, message),
            message.len(),
            "a drained session takes the whole message"
        );
        drain(&mut session, now);
        if step & 0x80 != 0 {
            now = now + Duration::from_millis(700);
            session.handle_timeout(now);
            drain(&mut session, now);
        }
        assert!(session.ledger().open_count() <= 3);
    }
}

fn drain(session: &mut Session<'_, [Slot; 3]>, now: Instant) {
    for _ in 0..16 {
        if let Output::Wait(deadline) = session.poll() {
            assert!(deadline.is_none_or(|deadline| deadline > now), "a deadline in the past");
            assert_eq!(session.poll(), Output::Wait(deadline), "polling again changes nothing");
            return;
        }
    }
    panic!("the session does not come to rest");
}
