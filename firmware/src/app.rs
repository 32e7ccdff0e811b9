//! What the firmware does: connects to the car behind an adapter, says which car it is and what ails it, then polls.

use core::ops::ControlFlow;

use cloverleaf_core::bus::Message;
use cloverleaf_core::driver::{Clock, Driver};
use cloverleaf_core::elm327::poll::{Item, Key, Next, Outcome, Poller, Question, Tuning};
use cloverleaf_core::elm327::session::{Event, Link, Refused, Request, Session, Settings};
use cloverleaf_core::obd2::{self, Command, Value};
use cloverleaf_core::time::Duration;
use defmt::Display2Format;
use embedded_io_async::{BufRead, Write};

/// How many values to read of each signal before the program ends.
pub const ROUNDS: u32 = 10;

/// How long to look for the car before giving up.
const PATIENCE: Duration = Duration::from_secs(60);

/// The signals that are polled.
const SIGNALS: [&str; 3] = ["RPM", "SPEED", "COOLANT_TEMP"];

/// Eight messages of together 512 bytes: a VIN of every ECU, or a page of trouble codes.
type Elm = Session<8, 512>;
type Step<'a> = Event<'a, 8, 512>;

/// Why the program ended early.
#[derive(Clone, Copy, Debug, defmt::Format)]
pub enum Trouble {
    /// The UART failed or closed.
    Link,
    /// No car within a minute.
    NoCar(Link),
    /// The session refused a request.
    Refused(Refused),
    /// The car went away.
    Lost,
}

/// Connects, names the car, reads its trouble codes, then reads `rounds` values of each signal.
///
/// # Errors
/// When there is no car, or it goes away.
pub async fn run<RW: BufRead + Write, C: Clock>(io: RW, clock: C, rounds: u32) -> Result<(), Trouble> {
    let settings = Settings { repeat: true, ..Settings::default() };
    let mut driver = Driver::new(Elm::new(settings), io, clock);
    connect(&mut driver).await?;
    for name in ["VIN", "GET_DTC"] {
        if let Some(command) = Command::named(name) {
            ask(&mut driver, command).await?;
        }
    }
    poll(&mut driver, rounds).await
}

async fn connect<RW: BufRead + Write, C: Clock>(driver: &mut Driver<Elm, RW, C>) -> Result<(), Trouble> {
    let start = driver.now();
    driver.machine.connect(start);
    loop {
        let step = driver.run(|event| match event {
            Event::Link(link) => ControlFlow::Break(Some(link)),
            Event::Trouble(failure) => {
                defmt::warn!("{}", Display2Format(&failure));
                ControlFlow::Break(None)
            }
            _ => ControlFlow::Continue(()),
        });
        if let Some(link) = step.await.map_err(|_| Trouble::Link)? {
            defmt::info!("{=str}", link.as_str());
        }
        if driver.machine.link() == Link::CarConnected {
            break;
        }
        if driver.now() - start > PATIENCE {
            return Err(Trouble::NoCar(driver.machine.link()));
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
) -> Result<(), Trouble> {
    let request = command.request();
    driver.machine.request(driver.now(), &Request::new(&request)).map_err(Trouble::Refused)?;
    let step = driver.run(|event| {
        match event {
            Event::Reply(Ok(answer)) => {
                for message in answer.messages() {
                    log(command, message);
                }
            }
            Event::Reply(Err(failure)) => {
                defmt::warn!("{=str}: {}", command.name, Display2Format(&failure));
            }
            _ => return ControlFlow::Continue(()),
        }
        ControlFlow::Break(())
    });
    step.await.map_err(|_| Trouble::Link)
}

async fn poll<RW: BufRead + Write, C: Clock>(
    driver: &mut Driver<Elm, RW, C>,
    rounds: u32,
) -> Result<(), Trouble> {
    let protocol = driver.machine.protocol().ok_or(Trouble::Lost)?;
    let mut poller = Poller::<8>::new(Tuning::of(protocol));
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
    let mut left = rounds * SIGNALS.len() as u32;
    while left > 0 {
        let question = match poller.next(driver.now()) {
            Next::Ask(question) => question,
            // Every signal is always due, but those that the car lacks are put off.
            Next::Wait(_) => return Ok(()),
        };
        let named = |key| commands.iter().find(|(known, _)| *known == key).map(|(_, command)| *command);
        exchange(driver, &mut poller, &question, |key, outcome| {
            if let (Outcome::Answer(message), Some(command)) = (outcome, named(key)) {
                log(command, message);
            }
            left = left.saturating_sub(1);
        })
        .await?;
    }
    Ok(())
}

/// One question and what comes of it.
async fn exchange<RW: BufRead + Write, C: Clock>(
    driver: &mut Driver<Elm, RW, C>,
    poller: &mut Poller<8>,
    question: &Question,
    mut on_outcome: impl FnMut(Key, Outcome<'_>),
) -> Result<(), Trouble> {
    driver.machine.request(driver.now(), &question.request()).map_err(Trouble::Refused)?;
    let asked = driver.now();
    let step = driver.run(|event: Step<'_>| {
        match event {
            Event::Reply(Ok(answer)) => {
                poller.handle_answer(asked, answer.messages(), answer.lines, answer.fault, &mut on_outcome);
            }
            Event::Reply(Err(failure)) => {
                defmt::warn!("{}", Display2Format(&failure));
                poller.handle_failure(asked, failure, &mut on_outcome);
            }
            _ => return ControlFlow::Continue(()),
        }
        ControlFlow::Break(())
    });
    step.await.map_err(|_| Trouble::Link)?;
    if driver.machine.is_ready() { Ok(()) } else { Err(Trouble::Lost) }
}

/// A value, or why there is none, in one line.
fn log(command: &'static Command, message: Message<'_>) {
    let source = Display2Format(&message.source);
    match obd2::decode(command, message) {
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
}
