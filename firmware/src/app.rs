//! What the firmware does: connects to the car behind an adapter, says which car it is and what ails it, then polls;
//! when adapter or car go away, it looks for them until they are back, and begins anew.

use core::ops::ControlFlow;

use cloverleaf_core::bus::{Message, Protocol};
use cloverleaf_core::driver::{Clock, Driver};
use cloverleaf_core::elm327::poll::{Item, Next, Outcome, Poller, Tuning};
use cloverleaf_core::elm327::session::{Event, Link, Request, Session, Settings};
use cloverleaf_core::obd2::{self, Command, Value};
use cloverleaf_core::time::Duration;
use defmt::Display2Format;
use embedded_io_async::{BufRead, Write};

/// When the program ends: on a board of its own it has no reason to, in QEMU someone waits for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// End well once so many values were read for each signal that is polled, all signals together.
    pub rounds: Option<u32>,
    /// Give up after so long without a car, each time that one is looked for, or without a value.
    pub timeout: Option<Duration>,
}

/// The signals that are polled.
const SIGNALS: [&str; 3] = ["RPM", "SPEED", "COOLANT_TEMP"];

/// Eight messages of together 512 bytes: a VIN of every ECU, or a page of trouble codes.
type Elm = Session<8, 512>;

/// Why the program ended early.
#[derive(Clone, Copy, Debug, defmt::Format)]
pub enum Error {
    /// The UART failed or closed.
    Link,
    /// No car within [`Limits::timeout`]; this is as far as the link reached.
    NoCar(Link),
    /// The car is there, but gave no value within [`Limits::timeout`].
    NoValue,
}

/// Connects, names the car, reads its trouble codes, then reads values; all of it again whenever the link was lost.
///
/// # Errors
/// When the UART fails, or no car is found or gives no value within the limits.
pub async fn run<RW: BufRead + Write, C: Clock>(io: RW, clock: C, limits: Limits) -> Result<(), Error> {
    let settings = Settings { repeat: true, ..Settings::default() };
    let mut driver = Driver::new(Elm::new(settings), io, clock);
    let mut left = limits.rounds.map(|rounds| rounds.saturating_mul(SIGNALS.len() as u32));
    let start = driver.now();
    driver.machine.connect(start);
    loop {
        find(&mut driver, limits.timeout).await?;
        for name in ["VIN", "GET_DTC"] {
            if let Some(command) = Command::named(name) {
                ask(&mut driver, command).await?;
            }
        }
        poll(&mut driver, limits.timeout, &mut left).await?;
        if left == Some(0) {
            return Ok(());
        }
        defmt::warn!("the car is gone; looking for it");
    }
}

/// Waits until the car is found; the session looks for it by itself.
async fn find<RW: BufRead + Write, C: Clock>(
    driver: &mut Driver<Elm, RW, C>,
    timeout: Option<Duration>,
) -> Result<(), Error> {
    let end = timeout.map(|timeout| driver.now() + timeout);
    if driver.machine.link() != Link::CarConnected {
        let found = driver.run_until(end, |event| {
            match event {
                Event::Link(link) => defmt::info!("{=str}", link.as_str()),
                Event::Trouble(failure) => defmt::warn!("{}", Display2Format(&failure)),
                _ => {}
            }
            match event {
                Event::Link(Link::CarConnected) => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        });
        if found.await.map_err(|_| Error::Link)?.is_none() {
            return Err(Error::NoCar(driver.machine.link()));
        }
    }
    defmt::info!("adapter: {=str}", driver.machine.adapter().banner.as_str());
    if let Some(protocol) = driver.machine.protocol() {
        defmt::info!("protocol: {=str}", protocol.name());
    }
    Ok(())
}

/// Asks once, and logs what comes.
async fn ask<RW: BufRead + Write, C: Clock>(
    driver: &mut Driver<Elm, RW, C>,
    command: &'static Command,
) -> Result<(), Error> {
    let request = command.request();
    let asked = driver.ask(
        Request::new(&request),
        |_| {},
        |_, result| match result {
            Ok(answer) => answer.messages().for_each(|message| {
                log(command, message);
            }),
            Err(failure) => defmt::warn!("{=str}: {}", command.name, Display2Format(&failure)),
        },
    );
    if let Err(refused) = asked.await.map_err(|_| Error::Link)? {
        // The link has gone meanwhile: polling will notice.
        defmt::debug!("{=str}: {}", command.name, Display2Format(&refused));
    }
    Ok(())
}

/// Reads values until there are enough or the car is gone. What was learned of a car is forgotten with it.
async fn poll<RW: BufRead + Write, C: Clock>(
    driver: &mut Driver<Elm, RW, C>,
    timeout: Option<Duration>,
    left: &mut Option<u32>,
) -> Result<(), Error> {
    let mut poller = Poller::<8>::new(Tuning::of(driver.machine.protocol().unwrap_or(Protocol::Can11Fast)));
    let mut commands = heapless::Vec::<_, 8>::new();
    for command in SIGNALS.into_iter().filter_map(Command::named) {
        let Some(item) = Item::new(&command.request()) else {
            continue;
        };
        let item = Item { length: command.data_length(), group: true, ..item };
        if let Ok(key) = poller.watch(driver.now(), item) {
            let _ = commands.push((key, command));
        }
    }
    let mut end = timeout.map(|timeout| driver.now() + timeout);
    while *left != Some(0) {
        if end.is_some_and(|end| end <= driver.now()) {
            return Err(Error::NoValue);
        }
        let question = match poller.next(driver.now()) {
            Next::Ask(question) => question,
            Next::Wait(due) => {
                // What the car lacks is put off; the session may have something to say meanwhile.
                let step = driver.run_until(due.into_iter().chain(end).min(), |event| match event {
                    Event::Link(_) => ControlFlow::Break(()),
                    _ => ControlFlow::Continue(()),
                });
                step.await.map_err(|_| Error::Link)?;
                continue;
            }
        };
        let mut values = 0;
        let mut on_outcome = |key, outcome: Outcome<'_>| {
            let command = commands.iter().find(|(known, _)| *known == key).map(|(_, command)| *command);
            if let (Outcome::Answer(message), Some(command)) = (outcome, command) {
                values += u32::from(log(command, message));
            }
        };
        let asked = driver.ask(
            question.request(),
            |_| {},
            |now, result| match result {
                Ok(answer) => {
                    poller.handle_answer(now, answer.messages(), answer.lines, answer.fault, &mut on_outcome);
                }
                Err(failure) => {
                    defmt::warn!("{}", Display2Format(&failure));
                    poller.handle_failure(now, failure, &mut on_outcome);
                }
            },
        );
        if asked.await.map_err(|_| Error::Link)?.is_err() {
            // The link has gone.
            return Ok(());
        }
        if values > 0 {
            *left = left.map(|left| left.saturating_sub(values));
            end = timeout.map(|timeout| driver.now() + timeout);
        }
    }
    Ok(())
}

/// Logs a value, or why there is none, in one line; whether there is one.
fn log(command: &'static Command, message: Message<'_>) -> bool {
    let source = Display2Format(&message.source);
    let value = obd2::decode(command, message);
    let decoded = value.is_ok();
    match value {
        Ok(Value::Codes(codes)) => {
            let count = codes.iter().count();
            defmt::info!("{=str} of {}: {=usize}", command.name, source, count);
            for code in codes.iter() {
                defmt::info!("  {} {}", Display2Format(&code), Display2Format(&code.describe()));
            }
        }
        Ok(Value::Quantity(quantity)) => {
            defmt::info!(
                "{=str} of {}: {} {}",
                command.name,
                source,
                Display2Format(&quantity),
                quantity.unit().symbol()
            );
        }
        Ok(Value::Text(text)) => {
            defmt::info!("{=str} of {}: {}", command.name, source, Display2Format(&text));
        }
        Ok(_) => defmt::info!("{=str} of {}", command.name, source),
        Err(error) => defmt::warn!("{=str} of {}: {}", command.name, source, Display2Format(&error)),
    }
    decoded
}
