//! The board: Arm MPS2 with the AN386 image (Cortex-M4F at 25 MHz), as QEMU's `mps2-an386`.
//!
//! What is particular to it is here and in [`uart`](crate::uart): the vector table, what happens on faults, how the
//! program ends, and how deep the stack grew.

use core::panic::PanicInfo;

use cortex_m::interrupt::InterruptNumber;
use cortex_m::peripheral::{NVIC, SYST};
use cortex_m_rt::{ExceptionFrame, exception};
use defmt_semihosting as _;

use crate::uart::{self, Port};

/// The speed of the core and of the peripherals.
pub const CLOCK_HZ: u32 = 25_000_000;

/// The exit code of a panic.
const PANICKED: i32 = 101;

/// The exit code of a fault: a bad address, a stack that overflowed.
const FAULTED: i32 = 102;

/// Says hello.
pub fn start() {
    defmt::info!("cloverleaf {=str} on mps2-an386", env!("CARGO_PKG_VERSION"));
}

/// The tick of the core.
///
/// # Panics
/// The second time: there is one.
pub fn take_systick() -> SYST {
    cortex_m::Peripherals::take().expect("SysTick is taken once").SYST
}

/// Ends the program with a code that QEMU passes on.
pub fn exit(code: i32) -> ! {
    semihosting::process::exit(code)
}

/// Lets a UART interrupt.
pub fn enable_uart(port: Port) {
    let (receive, transmit) = match port {
        Port::Zero => (0, 1),
        Port::One => (2, 3),
    };
    for number in [receive, transmit] {
        // SAFETY: the handlers are in the vector table, and no critical section relies on masking by number.
        unsafe { NVIC::unmask(Interrupt(number)) };
    }
}

/// How many bytes of stack were ever used: the paint that cortex-m-rt laid at start is gone from there.
pub fn stack_used() -> usize {
    unsafe extern "C" {
        static _stack_start: u32;
        static _stack_end: u32;
    }
    const PAINT: u32 = 0xCCCC_CCCC;
    let (top, bottom) = (&raw const _stack_start, &raw const _stack_end);
    let mut at = bottom;
    // SAFETY: every word between the two symbols of the linker script is RAM reserved for the stack.
    while at < top && unsafe { at.read_volatile() } == PAINT {
        at = at.wrapping_add(1);
    }
    top as usize - at as usize
}

/// Logs [`stack_used`].
pub fn report_stack() {
    defmt::info!("stack: {=usize} bytes at most", stack_used());
}

/// The number of an interrupt of this board.
#[derive(Clone, Copy)]
struct Interrupt(u16);

// SAFETY: the numbers are those of AN386 and stay below the 32 of the table.
unsafe impl InterruptNumber for Interrupt {
    fn number(self) -> u16 {
        self.0
    }
}

type Vector = unsafe extern "C" fn();

unsafe extern "C" {
    fn DefaultHandler();
}

unsafe extern "C" fn uart0_receive() {
    uart::on_receive(Port::Zero);
}

unsafe extern "C" fn uart0_transmit() {
    uart::on_transmit(Port::Zero);
}

unsafe extern "C" fn uart1_receive() {
    uart::on_receive(Port::One);
}

unsafe extern "C" fn uart1_transmit() {
    uart::on_transmit(Port::One);
}

/// Where cortex-m-rt looks for the interrupts of a device.
#[unsafe(link_section = ".vector_table.interrupts")]
#[unsafe(no_mangle)]
static __INTERRUPTS: [Vector; 32] = {
    let mut table: [Vector; 32] = [DefaultHandler; 32];
    table[0] = uart0_receive;
    table[1] = uart0_transmit;
    table[2] = uart1_receive;
    table[3] = uart1_transmit;
    table
};

/// The default handler loops for ever; whoever runs us in QEMU would wait as long.
#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    defmt::error!("fault at {=u32:#x}", frame.pc());
    exit(FAULTED)
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    match info.location() {
        Some(at) => defmt::error!("panicked at {=str}:{=u32}", at.file(), at.line()),
        None => defmt::error!("panicked"),
    }
    exit(PANICKED)
}
