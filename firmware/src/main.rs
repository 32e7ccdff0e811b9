//! The firmware: an ELM327 on UART 0, results as defmt over semihosting, an exit code for whoever runs it in QEMU.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
#[embassy_executor::main]
async fn main(_spawner: embassy_executor::Spawner) {
    use cloverleaf_core::time::Duration;
    use cloverleaf_firmware::{app, board, clock, uart};

    /// Set at build time when the program is to end, as in QEMU: well once as many values as so many rounds of all
    /// signals have were read, or badly after a minute without a car or a value.
    const ROUNDS: Option<&str> = option_env!("CLOVERLEAF_ROUNDS");

    board::start();
    let clock = clock::SysTick::start();
    let link = uart::Uart::open(uart::Port::Zero, 115_200);
    let rounds = ROUNDS.and_then(|rounds| rounds.parse().ok());
    let limits = app::Limits { rounds, timeout: rounds.map(|_| Duration::from_secs(60)) };
    let result = app::run(link, clock, limits).await;
    board::report_stack();
    match result {
        Ok(()) => board::exit(0),
        Err(trouble) => {
            defmt::error!("{}", trouble);
            board::exit(1)
        }
    }
}

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("this is firmware: build it with `cargo fw`, run it with `.ci/firmware`");
    std::process::exit(2);
}
